/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_book.h - what the indexes in records of cut flows mean by now.
 *
 * A cut flow outlives the configuration that decided about it.  Its record has
 * the indexes of that one and its generation's number; the book has a page for
 * each older generation, by which they become indexes of the current one:
 * intercepts by name, upstreams by name and proxy (board_find()), rules by
 * what they say.  What the current one has no more, and what is older than the
 * book, is UINT32_MAX.
 */
#ifndef WL_DAEMON_CUT_BOOK_H
#define WL_DAEMON_CUT_BOOK_H

#include "relay/shared.h"

enum { CUT_BOOK_PAGES = 64 };

struct cut_page {
	uint32_t generation;
	uint32_t intercept_count, rule_count, upstream_count;
	uint32_t *indexes; /* of the current generation; NULL: no page */
};

struct cut_book { /* zeros: empty */
	struct cut_page pages[CUT_BOOK_PAGES];
	struct cut_page draft; /* of the current one, for the next */
	uint32_t next;	       /* page to be written */
	uint32_t current;      /* generation */
};

/* Note what indexes of `old`, which holds (NULL: none does), will mean when
 * `new` does.  A draft that was made before is forgotten. */
void cut_book_draft(struct cut_book *b, const struct config *old,
		    const struct config *new);
/* It does, with this number; configurations are not looked at any more. */
void cut_book_turn(struct cut_book *b, uint32_t generation);
/* Make its indexes those of the current generation. */
void cut_book_translate(const struct cut_book *b, struct flow_record *r);
void cut_book_done(struct cut_book *b);

#endif
