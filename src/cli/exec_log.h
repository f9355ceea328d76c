/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_log.h - what the private waylayd of `waylay exec` says.
 *
 * Its log is JSON lines on a pipe: first `ready:` or an error, then a record
 * for each flow.  A thread reads it while the command runs, so that the pipe
 * never fills; flows are kept up to a limit and printed at the end.
 */
#ifndef WL_CLI_EXEC_LOG_H
#define WL_CLI_EXEC_LOG_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

enum {
	EXEC_LOG_FLOWS_MAX = 10000,
	EXEC_LOG_READY_MS = 15000,
};

struct exec_log { /* zeros: empty */
	int fd;
	struct str pending;    /* an incomplete line */
	struct str complaints; /* what was said before `ready:` */
	json_t *flows;
	size_t flow_count; /* seen; more than kept */
	bool is_ready;
	pthread_t reader;
};

/* Read until `ready:`.  Keeps fd.  -errno with what waylayd said instead. */
int exec_log_wait_ready(struct exec_log *l, int fd, struct err *e);
/* Go on reading beside the caller, until the writer closes. */
int exec_log_follow(struct exec_log *l);
void exec_log_finish(struct exec_log *l); /* wait for that end */
void exec_log_print(const struct exec_log *l, bool is_json); /* to stderr */
void exec_log_done(struct exec_log *l);

#endif
