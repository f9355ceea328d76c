/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_take_scene_test.h - a flow that may be cut, for tests to spoil.
 */
#ifndef WL_DAEMON_CUT_TAKE_SCENE_TEST_H
#define WL_DAEMON_CUT_TAKE_SCENE_TEST_H

#include "daemon/cut_take.h"

enum { V4 = 0, V6 = 1, USUAL = WL_CUT_SEEN | WL_CUT_ROUTED | WL_CUT_HAS_TSVAL };

struct world {
	struct repair_facts facts[2];
	struct wl_cut_way learnt[2];
	bool is_bulk[2];
};

/* A flow that may be cut: nothing is unacknowledged or unread. */
static const struct world good = {
	.facts = { [CUT_CLIENT] = { .written = 0xfffffff0,
				    .read = 1000,
				    .own_edge = 1000 + 0x10000,
				    .peer_edge = 0xfffffff0 + 0x20000,
				    .own_ts = 70000,
				    .peer_mss = 1460,
				    .own_mss = 1460,
				    .own_shift = 7,
				    .peer_shift = 8,
				    .is_established = true,
				    .has_timestamps = true,
				    .has_sack = true,
				    .has_ecn = true },
		   [CUT_SERVER] = { .written = 5000,
				    .read = 0x80000000,
				    .own_edge = 0x80000000 + 0x20000,
				    .peer_edge = 5000 + 0x10000,
				    .own_ts = 0xffffffff,
				    .peer_mss = 1220,
				    .own_mss = 1460,
				    .own_shift = 9,
				    .peer_shift = 3,
				    .is_established = true,
				    .has_timestamps = true,
				    .has_sack = true,
				    .has_ecn = true } },
	.learnt = { [CUT_CLIENT] = { .marks = USUAL,
				     .ack = 0xfffffff0,
				     .tsval = 123 },
		    [CUT_SERVER] = { .marks = USUAL,
				     .ack = 5000,
				     .tsval = 456 } },
	.is_bulk = { true, true },
};

static inline enum cut_cause take(const struct world *w,
				  struct wl_cut_way out[2])
{
	return cut_take(w->facts, w->learnt, w->is_bulk, V4, out);
}

static inline void no_timestamps_at_all(struct world *w, int leg)
{
	(void)leg;
	for (int i = 0; i < 2; i++) {
		w->facts[i].has_timestamps = false;
		w->learnt[i].marks &= (uint8_t)~WL_CUT_HAS_TSVAL;
	}
}

#endif
