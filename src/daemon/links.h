/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links.h - which interfaces of the intercepts are there.
 *
 * An intercept may name an interface that does not exist yet; the rules name
 * it all the same and hold as soon as it comes.  Here it is only said: once
 * that we wait for it, and once that it has come.
 */
#ifndef WL_DAEMON_LINKS_H
#define WL_DAEMON_LINKS_H

#include "net/nl.h"
#include "policy/model.h"

struct links { /* zeros: nothing is known yet */
	const struct config *config;
	uint64_t present[INTERCEPTS_MAX]; /* a bit for each of ifnames */
	bool is_known;			  /* presence was reported */
	bool has_bridge;		  /* some intercept takes from one */
};

_Static_assert(IFNAMES_MAX <= 64, "one bit an interface");

/* Ask the kernel, and log what has changed since the last time. */
void links_look(struct links *l, struct nl *nl);

#endif
