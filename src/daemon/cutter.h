/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter.h - the process that takes flows out of sockets into the packet path.
 *
 * Workers read what the network sends and have no privileges; to take a flow
 * over needs CAP_NET_ADMIN (TCP_REPAIR) and CAP_BPF.  So it is done here, by a
 * process that is told of a flow by its two sockets (relay/cut_wire.h), looks
 * at no byte of it, and moves only those that come late.
 *
 * How a flow is cut:
 *
 *	WATCH	 entries in the map that only learn: whether packets of both
 *		 ends come by, and their clocks
 *	ON	 one store puts the entry on.  From now on packets are
 *		 rewritten; those that had passed the program reach a socket
 *		 still, and what they bring is moved here, between the same two
 *		 numbers, until what the sockets have sent is acknowledged: to
 *		 the sockets, or seen by the program
 *	SETTLE	 the sockets get nothing any more; after a grace period of RCU,
 *		 when no packet can be on its way to them, they are closed
 *		 without a word (net/repair.h)
 *
 * There is one cutter for all generations of a daemon.  It knows no
 * configuration: what it needs of one is in cut_orders.h, and a record says
 * whose indexes it has (cut_book.h).
 *
 * The records of cut flows lie in a struct shared like a worker's, so that
 * everything that shows flows shows these.  It is made by the supervisor and
 * goes on when a cutter has died and the next one begins; flows in the map
 * that nobody has a record of (a daemon was killed) are adopted.  It also ends
 * what has ended: FIN both ways, RST, or silence.
 *
 * When the supervisor is gone, a cutter takes no more flows, brings those to
 * their end that it has in hand, and goes too.
 *
 * cutter.c is the process: channels, time; cutter_ask.c what workers ask for;
 * cut_flow.c one flow on its way from WATCH to closed sockets; cut_take.c the
 * numbers; cut_ledger.c the records, and their end; cut_grace.c waits for RCU.
 */
#ifndef WL_DAEMON_CUTTER_H
#define WL_DAEMON_CUTTER_H

#include "base/loop.h"
#include "daemon/cut_ledger.h"

enum { CUTTER_LAST_MS = 60000 }; /* for flows in hand, without supervisor */

struct cutter_args {
	struct cut_table table;
	struct shared *shared;	   /* records of cut flows; of all cutters */
	struct cut_orders *orders; /* for as many flows */
	struct cut_entry *entries; /* the same: cut_ledger.h */
	uint32_t generation;	   /* of records for flows that are adopted */
	int raw_fd[2];		   /* to send RST with, by family; -1: none */
	int channel_fd;		   /* to the supervisor, SOCK_SEQPACKET */
};

/* What the supervisor says. */
enum cutter_command {
	CUTTER_WORKER = 'w', /* a descriptor comes with it: the cutter's end
			      * of the channel of a new worker */
	CUTTER_LOOK = 'u',   /* there are new wishes in cut_orders.h */
	CUTTER_STOP = 's',   /* end now; flows stay in the map */
};

struct cutter_order {
	uint8_t command;     /* enum cutter_command */
	uint32_t generation; /* of the worker */
};

struct cutter;

/* 0 or -errno; before privileges go.  What was known before is taken over. */
int cutter_new(const struct cutter_args *args, struct cutter **out);
/* Serve until CUTTER_STOP or the end of the channel.  0, or -errno: it could
 * not begin. */
int cutter_run(struct cutter *c);
void cutter_free(struct cutter *c); /* for tests; a process just ends */

#endif
