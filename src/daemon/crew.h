/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.h - the worker processes.
 *
 * A generation is a configuration and the workers that run with it.  The
 * newest one serves; older ones drain and disappear with their last flow.
 *
 *	starting a generation	fork all its workers, then drain the older
 *				ones: at every moment somebody accepts
 *	a worker dies		its flows are lost (RST), it is replaced at
 *				once; one that dies young is replaced after a
 *				pause that doubles up to CREW_PAUSE_MAX_MS
 *	a draining one dies	nothing
 *
 * What is known of the upstreams (relay/board.h) belongs to a generation and is
 * handed on to the next one.
 *
 * Read relay/worker.h for the other side, crew_report.h for what is logged.
 */
#ifndef WL_DAEMON_CREW_H
#define WL_DAEMON_CREW_H

#include "base/loop.h"
#include "daemon/crew_report.h"
#include "daemon/listeners.h"

#include <sys/types.h>

struct cut_keeper;

enum {
	CREW_YOUNG_MS = 2000, /* who dies earlier did not work at all */
	CREW_PAUSE_MAX_MS = 8000,
	CREW_SAY_MS = 10000, /* the same warning at most this often */
};

struct generation {
	struct config *config;
	struct board *board; /* of its upstreams */
	uint64_t number;
	uint32_t slots;
	unsigned members; /* who still need the configuration */
	bool is_current;
};

struct member {
	struct member *next;
	struct crew *crew;
	struct generation *generation;
	struct watch watch;  /* of the channel */
	struct deferred end; /* freed when the batch of events is over */
	struct timer revive; /* for a replacement that waits */
	struct shared *shared;
	uint64_t begun_ms;
	uint64_t pause_said_ms; /* when a pause in accepting was logged */
	uint64_t ports_said_ms; /* when lost client ports were */
	uint64_t ports_said;	/* how many had been lost by then */
	pid_t pid;		/* 0: dead, waiting for `revive` */
	int channel_fd;		/* to the worker */
	uint32_t slot;
	uint32_t restarts;
	uint32_t pause_ms;
};

/* A flow has ended; called for each record. */
typedef void (*crew_record_fn)(void *ctx, const struct config *c,
			       const struct flow_record *r);

struct crew {
	struct loop *loop;
	const struct listeners *listeners;
	struct member *members;
	struct generation *current; /* NULL: all drain, for good */
	struct generation *last;    /* which was the current one then */
	struct cut_keeper *cut;	    /* borrowed; may be off */
	crew_record_fn on_record;
	void *ctx;
	struct crew_report report;
	uint64_t generations; /* counted from 1 */
	uint64_t seed;	      /* of `hash client` */
	int raw_fd[FAMILY_COUNT];
	int lock_fd;
	struct outside *outside; /* where server legs live; NULL: here */
	bool is_strict;		 /* sandbox */
	bool is_private;	 /* workers end with us */
	uint64_t dead_counters[COUNTER_COUNT]; /* of workers that are gone */
};

/* Start workers for c and drain the older generation; if that fails the older
 * one goes on.  Takes c in either case. */
int crew_start(struct crew *crew, struct config *c, struct err *e);
/* Reap: to be called at SIGCHLD. */
void crew_reap(struct crew *crew);
/* Tell all workers to drain, or to end now. */
void crew_drain_all(struct crew *crew);
void crew_stop_all(struct crew *crew);
bool crew_is_empty(const struct crew *crew);
/* Wait for the end of workers that were told to stop; kill who does not. */
void crew_wait(struct crew *crew);
/* The cutter has begun again: give workers channels to it. */
void crew_reconnect(struct crew *crew);
/* Nothing is asked any more of the configuration that was the last one. */
void crew_done(struct crew *crew);
/* Pass on the records that wait in shared memory. */
void crew_collect(struct crew *crew);
/* Sum over living and dead workers. */
void crew_counters(const struct crew *crew, uint64_t out[COUNTER_COUNT]);
/* Of the current generation, or of the last one that was; NULL before. */
const struct config *crew_config(const struct crew *crew);
/* Workers for `workers auto`. */
uint32_t crew_slots(const struct config *c);
/* Descriptors that each worker may have, and TCP flows by them. */
uint32_t crew_nofile(void);
uint32_t crew_tcp_flow_max(const struct config *c);

/* --- upstreams, by the index of the current configuration ---------------- */

/* Flows that are alive, of all generations. */
uint32_t crew_upstream_flows(const struct crew *crew, size_t upstream);
/* What the operator wants: for all generations that have this upstream. */
void crew_want(struct crew *crew, size_t upstream, enum board_want want);
/* A flow may have been cut through while its upstream was being disabled. */
void crew_end_disabled(struct crew *crew);

/* --- for crew_upstreams.c ------------------------------------------------- */

/* fd: -1, or one that goes with it. */
void crew_command(const struct member *m, enum worker_command what, int fd);

#endif
