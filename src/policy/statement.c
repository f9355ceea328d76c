/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement.c - cut the text into statements, and hand out their words.
 *
 * Knows of commas, braces and ends of lines, and of no keyword.  Each token
 * is looked at once.  Read parse.c next.
 */
#include "policy/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void advance(struct parser *p)
{
	do
		lex_next(&p->lexer, &p->ahead);
	while (p->ahead.kind == TOKEN_COMMENT);
}

static void broken(struct parser *p, struct place at, const char *why)
{
	if (!p->is_broken)
		(void)report_error(p->report, at, "%s", why);
	p->is_broken = true;
}

static struct word *new_word(struct parser *p)
{
	size_t cap = p->word_cap ? p->word_cap * 2 : 64;
	struct word *words;

	if (p->word_count == p->word_cap) {
		words = reallocarray(p->words, cap, sizeof(*words));
		if (!words) {
			p->is_out_of_memory = true;
			return NULL;
		}
		p->words = words;
		p->word_cap = cap;
	}
	return &p->words[p->word_count++];
}

static void add_word(struct parser *p)
{
	char text[WORD_BYTES_MAX + 1];
	struct word *w;
	size_t len;

	if (p->word_count == STATEMENT_WORDS_MAX) {
		broken(p, p->ahead.at,
		       "too many words in one statement; "
		       "65536 are allowed");
		return;
	}
	w = new_word(p);
	if (!w)
		return;
	*w = (struct word){ .at = p->ahead.at };
	w->is_arrow = p->ahead.kind == TOKEN_ARROW;
	if (w->is_arrow)
		return;
	len = lex_word(&p->lexer, &p->ahead, text);
	str_addn(&p->bytes, text, len + 1);
}

/* p->bytes has stopped moving: let the words point into it. */
static void point_words(struct parser *p)
{
	const char *text = str_get(&p->bytes);

	if (!str_ok(&p->bytes))
		p->is_out_of_memory = true;
	for (size_t i = 0; i < p->word_count && !p->is_out_of_memory; i++) {
		struct word *w = &p->words[i];

		w->text = w->is_arrow ? "->" : text;
		if (!w->is_arrow)
			text += strlen(text) + 1;
	}
}

static void read_comma(struct parser *p)
{
	struct word *last = p->word_count ? &p->words[p->word_count - 1] : NULL;
	struct place comma = p->ahead.at;

	if (last) {
		if (last->is_arrow)
			broken(p, comma, "a comma cannot stand behind ->");
		last->has_comma = true;
	}
	do
		advance(p);
	while (p->ahead.kind == TOKEN_NEWLINE);
	if (p->ahead.kind != TOKEN_WORD && p->ahead.kind != TOKEN_BAD)
		broken(p, comma, "no value stands behind this comma");
}

/* Read one token into the statement; false when it is complete. */
static bool read_part(struct parser *p)
{
	switch (p->ahead.kind) {
	case TOKEN_WORD:
	case TOKEN_ARROW:
		add_word(p);
		break;
	case TOKEN_COMMA:
		read_comma(p);
		return true;
	case TOKEN_BAD:
		broken(p, p->ahead.at, p->ahead.error);
		break;
	case TOKEN_OPEN:
		p->has_block = true;
		p->open = p->ahead.at;
		advance(p);
		return false;
	case TOKEN_SEMI:
	case TOKEN_NEWLINE:
		advance(p);
		return false;
	case TOKEN_CLOSE:
	case TOKEN_END:
	case TOKEN_COMMENT: /* advance() drops it */
		return false;
	}
	advance(p);
	return !p->is_out_of_memory;
}

static void start_statement(struct parser *p)
{
	p->word_count = 0;
	p->word_next = 0;
	p->has_block = false;
	p->is_broken = false;
	str_reset(&p->bytes);
	if (!p->ahead.at.line) /* the very first token */
		advance(p);
	while (p->ahead.kind == TOKEN_NEWLINE || p->ahead.kind == TOKEN_SEMI)
		advance(p);
}

enum statement_kind statement_read(struct parser *p)
{
	start_statement(p);
	if (p->ahead.kind == TOKEN_END || p->is_out_of_memory)
		return STATEMENT_END;
	if (p->ahead.kind == TOKEN_CLOSE) {
		p->closed = p->ahead.at;
		advance(p);
		return STATEMENT_CLOSE;
	}
	if (p->ahead.kind == TOKEN_OPEN)
		broken(p, p->ahead.at,
		       "this { has no name in front of it on "
		       "its line");
	if (p->ahead.kind == TOKEN_COMMA)
		broken(p, p->ahead.at, "no value stands before this comma");
	while (read_part(p))
		;
	point_words(p);
	return p->is_out_of_memory ? STATEMENT_END : STATEMENT_WORDS;
}

void statement_skip_block(struct parser *p)
{
	struct place open = p->open;
	size_t depth = 1;

	for (; depth && p->ahead.kind != TOKEN_END; advance(p)) {
		if (p->ahead.kind == TOKEN_OPEN)
			depth++;
		else if (p->ahead.kind == TOKEN_CLOSE)
			depth--;
		if (depth == BLOCKS_DEEP_MAX && p->ahead.kind == TOKEN_OPEN)
			(void)report_error(p->report, p->ahead.at,
					   "blocks stand in each other too "
					   "deeply");
	}
	if (depth)
		(void)report_error(p->report, open, "this { is never closed");
}

/* Where a word is missing: behind the last one. */
static struct place behind_words(const struct parser *p)
{
	struct place at;

	assert(p->words && p->word_count);
	at = p->words[p->word_count - 1].at;
	at.column += at.length;
	at.length = 1;
	return at;
}

const struct word *word_peek(const struct parser *p)
{
	return p->word_next < p->word_count ? &p->words[p->word_next] : NULL;
}

const struct word *word_take_item(struct parser *p, const char *what)
{
	const struct word *w = word_peek(p);

	if (w && !w->is_arrow) {
		p->word_next++;
		return w;
	}
	if (w)
		(void)report_error(p->report, w->at, "%s is missing before ->",
				   what);
	else
		(void)report_error(p->report, behind_words(p),
				   "\"%s\" needs %s",
				   p->words[p->word_count - 1].text, what);
	return NULL;
}

const struct word *word_take(struct parser *p, const char *what)
{
	const struct word *w = word_take_item(p, what);

	if (!w || !w->has_comma)
		return w;
	(void)report_error(p->report, w[1].at,
			   "only one value can stand here: \"%s\" is too many",
			   w[1].text);
	return NULL;
}

bool words_end(struct parser *p)
{
	const struct word *w = word_peek(p);
	struct message *m;

	if (!w)
		return true;
	m = report_error(p->report, w->at, "unexpected \"%s\" behind \"%s\"",
			 w->text, w[-1].text);
	message_help(m, "values are separated by commas, statements by ; or a "
			"new line");
	return false;
}
