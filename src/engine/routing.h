/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.h - policy routing: marked packets belong to this host.
 *
 * The same for every engine and both families:
 *
 *   7700: from all iif lo fwmark V/M goto 7702
 *   7701: from all fwmark V/M lookup T       table T: local default dev lo
 *   7702: from all nop
 *   7703: from all iif lo fwmark H/M lookup T   only with `from host`
 *   7704: from ADDRESS iif lo lookup T       for each loopback `to`
 *
 * The first rule is what makes src_valid_mark=1 (wg-quick, Tailscale)
 * harmless: source validation looks the client's address up with the packet's
 * mark and `iif lo`; without the detour it would find "local" and drop the
 * packet as martian, fib_validate_source() in net/ipv4/fib_frontend.c.
 *
 * Rule 7703 leads what this host itself sends over lo: H is
 * plan_host_mark(), another value under the same mask, so neither the detour
 * nor the second rule is for it.  Its sources are never validated: on lo a
 * packet keeps the route with which it was sent.  `iif lo` is what the route
 * of an own packet is looked up with; a packet from elsewhere that carries H
 * is not concerned.
 *
 * Rule 7704 is for upstreams with `source client` and a `to` in 127.0.0.0/8 or
 * ::1: the server there answers to the client's address, which leads away from
 * this host, but the leg that it answers is here.  What goes from loopback to
 * loopback has been decided by table local before; nothing else has such a
 * source.
 */
#ifndef WL_ENGINE_ROUTING_H
#define WL_ENGINE_ROUTING_H

#include "base/err.h"
#include "engine/plan.h"
#include "net/nl.h"

/* -EEXIST (and e) if priority or table belong to somebody else. */
int routing_check(struct nl *nl, const struct plan *p, struct err *e);
/* Add what is missing; *added counts it. */
int routing_install(struct nl *nl, const struct plan *p, unsigned *added,
		    struct err *e);
/* Remove what carries our protocol number and is not of this plan: a killed
 * daemon with another configuration left it. */
int routing_prune(struct nl *nl, const struct plan *p, struct err *e);
/* Remove everything that carries our protocol number. */
int routing_remove(struct nl *nl, struct err *e);
/* The commands that a person would type. */
struct str;
void routing_render(const struct plan *p, struct str *out);

#endif
