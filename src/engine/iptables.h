/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables.h - the iptables engine: for hosts that have xtables and no more.
 *
 * Chains of our own, all named waylay-..., in the tables raw, mangle and
 * filter, and one rule in each built-in chain that leads to them.  They are
 * loaded by `iptables-restore --noflush -w` and its IPv6 twin in child
 * processes, whichever variant (nft or legacy) those names stand for.
 *
 * One table of one family is replaced in one transaction.  Tables and
 * families come one after the other, what takes packets last; if one fails,
 * those before it are put back.
 *
 * iptables_render.c says which rules, and why; iptables_rules.h how they are
 * told from other people's; iptables_check.c what this engine cannot do.
 */
#ifndef WL_ENGINE_IPTABLES_H
#define WL_ENGINE_IPTABLES_H

#include "engine/engine.h"

enum {
	/* Prefixes of one family that one condition may name: each is a rule
	 * of its own, asked one after the other. */
	IPTABLES_PREFIXES_MAX = 64,
	/* With on-failure open, interception ends so many seconds after the
	 * last is_intact() or install(). */
	IPTABLES_LEASE_S = 5,
};

extern const struct engine engine_iptables;

/* The slot that stands in a file of its own. */
int iptables_check(const struct config *c, struct err *e);

#endif
