/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h - which member of a group a flow gets.
 *
 * Pure but for the board: given who was tried already, the next member by the
 * group's balance, of those that are enabled and not down.  When nobody is
 * left, the group's fallback, which may be a group itself.
 *
 *	first          in the order of the file
 *	round-robin    by turns, which all workers share
 *	least-conn     who has the fewest flows of this worker; by turns
 *	least-latency  who opened legs fastest of late; who is not checked is
 *		       given one flow each GROUP_PROBE_MS to measure it
 *	hash client    by the client's address: a member that goes away moves
 *		       its own clients and no others
 */
#ifndef WL_RELAY_GROUP_H
#define WL_RELAY_GROUP_H

#include "relay/board.h"

enum { GROUP_PROBE_MS = 60000 };

struct group_ask {
	const struct config *config;
	struct board *board;
	const _Atomic uint32_t *flows; /* by upstream, of this worker */
	const struct addr *client;
	bool is_udp; /* only members that carry UDP */
	uint64_t now_ms;
	uint64_t seed; /* of `hash client`; the same in all workers */
};

/* What a flow has behind it. */
struct group_path {	/* zeros: nothing */
	uint32_t at;	/* index of the upstream we are in, + 1; 0: none yet */
	uint32_t tried; /* bit by position among its members; 1: itself */
};

/*
 * From `upstream`, as a rule names it: *out is an upstream that is no group.
 * Called again for the same flow it gives the next one.  An upstream that is
 * no group is given once, if it is enabled, whether it carries UDP or not.
 * False: nobody is left.
 */
bool group_next(const struct group_ask *a, size_t upstream,
		struct group_path *path, size_t *out);
/* Is there another one behind the last that was given (fallback not
 * counted)?  Then that one need not have all the time. */
bool group_has_more(const struct group_ask *a, const struct group_path *path);
/* `fall` of the group we are in, BOARD_FALL if it has no check. */
uint32_t group_fall(const struct config *c, const struct group_path *path);

/* How many members are enabled and not down. */
size_t group_count_up(const struct board *b, const struct group *g);
/* Nobody gets a flow of `upstream`, an upstream or a group, nor of what it
 * falls back to, because the operator says so: no failure. */
bool group_is_closed(const struct config *c, const struct board *b,
		     size_t upstream);

#endif
