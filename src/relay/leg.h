/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg.h - how the server leg of a TCP flow begins.
 *
 * With `source client` the leg speaks from the client's own address.  The
 * port can be taken (another proxy on this host, a second flow in TIME_WAIT,
 * a port below 1024 without the privilege), so there is a ladder, each step
 * counted and visible in the flow's record (T06, F51):
 *
 *	the client's address and port
 *	the client's address, any port		counter spoof_other_port
 *	refused: the client gets RST		counter spoof_failed
 *
 * It never falls back to this host's own address: a server that was promised
 * the client's address must not see another.  `source ADDRESS` speaks from
 * that address and any port, whether it is this host's or not.
 *
 * A client that NAT rules brought has other connections that they brought, and
 * the ports of none may be used again.  Nobody can tell which these are, so the
 * first step is a random port below those that systems choose by themselves.
 *
 * It connects and says nothing: what an upstream wants to hear first is
 * proxy_header.h and talk.h.
 */
#ifndef WL_RELAY_LEG_H
#define WL_RELAY_LEG_H

#include "net/addr.h"
#include "policy/model.h"
#include "relay/shared.h"

struct leg_request {
	const struct upstream *upstream;
	/* client NULL: nobody's flow, `source client` is then as `self`. */
	const struct addr *client, *server;
	/* Where the upstream's name leads now; NULL: it has none. */
	const struct addr *to;
	uint32_t mark;
	/* The client is a process of this host, whose port is its own: a leg
	 * that shared it would take its answers. */
	bool is_from_host;
	/* NAT rules brought the client: connection tracking knows its address
	 * and port with this server, and would turn the leg round to us. */
	bool is_redirected;
};

/* Where the leg goes: the original destination, or what `to` says. */
void leg_destination(const struct leg_request *r, struct addr *out);
/* Whose address it speaks from; family 0: this host's own.  Port 0: any. */
void leg_source(const struct leg_request *r, struct addr *out);

/*
 * Open the leg and begin to connect it.  Returns the descriptor or -errno;
 * -EADDRINUSE, -EADDRNOTAVAIL and -EACCES mean that the ladder has ended.
 * *source: what the server will see, family 0 if the kernel chooses.
 */
int leg_open(const struct leg_request *r, struct shared *counters,
	     struct addr *source);

#endif
