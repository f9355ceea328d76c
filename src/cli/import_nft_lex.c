/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft_lex.c - tokens of nft; see import_nft.h.
 */
#include "cli/import_nft.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_operator(char c)
{
	return c == '!' || c == '=' || c == '<' || c == '>';
}

static bool ends_word(char c)
{
	return is_blank(c) || is_operator(c) || strchr("\n;{},\"'()#", c);
}

static void take_newline(struct nft_lexer *l)
{
	l->at++;
	l->line += !l->is_one_command;
}

/* Blanks, comments, and newlines behind a backslash. */
static void skip_blanks(struct nft_lexer *l)
{
	while (l->at < l->end) {
		if (is_blank(*l->at)) {
			l->at++;
		} else if (*l->at == '#') {
			while (l->at < l->end && *l->at != '\n')
				l->at++;
		} else if (*l->at == '\\' && l->end - l->at > 1 &&
			   l->at[1] == '\n') {
			l->at++;
			take_newline(l);
		} else {
			return;
		}
	}
}

static void set_word(struct nft_lexer *l, const char *text, size_t len)
{
	l->token = NFT_WORD;
	l->word = import_keep(l->im, text, len);
}

/* A string ends at its quote, or at the end of the line. */
static void read_string(struct nft_lexer *l)
{
	char quote = *l->at++;
	const char *start = l->at;

	while (l->at < l->end && *l->at != quote && *l->at != '\n')
		l->at++;
	set_word(l, start, (size_t)(l->at - start));
	if (l->at < l->end && *l->at == quote)
		l->at++;
}

static void read_word(struct nft_lexer *l)
{
	const char *start = l->at;

	if (is_operator(*l->at)) {
		while (l->at < l->end && is_operator(*l->at))
			l->at++;
	} else {
		do
			l->at++;
		while (l->at < l->end && *start != '(' && *start != ')' &&
		       !ends_word(*l->at));
	}
	set_word(l, start, (size_t)(l->at - start));
}

static const struct {
	char byte;
	enum nft_token token;
} marks[] = {
	{ ';', NFT_NEWLINE },
	{ '{', NFT_OPEN },
	{ '}', NFT_CLOSE },
	{ ',', NFT_COMMA },
};

void nft_next(struct nft_lexer *l)
{
	l->last_line = l->token_line;
	skip_blanks(l);
	l->token_line = l->line;
	if (l->at == l->end) {
		l->token = NFT_END;
		return;
	}
	if (*l->at == '\n') {
		l->token = NFT_NEWLINE;
		take_newline(l);
		return;
	}
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (*l->at == marks[i].byte) {
			l->token = marks[i].token;
			l->at++;
			return;
		}
	}
	if (*l->at == '"' || *l->at == '\'')
		read_string(l);
	else
		read_word(l);
}

struct import_span nft_span(const struct nft_lexer *l, uint32_t first)
{
	uint32_t last = l->is_one_command ? l->command_last : l->last_line;

	return (struct import_span){ first, last > first ? last : first };
}

void nft_start(struct nft_lexer *l)
{
	l->token_line = l->line;
	nft_next(l);
}

bool nft_is(const struct nft_lexer *l, const char *word)
{
	return l->token == NFT_WORD && strcmp(l->word, word) == 0;
}

bool nft_take(struct nft_lexer *l, const char *word)
{
	if (!nft_is(l, word))
		return false;
	nft_next(l);
	return true;
}

void nft_skip_newlines(struct nft_lexer *l)
{
	while (l->token == NFT_NEWLINE)
		nft_next(l);
}

void nft_skip_block(struct nft_lexer *l)
{
	size_t depth = 0;

	do {
		depth += l->token == NFT_OPEN;
		depth -= l->token == NFT_CLOSE;
		nft_next(l);
	} while (depth && l->token != NFT_END);
}

void nft_skip_statement(struct nft_lexer *l)
{
	while (l->token != NFT_NEWLINE && l->token != NFT_CLOSE &&
	       l->token != NFT_END) {
		if (l->token == NFT_OPEN)
			nft_skip_block(l);
		else
			nft_next(l);
	}
}

/* What follows an element: options; a pair or a map cannot be read. */
static void skip_options(struct nft_lexer *l, struct import_values *v)
{
	while (l->token != NFT_COMMA && l->token != NFT_CLOSE &&
	       l->token != NFT_END) {
		v->is_unread |= nft_is(l, ".") || nft_is(l, ":");
		if (l->token == NFT_OPEN)
			nft_skip_block(l);
		else
			nft_next(l);
	}
}

void nft_read_elements(struct nft_lexer *l, struct import_values *v)
{
	nft_next(l);
	while (l->token != NFT_END && l->token != NFT_CLOSE) {
		if (l->token == NFT_WORD) {
			v->is_unread |= *l->word == '$' || *l->word == '@';
			import_values_add(l->im, v, l->word, l->token_line);
			nft_next(l);
			skip_options(l, v);
		} else {
			nft_next(l);
		}
	}
	nft_next(l);
}
