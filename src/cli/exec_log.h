/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_log.h - the flows of `waylay exec`, from who knows of them to who reads.
 *
 * The private waylayd logs JSON lines on a pipe: first `ready:` or an error,
 * then a record for each flow.  The tap (exec_tap.h) writes such records of
 * what the kernel refused.  A thread reads both while the command runs, so
 * that no pipe ever fills: it writes them to the file of --log, and keeps them
 * up to a limit for the end.
 */
#ifndef WL_CLI_EXEC_LOG_H
#define WL_CLI_EXEC_LOG_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	EXEC_LOG_FLOWS_MAX = 10000,
	EXEC_LOG_REFUSED_MAX = 1000,
	EXEC_LOG_WARNINGS_MAX = 16,
	EXEC_LOG_READY_MS = 15000,
};

struct exec_log_source {
	int fd;		    /* -1: none, or ended */
	struct str pending; /* an incomplete line */
};

struct exec_log {	/* zeros, then what is set by the caller: empty */
	FILE *file;	/* each flow at its end; NULL: nowhere; set */
	int file_error; /* the first, or 0 */
	bool is_json;	/* set */
	/* How a line begins that must have come, too, before all is ready: a
	 * warning is a failure; NULL: none; set. */
	const char *awaited;
	bool has_come, has_failed;
	struct exec_log_source sources[2];
	struct str complaints; /* what was said before `ready:` */
	struct str warnings;   /* and what went wrong behind it */
	unsigned warning_count;
	json_t *flows;
	size_t flow_count; /* seen; more than kept */
	json_t *refused;   /* "tcp 192.0.2.1:80": how often */
	size_t refused_lost;
	bool is_ready;
	pthread_t reader;
};

/* Read until `ready:` and what is awaited.  Keeps fd.  -errno with what waylayd
 * said instead. */
int exec_log_wait_ready(struct exec_log *l, int fd, struct err *e);
/* Go on reading beside the caller, also from another_fd (-1: none, kept),
 * until both writers close. */
int exec_log_follow(struct exec_log *l, int another_fd);
/* Wait for that end.  -errno if the file is not complete. */
int exec_log_finish(struct exec_log *l);
/* To stderr: flows, unless a file has them; what was refused. */
void exec_log_print(const struct exec_log *l);
void exec_log_done(struct exec_log *l);

#endif
