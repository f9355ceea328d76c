/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_upstream.h - upstreams and groups on the control socket.
 *
 * doc/control.md is the reference for the fields.
 */
#ifndef WL_DAEMON_REPORT_UPSTREAM_H
#define WL_DAEMON_REPORT_UPSTREAM_H

#include <jansson.h>

struct supervisor;

/* The answer to `upstream`: what they are, or another wish for one of them. */
json_t *report_upstream(struct supervisor *s, const json_t *request);
/* A new array, for `status`. */
json_t *report_groups(const struct supervisor *s);
/* Add a sentence for each group that has no member that is up. */
void report_group_problems(const struct supervisor *s, json_t *list);

#endif
