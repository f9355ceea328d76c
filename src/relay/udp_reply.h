/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_reply.h - speak to a client with the server's address.
 *
 * Builds the packets (net/packet.h) and sends them in batches by a raw
 * socket.  What is too long for the link goes in fragments, as the server's
 * own datagram would have come.
 */
#ifndef WL_RELAY_UDP_REPLY_H
#define WL_RELAY_UDP_REPLY_H

#include "net/dgram.h"
#include "net/packet.h"
#include "relay/shared.h"

/* The longest payload of IPv4; a leg of IPv6 can bring a few bytes more. */
enum { UDP_REPLY_BYTES_MAX = 65507 };

struct udp_sender {
	int raw_fd[2]; /* IPv4, IPv6; -1: none */
	struct shared *shared;
	uint32_t fragment_id;
	struct packet_head heads[DGRAM_BATCH];
};

/* All datagrams of the batch go from `server` (NULL: each from its own `src`)
 * to `client`.  None is longer than UDP_REPLY_BYTES_MAX.  Returns the bytes of
 * payload that were sent. */
uint64_t udp_reply(struct udp_sender *s, const struct addr *server,
		   const struct addr *client, const struct dgram_batch *b);
/* An ICMP error about a datagram from m->client to m->server. */
void udp_reply_icmp(struct udp_sender *s, const struct packet_icmp *m);
/* "Port unreachable", as the server itself would say it. */
void udp_reply_refuse(struct udp_sender *s, const struct addr *client,
		      const struct addr *server, size_t quoted_len);

#endif
