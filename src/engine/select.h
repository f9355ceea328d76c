/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.h - the selections of a plan: one list that all engines carry out.
 *
 * Intercepts and rules, multiplied out: the first selection whose conditions
 * all hold decides about a packet that is not this host's own business
 * (eval.h says which packets those are).  No selection: it passes.
 *
 * A selection borrows from the configuration; its exceptions are those of its
 * intercept.  Rules that make no difference here are left out: for intercept
 * i, the rules behind the last one whose eval_rule_kind() differs from that of
 * the default.  The last selection of an intercept has no rule conditions.
 *
 * Names and QUIC are not known here.  A rule that asks for them is a selection
 * of kind RELAY with its other conditions; that on dst is said by
 * eval_rule_dst().  An intercept with `listen` makes no selection.
 */
#ifndef WL_ENGINE_SELECT_H
#define WL_ENGINE_SELECT_H

#include "base/err.h"
#include "policy/eval.h"

enum { SELECTIONS_MAX = 1024 };

struct selection {
	enum verdict_kind kind;	 /* PASS: a rule says `direct` */
	size_t intercept;	 /* index into config.intercepts */
	const struct rule *rule; /* its conditions hold too; NULL: none */
};

struct selections {
	const struct config *config;
	size_t count;
	struct selection of[SELECTIONS_MAX];
};

/* -E2BIG and one sentence if there are more than SELECTIONS_MAX. */
int selections_make(const struct config *c, struct selections *out,
		    struct err *e);

/* The conditions, one dimension each; exceptions of the intercept included. */
bool selection_has_src(const struct config *c, const struct selection *s,
		       const struct addr *src);
bool selection_has_dst(const struct config *c, const struct selection *s,
		       const struct addr *dst); /* without its port */
bool selection_has_port(const struct config *c, const struct selection *s,
			enum proto proto, uint16_t port);
/* ifname NULL: this host itself. */
bool selection_has_link(const struct config *c, const struct selection *s,
			const char *ifname);

/* Can the intercept's `deliver` take this family at all? */
bool selection_has_family(const struct config *c, const struct selection *s,
			  int family);

#endif
