/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_flow.h - one flow on its way from WATCH to closed sockets; private to
 * the cutter.
 *
 *	FREE --watch--> WATCH --cut--> ON --drained--> SETTLE --closed--> FREE
 *	                  |             |                 |                 ^
 *	                  |             +---RST, error, entry gone---> END -+
 *	                  +------forget, refused for good-------------------+
 *
 *	WATCH	entries learn; the sockets are the worker's
 *	ON	packets are rewritten; the sockets are ours, and bring what
 *		had passed the program before
 *	SETTLE	nothing is the sockets' any more: they wait for a grace period
 *	END	the sockets are closed, RST goes to both ends (cut_end_flow())
 *
 * WATCH ends by calls of the owner, all others by time: the owner sees that the
 * state is FREE, and may use the memory again in a later batch of the loop.
 * Why no byte is lost: cut_flow.c, cut_drain.c.
 */
#ifndef WL_DAEMON_CUT_FLOW_H
#define WL_DAEMON_CUT_FLOW_H

#include "base/loop.h"
#include "daemon/cut_grace.h"
#include "daemon/cut_ledger.h"
#include "daemon/cut_take.h"

enum cut_flow_state {
	CUT_FLOW_FREE,
	CUT_FLOW_WATCH,
	CUT_FLOW_ON,
	CUT_FLOW_SETTLE,
	CUT_FLOW_END
};

/* What all flows of the cutter share. */
struct cut_shop {
	struct loop *loop;
	const struct cut_table *table;
	struct cut_ledger *ledger;
	struct cut_grace *grace;
	struct shared *shared; /* counters */
};

struct cut_flow {
	struct watch watch[2]; /* of the sockets, ON and SETTLE */
	struct timer timer;
	struct deferred later;
	struct cut_shop *shop;
	struct wl_cut_key key[2]; /* by leg; equal: the same */
	uint8_t place[2]; /* by leg: which way[] of its entry is its far end's
			   */
	bool has_two;
	uint8_t state;
	uint8_t proto;
	int fd[2]; /* -1: not ours */
	/* By leg, in what it sends: the next number, that of a FIN included;
	 * and the one that the program was told, which is ahead by what waits
	 * in the other socket. */
	uint32_t written[2], edge[2];
	bool has_fin[2];      /* by leg: FIN of its far end was carried over */
	uint16_t pause_ms;    /* until the next look */
	uint64_t ticket;      /* of the grace that is waited for; 0: none */
	uint64_t reset_at_ms; /* a RST came by, and stands; 0: none */
	uint8_t why;	      /* enum flow_end, in END */
	int slot;	      /* of the ledger; -1: none yet */
};

/* State WATCH.  CUT_CAUSE_NONE, or why not. */
enum cut_cause cut_flow_watch(struct cut_flow *f, struct cut_shop *shop,
			      const struct cut_ask *ask);
/* Cut it: takes fd[] in any case (on refusal they are closed, which does
 * nothing to the connections, since the worker has them too).  They have the
 * addresses of the flow: the caller has looked.  On CUT_CAUSE_NONE the state is
 * ON, or END already, still WATCH on a passing cause, else FREE. */
enum cut_cause cut_flow_cut(struct cut_flow *f, const struct cut_ask *ask,
			    const int fd[2]);
/* The worker has forgotten it, or is gone: nothing to a flow that is ON. */
void cut_flow_forget(struct cut_flow *f);
/* A grace period has ended. */
void cut_flow_on_grace(struct cut_flow *f, uint64_t passed);

#endif
