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
	const char *did, *what; /* before and behind the number; of one */
	const char *why;	/* behind both */
} rows[] = {
	{ COUNTER_loop, "refused", "flow",
	  "that would have come back to waylay: meant for its own listeners, "
	  "or for an upstream whose own traffic is intercepted again; leave "
	  "it out with `except dst` or, if it runs on this host, `except "
	  "user`; NAT rules for `redirected from` must spare our mark" },
	{ COUNTER_upstream_none, "refused", "flow",
	  "for which nobody in the group was left: every member is down, "
	  "disabled, has failed or carries no UDP; see `waylay upstream`" },
	{ COUNTER_header_stranger, "closed", "connection",
	  "to an intercept with `listen` from an address that is not in its "
	  "`proxy-protocol from` or `redirected from`; add the proxy there, or "
	  "the client, or keep others away by a firewall" },
	{ COUNTER_header_bad, "closed", "connection",
	  "to an intercept with `listen` that began without a valid PROXY "
	  "header; let the proxy send one (haproxy: send-proxy-v2), or take "
	  "it out of `proxy-protocol from`" },
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };
_Static_assert((int)ROWS <= (int)COMPLAINTS_MAX, "a place for each row");

static void say(size_t row, uint64_t count)
{
	log_warning("%s %llu %s%s %s", rows[row].did, (unsigned long long)count,
		    rows[row].what, count > 1 ? "s" : "", rows[row].why);
}

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
		say(i, count - last->count);
		*last = (struct complaint){ .count = count, .said_ms = now_ms };
	}
}
