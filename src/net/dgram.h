/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram.h - datagrams in batches.
 *
 * Receive many datagrams with one system call: from an intercepting listener
 * (with the original destination of each) or from a connected leg.  Send many
 * over a connected leg, each behind a header of the leg's if it wants one.  The
 * batch owns its buffers; they are reused by the next receive.  recvmmsg(2),
 * ip(7) IP_ORIGDSTADDR.
 */
#ifndef WL_NET_DGRAM_H
#define WL_NET_DGRAM_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	DGRAM_BATCH = 32,
	DGRAM_BYTES = 65535, /* no datagram is longer */
	DGRAM_QUOTED_MAX = 32,
};

struct dgram {
	uint8_t *bytes;
	size_t len;
	struct addr src;
	struct addr origdst; /* family 0: the kernel did not say */
	bool is_fragmented;  /* came in several packets */
};

struct dgram_batch {
	struct dgram dgrams[DGRAM_BATCH];
	size_t count;
	struct dgram_memory *memory; /* private */
};

/* -ENOMEM or 0. */
int dgram_init(struct dgram_batch *b);
void dgram_done(struct dgram_batch *b);

/* Receive what is there, at most DGRAM_BATCH: the count, or -EAGAIN, or the
 * pending error of the socket (-ECONNREFUSED...). */
int dgram_recv(int fd, struct dgram_batch *b);
/* What the kernel says of a datagram's original destination (family 0:
 * nothing), for a socket with IP_RECVORIGDSTADDR or its like of IPv6. */
void dgram_origdst(struct msghdr *msg, struct addr *out);
/* Leave only those of which fn says true, in their order; how many went.  fn
 * may change them. */
typedef bool (*dgram_keep_fn)(void *ctx, struct dgram *d);
size_t dgram_keep(struct dgram_batch *b, dgram_keep_fn fn, void *ctx);
/* The first bytes are a header and are done with.  At most d->len. */
void dgram_trim(struct dgram *d, size_t bytes);

/* Goes in front of each datagram, in the same packet; len 0: nothing does. */
struct dgram_head {
	const uint8_t *bytes;
	size_t len;
};
/* Send dgrams[first..first+count) over a connected socket: how many went, or
 * -errno if the first could not be sent. */
int dgram_send_headed(int fd, struct dgram_batch *b, size_t first, size_t count,
		      const struct dgram_head *head);

/* An ICMP error that the socket's error queue holds (IP_RECVERR). */
struct dgram_error {
	int error;    /* positive errno */
	bool is_icmp; /* came from the network, with the fields below */
	uint8_t type, code;
	uint32_t info;	      /* the MTU of "too big" */
	struct addr offender; /* who sent the ICMP message; family 0: unknown */
	/* The beginning of what we had sent, as far as it was quoted. */
	uint8_t quoted[DGRAM_QUOTED_MAX];
	size_t quoted_len;
};

/* The next one: 1, 0 when the queue is empty, or -errno. */
int dgram_recv_error(int fd, struct dgram_error *out);

#endif
