/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_json.h - the request and the reply of `explain`.
 *
 * The daemon answers for its configuration, the tool for that of a file, and
 * both with these functions; doc/control.md has the fields.
 */
#ifndef WL_CONTROL_EXPLAIN_JSON_H
#define WL_CONTROL_EXPLAIN_JSON_H

#include "policy/explain.h"

#include <jansson.h>

struct err;

/* Does not move: asked.name points into it, asked.ifname into the request. */
struct explain_request {
	struct explain_question asked;
	char name[HOST_TEXT_MAX];
};

/* -EINVAL with a sentence: what is asked makes no sense.  Which intercept
 * `from` may name is not looked at. */
int explain_json_read(const json_t *request, struct explain_request *out,
		      struct err *e);

/* A new reply, with "ok"; NULL only without memory. */
json_t *explain_json(const struct config *c, const json_t *request);

#endif
