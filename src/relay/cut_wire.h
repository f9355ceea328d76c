/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_wire.h - what a worker and the cutter say to each other.
 *
 * Over a SOCK_SEQPACKET pair that the supervisor makes for each worker.  Both
 * are our own processes of one build; still the cutter, which has privileges,
 * believes nothing of a worker's: addresses come from the sockets themselves,
 * numbers are checked.
 *
 *	worker			cutter
 *	CUT_WATCH, leg addresses ->	entries in state WATCH
 *	CUT_CUT, two descriptors ->
 *			<- CUT_DONE	the flow is the cutter's: the worker
 *					closes its descriptors, and forgets it
 *			<- CUT_NOT_YET	the flow goes on here; ask again later
 *			<- CUT_REFUSED	it goes on here for good
 *	CUT_FORGET ->			the flow has ended, or is not asked for
 *					any more
 *
 * Every message is the whole struct.  Each CUT_CUT has exactly one answer, and
 * nothing else has one: what stands against a CUT_WATCH is said to the CUT_CUT.
 * So an answer can only be about the last CUT_CUT of a flow of that name.
 *
 * Between CUT_CUT and the answer the worker neither reads nor writes the two
 * sockets, and holds no byte of the flow in its own memory.  The cutter closes
 * its descriptors before it says CUT_NOT_YET or CUT_REFUSED: a worker's close()
 * means what it says again.  (After CUT_DONE it means nothing: the cutter has
 * them.)
 *
 * CUT_FORGET is about a flow that is not cut: one that comes for a flow that is
 * (the worker was told to end all flows in that moment) has no effect.  A
 * worker that has no room for it may leave it out: a CUT_WATCH for a slot says
 * that whatever was known of that slot is forgotten.  The end of the line says
 * it for all flows of the worker that are not cut.
 *
 * UDP flows have no descriptors with their CUT_CUT, and go on here until
 * CUT_DONE, and a moment longer (udp_cut.h).
 */
#ifndef WL_RELAY_CUT_WIRE_H
#define WL_RELAY_CUT_WIRE_H

#include "relay/shared.h"

enum cut_ask_kind { CUT_WATCH = 1, CUT_CUT, CUT_FORGET };
enum cut_answer_kind { CUT_DONE = 1, CUT_NOT_YET, CUT_REFUSED };

/* Why a flow is not cut through; each is a counter of the relay. */
enum cut_cause {
	CUT_CAUSE_NONE,
	CUT_CAUSE_UNSEEN,     /* packets of an end do not come by here */
	CUT_CAUSE_NO_ROUTE,   /* no way out for them (forwarding is off?) */
	CUT_CAUSE_BUSY,	      /* bytes are unsent, or too many unread */
	CUT_CAUSE_WINDOW,     /* an end may send more than the other takes */
	CUT_CAUSE_ENDING,     /* FIN or RST is there */
	CUT_CAUSE_TIMESTAMPS, /* only one leg has them */
	CUT_CAUSE_URGENT,     /* urgent data */
	CUT_CAUSE_FAST_OPEN,  /* data came with a SYN */
	CUT_CAUSE_SMALL_MSS,  /* an end's is below what any end may be sent */
	CUT_CAUSE_FRAGMENTS,  /* an end sends fragments */
	CUT_CAUSE_FULL,	      /* the map, or the list of flows */
	CUT_CAUSE_TAKEN,      /* a flow of these addresses is there */
	CUT_CAUSE_ERROR,      /* a system call failed */
	CUT_CAUSE_COUNT
};

struct cut_ask {
	uint8_t kind;  /* enum cut_ask_kind */
	uint8_t proto; /* enum proto */
	/* Much has gone this way, [0] client to server: its windows must fit
	 * to the byte.  A way of a few bytes cannot overrun anything. */
	bool is_bulk[2];
	uint32_t slot; /* of the worker; comes back in the answer */
	uint64_t name; /* the same: pool_name() */
	/* From the far end to us; [0] client leg, [1] server leg. */
	struct addr peer[2], own[2];
	/* Whole with CUT_CUT; with CUT_WATCH only intercept, rule, upstream. */
	struct flow_record record;
};

struct cut_answer {
	uint8_t kind;  /* enum cut_answer_kind */
	uint8_t cause; /* enum cut_cause */
	uint32_t slot;
	uint64_t name;
};

#endif
