/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_log.h - what became of the upstreams, one line for each change.
 *
 * Workers note on the board and print nothing.  Here the board is compared
 * with what was said before.  A reload repeats nothing of upstreams; of groups
 * without a member that is up it does.
 */
#ifndef WL_DAEMON_UPSTREAM_LOG_H
#define WL_DAEMON_UPSTREAM_LOG_H

#include "base/str.h"
#include "relay/board.h"

struct upstream_log {
	const struct config *config;	 /* kept; NULL: nothing to say */
	const struct board *board;	 /* kept */
	uint8_t health[UPSTREAMS_MAX];	 /* that was said */
	bool is_empty[UPSTREAMS_MAX];	 /* groups, the same */
	uint64_t down_ms[UPSTREAMS_MAX]; /* when `down` was said */
};

/* Another configuration: what its board has now is known. */
void upstream_log_begin(struct upstream_log *l, const struct config *c,
			const struct board *b);
/* The next line that is to be said, one sentence, into `out`.  False: there is
 * none. */
bool upstream_log_next(struct upstream_log *l, uint64_t now_ms, struct str *out,
		       bool *is_warning);

/* "group world has no member that is up: ..." */
void upstream_log_empty_group(const struct config *c, size_t group,
			      struct str *out);

#endif
