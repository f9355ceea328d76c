/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - the sockets that waylay uses, as functions.
 *
 * Listeners that accept flows addressed to somebody else, legs that speak
 * with somebody else's address, and the raw sender.  All are non-blocking and
 * close-on-exec and carry `mark` (SO_MARK), by which every engine knows our
 * own packets.
 *
 * TCP sockets reset by default (SO_LINGER {1, 0}): a process that dies ends
 * its flows with RST, never with a FIN that the peer did not send.
 * sock_close_orderly() is the one way to end a connection in peace.
 *
 * Kernel: ip(7) IP_TRANSPARENT, IP_RECVORIGDSTADDR; socket(7) SO_MARK,
 * SO_LINGER; raw(7).  Needs CAP_NET_RAW.  Read dgram.h for datagrams.
 */
#ifndef WL_NET_SOCK_H
#define WL_NET_SOCK_H

#include "base/err.h"
#include "net/addr.h"

#include <stdbool.h>

enum {
	/* Kernel default keep-alive starts after two hours: RFC 9293 MUST-28 */
	SOCK_BACKLOG = 4096,
};

/*
 * Transparent listener on `at` (port 0: any, written back).  Several may
 * share an address: the kernel spreads flows over them (SO_REUSEPORT).
 * Accepted sockets inherit mark, linger, keep-alive, no-delay, and urgent data
 * in line.
 * Returns the descriptor or -errno.
 */
int sock_listen_tcp(struct addr *at, uint32_t mark, struct err *e);
/* The same for those who address us: not transparent. */
int sock_listen_plain(struct addr *at, uint32_t mark, struct err *e);
/* For datagrams, transparent; recvmsg() also tells the original destination. */
int sock_listen_udp(struct addr *at, uint32_t mark, struct err *e);
/* -EADDRINUSE if a process already holds `at`; opens nothing. */
int sock_probe_free(int type, const struct addr *at, struct err *e);

/*
 * A TCP leg from `src`, not yet connected.  src NULL: own address.  A foreign
 * address needs no route and no interface (IP_TRANSPARENT).  src->port 0: any
 * port, chosen at connect (IP_BIND_ADDRESS_NO_PORT).
 * Returns the descriptor or -errno: -EADDRINUSE, -EADDRNOTAVAIL,
 * -EACCES (port below 1024 without CAP_NET_BIND_SERVICE).
 */
int sock_leg_tcp(int family, const struct addr *src, uint32_t mark);
/* A UDP leg from src (NULL: own address) connected to dst.  Between bind and
 * connect it receives nothing, so it never holds a stranger's datagram. */
int sock_leg_udp(const struct addr *src, const struct addr *dst, uint32_t mark);
/* Start connecting: 0 connected, -EINPROGRESS, or -errno. */
int sock_connect(int fd, const struct addr *dst);

/* Sends whole IP packets with any source address; receives nothing. */
int sock_raw_sender(int family, uint32_t mark, struct err *e);

/* Own address of the socket.  For an accepted transparent socket that is the
 * original destination, getsockname(2). */
int sock_local_addr(int fd, struct addr *out);
/* Is the address one of this host's?  Asked of bind(2); where
 * ip_nonlocal_bind is set every address is. */
bool sock_is_local(const struct addr *ip);
/*
 * Where an accepted connection was going before NAT rules brought it here, as
 * connection tracking remembers it.  0 or -errno: -ENOENT when nobody tracked
 * it, -ENOPROTOOPT when this kernel tracks nothing.  A connection that came by
 * itself was going to its own address.  TCP only.  Never for a transparent
 * socket: an entry that is stale or another's would be believed.
 */
int sock_redirected_addr(int fd, struct addr *out);
int sock_error(int fd); /* SO_ERROR, positive errno or 0 */

/* Options that differ between the families only by level and name. */
enum sock_option {
	SOCK_TRANSPARENT,
	SOCK_RECVORIGDST,
	SOCK_RECVFRAGSIZE,
	SOCK_RECVERR,
	SOCK_MTU_DISCOVER
};
int sock_set_option(int fd, int family, enum sock_option option, int value);

/* Close without RST: what is still queued is sent first, then FIN. */
void sock_close_orderly(int fd);

#endif
