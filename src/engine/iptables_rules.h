/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_rules.h - our part of one family's tables, as text.
 *
 * Made from a plan (iptables_render.h) or read from what iptables-save
 * prints; with both, the script for iptables-restore that leads from one to
 * the other.  Ours is every chain whose name begins with "waylay-" and every
 * rule elsewhere that leads to one.  Pure: text in, text out.
 */
#ifndef WL_ENGINE_IPTABLES_RULES_H
#define WL_ENGINE_IPTABLES_RULES_H

#include "base/str.h"

/* In the order in which they are loaded: what takes packets comes last. */
enum iptables_table {
	IPTABLES_FILTER,
	IPTABLES_MANGLE,
	IPTABLES_RAW,
	IPTABLES_TABLES
};

/* One line each, ending with a newline. */
struct iptables_part {
	struct str chains; /* ":waylay-in - [0:0]" */
	struct str rules;  /* "-A waylay-in ..." */
	struct str hooks;  /* "PREROUTING ... -j waylay-in": without -A */
};

/* One of zeros is empty and valid. */
struct iptables_rules {
	struct iptables_part parts[IPTABLES_TABLES];
};

/* Take what is ours out of a listing; without counters. */
void iptables_rules_read(const char *listing, struct iptables_rules *out);
bool iptables_rules_are_none(const struct iptables_rules *r);
bool iptables_rules_ok(const struct iptables_rules *r); /* memory sufficed */
void iptables_rules_done(struct iptables_rules *r);

/* Everything, in a form that two listings of the same rules share. */
void iptables_rules_print(const struct iptables_rules *r, struct str *out);
/* Lead from `now` to `want`.  Nothing to do: nothing is added. */
void iptables_rules_script(const struct iptables_rules *now,
			   const struct iptables_rules *want, struct str *out);

#endif
