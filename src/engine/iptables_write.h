/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_write.h - conditions as rules: prefixes, ports, owners.
 *
 * iptables has no sets here, so a condition of several prefixes is several
 * rules.  When it has more than one on both sides it is not multiplied out: a
 * chain asks for the source, a second one for the destination, and a mark
 * brings the answer back to where it was asked.  Used by iptables_render.c.
 */
#ifndef WL_ENGINE_IPTABLES_WRITE_H
#define WL_ENGINE_IPTABLES_WRITE_H

#include "engine/iptables_rules.h"
#include "engine/plan.h"

struct writer {
	const struct plan *plan;
	enum family_index family;
	enum iptables_table table; /* where put_... go */
	struct iptables_rules *out;
	unsigned conditions; /* chains of conditions so far */
};

struct condition {
	const struct net_expr *src, *dst; /* NULL or not given: any */
	uint8_t protos;			  /* bit (1 << PROTO_x) */
	const struct port_set *ports;	  /* NULL: any */
};

/* How many prefixes of this family the expression has. */
size_t iptables_count(const struct net_expr *e, enum family_index f);

void put_chain(struct writer *w, const char *chain);
/* `spec` is everything behind "-A CHAIN ". */
void put_rule(struct writer *w, const char *chain, const char *spec, ...)
	__attribute__((format(printf, 3, 4)));
/* A rule of a built-in chain that leads to `chain`. */
void put_hook(struct writer *w, const char *builtin, const char *chain);

/* `option` is -s or -d: one rule a prefix. */
void put_prefixes(struct writer *w, const char *chain, const char *option,
		  const struct net_expr *e, const char *action);
/* Up to fifteen ports fit into one rule.  `what` stands behind them. */
void put_ports(struct writer *w, const char *chain, enum proto proto,
	       const struct port_set *ports, const char *what);
/* If all conditions hold, `action` ("-g CHAIN").  The mark of the packet is
 * then lost: the chain that is gone to sets it. */
void put_if(struct writer *w, const char *chain, const struct condition *c,
	    const char *action);
/* `-i NAME`, in quotes, * as +. */
void put_interface(struct writer *w, const char *chain, const char *option,
		   const char *ifname, const char *what);
void put_except_owners(struct writer *w, const char *chain,
		       const struct intercept *it);

#endif
