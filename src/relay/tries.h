/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tries.h - who carries a flow, try by try; the same for TCP and UDP.
 *
 * A rule names an upstream or a group; group.h says whose turn it is.  Here it
 * is asked with what a worker knows, and noted in record and counters.  How an
 * upstream is tried is the affair of tcp_open.c and udp_open.c.
 */
#ifndef WL_RELAY_TRIES_H
#define WL_RELAY_TRIES_H

#include "relay/group.h"
#include "relay/worker.h"

/* The group that the rule of `r` names; NULL: it names an upstream. */
const struct group *tries_group(const struct worker *w,
				const struct flow_record *r);
/* The next upstream for the flow of `r`.  False: nobody is left. */
bool tries_next(const struct worker *w, const struct flow_record *r,
		struct group_path *path, size_t *out);
/* Would somebody else get it if this one fails, a fallback perhaps? */
bool tries_has_other(const struct worker *w, const struct flow_record *r,
		     const struct group_path *path);
/* This one gets it: the record says so. */
void tries_begin(struct worker *w, struct flow_record *r, size_t upstream);
/* Nobody has it in the end: why.  `last` is how the last try ended, which says
 * more than that nobody is left; it is not asked if there was none. */
enum flow_end tries_give_up(struct worker *w, const struct flow_record *r,
			    enum flow_end last);

#endif
