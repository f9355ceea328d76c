/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_explain.h - the answer to `explain`: by which rule a flow would go.
 */
#ifndef WL_DAEMON_REPORT_EXPLAIN_H
#define WL_DAEMON_REPORT_EXPLAIN_H

#include <jansson.h>

struct supervisor;

/* By the configuration in force.  doc/control.md has the fields. */
json_t *report_explain(struct supervisor *s, const json_t *request);

#endif
