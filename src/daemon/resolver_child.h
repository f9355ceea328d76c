/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver_child.h - the supervisor's side of the resolver.
 *
 * There is a resolver process for the current generation if any of its
 * upstreams has a name.  A new generation, and a change of /etc/resolv.conf or
 * /etc/hosts, begin a new one; what it dies of, it is begun again after a
 * pause.  It ends with its channel, so also with the supervisor.
 */
#ifndef WL_DAEMON_RESOLVER_CHILD_H
#define WL_DAEMON_RESOLVER_CHILD_H

#include "base/loop.h"
#include "daemon/file_watch.h"
#include "relay/board.h"

#include <sys/types.h>

enum {
	RESOLVER_YOUNG_MS = 10000, /* who dies earlier did not work at all */
	RESOLVER_PAUSE_MS = 1000,  /* doubling for the young */
	RESOLVER_PAUSE_MAX_MS = 64000,
};

struct resolver_child { /* zeros, then resolver_child_init() */
	struct loop *loop;
	struct timer revive;
	struct file_watch files;     /* of this host's names */
	const struct config *config; /* NULL: no names to be looked up */
	struct board *board;
	uint64_t begun_ms;
	uint32_t pause_ms;
	pid_t pid;		 /* 0: none runs */
	int channel_fd;		 /* -1: none */
	struct outside *outside; /* where server legs live; NULL: here */
	bool is_strict;		 /* sandbox */
};

void resolver_child_init(struct resolver_child *r, struct loop *l);
/* From now on for c and b, which are kept until the next call.  NULL: the end.
 * Whoever ran for another configuration is gone when this returns. */
void resolver_child_set(struct resolver_child *r, const struct config *c,
			struct board *b);
/* To be called at SIGCHLD. */
void resolver_child_reap(struct resolver_child *r);

#endif
