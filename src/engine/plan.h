/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what an engine has to make true.
 *
 * Engines carry out, they do not decide: the plan is the configuration and
 * the ports on which somebody listens.  One plan, one routing set-up, and for
 * each engine one way to select and mark packets.  Read engine.h next.
 *
 * Marks.  `mask` is divided in two: packets that belong to this host although
 * their address does not carry config.mark; everything that waylay's own
 * sockets send carries the rest of the mask, plan_own_mark().  What this host
 * itself sends and an intercept `from host` takes carries both,
 * plan_host_mark(): it is brought back over lo, where routing.h has a rule of
 * its own for it.
 */
#ifndef WL_ENGINE_PLAN_H
#define WL_ENGINE_PLAN_H

#include "policy/model.h"

enum family_index { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

enum {
	/* rtnetlink protocol of every rule and route that is ours */
	PLAN_PROTOCOL = 119,
	/* ip rule priorities, routing.c */
	PLAN_PRIORITY = 7700,
};

struct plan {
	const struct config *config;
	bool has_family[FAMILY_COUNT]; /* can this host speak it at all? */
	/* Where the relay listens, on 127.0.0.1 and ::1; 0: nowhere. */
	uint16_t ports[INTERCEPTS_MAX][PROTO_COUNT][FAMILY_COUNT];
	/* One of the sockets there, for engines that name sockets, not ports:
	 * ebpf.  -1: none.  Borrowed, for the time of the call. */
	int fds[INTERCEPTS_MAX][PROTO_COUNT][FAMILY_COUNT];
	/* Everything ends with the process: nothing is pinned, and on-failure
	 * means nothing (`waylay exec`, probes). */
	bool is_private;
};

static inline uint32_t plan_own_mark(const struct config *c)
{
	return c->mask & ~c->mark;
}

static inline uint32_t plan_host_mark(const struct config *c)
{
	return c->mask;
}

/* Does any intercept take what this host itself sends? */
static inline bool plan_has_host(const struct config *c)
{
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			return true;
	return false;
}

static inline int plan_family(enum family_index f)
{
	return f == FAMILY_V6 ? AF_INET6 : AF_INET;
}

#endif
