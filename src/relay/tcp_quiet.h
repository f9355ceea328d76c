/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_quiet.h - a moment in which a TCP flow holds no byte that was not sent;
 * private to the tcp files.
 *
 * Only then a flow can be cut (tcp_cut.h).  One of questions and answers is
 * quiet after each; a bulk transfer never.  Its moment is forced:
 *
 *	prepare	Where much comes in, windows are offered that are small
 *		(TCP_WINDOW_CLAMP).  What was offered before stays, so it takes
 *		as many bytes as that was.  Then the buffer is made as small,
 *		in a moment in which it is empty.  It takes some tries
 *	hold	Nothing more is read, what we hold is written, and an edge tells
 *		when the sockets have sent it (TCP_NOTSENT_LOWAT).  Bounded by
 *		CUT_HOLD_MS
 *	release	bytes move again
 *	widen	the flow is not to be cut: windows and buffers are given back
 *
 * A far end with enough to read misses nothing by a hold: what it gets in that
 * time is what had been queued for it anyway.
 *
 * Kernel, net/ipv4/tcp.c: a clamp is a limit for what lies beyond the last byte
 * that has come, read or not, hence the buffer.  SO_RCVBUF is doubled, and
 * limited by rmem_max; without its lock (SO_BUF_LOCK) the kernel enlarges it
 * again as it is used.  Setting TCP_NOTSENT_LOWAT itself tells of room.
 */
#ifndef WL_RELAY_TCP_QUIET_H
#define WL_RELAY_TCP_QUIET_H

#include "relay/tcp_flow.h"

enum {
	CUT_BULK_BYTES = 64 << 10,  /* one way: its windows matter */
	CUT_CLAMP_BYTES = 32 << 10, /* and the size of the buffer */
	CUT_HOLD_MS = 250,
};

/* Has much gone this way? */
static inline bool tcp_quiet_is_bulk(const struct tcp_flow *f, int way)
{
	return f->bytes[way] >= CUT_BULK_BYTES;
}

/* Neither we nor the sockets hold bytes now. */
bool tcp_quiet_is_now(const struct tcp_flow *f);

/* Make windows small where much comes in.  True: they are, and so is what is
 * unread; else ask again when more has moved. */
bool tcp_quiet_prepare(struct tcp_flow *f);
/* Begin to hold, or go on: an event will come for each leg that has bytes. */
void tcp_quiet_hold(struct tcp_flow *f);
/* Hold no more: bytes move again, at the latest with an event that will come.
 */
void tcp_quiet_release(struct tcp_flow *f);
/* No small windows any more. */
void tcp_quiet_widen(struct tcp_flow *f);

#endif
