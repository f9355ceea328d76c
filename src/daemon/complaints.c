/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complaints.c - counters whose growth somebody should hear of; see
 * complaints.h.
 */
#include "daemon/complaints.h"

#include "base/log.h"

#include <stddef.h>

static const struct {
	enum counter counter;
	const char *text; /* behind the number */
} rows[] = {
	{ COUNTER_loop,
	  "flows were refused because they would have come back to waylay: "
	  "they were meant for its own listeners, or what their upstream "
	  "sends is intercepted again; leave it out with `except dst` or, if "
	  "it runs on this host, `except user`" },
	{ COUNTER_upstream_none,
	  "flows found nobody in their group who takes them: every member is "
	  "down, disabled or has failed; see `waylay upstream`" },
	{ COUNTER_header_stranger,
	  "connections to an intercept with `listen` were closed because they "
	  "came from an address that is not in its `proxy-protocol from`; add "
	  "the proxy there, or keep others away by a firewall" },
	{ COUNTER_header_bad,
	  "connections to an intercept with `listen` were closed because they "
	  "began without a valid PROXY header; let the proxy send one "
	  "(haproxy: send-proxy-v2), or take it out of `proxy-protocol "
	  "from`" },
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };
_Static_assert((int)ROWS <= (int)COMPLAINTS_MAX, "a place for each row");

void complaints_look(struct complaints *c,
		     const uint64_t counters[COUNTER_COUNT], uint64_t now_ms)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct complaint *last = &c->of[i];
		uint64_t count = counters[rows[i].counter];

		if (count <= last->count)
			continue;
		if (last->said_ms && now_ms - last->said_ms < COMPLAINTS_SAY_MS)
			continue;
		log_warning("%llu %s",
			    (unsigned long long)(count - last->count),
			    rows[i].text);
		*last = (struct complaint){ .count = count, .said_ms = now_ms };
	}
}
