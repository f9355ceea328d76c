/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_watch.h - what is watched wherever `waylay nc` waits.
 *
 * Signals that end it are blocked and read from a descriptor, so that each
 * wait returns in order and everything is removed; and an interception is
 * looked after.  There is no other place in which nc waits, but for name
 * servers, before anything is installed.
 */
#ifndef WL_CLI_NC_WATCH_H
#define WL_CLI_NC_WATCH_H

#include "base/err.h"
#include "cli/nc_take.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>

struct nc_watch {
	int signal_fd;
	int signal;	 /* the one that came; 0: none */
	sigset_t before; /* the mask that a command gets */
	struct nc_take *take;
	uint64_t check_ms; /* when to look after it next */
};

/* From now on signals wait until somebody waits here.  Keeps take. */
int nc_watch_open(struct nc_watch *w, struct nc_take *take, struct err *e);
/* Signals have their usual effect again. */
void nc_watch_close(struct nc_watch *w);

/*
 * poll(2); p[0] is for this function.  timeout_ms -1: none.  The count of the
 * others, 0 when the time is over, or -EINTR: a signal wants us to end.
 */
int nc_poll(struct nc_watch *w, struct pollfd *p, size_t count, int timeout_ms);
/* Wait for one descriptor. */
int nc_poll_one(struct nc_watch *w, int fd, short events, int timeout_ms);

#endif
