/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger.h - the records of cut-through flows, and when they end.
 *
 * A record is a slot of a struct shared (relay/shared.h), so that `waylay
 * flows`, the log and the counters meet cut flows like all others.  The ledger
 * walks the map in small pieces, keeps the records' bytes and times up to
 * date, removes what has ended, and adopts what it has no record of.
 *
 * What ends a flow: FIN both ways and acknowledged, or RST, and then silence
 * for a while, so that what comes late is still passed on (as long as
 * TIME_WAIT); or nothing for `timeouts idle`, half-closed `timeouts
 * half-closed`, UDP `timeouts udp` and `dns`.  A RST alone ends nothing
 * (R-TCP-4).  A record is told ended when both FIN are acknowledged; the
 * entries stay until the silence is over.
 *
 *	slot:	free --add, adopt--> lives --told--> lingers --silence--> free
 *		                       |                                   ^
 *		                       +-- silence, wish, entry is gone ---+
 *
 * A flow that the cutter has in hand (its sockets are open yet) ends only by
 * cut_ledger_end(): is_in_hand, until cut_ledger_settle().
 *
 * Bytes of a record: what the relay had moved, and from the switch on IP
 * packets as the map counts them, headers included.
 */
#ifndef WL_DAEMON_CUT_LEDGER_H
#define WL_DAEMON_CUT_LEDGER_H

#include "base/imap.h"
#include "base/pool.h"
#include "daemon/cut_orders.h"
#include "engine/cut_table.h"
#include "relay/shared.h"

#include <stdbool.h>

enum {
	CUT_LINGER_S = 60,	 /* after both FIN */
	CUT_RESET_LINGER_S = 10, /* after RST, if nobody objects */
	/* Draining, and the process that had the sockets is gone. */
	CUT_STRAY_S = 30,
	CUT_LEDGER_TICK_MS = 100,
	CUT_LEDGER_IDLE_MS = 1000,  /* while there are no flows */
	CUT_LEDGER_WALK_TICKS = 50, /* a walk takes no longer */
};

/* Beside a record; in memory that outlives a cutter, for the next one. */
struct cut_entry {
	struct wl_cut_key key[2]; /* by leg; equal legs: key[0] alone */
	uint64_t counted[2];	  /* bytes that the record has of the map's */
	uint32_t adopted_s;	  /* when; 0: it was not */
	uint32_t walk;		  /* the last one that met it */
	uint8_t marks[2];	  /* of the ways when they were last seen */
	bool is_used, has_two;
	bool is_in_hand;
	bool is_ending; /* RST has been sent, and will be again */
	bool is_told;	/* the record has ended, the entries linger */
};

/* Shared memory for flow_max entries, NULL: none is left. */
struct cut_entry *cut_entries_new(uint32_t flow_max);
void cut_entries_free(struct cut_entry *entries, uint32_t flow_max);

struct cut_ledger_args {
	const struct cut_table *table;
	struct shared *shared;
	struct cut_orders *orders;
	struct cut_entry *entries; /* as many as shared->flows */
	uint32_t generation;	   /* of what is adopted */
	const int *raw_fd;	   /* to send RST with, by family; -1: none */
};

struct cut_ledger {
	struct cut_ledger_args args;
	struct pool pool;   /* slots of shared->flows */
	struct imap by_key; /* of 2 * slot + leg */
	struct cut_walk *walk;
	uint64_t seed;
	uint32_t walks;	    /* number of this one */
	uint64_t now_ms;    /* of this tick */
	uint32_t now_s;	    /* the same */
	bool has_ended;	    /* the supervisor should be told; reset by caller */
	bool has_wishes;    /* that are not fulfilled yet */
	uint64_t wished_ms; /* when that was tried last */
};

/* Takes over the records that are there already, adopts what is in the map
 * beside, and removes what is there in state WATCH.  0 or -errno. */
int cut_ledger_init(struct cut_ledger *l, const struct cut_ledger_args *args);
void cut_ledger_done(struct cut_ledger *l);

/* A flow has been cut through: its record as the worker had it.  It is in
 * hand.  Returns its slot, or -ENOSPC. */
int cut_ledger_add(struct cut_ledger *l, const struct flow_record *r,
		   const struct wl_cut_key key[2], bool has_two);
/* Nothing has come of it: it is not told of, and goes on elsewhere.  Entries
 * are removed. */
void cut_ledger_cancel(struct cut_ledger *l, uint32_t slot);
/* It is in nobody's hand any more: the ledger will end it. */
void cut_ledger_settle(struct cut_ledger *l, uint32_t slot);
/* It has ended otherwise: entries are removed, the record is told. */
void cut_ledger_end(struct cut_ledger *l, uint32_t slot, enum flow_end why);

/* One piece of the walk; call every cut_ledger_pause_ms(). */
void cut_ledger_tick(struct cut_ledger *l, uint64_t now_ms);
uint32_t cut_ledger_pause_ms(const struct cut_ledger *l);
/* End, with RST to both ends, what cut_orders.h says. */
void cut_ledger_fulfil(struct cut_ledger *l);

#endif
