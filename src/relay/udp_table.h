/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_table.h - which UDP flows exist.
 *
 * Flows by (client, server), flows a client has, and the age order of flows
 * without an answer.  It opens and closes nothing: udp_open.c and udp_flow.c
 * do.
 */
#ifndef WL_RELAY_UDP_TABLE_H
#define WL_RELAY_UDP_TABLE_H

#include "base/imap.h"
#include "base/loop.h"
#include "base/pool.h"
#include "net/addr.h"
#include "relay/cut_line.h"
#include "relay/group.h"
#include "relay/udp_hold.h"

#include <stdbool.h>

struct udp_flow {
	struct watch watch; /* of fd */
	struct timer timer;
	struct udp *udp;
	const struct udp_path *path; /* NULL: no way is opened or open */
	int fd;			     /* a leg of its own; -1: none */
	uint8_t state;		     /* enum flow_state; FREE: no flow here */
	bool is_answered;
	bool is_asking_dns;	    /* what it asked is remembered */
	struct addr client, server; /* server as the client wrote it */
	struct addr to;		    /* where datagrams go */
	uint64_t last_ms, bytes[2];
	uint32_t client_slot;  /* in the table of clients */
	uint32_t newer, older; /* list of one-way flows, or POOL_NONE */
	uint32_t last_len;     /* of the client's last datagram */
	uint32_t upstream;     /* that counts this flow; POOL_NONE: none */
	uint32_t association;  /* slot; POOL_NONE: none */
	uint32_t next, prev;   /* flows of that association, or POOL_NONE */
	uint32_t quic;	       /* slot, while SNIFFING; POOL_NONE: none */
	uint32_t dgrams;       /* both ways together */
	struct cut_try cut;    /* udp_cut.h */
	struct udp_hold hold;
	struct group_path tried;
};

struct udp_client {
	struct addr ip; /* port 0 */
	uint32_t flows;
};

struct udp_table {
	uint64_t seed;
	struct pool flow_pool, client_pool;
	struct imap by_pair, by_client;
	struct udp_flow *flows;
	struct udp_client *clients;
	uint32_t newest, oldest; /* ends of the list of one-way flows */
};

int udp_table_init(struct udp_table *t, uint32_t flow_max); /* or -ENOMEM */

struct udp_flow *udp_table_find(const struct udp_table *t,
				const struct addr *client,
				const struct addr *server);
/* How many flows the client's address has. */
uint32_t udp_table_share(const struct udp_table *t, const struct addr *client);
/* A new flow, FREE, with nothing open; NULL when the table is full.  The pair
 * must be new. */
struct udp_flow *udp_table_add(struct udp_table *t, const struct addr *client,
			       const struct addr *server);
void udp_table_remove(struct udp_table *t, struct udp_flow *f);
/* The server has answered: the flow is not evicted any more. */
void udp_table_answered(struct udp_table *t, struct udp_flow *f);
/* The oldest flow without an answer, or NULL. */
struct udp_flow *udp_table_oldest(const struct udp_table *t);
uint32_t udp_table_slot(const struct udp_table *t, const struct udp_flow *f);

#endif
