/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_guard.h - flows that go round by way of a proxy on this host.
 *
 * A proxy on this host that no `except` names: waylay takes a flow `from
 * host` and sends it to the proxy; the proxy connects to the same server;
 * waylay takes that, too, and so on, until descriptors are out.  Nothing in
 * the second flow says where it comes from: its client has an address of this
 * host, as every client here has.  (A proxy on another host shows by its
 * address, see dial.h.)
 *
 * What it looks like from here: we answer the proxy's SYN at once, so each
 * flow of the circle is open, its proxy has agreed, and another one to the
 * same server begins.  And none of them ever gets a byte from the server,
 * since there is none at the end.  So flows are counted by server from the
 * moment their local proxy is connected until the server's first byte or
 * their end; one too many is refused.  Its RST ends the one before, and so
 * the whole circle comes undone.
 *
 * The price: LOOP_GUARD_MAX connections to one server that wait for its first
 * byte, through a proxy on this host, are as many as a worker allows.  And a
 * circle may have that many flows, in each worker, for a moment (T04, T05).
 *
 * NAT rules for this host's own connections (`redirected from`) that do not
 * leave waylay's mark alone make the same circle, without a proxy.
 *
 * Bounded: servers that find no row are not counted.  Pure.
 */
#ifndef WL_RELAY_LOOP_GUARD_H
#define WL_RELAY_LOOP_GUARD_H

#include "net/addr.h"

enum { LOOP_GUARD_SERVERS = 64, LOOP_GUARD_MAX = 64 };

struct loop_guard { /* zeros: nobody waits */
	struct {
		struct addr server;
		uint32_t flows; /* 0: the row is free */
	} rows[LOOP_GUARD_SERVERS];
};

/* A flow begins to wait.  Its row, from 1, for leave(); 0: it is not counted;
 * -ELOOP: there are LOOP_GUARD_MAX already. */
int loop_guard_enter(struct loop_guard *g, const struct addr *server);
void loop_guard_leave(struct loop_guard *g, int row); /* 0: nothing */

#endif
