/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_notrack.h - keep connection tracking away from client legs.
 *
 * The ebpf engine needs no netfilter; but where the host's own rules track
 * connections, both legs of a flow with the client's port have one five-tuple,
 * conntrack takes them for one connection whose numbers do not fit, and
 * `ct state invalid drop` stops half of all flows
 * (lab/kernel/test_K15_conntrack.py).  BPF cannot exempt a packet.  So, only
 * where connections are tracked, a small table does: what came from
 * clients and is marked, and what goes to them by our own sockets, is not
 * tracked; and what answers a server leg whose source is translated gets the
 * mark there, since TC sees it before it is translated back.
 *
 * Without the program nft this is not possible, and nothing is done.
 */
#ifndef WL_ENGINE_EBPF_NOTRACK_H
#define WL_ENGINE_EBPF_NOTRACK_H

#include "base/err.h"
#include "engine/plan.h"

/* Install, replace or remove the table, as what the host does asks for. */
int ebpf_notrack_set(const struct config *c, struct err *e);
/* Is it there if and only if it should be? */
bool ebpf_notrack_is_intact(const struct config *c);
int ebpf_notrack_remove(struct err *e);

#endif
