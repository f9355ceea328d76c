/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.h - relayed UDP flows.
 *
 * A flow is one (client, server) pair.  Its two halves are not alike:
 *
 *	client -> server   datagrams arrive at the intercepting listener, all
 *			   flows mixed, and leave by the flow's own socket,
 *			   connected to the server (and, with `source client`,
 *			   bound to the client's address and port), or by that
 *			   of an association with a proxy, which the flows of
 *			   one socket of a client share
 *	server -> client   answers arrive there and leave by one raw socket for
 *			   all flows, with the server's address and port written
 *			   into the packet
 *
 * The raw socket is what keeps this host unsurprised: nothing is ever bound
 * to a server's address and port, so no service of this host can collide
 * with it and no datagram of another client can end up in a wrong queue.
 *
 * ICMP errors for a flow are told to the client by an ICMP message of our
 * own with the same type and code, quoting the client's datagram.
 *
 * The table is bounded, and so is each client's share, and what is held until
 * a way is open.  A flow that the server never answered makes room for a new
 * one; a flow with answers does not (F48).  Read udp_flow.h next: it says which
 * file does what.
 */
#ifndef WL_RELAY_UDP_H
#define WL_RELAY_UDP_H

#include "relay/worker.h"

struct udp;

int udp_new(struct worker *w, struct udp **out); /* 0 or -ENOMEM */
void udp_on_listener(struct loop *l, struct watch *w, uint32_t events);
bool udp_is_idle(const struct udp *u);
/* Read what the listeners still hold, before they are given up. */
void udp_last_batch(struct udp *u);
/* No more datagrams will come from clients, only answers: those are waited for
 * as long as for one of DNS, then every flow ends, open or not.  With `source
 * client` nothing breaks: the next worker opens the same four-tuple beside
 * ours, and an answer is passed on by whichever of the two receives it. */
void udp_drain(struct udp *u);
void udp_end_all(struct udp *u, enum flow_end why);
/* The board has changed: end the flows of upstreams that are disabled. */
void udp_end_disabled(struct udp *u);

#endif
