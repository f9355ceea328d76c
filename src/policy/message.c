/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - collect messages and render them; see message.h.
 */
#include "policy/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_places(const struct place *a, const struct place *b)
{
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return 0;
}

static int compare_messages(const void *left, const void *right)
{
	const struct message *a = left, *b = right;
	int order = compare_places(&a->at, &b->at);

	if (order)
		return order;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Does a deserve its slot less than b? */
static bool is_lesser(const struct message *a, const struct message *b)
{
	if (a->kind != b->kind)
		return a->kind == MESSAGE_WARNING;
	return compare_messages(a, b) > 0;
}

/* The slot for a new message like `wanted`, or NULL if it has to yield. */
static struct message *find_slot(struct report *r, const struct message *wanted)
{
	struct message *least = &r->kept[0];

	if (r->count < MESSAGES_MAX)
		return &r->kept[r->count++];
	for (size_t i = 1; i < r->count; i++) {
		if (is_lesser(&r->kept[i], least))
			least = &r->kept[i];
	}
	return is_lesser(wanted, least) ? NULL : least;
}

__attribute__((format(printf, 4, 0))) static struct message *report_add(
	struct report *r, enum message_kind kind, struct place at,
	const char *fmt, va_list ap)
{
	struct message wanted, *m;

	wanted.kind = kind;
	wanted.at = at;
	wanted.order = r->errors + r->warnings;
	if (kind == MESSAGE_ERROR)
		r->errors++;
	else
		r->warnings++;
	m = find_slot(r, &wanted);
	if (!m)
		return NULL;
	m->kind = kind;
	m->at = at;
	m->order = wanted.order;
	m->is_line_hidden = false;
	m->help[0] = '\0';
	(void)vsnprintf(m->text, sizeof(m->text), fmt, ap); /* may cut */
	return m;
}

struct message *report_error(struct report *r, struct place at, const char *fmt,
			     ...)
{
	struct message *m;
	va_list ap;

	va_start(ap, fmt);
	m = report_add(r, MESSAGE_ERROR, at, fmt, ap);
	va_end(ap);
	return m;
}

struct message *report_warning(struct report *r, struct place at,
			       const char *fmt, ...)
{
	struct message *m;
	va_list ap;

	va_start(ap, fmt);
	m = report_add(r, MESSAGE_WARNING, at, fmt, ap);
	va_end(ap);
	return m;
}

void message_help(struct message *m, const char *fmt, ...)
{
	va_list ap;

	if (!m)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(m->help, sizeof(m->help), fmt, ap); /* may cut */
	va_end(ap);
}

void message_hide_line(struct message *m)
{
	if (m)
		m->is_line_hidden = true;
}

/* Walks the lines forwards, as messages are sorted. */
struct line_walk {
	const char *text;
	size_t len;
	size_t start; /* of the line */
	uint32_t line;
};

static size_t line_length(const struct line_walk *w)
{
	const char *start = w->text + w->start;
	const char *end = memchr(start, '\n', w->len - w->start);

	return end ? (size_t)(end - start) : w->len - w->start;
}

static void walk_to(struct line_walk *w, uint32_t line)
{
	while (w->line < line) {
		size_t next = w->start + line_length(w) + 1;

		if (next > w->len)
			return;
		w->start = next;
		w->line++;
	}
}

/* A line that one message must not show is shown by none. */
static bool is_line_shown(const struct report *r, uint32_t line)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->kept[i].is_line_hidden && r->kept[i].at.line == line)
			return false;
	}
	return line;
}

static void render_message(const struct message *m, bool is_shown,
			   const char *file, struct line_walk *w,
			   struct str *out)
{
	static const char *const kinds[] = {
		[MESSAGE_ERROR] = "error",
		[MESSAGE_WARNING] = "warning",
	};

	excerpt_text(out, file, strlen(file));
	if (m->at.line)
		str_addf(out, ":%u:%u", m->at.line, m->at.column);
	str_addf(out, ": %s: ", kinds[m->kind]);
	excerpt_text(out, m->text, strlen(m->text));
	str_add(out, "\n");
	if (is_shown) {
		walk_to(w, m->at.line);
		excerpt_line(out, w->text + w->start, line_length(w), m->at);
	}
	if (m->help[0]) {
		str_add(out, "    ");
		excerpt_text(out, m->help, strlen(m->help));
		str_add(out, "\n");
	}
}

static void render_rest(size_t shown, size_t found, const char *noun,
			struct str *out)
{
	size_t more = found - shown;

	if (more)
		str_addf(out, "... and %zu more %s%s\n", more, noun,
			 more == 1 ? "" : "s");
}

void report_render(struct report *r, const char *file, const char *text,
		   size_t len, struct messages *out)
{
	struct line_walk walk = { .text = text, .len = len, .line = 1 };
	size_t errors = 0;

	qsort(r->kept, r->count, sizeof(r->kept[0]), compare_messages);
	for (size_t i = 0; i < r->count; i++) {
		render_message(&r->kept[i],
			       is_line_shown(r, r->kept[i].at.line), file,
			       &walk, &out->text);
		errors += r->kept[i].kind == MESSAGE_ERROR;
	}
	render_rest(errors, r->errors, "error", &out->text);
	render_rest(r->count - errors, r->warnings, "warning", &out->text);
	out->errors += r->errors;
	out->warnings += r->warnings;
}
