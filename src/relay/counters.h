/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - what the relay counts.
 *
 * One array of 64-bit numbers in each worker's shared memory; the worker is
 * the only writer, the supervisor adds up.
 */
#ifndef WL_RELAY_COUNTERS_H
#define WL_RELAY_COUNTERS_H

enum counter {
#define COUNTER(name, help) COUNTER_##name,
#include "relay/counters.def"
#undef COUNTER
	COUNTER_COUNT
};

const char *counter_name(enum counter c);
const char *counter_help(enum counter c);

#endif
