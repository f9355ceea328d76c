/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - routes, by rtnetlink; rule.h has the rules that lead to them.
 *
 * Only the few shapes that transparent proxying needs.  Every object carries
 * `protocol`, by which its owner finds it again: adding what exists is not
 * an error, and flushing removes all and only what has that protocol.
 * rtnetlink(7), ip-route(8).
 */
#ifndef WL_NET_ROUTE_H
#define WL_NET_ROUTE_H

#include "base/err.h"
#include "net/nl.h"

#include <stdint.h>

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
