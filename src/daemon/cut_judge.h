/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_judge.h - what the map tells of a cut flow: has it ended, and how?
 *
 * Pure: no system calls, no clock.  The rules stand in cut_ledger.h.
 */
#ifndef WL_DAEMON_CUT_JUDGE_H
#define WL_DAEMON_CUT_JUDGE_H

#include "abi/cut.h"
#include "relay/shared.h"

#include <stdbool.h>

/* Seconds of silence after which a flow is over. */
struct cut_limits {
	uint32_t idle_s, half_closed_s;
};

struct cut_sight {
	struct wl_cut_way way[2]; /* by leg: what comes on it */
	uint32_t begun_s;
	bool is_draining; /* some way is */
};

enum cut_fate {
	CUT_LIVES,
	CUT_FINISHED, /* told so; the entries stay for what comes late */
	CUT_OVER      /* the entries can go */
};

/* *why is set unless it lives. */
enum cut_fate cut_judge(const struct cut_sight *s, const struct cut_limits *l,
			uint32_t now_s, enum flow_end *why);
/* When the last packet came, seconds of CLOCK_MONOTONIC. */
uint32_t cut_last_s(const struct cut_sight *s);
/* Why a flow has ended whose entry is gone; marks: as last seen, by leg. */
enum flow_end cut_end_by_marks(const uint8_t marks[2]);

#endif
