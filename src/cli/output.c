/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c - safe text, human numbers, tables; see output.h.
 */
#include "cli/output.h"

#include "policy/message.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { TABLE_COLUMNS_MAX = 16, TABLE_GAP = 2, CELL_MAX = 512 };

/* --- text ---------------------------------------------------------------- */

static void add_line(struct str *out, const char *line, size_t len)
{
	for (;;) {
		const char *tab = memchr(line, '\t', len);
		size_t head = tab ? (size_t)(tab - line) : len;

		excerpt_text(out, line, head);
		if (!tab)
			return;
		str_add(out, "\t");
		line += head + 1;
		len -= head + 1;
	}
}

void output_lines(FILE *out, const char *text)
{
	struct str safe = { 0 };

	while (*text) {
		size_t len = strcspn(text, "\n");

		add_line(&safe, text, len);
		str_add(&safe, "\n");
		text += len + (text[len] == '\n');
	}
	fputs(str_get(&safe), out);
	str_done(&safe);
}

void output_text(FILE *out, const char *text)
{
	struct str safe = { 0 };

	excerpt_text(&safe, text, strlen(text));
	fputs(str_get(&safe), out);
	str_done(&safe);
}

/* --- numbers ------------------------------------------------------------- */

void human_bytes(struct str *out, int64_t bytes)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;
	int64_t whole = bytes < 0 ? 0 : bytes;
	int64_t tenths;
	int64_t below = 0; /* of the next smaller unit */

	while (whole >= 1000) {
		below = whole % 1024;
		whole /= 1024;
		unit++;
	}
	tenths = below * 10 / 1024;
	if (unit == 0)
		str_addf(out, "%d", (int)whole);
	else if (whole < 10)
		str_addf(out, "%d.%d%c", (int)whole, (int)tenths, units[unit]);
	else
		str_addf(out, "%d%c", (int)whole, units[unit]);
}

void human_time(struct str *out, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		str_addf(out, "%dms", ms < 0 ? 0 : (int)ms);
	else if (s < 60)
		str_addf(out, "%ds", (int)s);
	else if (s < 3600)
		str_addf(out, "%dm %ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		str_addf(out, "%dh %dm", (int)(s / 3600), (int)(s % 3600 / 60));
	else
		str_addf(out, "%lldd %dh", (long long)(s / 86400),
			 (int)(s % 86400 / 3600));
}

/* --- tables -------------------------------------------------------------- */

void table_cell(struct table *t, const char *text)
{
	if (!*text)
		text = "-";
	excerpt_text(&t->cells, text, strlen(text));
	str_addn(&t->cells, "", 1);
	t->filled++;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	char text[CELL_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* may cut */
	va_end(ap);
	table_cell(t, text);
}

void table_bytes(struct table *t, int64_t bytes)
{
	struct str text = { 0 };

	human_bytes(&text, bytes);
	table_cell(t, str_get(&text));
	str_done(&text);
}

void table_time(struct table *t, int64_t ms)
{
	struct str text = { 0 };

	human_time(&text, ms);
	table_cell(t, str_get(&text));
	str_done(&text);
}

/* One column a code point; wide scripts are off, which is accepted. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(const struct table *t, size_t column, size_t width,
		       const char *text, FILE *out)
{
	int pad = (int)(width - text_width(text));
	bool is_last = column + 1 == t->count;

	if (t->columns[column].is_right)
		fprintf(out, "%*s%s", pad, "", text);
	else
		fprintf(out, "%s%*s", text, is_last ? 0 : pad, "");
	fprintf(out, is_last ? "\n" : "%*s", TABLE_GAP, "");
}

static void measure(const struct table *t, size_t *widths)
{
	const char *cell = t->cells.text;

	for (size_t i = 0; i < t->count; i++)
		widths[i] =
			t->has_no_titles ? 0 : text_width(t->columns[i].title);
	for (size_t i = 0; i < t->filled; i++) {
		size_t width = text_width(cell);

		if (width > widths[i % t->count])
			widths[i % t->count] = width;
		cell += strlen(cell) + 1;
	}
}

void table_print(struct table *t, FILE *out)
{
	size_t widths[TABLE_COLUMNS_MAX];
	const char *cell = t->cells.text;

	assert(t->count <= TABLE_COLUMNS_MAX && t->filled % t->count == 0);
	if (t->filled && str_ok(&t->cells)) {
		measure(t, widths);
		for (size_t i = 0; !t->has_no_titles && i < t->count; i++)
			print_cell(t, i, widths[i], t->columns[i].title, out);
		for (size_t i = 0; i < t->filled; i++) {
			size_t column = i % t->count;

			print_cell(t, column, widths[column], cell, out);
			cell += strlen(cell) + 1;
		}
	}
	str_done(&t->cells);
	t->filled = 0;
}
