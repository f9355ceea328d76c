/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_path.h - the ways a flow's datagrams can take; private to the udp files.
 *
 *	udp_leg.c	   a socket of the flow's own, connected to the server;
 *			   also with a PROXY header in front of each datagram
 *	udp_association.c  by way of a SOCKS5 proxy, shared by the flows of one
 *			   socket of a client
 *
 * Order of calls for a flow: open, once; then, only while it is open, send and
 * read, any number; close, once, after every open() that did not fail, whether
 * it came to something or not.
 */
#ifndef WL_RELAY_UDP_PATH_H
#define WL_RELAY_UDP_PATH_H

#include "net/dgram.h"
#include "policy/model.h"
#include "relay/udp_table.h"

/* Why a way was not opened. */
struct udp_failure {
	uint8_t end; /* enum flow_end */
	uint16_t reply;
	int error;	/* positive errno, or 0 */
	bool can_retry; /* another member may do better */
};

struct udp_path {
	/* Begin.  0: it is open.  -EINPROGRESS: udp_open_done() or
	 * udp_open_failed() will be called.  Other -errno: *why is filled. */
	int (*open)(struct udp_flow *f, struct udp_failure *why);
	/* Send dgrams[at, end) of b, all of this flow. */
	void (*send)(struct udp_flow *f, struct dgram_batch *b, size_t at,
		     size_t end);
	/* Pass on to the client what has arrived already. */
	void (*read)(struct udp_flow *f);
	void (*close)(struct udp_flow *f);
};

extern const struct udp_path udp_path_leg, udp_path_association;

/* NULL: no way for datagrams, or not for them alone (a group). */
const struct udp_path *udp_path_of(const struct upstream *u);

/* Where a run of datagrams goes. */
struct udp_target {
	int fd;		 /* connected */
	uint16_t family; /* of the packets */
	struct dgram_head head;
	void (*read_errors)(struct udp_flow *f);
};

/* Tell the client about an ICMP error of its datagram.  What it cannot make
 * short enough leaves in fragments from then on. */
void udp_path_pass_icmp(struct udp_flow *f, const struct udp_target *to,
			const struct dgram_error *error);
/* Send dgrams[at, end) of b.  What was sent is added to the flow; what cannot
 * be sent is counted. */
void udp_path_send(struct udp_flow *f, const struct udp_target *to,
		   struct dgram_batch *b, size_t at, size_t end);

#endif
