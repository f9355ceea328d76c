/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew_report.h - what the supervisor says of its workers in the log.
 *
 * Workers count and note; they do not print.  Once a second, and when one of
 * them asks for it, what they wrote is looked at, and what changed is said
 * once.
 */
#ifndef WL_DAEMON_CREW_REPORT_H
#define WL_DAEMON_CREW_REPORT_H

#include "base/loop.h"
#include "daemon/complaints.h"
#include "daemon/upstream_log.h"

struct crew;
struct member;

enum { CREW_LOOK_MS = 1000 };

struct crew_report {
	struct timer look;
	struct complaints complaints;
	struct upstream_log upstreams;
	bool is_drained[UPSTREAMS_MAX]; /* that was said */
};

/* A generation has become the current one, or, at the end, none is. */
void crew_report_begin(struct crew *crew);
/* This worker, and the upstreams. */
void crew_report_member(struct member *m);

#endif
