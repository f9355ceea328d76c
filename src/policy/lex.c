/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lex.c - tokens; see lex.h.
 *
 * A bare word ends at a blank, at one of , ; { } # " and before "->".  In
 * quotes everything but a newline may stand; \" and \\ give the two bytes
 * that could not be written otherwise.
 */
#include "policy/lex.h"

#include <string.h>

void lex_init(struct lexer *l, const char *text, size_t len)
{
	static const char bom[] = "\xef\xbb\xbf";

	*l = (struct lexer){ .text = text, .len = len, .line = 1 };
	if (len >= 3 && memcmp(text, bom, 3) == 0)
		l->at = l->line_start = 3;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 || c == 0x7f) && !is_blank(c) &&
	       c != '\n';
}

static bool is_arrow(const struct lexer *l, size_t at)
{
	return l->len - at >= 2 && l->text[at] == '-' && l->text[at + 1] == '>';
}

static bool ends_word(const struct lexer *l, size_t at)
{
	char c = l->text[at];

	return is_blank(c) || is_control(c) || c == '\n' || c == ',' ||
	       c == ';' || c == '{' || c == '}' || c == '#' || c == '"' ||
	       is_arrow(l, at);
}

static void bad(struct token *t, const char *error)
{
	t->kind = TOKEN_BAD;
	t->error = error;
}

/* Each of these reads one token from its first byte and returns its end. */

static size_t lex_comment(const struct lexer *l, struct token *t)
{
	const char *start = l->text + t->start;
	const char *newline = memchr(start, '\n', l->len - t->start);
	size_t end = newline ? (size_t)(newline - l->text) : l->len;

	t->kind = TOKEN_COMMENT;
	while (is_blank(l->text[end - 1]))
		end--;
	return end;
}

static size_t lex_quoted(const struct lexer *l, struct token *t)
{
	size_t at = t->start + 1, bytes = 0;
	bool has_control = false;

	t->kind = TOKEN_WORD;
	for (; at < l->len && l->text[at] != '\n'; at++) {
		if (l->text[at] == '"')
			break;
		if (l->text[at] == '\\' && at + 1 < l->len &&
		    (l->text[at + 1] == '"' || l->text[at + 1] == '\\'))
			at++;
		has_control |= is_control(l->text[at]);
		bytes++;
	}
	if (at >= l->len || l->text[at] != '"') {
		bad(t, "this quote is never closed");
		return at;
	}
	if (has_control)
		bad(t, "control bytes cannot stand in a word");
	else if (bytes > WORD_BYTES_MAX)
		bad(t, "this word is longer than 255 bytes");
	return at + 1;
}

static size_t lex_bare(const struct lexer *l, struct token *t)
{
	size_t at = t->start + 1; /* the first byte is known to be a word's */

	t->kind = TOKEN_WORD;
	while (at < l->len && !ends_word(l, at))
		at++;
	if (at - t->start > WORD_BYTES_MAX)
		bad(t, "this word is longer than 255 bytes");
	return at;
}

static size_t lex_control(const struct lexer *l, struct token *t)
{
	size_t at = t->start;

	while (at < l->len && is_control(l->text[at]))
		at++;
	bad(t, "control bytes cannot stand here; is this a text file?");
	return at;
}

static size_t lex_newline(struct lexer *l, struct token *t)
{
	t->kind = TOKEN_NEWLINE;
	l->line++;
	l->line_start = t->start + 1;
	return t->start + 1;
}

static size_t lex_mark(struct token *t, enum token_kind kind, size_t len)
{
	t->kind = kind;
	return t->start + len;
}

static size_t lex_one(struct lexer *l, struct token *t)
{
	char c = l->text[t->start];

	switch (c) {
	case '\n':
		return lex_newline(l, t);
	case '#':
		return lex_comment(l, t);
	case '"':
		return lex_quoted(l, t);
	case ',':
		return lex_mark(t, TOKEN_COMMA, 1);
	case ';':
		return lex_mark(t, TOKEN_SEMI, 1);
	case '{':
		return lex_mark(t, TOKEN_OPEN, 1);
	case '}':
		return lex_mark(t, TOKEN_CLOSE, 1);
	}
	if (is_arrow(l, t->start))
		return lex_mark(t, TOKEN_ARROW, 2);
	if (is_control(c))
		return lex_control(l, t);
	return lex_bare(l, t);
}

void lex_next(struct lexer *l, struct token *out)
{
	struct token t = { .kind = TOKEN_END };

	while (l->at < l->len && is_blank(l->text[l->at]))
		l->at++;
	t.start = l->at;
	t.at.line = l->line;
	t.at.column = (uint32_t)(l->at - l->line_start + 1);
	if (l->at < l->len)
		l->at = lex_one(l, &t);
	t.len = l->at - t.start;
	t.at.length = (uint32_t)t.len;
	*out = t;
}

size_t lex_word(const struct lexer *l, const struct token *t, char *buf)
{
	const char *from = l->text + t->start, *end = from + t->len;
	size_t len = 0;

	if (*from != '"') {
		memcpy(buf, from, t->len);
		buf[t->len] = '\0';
		return t->len;
	}
	for (from++, end--; from < end; from++) {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		buf[len++] = *from;
	}
	buf[len] = '\0';
	return len;
}
