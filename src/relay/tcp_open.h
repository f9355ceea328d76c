/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_open.h - a TCP flow from accept to its first relayed byte; private to
 * the tcp files.
 *
 *	HEADER      a listener of `proxy-protocol from`: who is the client?
 *	SNIFFING    a rule needs a name: the first bytes are looked at
 *		    (both: tcp_look.h)
 *	CONNECTING  the server leg is being opened: a dial (dial.h)
 *	HANDSHAKE   its proxy is being talked to
 *
 * Until RELAYING not one byte of the client is taken out of its socket, but
 * for a PROXY header.  So a member of a group that fails costs nothing: the
 * next one is tried (group.h), and at the end the group's fallback decides.
 *
 * A flow waits for first bytes only while an open rule could still match
 * (policy/eval.h), and not beyond `sniff wait`: who speaks first on the other
 * side is not kept waiting longer.
 */
#ifndef WL_RELAY_TCP_OPEN_H
#define WL_RELAY_TCP_OPEN_H

#include "relay/tcp_flow.h"

/* A flow in HEADER, SNIFFING or CONNECTING begins that state; client and
 * server are in its record.  It may have ended when this returns. */
void tcp_open_begin(struct tcp_flow *f);
/* Events and time for a flow that is not RELAYING yet. */
void tcp_open_on_client(struct tcp_flow *f, uint32_t events);
void tcp_open_on_server(struct tcp_flow *f, uint32_t events);
void tcp_open_on_timer(struct tcp_flow *f);
/* The operator has disabled the upstream that is being tried. */
void tcp_open_on_disabled(struct tcp_flow *f);

#endif
