/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_decide.h - the chains that decide, the same for both sides.
 *
 * A side is where packets come from: interfaces, or this host itself.  Their
 * chains have the same names and stand in different tables; what they decide
 * is a mark, and the marks differ.  iptables_render.c has the whole picture.
 */
#ifndef WL_ENGINE_IPTABLES_DECIDE_H
#define WL_ENGINE_IPTABLES_DECIDE_H

#include "engine/iptables_write.h"
#include "engine/select.h"

struct side {
	enum iptables_table table;
	bool is_host;
	uint32_t take, reject, drop; /* marks; drop 0: at once */
};

struct render {
	struct writer w;
	const struct selections *selections;
	const struct config *c;
};

/* The name of one of intercept i's chains: "waylay-match-0". */
struct name {
	char text[32];
};
struct name name_of(const char *what, size_t intercept);

bool takes_from(const struct intercept *it, const struct side *side);
bool takes_family(const struct render *r, size_t i);

/* Behind the rules that `chain` has already: what is never intercepted, then
 * each intercept in turn.  Adds the chains that it needs. */
void put_decision(struct render *r, const char *chain, const struct side *side);

/* comment "": none. */
void put_mark(struct render *r, const char *chain, const char *comment,
	      uint32_t mark);
/* A chain of that one rule. */
void put_marking(struct render *r, const char *chain, const char *comment,
		 uint32_t mark);
/* One rule for each interface of intercept i. */
void put_interfaces(struct render *r, const char *chain, const char *option,
		    size_t i, const char *what);
/* What the intercept excepts leaves the chain. */
void put_exceptions(struct render *r, const char *chain, size_t i);

#endif
