/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - why a flow goes where it goes, for people.
 *
 * explain() asks eval.h and keeps the answers; the other functions put them
 * into words.  Nothing is decided here.  Pure: the configuration and the
 * question come from the caller, and what is not known of this host (its own
 * addresses, users, the health of members) is left out.
 */
#ifndef WL_POLICY_EXPLAIN_H
#define WL_POLICY_EXPLAIN_H

#include "base/str.h"
#include "policy/eval.h"

enum explain_from {
	FROM_ANY, /* the interface where an intercept would take it */
	FROM_HOST,
	FROM_LINK,   /* ifname */
	FROM_LISTEN, /* brought to ifname, an intercept with `listen` */
};

struct explain_question {
	enum proto proto;
	struct addr src, dst; /* src.port may be 0 */
	enum explain_from from;
	const char *ifname;
	const char *name; /* domain_normalise()d; NULL: not known */
	bool is_quic;	  /* UDP only */
};

/* Const after explain(); borrows configuration and question. */
struct explanation {
	const struct config *config;
	const struct explain_question *asked;
	/* What the kernel does with the first packet, and where that came
	 * from: the question's, or the one that was found. */
	struct verdict kernel;
	enum explain_from from;
	const char *ifname;
	/* Of the flow, when all is known that may be: the rule that decides,
	 * and its upstream; -1: no rule is asked. */
	int rule, upstream;
	size_t intercepts;    /* were asked, the one that takes it included */
	bool has_unseen_name; /* a name is given, and `sniff` would not see it
			       */
};

void explain(const struct config *c, const struct explain_question *q,
	     struct explanation *out);

/* --- in words; all append to `out` --------------------------------------- */

/* Intercept i < x->intercepts: does it take the packet, and why not? */
bool explain_intercept(const struct explanation *x, size_t i, struct str *out);
/* Rule i <= x->rule: why it does not match, or on what it depends.  OPEN is an
 * answer only if the question has no name. */
enum match explain_rule(const struct explanation *x, size_t i, struct str *out);
/* "gives it to the relay: the rule of line 28 depends on the name" */
void explain_kernel(const struct explanation *x, struct str *out);
/* "socks5 198.51.100.10:1080, from this host's address"; for a group how one
 * of its members is chosen. */
void explain_upstream(const struct explanation *x, size_t upstream,
		      struct str *out);

#endif
