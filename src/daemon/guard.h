/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - notice at once when somebody takes away what is ours.
 *
 * Other programs flush rulesets (`nft flush ruleset`, firewall managers),
 * delete rules and routes (systemd-networkd).  The kernel tells everybody
 * who listens: the guard does, looks whether ours is still as it was
 * installed, puts back what is missing, and logs who did it as far as the
 * kernel says.
 *
 * The guard also follows interfaces, so that an intercept that waits for one
 * can say when it has come.
 */
#ifndef WL_DAEMON_GUARD_H
#define WL_DAEMON_GUARD_H

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "engine/plan.h"
#include "net/nl.h"

enum {
	/* A transaction of somebody else is rarely alone: look once. */
	GUARD_SETTLE_MS = 48,
};

/* Interfaces came or went. */
typedef void (*guard_link_fn)(void *ctx);

struct guard {
	struct loop *loop;
	struct watch nft_watch, route_watch;
	struct timer settle;
	struct nl nft_events, route_events, ask;
	const struct plan *plan; /* what must be true; NULL: nothing */
	struct str expected;	 /* nft_snapshot() after installing */
	char culprit[64];	 /* who changed nft last, if not we */
	bool is_routing_touched;
	guard_link_fn on_link;
	void *ctx;
	uint64_t repairs;
};

int guard_open(struct guard *g, struct loop *l, guard_link_fn on_link,
	       void *ctx, struct err *e);
/* From now on the host must be as `plan` says; the caller has just installed
 * it.  NULL: stop guarding.  Keeps plan. */
int guard_set(struct guard *g, const struct plan *plan, struct err *e);
void guard_close(struct guard *g);

#endif
