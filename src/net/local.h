/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - what belongs to this host, by rtnetlink.
 *
 * Local routes, not only addresses: `ip route add local 192.0.2.0/24 dev lo`
 * makes a whole network this host's own.
 */
#ifndef WL_NET_LOCAL_H
#define WL_NET_LOCAL_H

#include "base/err.h"
#include "net/addr.h"
#include "net/nl.h"

/* Call fn for each prefix in the table `local` that is local, broadcast or
 * anycast: what `fib daddr type` of nft calls so.  0 or -errno. */
typedef void (*local_fn)(void *ctx, const struct prefix *prefix);
int local_each(struct nl *nl, local_fn fn, void *ctx, struct err *e);

/* Call fn for each address of an interface, in the kernel's order: the first
 * of an interface and family is what TPROXY takes without --on-ip.  IPv4
 * secondary and IPv6 tentative and deprecated addresses are left out. */
typedef void (*local_address_fn)(void *ctx, int ifindex,
				 const struct addr *addr);
int local_addresses(struct nl *nl, local_address_fn fn, void *ctx,
		    struct err *e);

/* Would a packet to this address, without a mark, stay on this host?  1, 0 or
 * -errno. */
int local_has(struct nl *nl, const struct addr *addr, struct err *e);

#endif
