/* SPDX-License-Identifier: Apache-2.0 */
/*
 * excerpt.c - show a piece of the text so that it cannot lie.
 *
 * The text may hold any bytes; a terminal must get none of them that move
 * the cursor, change colours or turn the direction of writing.  Such bytes
 * are shown as \xNN.  Each other character is taken to be one column wide,
 * so the caret is off under wide scripts; that is accepted.
 */
#include "policy/message.h"

enum {
	EXCERPT_COLUMNS = 72, /* longer lines are cut around the caret */
	EXCERPT_BEFORE = 40,  /* bytes kept before the caret then */
	TAB_COLUMNS = 8,
};

/* The code point at s and its length in bytes, or 0 if it is not UTF-8. */
static size_t decode_utf8(const unsigned char *s, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t code;

	if (s[0] < 0xc2 || s[0] > 0xf4 || len < need)
		return 0;
	code = s[0] & (0xffu >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[need] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*out = code;
	return need;
}

/* C1 controls, line separators, marks of direction and of no width. */
static bool is_harmful(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x80, 0x9f },	    { 0x200b, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

/* Show the character at s; returns its bytes and adds its columns. */
static size_t show_char(struct str *out, const char *s, size_t len,
			size_t *columns)
{
	unsigned char c = (unsigned char)*s;
	uint32_t code = 0;
	size_t bytes;

	if (c >= 0x20 && c < 0x7f) {
		str_addn(out, s, 1);
		*columns += 1;
		return 1;
	}
	bytes = c < 0x80 ? 0
			 : decode_utf8((const unsigned char *)s, len, &code);
	if (!bytes || is_harmful(code)) {
		str_addf(out, "\\x%02x", c);
		*columns += 4;
		return 1;
	}
	str_addn(out, s, bytes);
	*columns += 1;
	return bytes;
}

void excerpt_text(struct str *out, const char *bytes, size_t len)
{
	size_t columns = 0;

	for (size_t at = 0; at < len;)
		at += show_char(out, bytes + at, len - at, &columns);
}

static void show_tab(struct str *out, size_t *columns)
{
	do {
		str_add(out, " ");
		*columns += 1;
	} while (*columns % TAB_COLUMNS);
}

/* The first byte worth showing: behind the indentation, and near the caret. */
static size_t find_start(const char *line, size_t len, size_t caret)
{
	size_t start = 0;

	while (start < len && start < caret &&
	       (line[start] == ' ' || line[start] == '\t'))
		start++;
	if (caret - start <= EXCERPT_COLUMNS - 12)
		return start;
	start = caret - EXCERPT_BEFORE;
	while (start < caret && ((unsigned char)line[start] & 0xc0) == 0x80)
		start++;
	return start;
}

static void add_caret(struct str *out, size_t from, size_t to)
{
	str_addf(out, "    %*s^", (int)from, ""); /* from < 200 */
	for (size_t i = from + 1; i < to; i++)
		str_add(out, "~");
	str_add(out, "\n");
}

void excerpt_line(struct str *out, const char *line, size_t len,
		  struct place at)
{
	size_t caret = at.column - 1, end = caret + at.length;
	size_t columns = 0, from = 0, to = 0, start, i;

	while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
		len--;
	if (caret > len)
		caret = len;
	start = find_start(line, len, caret);
	str_add(out, "    ");
	if (start && line[start - 1] != ' ' && line[start - 1] != '\t') {
		str_add(out, "...");
		columns = 3;
	}
	for (i = start; i < len && columns < EXCERPT_COLUMNS;) {
		if (i <= caret)
			from = columns;
		if (line[i] == '\t') {
			show_tab(out, &columns);
			i++;
		} else {
			i += show_char(out, line + i, len - i, &columns);
		}
		if (i <= end)
			to = columns;
	}
	if (i <= caret)
		from = columns;
	str_add(out, i < len ? "...\n" : "\n");
	add_caret(out, from, to);
}
