/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_rules.h - the answer to `rules`: what an engine makes of it all.
 */
#ifndef WL_DAEMON_REPORT_RULES_H
#define WL_DAEMON_REPORT_RULES_H

#include <jansson.h>

struct supervisor;

/* For the engine that `request` names, or the running one, which has
 * counters, too.  doc/control.md has the fields. */
json_t *report_rules(struct supervisor *s, const json_t *request);

#endif
