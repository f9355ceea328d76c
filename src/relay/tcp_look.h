/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_look.h - what the first bytes of a TCP flow's client say; private to the
 * tcp files.
 *
 * In HEADER they must be a PROXY header, which is taken; it says who the
 * client is and whom it called.  In SNIFFING they may tell the server's name;
 * they are read only, and stay in the socket.  Each look is a peek at all that
 * has come, the first one at once, since the bytes may be there already.
 *
 * Both have a limit of bytes and one of time, and end with the state CONNECTING
 * and tcp_open_begin(), or with the flow's end (T09, T12).
 */
#ifndef WL_RELAY_TCP_LOOK_H
#define WL_RELAY_TCP_LOOK_H

#include "relay/tcp_flow.h"

/* The flow is in HEADER or SNIFFING: it begins, or something came. */
void tcp_look(struct tcp_flow *f);
/* Nothing came in time. */
void tcp_look_on_timer(struct tcp_flow *f);

#endif
