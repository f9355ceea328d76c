/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_keeper.h - cut-through as the supervisor has it.
 *
 * Off, or on: then the programs are attached (engine/cut.h), a cutter runs
 * (cutter_child.h), and each worker whose configuration wants it has a channel
 * to it.  It is opened when a configuration first wants it, which shows whether
 * it works, and then stays until the end: a reload that says `off` only means
 * that no more flows are cut.
 *
 *	cut_keeper_try		before the workers of a configuration start
 *	cut_keeper_hold	they have; this configuration holds now
 *	cut_keeper_end		all flows are reset, all is taken away
 *
 * What holds is looked at once a second and when interfaces come or go, and
 * repaired.  Records of cut flows come out of here with indexes of the current
 * configuration (cut_book.h).
 */
#ifndef WL_DAEMON_CUT_KEEPER_H
#define WL_DAEMON_CUT_KEEPER_H

#include "daemon/cut_book.h"
#include "daemon/cutter_child.h"
#include "engine/cut.h"

enum { CUT_THROUGH_LOOK_MS = 1000 };

struct cut_keeper_args {
	struct loop *loop;
	const int *raw_fd; /* by family; -1: none.  Kept */
	uint64_t *repairs; /* is counted up; kept */
	bool is_private;   /* there is none */
	bool is_strict;	   /* sandbox */
	/* A flow has ended, its record is to be told. */
	void (*on_record)(void *ctx, const struct flow_record *r);
	cutter_child_fn on_begun; /* workers need channels: cutter_child.h */
	cutter_child_fn on_end;	  /* there may be none left */
	void *ctx;
};

struct cut_keeper { /* zeros, then cut_keeper_init() */
	struct cut_keeper_args args;
	struct cut *cut; /* NULL: off */
	struct cutter_child child;
	struct cut_book book;
	struct timer look;
	const struct config *config; /* that holds; NULL: none yet, or at the
				      * end */
	struct err why;		     /* why it is off although it is wanted */
	struct err said;	     /* the failure that was logged last */
	uint32_t own_mark;
	bool is_on;	   /* for flows of the configuration that holds */
	uint64_t ended;	   /* flows, for sampling */
	uint64_t flows_ms; /* when upstream_flows was made */
	uint32_t upstream_flows[UPSTREAMS_MAX];
};

void cut_keeper_init(struct cut_keeper *k, const struct cut_keeper_args *args);
/* May flows of this configuration be cut through, if it is on? */
bool cut_keeper_is_wanted(const struct config *c);

/* 0, also if it is not possible and c does not insist; else -errno and e. */
int cut_keeper_try(struct cut_keeper *k, const struct config *c,
		   uint32_t generation, struct err *e);
void cut_keeper_hold(struct cut_keeper *k, const struct config *c,
		     uint32_t generation);
/* A channel for a worker of this generation and configuration; or -1. */
int cut_keeper_connect(struct cut_keeper *k, const struct config *c,
		       uint32_t generation);
/* Interfaces have come or gone. */
void cut_keeper_follow_links(struct cut_keeper *k);
void cut_keeper_reap(struct cut_keeper *k); /* SIGCHLD */
void cut_keeper_end(struct cut_keeper *k);
/* What a killed daemon has left; see cut_remove(). */
int cut_keeper_clean(struct err *e);

/* --- flows --------------------------------------------------------------- */

bool cut_keeper_has_flows(const struct cut_keeper *k); /* of TCP */
/* Record number i of so many; false: there is none now. */
uint32_t cut_keeper_records(const struct cut_keeper *k);
bool cut_keeper_read(const struct cut_keeper *k, uint32_t i,
		     struct flow_record *out);
/* By index of the current configuration. */
uint32_t cut_keeper_upstream_flows(struct cut_keeper *k, size_t upstream);
/* End them, with RST to both ends. */
void cut_keeper_end_upstream(struct cut_keeper *k, size_t upstream);
/* Add its counters to out. */
void cut_keeper_count(const struct cut_keeper *k, uint64_t out[COUNTER_COUNT]);

/* Make what a record says the current configuration's. */
void cut_keeper_translate(const struct cut_keeper *k, struct flow_record *r);

/* --- for people ---------------------------------------------------------- */

const char *cut_keeper_why(const struct cut_keeper *k);
/* What holds less well than it could, one sentence; NULL: nothing. */
const char *cut_keeper_shortcoming(const struct cut_keeper *k);
/* Now, of both protocols, and how many there can be. */
uint32_t cut_keeper_flows(const struct cut_keeper *k);
uint32_t cut_keeper_flow_max(const struct cut_keeper *k);

#endif
