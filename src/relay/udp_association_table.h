/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association_table.h - which UDP associations exist.
 *
 * By the client's address and port and the upstream: one socket of a client has
 * one association, whatever the servers, so that all of them see the same
 * address and port (R-NAT-3).  A flow whose proxy is told a name has one for
 * itself, found by its server too: the proxy answers from an address that only
 * it has looked up, and what comes can be of no other flow.
 *
 * Each has its flows in a list.  It opens and closes nothing:
 * udp_association.c does.
 */
#ifndef WL_RELAY_UDP_ASSOCIATION_TABLE_H
#define WL_RELAY_UDP_ASSOCIATION_TABLE_H

#include "relay/dial.h"
#include "relay/udp_table.h"

struct udp_association_key {
	struct addr client;
	struct addr server; /* family 0: shared by all servers */
	uint64_t upstream;  /* index; 64 bits, so that nothing is padded */
};

enum udp_association_state {
	ASSOCIATION_FREE,
	ASSOCIATION_OPENING, /* the proxy is being asked */
	ASSOCIATION_OPEN,
	ASSOCIATION_ENDED, /* until the end of the batch */
};

struct udp_association {
	struct watch control_watch, leg_watch;
	struct timer timer; /* while OPENING */
	struct deferred later;
	struct udp *udp;
	struct udp_association_key key;
	uint8_t state;	     /* enum udp_association_state */
	struct dial dial;    /* while OPENING */
	int control_fd;	     /* its end is the association's; -1 */
	int fd;		     /* datagrams; -1 */
	uint32_t first_flow; /* POOL_NONE: none */
	uint32_t fall;	     /* failures that bring the upstream down */
	uint64_t opening_us; /* when it began */
	struct addr bound;   /* where the proxy takes datagrams */
};

struct udp_association_table {
	uint64_t seed;
	struct pool pool;
	struct imap by_key;
	struct udp_association *all;
};

int udp_association_table_init(struct udp_association_table *t, uint32_t max);
void udp_association_table_done(struct udp_association_table *t);

struct udp_association *udp_association_table_find(
	const struct udp_association_table *t,
	const struct udp_association_key *key);
/* A new one, with nothing open; NULL when the table is full.  The key must be
 * new. */
struct udp_association *udp_association_table_add(
	struct udp_association_table *t, const struct udp_association_key *key);
/* It is not found any more; its memory is still its own. */
void udp_association_table_hide(struct udp_association_table *t,
				struct udp_association *a);
/* Its memory may be another's from now on.  It was hidden. */
void udp_association_table_give(struct udp_association_table *t,
				struct udp_association *a);

/* A flow joins, and leaves. */
void udp_association_join(struct udp_association_table *t,
			  struct udp_association *a, struct udp_table *flows,
			  struct udp_flow *f);
void udp_association_leave(struct udp_association_table *t,
			   struct udp_table *flows, struct udp_flow *f);

#endif
