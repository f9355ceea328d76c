/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.c - names of the counters; see counters.h.
 */
#include "relay/counters.h"

struct row {
	const char *name, *help;
};

static const struct row rows[] = {
#define COUNTER(name, help) { #name, help },
#include "relay/counters.def"
#undef COUNTER
};
_Static_assert(sizeof(rows) / sizeof(rows[0]) == COUNTER_COUNT,
	       "one row a counter");

const char *counter_name(enum counter c)
{
	return rows[c].name;
}

const char *counter_help(enum counter c)
{
	return rows[c].help;
}
