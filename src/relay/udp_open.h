/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_open.h - a UDP flow from its first datagram until its way is open;
 * private to the udp files.
 *
 *	SNIFFING    a rule needs the name in a QUIC handshake
 *	CONNECTING  the way is being opened: at once, or a proxy is asked
 *	HANDSHAKE   the proxy is being talked to
 *
 * Whether the first datagram begins a QUIC connection is seen at once, so only
 * QUIC ever waits for a name, and not beyond `sniff wait`.  What comes from the
 * client before the way is open is held (udp_hold.h).
 *
 * A member of a group that fails costs nothing but time: what was held goes to
 * the next one.  When nobody is left the client is told "port unreachable".
 */
#ifndef WL_RELAY_UDP_OPEN_H
#define WL_RELAY_UDP_OPEN_H

#include "relay/udp_path.h"
#include "relay/worker.h"

/* dgrams[at, end) of the worker's batch begin a flow, or are refused. */
void udp_open_begin(struct udp *u, const struct listener *l, size_t at,
		    size_t end);
/* More of them, for a flow that is not RELAYING yet.  It may have ended when
 * this returns. */
void udp_open_more(struct udp_flow *f, size_t at, size_t end);
/* `sniff wait` is over. */
void udp_open_late(struct udp_flow *f);

/* Its way is open. */
void udp_open_done(struct udp_flow *f);
/* It is not, and is closed already.  It may have ended when this returns. */
void udp_open_failed(struct udp_flow *f, const struct udp_failure *why);

/* May `fds` descriptors be opened for f?  A flow without an answer may have
 * made room. */
bool udp_open_has_room(struct udp_flow *f, uint32_t fds);

#endif
