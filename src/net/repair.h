/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.h - where a TCP connection stands, and leaving it without a word.
 *
 * What CRIU does to move a connection to another machine, here to move it into
 * the packet path: TCP_REPAIR, tcp(7) and net/ipv4/tcp.c do_tcp_getsockopt().
 * Needs CAP_NET_ADMIN.
 *
 * A socket goes on receiving while it is looked at; what only the owner's
 * calls change (written, read) is exact, the rest is a moment's.  It is in
 * repair mode for microseconds, with nothing unsent, so that no segment is
 * taken for sent which was not (tcp_write_xmit()).  Where something is unsent
 * it is not put into repair mode, and only unsent, unacked, own_ts and what the
 * handshake has agreed on is told.
 */
#ifndef WL_NET_REPAIR_H
#define WL_NET_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

struct repair_facts {
	uint32_t written;    /* number of the next byte that is written */
	uint32_t read;	     /* number of the next byte that is read */
	uint32_t unread;     /* bytes that wait to be read */
	uint32_t unacked;    /* written, not acknowledged by the peer */
	uint32_t unsent;     /* written, not even sent */
	uint32_t own_edge;   /* right edge of the window that we have offered */
	uint32_t peer_edge;  /* of that which the peer has offered */
	uint32_t own_ts;     /* what we would send as TSval now */
	uint16_t peer_mss;   /* the MSS that the peer has announced */
	uint16_t own_mss;    /* the MSS that we have announced */
	uint8_t own_shift;   /* window scale of what we announce; 0: none */
	uint8_t peer_shift;  /* of what the peer announces */
	bool is_established; /* neither FIN nor RST was seen or sent */
	bool has_timestamps, has_sack, has_ecn;
	bool has_fast_open; /* data came with the SYN */
	/* Bytes have come behind a gap; told only if nothing is unread. */
	bool has_gap;
};

/* 0 or -errno; -EPERM: no CAP_NET_ADMIN; -EAGAIN: too much came meanwhile.
 * Nobody may send or receive on the socket at the same time. */
int repair_look(int fd, struct repair_facts *out);
/* No more than now is offered to the peer from here on, but what rounding up
 * to the scale of the window adds; a segment larger than all before undoes it.
 */
void repair_hold_window(int fd);
/* An acknowledgement that is delayed is sent now. */
void repair_flush_ack(int fd);
/* Close fd, and the connection with its last descriptor, whoever has that:
 * the peer hears nothing.  -errno: it could not, and fd is still open. */
int repair_close(int fd);

#endif
