/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - waylayd, the process with the privileges.
 *
 * It reads the configuration, opens the listeners, lets the engine install
 * its rules, keeps the workers and the resolver, answers the control socket,
 * guards what it installed, and at the end takes all of it away.  It never
 * parses a byte that came from the network.
 *
 * Order of things: listeners before rules, so that no flow is intercepted
 * before it can wait in a queue; rules before workers, so that a refused rule
 * changes nothing; at the end rules before workers.
 *
 * Read crew.h (workers), resolver_child.h, cut_keeper.h (cut-through),
 * listeners.h, guard.h (repairs), report.h (what it tells) next.
 */
#ifndef WL_DAEMON_SUPERVISOR_H
#define WL_DAEMON_SUPERVISOR_H

#include "base/loop.h"
#include "control/server.h"
#include "daemon/crew.h"
#include "daemon/cut_keeper.h"
#include "daemon/guard.h"
#include "daemon/history.h"
#include "daemon/installed.h"
#include "daemon/links.h"
#include "daemon/list_watch.h"
#include "daemon/listeners.h"
#include "daemon/resolver_child.h"

enum { SUPERVISOR_PROBLEMS_MAX = 8 };

struct supervisor_options {
	const char *config_file;
	const char *run_dir;
	int private_netns; /* of rules and listeners, not of server legs; -1 */
	bool is_private;   /* no control socket, ends with its parent */
	bool is_strict;	   /* a forbidden system call kills the worker */
};

struct supervisor {
	struct supervisor_options options;
	struct loop loop;
	struct watch signal_watch;
	struct timer drain_end;
	struct control_server control;
	struct listeners listeners;
	struct crew crew;
	struct cut_keeper cut;
	struct guard guard;
	struct history history;
	struct links links;
	struct installed now;
	struct resolver_child resolver;
	struct outside *outside; /* NULL: not private */
	struct file_watch lists; /* of `reload on-change` */
	struct timespec read_at; /* when reading the configuration began */
	uint64_t begun_ms;
	int signal_fd, lock_fd;
	bool is_ending;
	bool has_control;
};

/* Serve until a signal ends it.  0, or -errno with e: -EINVAL after the
 * messages of a bad configuration were printed (exit 5). */
int supervisor_run(const struct supervisor_options *o, struct err *e);

/* New workers with the configuration file as it is now.  On failure nothing
 * has changed; text tells why (messages, or one sentence). */
int supervisor_reload(struct supervisor *s, struct str *text);

/* Remove everything that a killed daemon left in this network namespace. */
int supervisor_cleanup(struct err *e);

#endif
