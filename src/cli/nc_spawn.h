/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_spawn.h - start the command of --exec or --sh-exec for one connection.
 *
 * The connection is its standard input and output; standard error stays ours.
 * WAYLAY_* variables say who came and where it wanted to go.  --exec is split
 * at blanks and knows neither quotes nor variables; --sh-exec is for /bin/sh.
 */
#ifndef WL_CLI_NC_SPAWN_H
#define WL_CLI_NC_SPAWN_H

#include "cli/nc_listen.h"

#include <signal.h>
#include <sys/types.h>

enum { NC_CHILDREN_MAX = 256 };

struct nc_child {
	pid_t pid; /* 0: none */
	int pidfd; /* readable when it has ended */
};

/* mask: the signals that the command has blocked.  Does not take fd. */
int nc_spawn(const struct nc_options *o, int fd, const struct nc_visit *v,
	     const sigset_t *mask, struct nc_child *out, struct err *e);
/* Of one that has ended: its status, or 128+N after signal N. */
int nc_spawn_reap(struct nc_child *c);
/* Ask it to end (SIGTERM), and forget it. */
void nc_spawn_abandon(struct nc_child *c);
/* Has it come to its own end, so that what it has sent is all? */
bool nc_spawn_is_whole(int status);

#endif
