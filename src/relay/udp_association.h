/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association.h - flows by way of a SOCKS5 proxy; private to the udp files.
 *
 * udp_association.c opens and ends associations, udp_association_move.c moves
 * their datagrams.  Which of them exist: udp_association_table.h.
 */
#ifndef WL_RELAY_UDP_ASSOCIATION_H
#define WL_RELAY_UDP_ASSOCIATION_H

#include "relay/udp_flow.h"
#include "relay/udp_path.h"

static inline struct udp_association *udp_association_of(
	const struct udp_flow *f)
{
	return &f->udp->associations.all[f->association];
}

/* Its flows, one after the other; NULL: no more. */
static inline struct udp_flow *udp_association_first(
	const struct udp_association *a)
{
	uint32_t i = a->first_flow;

	return i == POOL_NONE ? NULL : &a->udp->table.flows[i];
}

static inline struct udp_flow *udp_association_next(const struct udp_flow *f)
{
	return f->next == POOL_NONE ? NULL : &f->udp->table.flows[f->next];
}

/* dgrams[at, end) of b, all of this flow, to its server. */
void udp_association_send(struct udp_flow *f, struct dgram_batch *b, size_t at,
			  size_t end);
/* Pass on to the client what has arrived. */
void udp_association_read(struct udp_association *a);
/* The same for ICMP errors. */
void udp_association_read_errors(struct udp_association *a);

#endif
