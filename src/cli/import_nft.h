/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft.h - the language of nft: tables, as `nft list ruleset` prints
 * them, and commands.
 *
 * import_nft_lex.c makes tokens, import_nft.c reads tables, chains and sets,
 * import_nft_rule.c one rule, import_nft_match.c its conditions.
 */
#ifndef WL_CLI_IMPORT_NFT_H
#define WL_CLI_IMPORT_NFT_H

#include "cli/import_model.h"

/* If a table or a command begins in this line, read it and return the line
 * behind it; else the same line. */
uint32_t import_nft_lines(struct import *im, uint32_t at, uint32_t end);
/* One or several commands, such as "add rule ip x y tcp dport 80 accept". */
void import_nft_command(struct import *im, const char *text,
			struct import_span at);

/* --- import_nft_lex.c ---------------------------------------------------- */

enum nft_token {
	NFT_END,
	NFT_NEWLINE, /* or a semicolon */
	NFT_OPEN,
	NFT_CLOSE,
	NFT_COMMA,
	NFT_WORD, /* also a string, an operator, a parenthesis */
};

struct nft_lexer {
	struct import *im;
	const char *at, *end;
	uint32_t line;
	bool is_one_command;		/* `line` stays as it is */
	uint32_t command_last;		/* its last line then */
	enum nft_token token;		/* the one at hand */
	const char *word;		/* of NFT_WORD */
	uint32_t token_line, last_line; /* of it, and of the one before */
};

/* From a line to the token before the one at hand. */
struct import_span nft_span(const struct nft_lexer *l, uint32_t first);
/* Go to the first token, and on to the next one. */
void nft_start(struct nft_lexer *l);
void nft_next(struct nft_lexer *l);
bool nft_is(const struct nft_lexer *l, const char *word);
/* Is it this word?  Then go on. */
bool nft_take(struct nft_lexer *l, const char *word);
void nft_skip_newlines(struct nft_lexer *l);
/* Behind the } of the { at hand. */
void nft_skip_block(struct nft_lexer *l);
/* To the end of the statement, over blocks. */
void nft_skip_statement(struct nft_lexer *l);
/* "{ a, b }" into v, and behind it; the { is at hand. */
void nft_read_elements(struct nft_lexer *l, struct import_values *v);

/* --- import_nft_rule.c --------------------------------------------------- */

struct nft_table {
	const char *family; /* "ip", "inet" */
	const char *name;
	uint8_t families; /* bits 1 << FAMILY_x; 0: of other packets */
};

struct import_chain *nft_chain(struct import *im, const struct nft_table *t,
			       const char *name);
struct import_values *nft_set(struct import *im, const struct nft_table *t,
			      const char *name);
/* Read a rule up to the end of its statement; place: see import_add_rule(). */
void nft_read_rule(struct nft_lexer *l, const struct nft_table *t,
		   struct import_chain *c, size_t place);

/* --- import_nft_match.c: conditions -------------------------------------- */

/* A rule that is being read; the token at hand is behind its last word. */
struct nft_reader {
	struct nft_lexer *l;
	const struct nft_table *table;
	struct import_rule *rule;
	struct import_chain *chain;
};

/* Read the condition, or the mark to set, that begins with this word; false:
 * there is none. */
bool nft_read_match(struct nft_reader *r, const char *word);
void nft_unknown(struct nft_reader *r, const char *what);

#endif
