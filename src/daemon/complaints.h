/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complaints.h - counters whose growth somebody should hear of.
 *
 * One line each, with cause and remedy, for all that were counted since the
 * last one, and not oftener than every COMPLAINTS_SAY_MS.
 */
#ifndef WL_DAEMON_COMPLAINTS_H
#define WL_DAEMON_COMPLAINTS_H

#include "relay/counters.h"

#include <stdint.h>

enum { COMPLAINTS_MAX = 8, COMPLAINTS_SAY_MS = 10000 };

struct complaints { /* zeros: nothing was said */
	struct complaint {
		uint64_t count;	  /* when it was said last */
		uint64_t said_ms; /* that moment; 0: never */
	} of[COMPLAINTS_MAX];
};

/* The counters as they are now; to be called every second or so. */
void complaints_look(struct complaints *c,
		     const uint64_t counters[COUNTER_COUNT], uint64_t now_ms);

#endif
