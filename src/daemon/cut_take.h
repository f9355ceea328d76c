/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_take.h - may these two sockets be cut through now, and with what numbers?
 *
 * Pure: no system calls.  Facts come from net/repair.h and from the entries in
 * the map.  The argument for each number stands in doc/cut-through.md.
 */
#ifndef WL_DAEMON_CUT_TAKE_H
#define WL_DAEMON_CUT_TAKE_H

#include "abi/cut.h"
#include "net/repair.h"
#include "relay/cut_wire.h"

enum cut_leg { CUT_CLIENT, CUT_SERVER }; /* also: the way that comes on it */

enum {
	/* Bytes that had not been read yet are moved after the switch. */
	CUT_UNREAD_MAX = 64 << 10,
};

/*
 * `learnt`: the ways as the map has them, by leg; family as in the key (0 IPv4,
 * 1 IPv6); out: seq_add .. how of both.
 * CUT_CAUSE_NONE: they may be.  cut_cause_is_passing() says whether another
 * cause may be gone in a moment.
 */
enum cut_cause cut_take(const struct repair_facts facts[2],
			const struct wl_cut_way learnt[2],
			const bool is_bulk[2], uint8_t family,
			struct wl_cut_way out[2]);
bool cut_cause_is_passing(enum cut_cause cause);

#endif
