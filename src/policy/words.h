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
extern const char *const log_level_words[];
extern const char *const log_format_words[]; /* the last means text as well */
extern const char *const source_words[];
extern const char *const via_words[];
extern const char *const proto_words[];

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
};

/* "2h5m"; "0s" for nothing.  Writes at most DURATION_TEXT_MAX bytes. */
char *duration_format(uint32_t ms, char *buf);

/* All values as they are when nothing is said; half_closed_ms stays 0, that
 * is "as idle_ms", until check.c. */
void config_set_defaults(struct config *c);

/* The prefixes that `private` stands for; returns how many. */
size_t private_prefixes(const struct prefix **out);

#endif
