/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h - relayed TCP flows.
 *
 * A flow has two legs, client and server, and two directions that live and
 * end on their own:
 *
 *	client ==> [side 0]  direction 0  [side 1] ==> server
 *	       <==           direction 1           <==
 *
 * States of a flow, moved only by tcp_flow_set_state():
 *
 *	HEADER       the client is accepted on a plain listener; a PROXY header
 *		     must come first, and is taken
 *	SNIFFING     a rule needs a name: the client's first bytes are looked at
 *	CONNECTING   the server leg is being opened
 *	HANDSHAKE    its proxy is connected and has not agreed yet
 *	RELAYING     both legs are up
 *	HALF_CLOSED  a FIN was carried across in one direction
 *	FREE	     both FINs are carried, or a RST was, or time is up; or the
 *		     flow is cut through, and the cutter's
 *
 *	FREE -> [HEADER ->] [SNIFFING ->] CONNECTING -> [HANDSHAKE ->]
 *	RELAYING -> HALF_CLOSED -> FREE
 *
 * A try that failed goes from CONNECTING or HANDSHAKE back to CONNECTING with
 * the next upstream; up to RELAYING all of the client's bytes but a PROXY
 * header stay in the kernel, so the next one misses nothing.  Every state may
 * end in FREE.
 *
 * What it promises: bytes in order, none lost, none invented; FIN only after
 * the last byte before it and only if the peer sent one; RST is carried at
 * once.  Sockets reset by default, so a worker that dies truncates nothing
 * silently.  Memory for a flow that does not move is the struct alone; bytes
 * that the far side does not take are held in one spill buffer or pipe a
 * direction, and nothing more is read before they are gone.
 *
 * RELAYING, a flow may be given to cut-through (tcp_cut.h: who moves its bytes,
 * and who may change that).  Asked for, it is still RELAYING, but nothing of it
 * is touched, by events, time or words, before the cutter has answered; only
 * tcp_end_all() ends it all the same.
 *
 * Read tcp_flow.h next: which file does what.  tcp_move.h: how bytes move.
 * dial.h: how the server leg begins.
 */
#ifndef WL_RELAY_TCP_H
#define WL_RELAY_TCP_H

#include "relay/worker.h"

struct tcp;

int tcp_new(struct worker *w, struct tcp **out); /* 0 or -ENOMEM */
void tcp_on_listener(struct loop *l, struct watch *w, uint32_t events);
bool tcp_is_idle(const struct tcp *t);
/* End every flow with RST. */
void tcp_end_all(struct tcp *t, enum flow_end why);
/* The board changed: end the flows of upstreams that are disabled now; those
 * that are being opened are given to another one. */
void tcp_end_disabled(struct tcp *t);

#endif
