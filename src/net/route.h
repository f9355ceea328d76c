/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - policy rules and routes, by rtnetlink.
 *
 * Only the few shapes that transparent proxying needs.  Every object carries
 * `protocol`, by which its owner finds it again: adding what exists is not
 * an error, and flushing removes all and only what has that protocol.
 * rtnetlink(7), ip-rule(8), ip-route(8).
 */
#ifndef WL_NET_ROUTE_H
#define WL_NET_ROUTE_H

#include "base/err.h"
#include "net/nl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_action { RULE_LOOKUP, RULE_GOTO, RULE_NOP };

struct ip_rule {
	int family;
	uint32_t priority;
	enum rule_action action;
	uint32_t target;       /* table, or priority to go to */
	uint32_t mark, mask;   /* mask 0: any mark */
	bool is_from_loopback; /* `iif lo`: what this host itself looks up */
	uint8_t protocol;
};

int route_add_rule(struct nl *nl, const struct ip_rule *r, struct err *e);
/* 1 if r is installed exactly, 0 if not, or -errno. */
int route_has_rule(struct nl *nl, const struct ip_rule *r, struct err *e);
/* Priority or table already used by somebody else?  1 yes, 0 no, -errno. */
int route_rule_clash(struct nl *nl, const struct ip_rule *r, struct err *e);
/* Remove all rules of this protocol, both families, but those in keep[]. */
int route_flush_rules(struct nl *nl, uint8_t protocol,
		      const struct ip_rule *keep, size_t keep_count,
		      struct err *e);

/* `local default dev lo table T proto P`: everything is ours. */
int route_add_local_default(struct nl *nl, int family, uint32_t table,
			    uint8_t protocol, struct err *e);
int route_has_local_default(struct nl *nl, int family, uint32_t table,
			    uint8_t protocol, struct err *e);
/* Remove all routes of this protocol, both families, every table but
 * keep_table (0: none is kept). */
int route_flush(struct nl *nl, uint8_t protocol, uint32_t keep_table,
		struct err *e);

/* `default dev IFINDEX via GATEWAY` in table main, for `waylay exec`. */
struct addr;
int route_add_default(struct nl *nl, const struct addr *gateway, int ifindex,
		      struct err *e);
/* 1 if table main leads anywhere by this family, beyond link-local. */
int route_reaches(struct nl *nl, int family, struct err *e);

#endif
