/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.h - policy rules, by rtnetlink.
 *
 * Only the few shapes that transparent proxying needs.  Every rule carries
 * `protocol`, by which its owner finds it again: flushing removes all and only
 * what has that protocol.  rtnetlink(7), ip-rule(8).
 */
#ifndef WL_NET_RULE_H
#define WL_NET_RULE_H

#include "base/err.h"
#include "net/addr.h"
#include "net/nl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_action { RULE_LOOKUP, RULE_GOTO, RULE_NOP };

struct ip_rule {
	int family;
	uint32_t priority;
	enum rule_action action;
	uint32_t target;       /* table, or priority to go to */
	uint32_t mark, mask;   /* mask 0: any mark */
	bool is_from_loopback; /* `iif lo`: what this host itself looks up */
	struct prefix from;    /* length 0: any source */
	uint8_t protocol;
};

/* What exists is no error. */
int rule_add(struct nl *nl, const struct ip_rule *r, struct err *e);
/* 1 if r is installed exactly, 0 if not, or -errno. */
int rule_has(struct nl *nl, const struct ip_rule *r, struct err *e);
/* Priority or table already used by somebody else?  1 yes, 0 no, -errno. */
int rule_clash(struct nl *nl, const struct ip_rule *r, struct err *e);
/* Remove all rules of this protocol, both families, but those in keep[]. */
int rule_flush(struct nl *nl, uint8_t protocol, const struct ip_rule *keep,
	       size_t keep_count, struct err *e);

#endif
