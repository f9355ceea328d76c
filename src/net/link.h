/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - network interfaces, by rtnetlink.
 *
 * Names and presence for the daemon; making a veth pair for `waylay exec`.
 */
#ifndef WL_NET_LINK_H
#define WL_NET_LINK_H

#include "base/err.h"
#include "net/addr.h"
#include "net/nl.h"

#include <stdbool.h>

/* With what packets begin on a device, as programs at its hooks see them. */
enum link_head {
	LINK_HEAD_ETHER,
	LINK_HEAD_NONE,	 /* the IP header: tun, wireguard, ppp, IP in IP */
	LINK_HEAD_OTHER, /* also lo: nobody asks */
};

struct link {
	const char *name; /* valid during the call */
	int index;
	enum link_head head;
	bool is_bridge;
	/* Of a bridge, bond or team: its packets come again on the master. */
	bool is_port;
};

/* Call fn for every interface.  0 or -errno. */
typedef void (*link_fn)(void *ctx, const struct link *link);
int link_each(struct nl *nl, link_fn fn, void *ctx, struct err *e);

int link_index(const char *name); /* 0: there is none */

/* A veth pair: `name` here, `peer` in the namespace of descriptor peer_ns. */
int link_add_veth(struct nl *nl, const char *name, const char *peer,
		  int peer_ns, struct err *e);
int link_set_up(struct nl *nl, const char *name, struct err *e);
/* Add address/len to the interface; IPv6 without duplicate detection. */
int link_add_addr(struct nl *nl, const char *name, const struct addr *addr,
		  unsigned len, struct err *e);

#endif
