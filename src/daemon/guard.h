/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - notice at once when somebody takes away what is ours.
 *
 * Other programs flush rulesets (`nft flush ruleset`, firewall managers),
 * delete rules and routes (systemd-networkd), detach programs.  Where the
 * kernel tells everybody who listens, the guard does; where it does not, the
 * guard asks the engine every second.  What is not as it was installed is put
 * back, and the log says who had changed it as far as the kernel tells.
 *
 * The guard also follows interfaces and addresses, for engines that have to
 * and for intercepts that wait for an interface.
 */
#ifndef WL_DAEMON_GUARD_H
#define WL_DAEMON_GUARD_H

#include "base/err.h"
#include "base/loop.h"
#include "daemon/installed.h"
#include "net/nl.h"

enum {
	/* A transaction of somebody else is rarely alone: look once. */
	GUARD_SETTLE_MS = 48,
	GUARD_POLL_MS = 1000,
};

/* Interfaces came or went, or addresses did. */
typedef void (*guard_link_fn)(void *ctx);

struct guard {
	struct loop *loop;
	struct watch engine_watch, route_watch;
	struct timer settle; /* a look because of events */
	struct timer poll;   /* a look because time has passed */
	struct nl engine_events, route_events, ask;
	uint32_t event_groups; /* of engine_events; 0: not open */
	uint32_t poll_ms;      /* GUARD_POLL_MS but in tests */
	struct installed *in;  /* what must be true; NULL: nothing */
	struct err said;       /* what was logged last, to say it once */
	char culprit[64];      /* who changed nft last, if not we */
	bool is_routing_touched, are_links_touched, are_addresses_touched;
	guard_link_fn on_link;
	void *ctx;
	uint64_t repairs;
};

int guard_open(struct guard *g, struct loop *l, guard_link_fn on_link,
	       void *ctx, struct err *e);
/* From now on the host must be as `in` says, which was just installed.  NULL:
 * stop guarding.  Keeps in. */
void guard_set(struct guard *g, struct installed *in);
void guard_close(struct guard *g);

#endif
