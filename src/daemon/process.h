/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - what a forked child becomes: a worker, the resolver, the cutter.
 *
 * What it does before it serves: keep only the descriptors that are its own,
 * allocate and read, give up privileges.  It is in the namespace of the server
 * legs already (outside.h).  Read privilege.h, relay/worker.h, resolver.h and
 * cutter.h next.
 */
#ifndef WL_DAEMON_PROCESS_H
#define WL_DAEMON_PROCESS_H

#include "daemon/cutter.h"
#include "relay/worker.h"

/* Ends the process: status 0 when there was nothing left to do, 1 if it could
 * not start (and said why). */
_Noreturn void process_run(const struct worker_args *args, bool is_strict);

struct process_resolver {
	const struct config *config;
	struct board *board;
	int channel_fd; /* its end is ours */
	uint32_t mark;	/* of its sockets; 0: none */
	bool is_strict;
};

/* The same for the resolver. */
_Noreturn void process_resolve(const struct process_resolver *p);

struct process_cutter {
	struct cutter_args args;
	bool is_strict;
};

/* The same for the cutter. */
_Noreturn void process_cut(const struct process_cutter *p);

/* What all do first: a name, signals, and no descriptor but keep[] (which is
 * sorted) and the standard three.  0 or -errno. */
int process_settle(const char *name, int *keep, size_t count);

#endif
