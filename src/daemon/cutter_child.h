/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_child.h - the supervisor's side of the cutter.
 *
 * One cutter process for all generations.  What it dies of, it is begun again
 * after a pause: flows that are cut go on meanwhile, and its memory (records,
 * and what belongs to them) is the supervisor's and goes on too.  Flows whose
 * sockets it had in hand are reset by the kernel.  Workers hear of its end by
 * their channels, and are given new ones when the next one has begun.
 */
#ifndef WL_DAEMON_CUTTER_CHILD_H
#define WL_DAEMON_CUTTER_CHILD_H

#include "base/err.h"
#include "daemon/cutter.h"

#include <sys/types.h>

enum {
	CUTTER_YOUNG_MS = 10000, /* who dies earlier did not work at all */
	CUTTER_PAUSE_MS = 1000,	 /* doubling for the young */
	CUTTER_PAUSE_MAX_MS = 64000,
};

typedef void (*cutter_child_fn)(void *ctx);

struct cutter_child_args {
	struct loop *loop;
	struct cut_table table; /* borrowed descriptors */
	int raw_fd[2];		/* the same */
	uint32_t flow_max;
	bool is_strict;		 /* sandbox */
	cutter_child_fn on_news; /* flows have ended: read the ring */
	/* It has begun again: the workers need channels. */
	cutter_child_fn on_begun;
	void *ctx;
};

struct cutter_child { /* zeros: there is none */
	struct cutter_child_args args;
	struct watch watch;
	struct timer revive;
	struct shared *shared; /* NULL: there is none */
	struct cut_orders *orders;
	struct cut_entry *entries;
	uint64_t begun_ms;
	uint32_t pause_ms;
	uint32_t generation; /* for what is adopted; see cutter.h */
	uint32_t restarts;
	pid_t pid; /* 0: none runs */
	int channel_fd;
};

/* Begin it.  0, or -errno with e and all as before. */
int cutter_child_begin(struct cutter_child *c,
		       const struct cutter_child_args *args,
		       uint32_t generation, struct err *e);
/* A channel to it for a worker of this generation: the worker's end, to be
 * closed by the caller; -1: it has none now. */
int cutter_child_connect(struct cutter_child *c, uint32_t generation);
/* There are new wishes in c->orders. */
void cutter_child_look(const struct cutter_child *c);
/* To be called at SIGCHLD. */
void cutter_child_reap(struct cutter_child *c);
/* End it; its memory stays. */
void cutter_child_stop(struct cutter_child *c);
void cutter_child_done(struct cutter_child *c);

#endif
