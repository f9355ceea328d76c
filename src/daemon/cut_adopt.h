/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_adopt.h - a record for a cut flow of which only the map knows.
 *
 * A daemon was killed, and its flows went on.  What the map has of a flow:
 * addresses, when it began, bytes, and the numbers by which the daemon's
 * configuration called intercept, rule and upstream.
 */
#ifndef WL_DAEMON_CUT_ADOPT_H
#define WL_DAEMON_CUT_ADOPT_H

#include "engine/cut_table.h"
#include "relay/shared.h"

struct cut_adoption {
	struct flow_record record;
	struct wl_cut_key key[2]; /* by leg */
	bool has_two;
};

/* From either entry of the flow.  -ENOENT: its other half is missing. */
int cut_adopt(const struct cut_table *t, const struct wl_cut_key *key,
	      const struct wl_cut *value, uint32_t now_s,
	      struct cut_adoption *out);

#endif
