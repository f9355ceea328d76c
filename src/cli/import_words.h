/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_words.h - one shell command as words.
 *
 * Understands quotes, backslashes, comments, redirections and what separates
 * commands.  Nothing is expanded: a word with $ or ` only makes the command
 * one whose meaning is not known.
 */
#ifndef WL_CLI_IMPORT_WORDS_H
#define WL_CLI_IMPORT_WORDS_H

#include "cli/import_model.h"

enum { IMPORT_WORDS_MAX = 512 };

struct import_words {
	const char *words[IMPORT_WORDS_MAX]; /* in the import's arena */
	size_t count;
	const char *to;	    /* > FILE: where its output goes, or NULL */
	bool is_expanded;   /* holds a variable or a substitution */
	bool is_overflowed; /* has more words than there is room for */
	struct import_span at;
};

/* Where the next command begins. */
struct import_cursor {
	const char *at, *end;
	uint32_t line; /* of `at` */
};

/* The quote that is open at the end of this line, or 0; `quote` is the one at
 * its beginning. */
char import_open_quote(const char *text, const char *end, char quote);
/* The next command, or false.  An empty one has no words. */
bool import_next_words(struct import *im, struct import_cursor *c,
		       struct import_words *out);

#endif
