/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_explain.c - the answer to `explain`; see report_explain.h.
 */
#include "daemon/report_explain.h"

#include "control/explain_json.h"
#include "daemon/supervisor.h"

json_t *report_explain(struct supervisor *s, const json_t *request)
{
	return explain_json(s->now.plan.config, request);
}
