/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_priv.h - what cutter.c and cutter_ask.c share; private to them.
 */
#ifndef WL_DAEMON_CUTTER_PRIV_H
#define WL_DAEMON_CUTTER_PRIV_H

#include "base/imap.h"
#include "base/pool.h"
#include "daemon/cut_flow.h"
#include "daemon/cutter.h"
#include "net/parcel.h"

enum {
	CUTTER_ASKS_MAX = 64, /* of one worker in a turn */
	CUTTER_SWEEP_MS = 16, /* flows that have settled are noticed so soon */
};

/* The end of a channel to a worker. */
struct cutter_worker {
	struct watch watch;
	struct deferred later; /* freed when the batch of events is over */
	struct cutter_worker *next;
	struct cutter *cutter;
	struct cut_answer unsent; /* nothing is read before it has gone */
	bool has_unsent;
	uint32_t number; /* for the hash */
	uint32_t generation;
	int fd; /* -1: it has ended */
};

/*
 * A flow that a worker has told of (worker is set, it is found by name), and
 * then, when it is ON, one in hand (worker is NULL, it is in `hand`) until it
 * is FREE.
 */
struct cutter_flow {
	struct cut_flow flow;
	struct cutter_worker *worker;
	struct cutter_flow *next; /* in hand */
	uint32_t slot;		  /* of the worker */
	uint64_t name;		  /* the same */
	uint64_t record_name;	  /* in hand: of its record in the ledger */
	uint32_t record;	  /* the same: its slot */
};

struct cutter {
	struct cutter_args args;
	struct loop loop;
	struct watch channel_watch, grace_watch;
	struct timer tick;  /* of the ledger */
	struct timer sweep; /* while there are flows in hand */
	struct timer last;  /* the end, when the supervisor is gone */
	struct cut_shop shop;
	struct cut_ledger ledger;
	struct cutter_worker *workers;
	struct cutter_flow *flows; /* by slot of pool */
	struct cutter_flow *hand;  /* list */
	struct pool pool;
	struct imap by_name;
	uint64_t seed;
	uint32_t workers_made;
	bool is_leaving; /* the supervisor is gone */
};

/* A message of a worker, a struct cut_ask that is not judged yet; takes the
 * descriptors.  True: *out is to be sent.  False: nothing. */
bool cutter_ask(struct cutter_worker *w, struct parcel *mail,
		struct cut_answer *out);
/* Forget what this worker has told of and was not cut. */
void cutter_ask_end(struct cutter_worker *w);
/* Flows that are no longer in hand make room. */
void cutter_sweep(struct cutter *c);

#endif
