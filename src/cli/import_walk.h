/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_walk.h - all traffic goes through the chains.
 *
 * One box of everything is sent through each base chain, for each IP version.
 * Rules cut it; what reaches TPROXY is an intercept.  What this host sends
 * goes through the chains of output first: whatever comes out of these with
 * the mark that routing brings back walks through prerouting once more.
 *
 * A condition that we do not know is taken not to hold.  A rule with such a
 * condition that lets packets pass is refused as soon as a later rule takes
 * some of them, since it would have had a say in that.
 *
 * Work is bounded: boxes alive, and rules times boxes in all.
 */
#ifndef WL_CLI_IMPORT_WALK_H
#define WL_CLI_IMPORT_WALK_H

#include "cli/import_box.h"

/* A rule that we do not know and that may let packets pass. */
struct import_pending {
	const struct import_pending *next;
	const struct import_rule *rule;
	const char *reason;
};

struct import_walk {
	struct import_view view;
	struct import_box *sent; /* out of output, with our mark */
	const struct import_pending *pending;
	bool is_doubtful; /* some were pending when a rule took packets */
	bool is_tail;	  /* nothing that matters follows the chain at hand */
	size_t depth;
	/* kept from walk to walk: */
	size_t steps; /* left */
	bool is_given_up;
	struct import_box *spare;
	size_t box_count;
};

/* Fill in what can happen in the chain and below; asked once. */
void import_look_at(struct import_chain *c);
/* Through a base chain; takes the box. */
void import_walk(struct import_walk *w, struct import_chain *c,
		 struct import_box *in);

/* NULL: there are too many, and the walk is given up. */
struct import_box *import_box_of_all(struct import_walk *w);
struct import_box *import_box_copy(struct import_walk *w,
				   const struct import_box *of);
void import_box_drop(struct import_walk *w, struct import_box *box);

#endif
