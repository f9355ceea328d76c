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
 * sockets send carries the rest of the mask, plan_own_mark().
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
};

static inline uint32_t plan_own_mark(const struct config *c)
{
	return c->mask & ~c->mark;
}

static inline int plan_family(enum family_index f)
{
	return f == FAMILY_V6 ? AF_INET6 : AF_INET;
}

#endif
