/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - flows as people read them.
 *
 * A record as the worker wrote it holds indexes of a configuration that may
 * be gone tomorrow.  Here it becomes a view with names: a log line, a JSON
 * object, an entry of the list of flows that ended last.
 */
#ifndef WL_DAEMON_HISTORY_H
#define WL_DAEMON_HISTORY_H

#include "policy/model.h"
#include "relay/shared.h"

#include <jansson.h>

enum { HISTORY_MAX = 1000 };

struct history_entry {
	struct flow_record record;
	char intercept[NAME_TEXT_MAX];
	char upstream[NAME_TEXT_MAX];
};

struct history {
	struct history_entry *entries; /* a ring of HISTORY_MAX */
	uint64_t count;		       /* ever added */
};

int history_init(struct history *h); /* 0 or -ENOMEM */
void history_done(struct history *h);
/* A flow has ended: remember it, and log it if is_logged. */
void history_add(struct history *h, const struct config *c,
		 const struct flow_record *r, bool is_logged);

/* A new JSON object; now_ms as the record's times.  NULL without memory. */
json_t *history_json(const struct history_entry *entry, uint64_t now_ms);
/* Names for a record that is still alive. */
void history_name(const struct config *c, const struct flow_record *r,
		  struct history_entry *out);
/* The last `most` ended flows as a JSON array, newest last. */
json_t *history_list(const struct history *h, size_t most, uint64_t now_ms);

#endif
