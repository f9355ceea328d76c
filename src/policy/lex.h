/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lex.h - a configuration's text as tokens with places.
 *
 * Any bytes may come in; the lexer never fails, it hands out TOKEN_BAD with
 * a sentence instead.  It allocates nothing and looks at each byte once, so
 * 64 MiB of garbage cost what 64 MiB of text cost.  Comments and newlines are
 * tokens, because the formatter needs the first and the grammar the second.
 * Read statement.h next.
 */
#ifndef WL_POLICY_LEX_H
#define WL_POLICY_LEX_H

#include "policy/model.h"

enum { WORD_BYTES_MAX = 255 };

enum token_kind {
	TOKEN_END,
	TOKEN_NEWLINE,
	TOKEN_WORD,  /* bare, or in double quotes */
	TOKEN_ARROW, /* -> */
	TOKEN_COMMA,
	TOKEN_SEMI,
	TOKEN_OPEN,    /* { */
	TOKEN_CLOSE,   /* } */
	TOKEN_COMMENT, /* from # to the end of the line, blanks cut */
	TOKEN_BAD,
};

struct token {
	enum token_kind kind;
	size_t start, len; /* slice of the text, quotes included */
	struct place at;
	const char *error; /* TOKEN_BAD: what is wrong with it */
};

struct lexer {
	const char *text;
	size_t len;
	size_t at;	   /* next byte to read */
	size_t line_start; /* first byte of the current line */
	uint32_t line;	   /* from 1 */
};

/* Keeps text. */
void lex_init(struct lexer *l, const char *text, size_t len);
void lex_next(struct lexer *l, struct token *out);
/* What a TOKEN_WORD says, without quotes and backslashes.  buf holds
 * WORD_BYTES_MAX + 1 bytes; returns the length. */
size_t lex_word(const struct lexer *l, const struct token *t, char *buf);

#endif
