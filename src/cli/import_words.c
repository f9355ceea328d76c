/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_words.c - shell words; see import_words.h.
 */
#include "cli/import_words.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* What ends a command where it stands alone. */
static bool is_separator(char c)
{
	return c == ';' || c == '&' || c == '|' || c == '(' || c == ')' ||
	       c == '\n';
}

/* --- one word ------------------------------------------------------------ */

struct word_reader {
	struct import_cursor *c;
	struct str text;
	bool is_expanded;
	bool was_quoted;
};

/* c->at is behind the opening quote; goes behind the closing one. */
static void read_quoted(struct word_reader *r, char quote)
{
	struct import_cursor *c = r->c;

	r->was_quoted = true;
	for (; c->at < c->end && *c->at != quote; c->at++) {
		if (quote == '"' && *c->at == '\\' && c->at + 1 < c->end)
			c->at++;
		else if (quote == '"' && (*c->at == '$' || *c->at == '`'))
			r->is_expanded = true;
		c->line += *c->at == '\n';
		str_addn(&r->text, c->at, 1);
	}
	c->at += c->at < c->end;
}

static void read_escaped(struct word_reader *r)
{
	struct import_cursor *c = r->c;

	c->at++;
	if (c->end - c->at > 1 && *c->at == '\r' && c->at[1] == '\n')
		c->at++;
	if (c->at >= c->end)
		return;
	if (*c->at == '\n')
		c->line++; /* the command goes on */
	else
		str_addn(&r->text, c->at, 1);
	c->at++;
}

static void read_word(struct word_reader *r)
{
	struct import_cursor *c = r->c;

	while (c->at < c->end) {
		char byte = *c->at;

		if (is_blank(byte) || is_separator(byte) || byte == '<' ||
		    byte == '>')
			return;
		if (byte == '\\') {
			read_escaped(r);
			continue;
		}
		c->at++;
		if (byte == '\'' || byte == '"') {
			read_quoted(r, byte);
			continue;
		}
		r->is_expanded |= byte == '$' || byte == '`';
		str_addn(&r->text, &byte, 1);
	}
}

/* --- a command ----------------------------------------------------------- */

static void skip_comment(struct import_cursor *c)
{
	const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at));

	c->at = end ? end : c->end;
}

/* The next word into *out, "" if none: then a separator or the end is there.
 * False: the command is over. */
static bool take_word(struct import *im, struct import_cursor *c,
		      struct import_words *out, const char **word,
		      bool *was_quoted)
{
	struct word_reader r = { .c = c };

	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	if (c->at == c->end || is_separator(*c->at))
		return false;
	if (*c->at == '#') {
		skip_comment(c);
		return false;
	}
	read_word(&r);
	im->is_out_of_memory |= !str_ok(&r.text);
	if (out->count || strcmp(str_get(&r.text), "$") != 0)
		out->is_expanded |= r.is_expanded; /* "$ " is a prompt */
	*word = import_keep(im, str_get(&r.text), r.text.len);
	*was_quoted = r.was_quoted;
	str_done(&r.text);
	return true;
}

/* ">FILE", "2>&1", "<<END": c->at is on the mark. */
static void read_redirection(struct import *im, struct import_cursor *c,
			     struct import_words *out)
{
	char mark = *c->at;
	bool is_quoted;
	const char *file = "";

	while (c->at < c->end && (*c->at == '<' || *c->at == '>'))
		c->at++;
	if (c->at < c->end && *c->at == '&')
		c->at++;
	if (take_word(im, c, out, &file, &is_quoted) && mark == '>')
		out->to = file;
}

static bool is_descriptor(const char *word)
{
	return *word && !word[strspn(word, "0123456789")];
}

static void add_word(struct import_words *out, const char *word)
{
	if (out->count == IMPORT_WORDS_MAX)
		out->is_overflowed = true;
	else
		out->words[out->count++] = word;
}

static bool is_redirection(const struct import_cursor *c)
{
	return c->at < c->end && (*c->at == '<' || *c->at == '>');
}

static void skip_separator(struct import_cursor *c)
{
	if (c->at == c->end)
		return;
	c->line += *c->at == '\n';
	c->at++;
}

bool import_next_words(struct import *im, struct import_cursor *c,
		       struct import_words *out)
{
	const char *word;
	bool was_quoted;

	out->count = 0;
	out->to = NULL;
	out->is_expanded = out->is_overflowed = false;
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	if (c->at == c->end)
		return false;
	out->at.first = c->line;
	for (;;) {
		if (is_redirection(c)) {
			read_redirection(im, c, out);
			continue;
		}
		if (!take_word(im, c, out, &word, &was_quoted))
			break;
		if (is_redirection(c) && !was_quoted && is_descriptor(word))
			continue;
		if (*word || was_quoted)
			add_word(out, word);
	}
	out->at.last = c->line;
	skip_separator(c);
	return true;
}

char import_open_quote(const char *text, const char *end, char quote)
{
	char before = '\n';

	for (; text < end; before = *text++) {
		if (*text == '\\' && quote != '\'' && text + 1 < end)
			text++;
		else if (quote)
			quote = *text == quote ? '\0' : quote;
		else if (*text == '\'' || *text == '"')
			quote = *text;
		else if (*text == '#' && (is_blank(before) || before == '\n'))
			break; /* the rest is a comment */
	}
	return quote;
}
