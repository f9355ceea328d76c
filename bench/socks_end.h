/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_end.h - one end of what socks_server.c serves, and who does what.
 *
 * One thread: the table of ends is by descriptor.  socks_relay.c moves bytes
 * of TCP, socks_udp.c datagrams of an association.
 */
#ifndef WL_BENCH_SOCKS_END_H
#define WL_BENCH_SOCKS_END_H

#include "helper.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SOCKS_ADDRESS_MAX = 19 }; /* ATYP, an IPv6 address and a port */

enum role { GREETING, REQUEST, CONNECTING, RELAY, CONTROL, UDP_NEAR, UDP_FAR };

struct end { /* of a connection or an association, by descriptor */
	enum role role;
	int other;	  /* descriptor, -1: none */
	bool is_finished; /* its FIN was carried */
	char *held;	  /* for it, when it did not take all */
	size_t held_len;
	int pipe[2]; /* for it, once the other side sends in bulk */
	bool has_pipe;
	size_t piped;	      /* bytes in it */
	struct endpoint peer; /* UDP_NEAR: the client, once it spoke */
};

extern struct end *ends;

/* Wait for these events of it and of nothing else. */
void end_watch(int fd, uint32_t events);

/* ATYP, address and port; their length, 0 if it is a name or cut. */
size_t socks_read_address(const char *p, size_t len, struct endpoint *out);
size_t socks_write_address(const struct endpoint *a, char *p);

/* What has come, or can go, on one side.  False: the connection is over. */
bool socks_relay(int fd, uint32_t events);

/* Datagrams of the client, and of servers. */
void socks_udp_near(int fd);
void socks_udp_far(int fd);

#endif
