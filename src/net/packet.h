/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - headers of packets that waylay sends itself.
 *
 * A worker answers a client with the server's own address and port.  Doing
 * that through sockets would need one bound socket for each server and port,
 * and such a socket can collide with a service of this host; so the datagram
 * is built here and sent by a raw socket (sock_raw_sender()).  Only building,
 * no sending and no parsing; checksums included.  The segment that ends a
 * connection of two others (engine/cut.h) is built here too.
 *
 * RFC 791, 768, 8200 (with the fragment header, 4.5), 792, 4443, 9293.
 */
#ifndef WL_NET_PACKET_H
#define WL_NET_PACKET_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* IPv6, fragment header, ICMP, quoted IPv6 and UDP: all fits */
	PACKET_HEAD_MAX = 128,
	PACKET_TTL = 64,
};

struct packet_head {
	uint8_t bytes[PACKET_HEAD_MAX];
	size_t len;
};

/* IP and UDP header in front of `payload`.  payload_len at most 65507 (IPv4)
 * or 65527. */
void packet_udp(const struct addr *src, const struct addr *dst,
		const uint8_t *payload, size_t payload_len,
		struct packet_head *out);

/*
 * The same datagram in fragments no longer than `mtu` (at least 576 / 1280)
 * each.  Call with at = 0 and then with what it returned, until it returns 0.
 * `whole` is what packet_udp() made; id names the datagram.  *part and
 * *part_len say which bytes of the payload follow the head.
 */
size_t packet_fragment(const struct packet_head *whole, const uint8_t *payload,
		       size_t payload_len, size_t mtu, uint32_t id, size_t at,
		       struct packet_head *out, const uint8_t **part,
		       size_t *part_len);

/* A whole TCP segment: RST with this sequence number, from src to dst. */
void packet_tcp_reset(const struct addr *src, const struct addr *dst,
		      uint32_t seq, struct packet_head *out);

/* What an ICMP error says about a UDP datagram that a client sent. */
struct packet_icmp {
	uint8_t type, code;
	uint32_t info;		    /* MTU of "too big", else 0 */
	struct addr offender;	    /* its source address */
	struct addr client, server; /* quoted: client -> server */
	size_t quoted_len;	    /* of the datagram's payload, if known */
};
void packet_icmp_error(const struct packet_icmp *m, struct packet_head *out);

#endif
