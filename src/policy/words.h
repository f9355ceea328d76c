/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - the words of the language that parser and printer share.
 *
 * One table per enum of model.h, and the units of durations.  A word that
 * is written here can be both read and printed; nothing else knows it.
 */
#ifndef WL_POLICY_WORDS_H
#define WL_POLICY_WORDS_H

#include "policy/model.h"

/* Each ends with NULL. */
extern const char *const engine_words[];
extern const char *const on_failure_words[];
extern const char *const cut_through_words[];
extern const char *const log_level_words[];
extern const char *const log_format_words[]; /* the last means text as well */
extern const char *const source_words[];
extern const char *const via_words[];
extern const char *const proto_words[];
extern const char *const pipeline_words[];
extern const char *const balance_words[]; /* the last goes on: "hash client" */
extern const char *const secret_words[]; /* what stands in front of the colon */

struct duration_unit {
	const char *name;
	uint32_t ms;
};

/* From days down to milliseconds, ends with a NULL name. */
extern const struct duration_unit duration_units[];

enum {
	DURATION_TEXT_MAX = 48,
	MARK_DEFAULT = 0x1000,
	MASK_DEFAULT = 0x3000,
	HEALTH_EVERY_MS = 10 * 1000,
	HEALTH_TIMEOUT_MS = 3 * 1000,
	HEALTH_RISE = 2,
	HEALTH_FALL = 3,
};

/* "2h5m"; "0s" for nothing.  Writes at most DURATION_TEXT_MAX bytes. */
char *duration_format(uint32_t ms, char *buf);

/* All values as they are when nothing is said; half_closed_ms stays 0, that
 * is "as idle_ms", until check.c. */
void config_set_defaults(struct config *c);

/* What an upstream is when it does not say `source`. */
enum upstream_source source_default(enum upstream_kind kind);

/* The prefixes that `private` stands for; returns how many. */
size_t private_prefixes(const struct prefix **out);

#endif
