/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.h - open a leg by way of an upstream.
 *
 * From nothing to a connected descriptor on which the server's bytes come
 * next: connect, then the talk with the proxy if the upstream has one.  The
 * dial owns no watch and no timer: its owner registers the descriptor (edge
 * triggered, EPOLLIN | EPOLLOUT | EPOLLRDHUP) and passes its events on.
 * Owners are TCP flows, UDP associations and the checks of groups.
 *
 *	IDLE -> CONNECTING -> TALKING -> DONE
 *	              |           |
 *	              +-----------+--> FAILED (the descriptor is closed)
 *
 * A proxy's bytes are looked at with MSG_PEEK and taken only as far as they
 * belong to the talk, so that what the server said at once stays in the
 * socket.
 *
 * Who is to blame.  Clients choose servers, and must not be able to bring a
 * proxy down by choosing bad ones.  So a proxy is blamed for what it does
 * itself: it cannot be reached, says nothing at all, closes, or talks nonsense.
 * That its answer about a server is late or is no is not its fault.
 *
 * A proxy as client.  If the client is the very proxy that its flow would be
 * sent to, the proxy's own connections are intercepted: the flow would go
 * round.  It is refused with END_LOOP (T04, T05).
 */
#ifndef WL_RELAY_DIAL_H
#define WL_RELAY_DIAL_H

#include "relay/board.h"
#include "relay/talk.h"

enum dial_state {
	DIAL_IDLE,
	DIAL_CONNECTING,
	DIAL_TALKING,
	DIAL_DONE,
	DIAL_FAILED
};

struct dial {
	int fd;		  /* -1: none */
	uint8_t state;	  /* enum dial_state */
	uint8_t end;	  /* enum flow_end, with FAILED */
	uint16_t reply;	  /* the same; see talk.h */
	int error;	  /* the same: errno, or 0 */
	bool can_retry;	  /* the same */
	bool is_to_blame; /* the same: the upstream, not the server */
	bool is_pipelined;
	bool has_to;	    /* the upstream said where to connect */
	bool is_heard;	    /* the proxy has said something we understood */
	struct talk *talk;  /* while TALKING is ahead, else NULL */
	struct addr source; /* what the far side sees; family 0: unknown */
	/* UDP ASSOCIATE: where datagrams go; never the unspecified address
	 * (R-SOCKS-7). */
	struct addr bound;
};

struct dial_request {
	const struct config *config;
	struct board *board;
	struct shared *counters;
	size_t upstream; /* no group, not reject, not drop */
	/* client NULL: nobody's, the leg has this host's address. */
	const struct addr *client, *server;
	/* That was seen, or NULL; used if `resolve on`, and by checks. */
	const char *name;
	uint32_t mark;
	uint32_t pick;	    /* of a proxy's addresses, by turns */
	bool is_from_host;  /* see leg.h */
	bool is_redirected; /* the same */
	bool is_taken; /* from the network, by an intercept: may go round */
	bool is_udp;   /* SOCKS5: ask for an association */
	bool is_check; /* of a group: tries out pipelining, see health.h */
};

/* Begin.  The state is CONNECTING or FAILED afterwards. */
void dial_begin(struct dial *d, const struct dial_request *r);
/* After events of d->fd: the new state. */
enum dial_state dial_on_event(struct dial *d, uint32_t events);
/* The owner's patience is over: FAILED, with END_CONNECT_TIMEOUT or
 * END_UPSTREAM_TIMEOUT. */
void dial_time_out(struct dial *d);
/* The descriptor is the caller's from now on; what the talk needed is freed. */
int dial_take(struct dial *d);
/* Close (RST) and free whatever there is. */
void dial_end(struct dial *d);

#endif
