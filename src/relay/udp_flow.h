/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_flow.h - one relayed UDP flow and what all of them share; private to the
 * udp files.
 *
 *	udp.c		   datagrams from the listeners, and the whole
 *	udp_open.c	   a flow until its way is open
 *	udp_flow.c	   its record, its time, its end
 *	udp_path.c	   how its datagrams go:
 *	  udp_leg.c	     by a socket of its own
 *	  udp_association.c, udp_association_move.c
 *			     by way of a SOCKS5 proxy
 *	udp_association_table.c
 *			   which associations exist
 *	udp_cut.c	   which flows need not come here any more
 *	udp_table.c	   which flows exist
 *	udp_hold.c	   datagrams that wait
 *	udp_reply.c	   what clients are told
 *
 * A slot is used again at once, so a late event of the batch may find another
 * flow there: all that it can do then is to read an empty socket.
 */
#ifndef WL_RELAY_UDP_FLOW_H
#define WL_RELAY_UDP_FLOW_H

#include "net/dgram.h"
#include "relay/dns.h"
#include "relay/name_quic.h"
#include "relay/udp_association_table.h"
#include "relay/udp_hold.h"
#include "relay/udp_reply.h"
#include "relay/udp_table.h"
#include "relay/worker.h"

enum {
	UDP_DNS_PORT = 53,
	/* Batches of one socket before others have their turn. */
	UDP_READ_BATCHES = 8,
	UDP_QUIC_MAX = 256, /* flows at once whose name is looked for */
};

struct udp {
	struct worker *worker;
	struct udp_table table;
	struct udp_association_table associations;
	struct udp_hold_memory hold;
	struct udp_sender sender;
	struct dgram_batch batch; /* what was read last */
	struct dgram_batch held;  /* what was held, on its way */
	struct pool quic_pool;
	struct name_quic *quics;
	struct dns_asked *asked; /* by flow slot; of flows that are asking */
	uint64_t drain_end_ms;	 /* 0: not draining */
	uint32_t first_slot;	 /* of ours in shared->flows */
	uint32_t turn;		 /* of a proxy's addresses */
};

static inline struct shared *udp_shared(const struct udp *u)
{
	return u->worker->args.shared;
}

static inline const struct config *udp_config(const struct udp *u)
{
	return u->worker->args.config;
}

static inline struct shared *udp_flow_shared(const struct udp_flow *f)
{
	return udp_shared(f->udp);
}

static inline uint32_t udp_flow_slot(const struct udp_flow *f)
{
	return f->udp->first_slot + udp_table_slot(&f->udp->table, f);
}

static inline struct flow_record *udp_flow_record(const struct udp_flow *f)
{
	return &udp_flow_shared(f)->flows[udp_flow_slot(f)];
}

static inline const struct upstream *udp_flow_upstream(const struct udp_flow *f)
{
	return &udp_config(f->udp)->upstreams[f->upstream];
}

/* A flow that udp_table_add() gave, with its record.  It is in `state`. */
void udp_flow_begin(struct udp_flow *f, struct flow_record *r,
		    enum flow_state state);
/* The one place that changes the state of a flow; checks the move. */
void udp_flow_set_state(struct udp_flow *f, enum flow_state to);
/* It is counted with this upstream from now on; POOL_NONE: with none. */
void udp_flow_use_upstream(struct udp_flow *f, uint32_t upstream);
/* Datagrams have moved, dir 0: to the server. */
void udp_flow_note(struct udp_flow *f, int dir, uint64_t bytes,
		   uint64_t dgrams);
/* Let its timer fire then, or when draining is over; it knows by the state
 * what for. */
void udp_flow_arm(struct udp_flow *f, uint64_t due_ms);
/* From its last datagram until it is idle. */
uint64_t udp_flow_idle_ms(const struct udp_flow *f);
/* Close its way, forget what is held, tell the record, give the slot back. */
void udp_flow_end(struct udp_flow *f, enum flow_end why, int error);

/* Tell the client what the network told us about its datagram.  overhead: how
 * much longer a packet becomes on its way, for the MTU.  False: no client can
 * make packets as short as they would have to be (R-MTU-4). */
bool udp_flow_pass_icmp(struct udp_flow *f, const struct dgram_error *error,
			size_t overhead);
/* "Port unreachable", for its last datagram. */
void udp_flow_refuse(struct udp_flow *f);

#endif
