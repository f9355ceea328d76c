/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_wire_test.h - two sockets, and what they have said on the wire.
 *
 *	client socket ---- lo, listened to by a packet socket ---- server socket
 *
 * In a network of its own.  A segment is on the wire, and has been received,
 * when the call that sent it returns.
 */
#ifndef WL_NET_REPAIR_WIRE_TEST_H
#define WL_NET_REPAIR_WIRE_TEST_H

#include "net/netns_test.h"
#include "net/sock.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/tcp.h>
#include <stdio.h>

enum { PORT = 7000, CHUNK = 1000, WIRE_MAX = 1 << 16 };

/* What one end has sent last, and said in its SYN. */
struct heard {
	uint32_t count;
	uint32_t next;	/* number behind the last byte */
	uint32_t ack;	/* of the last segment */
	uint32_t right; /* edge of the window that it offered last */
	uint32_t clock; /* last TSval */
	uint16_t mss;
	uint8_t shift;
	bool has_sack, has_clock, has_scale;
};

struct pair {
	int wire;
	int fd[2]; /* client, server */
	uint16_t port[2];
	struct heard heard[2];
};

static const char *const hosts[] = { "127.0.0.1", "::1" };

/* --- the wire ------------------------------------------------------------ */

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static inline void hear_options(struct heard *h, const uint8_t *o,
				const uint8_t *end)
{
	while (o < end && *o) {
		if (*o == 1) {
			o++;
			continue;
		}
		if (*o == 2)
			h->mss = be16(o + 2);
		if (*o == 3) {
			h->shift = o[2];
			h->has_scale = true;
		}
		if (*o == 4)
			h->has_sack = true;
		if (*o == 8) {
			h->clock = be32(o + 2);
			h->has_clock = true;
		}
		o += o[1];
	}
}

static inline void hear_tcp(struct pair *p, const uint8_t *tcp, uint32_t len)
{
	struct heard *h = &p->heard[be16(tcp) == p->port[1]];
	uint32_t header = (tcp[12] >> 4) * 4u;
	bool is_syn = tcp[13] & 2, is_fin = tcp[13] & 1;
	uint8_t shift;

	h->count++;
	hear_options(h, tcp + 20, tcp + header);
	/* a window is scaled where both have said so, and not in a SYN */
	shift = !is_syn && p->heard[0].has_scale && p->heard[1].has_scale
			? h->shift
			: 0;
	h->next = be32(tcp + 4) + len - header + is_syn + is_fin;
	h->ack = be32(tcp + 8);
	h->right = h->ack + ((uint32_t)be16(tcp + 14) << shift);
}

static inline void hear(struct pair *p)
{
	static uint8_t bytes[WIRE_MAX];
	ssize_t n;

	for (;;) {
		uint32_t skip = 40, end;

		n = recv(p->wire, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0)
			break;
		if (bytes[0] >> 4 == 4) {
			skip = (bytes[0] & 15) * 4u;
			end = be16(bytes + 2);
		} else {
			end = 40u + be16(bytes + 4);
		}
		if (bytes[bytes[0] >> 4 == 4 ? 9 : 6] == IPPROTO_TCP)
			hear_tcp(p, bytes + skip, end - skip);
	}
	assert_int_equal(errno, EAGAIN);
}

/* lo shows each packet twice: only what comes in is taken. */
static inline int open_wire(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = 1 };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	int room = 8 << 20;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING,
				    &one, sizeof(one)),
			 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)),
		0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* --- the pair ------------------------------------------------------------ */

static inline void write_setting(const char *name, const char *value)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(value, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void make_pair(const char *host, struct pair *p)
{
	struct addr at, from;
	struct err e;
	int listener, on = 1;

	*p = (struct pair){ .wire = open_wire() };
	assert_int_equal(addr_parse_ip(host, &at), 0);
	at.port = PORT;
	listener = sock_listen_plain(&at, 0, &e);
	assert_true(listener >= 0);
	p->fd[0] = socket(at.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(p->fd[0] >= 0);
	assert_int_equal(
		setsockopt(p->fd[0], SOL_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	assert_int_equal(sock_connect(p->fd[0], &at), 0);
	p->fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p->fd[1] >= 0);
	close(listener);
	assert_int_equal(sock_local_addr(p->fd[0], &from), 0);
	p->port[0] = from.port;
	p->port[1] = PORT;
	hear(p);
}

static inline void end_pair(struct pair *p)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	for (int i = 0; i < 2; i++) {
		if (p->fd[i] < 0)
			continue;
		(void)setsockopt(p->fd[i], SOL_SOCKET, SO_LINGER, &reset,
				 sizeof(reset));
		close(p->fd[i]);
	}
	close(p->wire);
}

static inline void say(struct pair *p, int who, size_t len)
{
	static const uint8_t bytes[WIRE_MAX];

	assert_int_equal(send(p->fd[who], bytes, len, 0), len);
	hear(p);
}

static inline void take(struct pair *p, int who, size_t len)
{
	uint8_t bytes[WIRE_MAX];

	assert_int_equal(recv(p->fd[who], bytes, len, MSG_WAITALL), len);
	hear(p);
}

#endif
