/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_warn.c - what is allowed, but hardly meant.
 *
 * Each function looks for one thing and warns; none changes the model.  They
 * see simple cases only: a rule that two earlier ones cover together is not
 * found.
 */
#include "policy/parse.h"
#include "policy/eval.h"
#include "policy/set.h"
#include "policy/words.h"

#include <string.h>

/* --- things that nobody uses --------------------------------------------- */

/* Its files could hold anything. */
static bool is_unread(const struct parser *p, const struct list *l)
{
	return l->file_count && !p->files;
}

static void warn_lists(struct parser *p, const bool *is_used)
{
	for (size_t i = 0; i < p->config->list_count; i++) {
		const struct list *l = &p->config->lists[i];

		if (!l->set.count && !l->names && !is_unread(p, l))
			(void)report_warning(p->report, l->at,
					     "list \"%s\" is empty", l->name);
		if (!is_used[i])
			(void)report_warning(p->report, l->at,
					     "list \"%s\" is never used",
					     l->name);
	}
}

static void mark_group(const struct group *g, bool *is_used)
{
	for (size_t i = 0; i < g->member_count; i++)
		is_used[g->members[i]] = true;
	is_used[g->fallback] = true;
}

static void warn_upstreams(struct parser *p)
{
	const struct config *c = p->config;
	bool is_used[UPSTREAMS_MAX] = { 0 };

	for (size_t i = 0; i < c->rule_count; i++)
		is_used[c->rules[i].upstream] = true;
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++) {
		if (c->upstreams[i].kind == UPSTREAM_GROUP)
			mark_group(c->upstreams[i].group, is_used);
	}
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++) {
		const struct upstream *u = &c->upstreams[i];

		if (!is_used[i])
			(void)report_warning(
				p->report, u->at, "%s \"%s\" is never used",
				u->kind == UPSTREAM_GROUP ? "group"
							  : "upstream",
				u->name);
	}
}

static void warn_idle_rules(struct parser *p)
{
	const struct config *c = p->config;

	for (size_t i = 0; i < c->rule_count; i++) {
		const struct rule *r = &c->rules[i];

		if (r->has_intercept && c->intercepts[r->intercept].has_deliver)
			(void)report_warning(
				p->report, r->at,
				"this rule is never used: intercept \"%s\" "
				"(line %u) delivers to another program, and "
				"rules do not see its flows",
				c->intercepts[r->intercept].name,
				c->intercepts[r->intercept].at.line);
	}
}

/* --- rules behind others that take all of theirs ------------------------- */

/* A warning is a courtesy: stop looking after so many comparisons. */
enum { COVER_STEPS_MAX = 1000 * 1000 };

static bool covers_nets(const struct net_expr *outer,
			const struct net_expr *inner, size_t *steps)
{
	if (!outer->count)
		return true;
	if (!inner->count)
		return false;
	if (outer->set.prefixes == inner->set.prefixes)
		return true; /* one list */
	for (size_t i = 0; i < inner->set.count; i++) {
		if (++*steps > COVER_STEPS_MAX ||
		    !net_set_covers(&outer->set, &inner->set.prefixes[i]))
			return false;
	}
	return true;
}

static bool covers_ports(const struct rule *outer, const struct rule *inner,
			 size_t *steps)
{
	static struct port_range all_range = { 1, UINT16_MAX };
	static const struct port_set all = { &all_range, 1 };

	if (!outer->has_ports)
		return true;
	*steps += inner->ports.count;
	return port_set_covers(&outer->ports,
			       inner->has_ports ? &inner->ports : &all);
}

/* Might a name bring it flows to any address? */
static bool has_any_dst(const struct parser *p, const struct rule *r)
{
	const struct net_term *term = r->dst.terms;

	return !eval_rule_dst(r) ||
	       (r->dst.count == 1 && term->kind == NET_TERM_LIST &&
		is_unread(p, &p->config->lists[term->list]));
}

static bool covers_dst(const struct parser *p, const struct rule *outer,
		       const struct rule *inner, size_t *steps)
{
	if (has_any_dst(p, inner))
		return !outer->dst.count;
	return covers_nets(&outer->dst, &inner->dst, steps);
}

/* A rule that asks for a name may let any flow go on to the later ones. */
static bool covers_rule(const struct parser *p, const struct rule *outer,
			const struct rule *inner, size_t *steps)
{
	if (eval_rule_is_open(outer))
		return false;
	if (outer->has_intercept &&
	    !(inner->has_intercept && inner->intercept == outer->intercept))
		return false;
	return !(inner->protos & ~outer->protos) &&
	       covers_ports(outer, inner, steps) &&
	       covers_nets(&outer->src, &inner->src, steps) &&
	       covers_dst(p, outer, inner, steps);
}

static void warn_covered_rules(struct parser *p)
{
	const struct config *c = p->config;
	size_t steps = 0, before;

	for (size_t i = 1; i < c->rule_count && steps <= COVER_STEPS_MAX; i++) {
		const struct rule *r = &c->rules[i];

		if (r->is_default)
			break;
		before = 0;
		while (before < i &&
		       !covers_rule(p, &c->rules[before], r, &steps))
			before++;
		steps += before;
		if (before < i && steps <= COVER_STEPS_MAX)
			(void)report_warning(
				p->report, r->at,
				"this rule is never reached: the rule on line "
				"%u takes all of its traffic",
				c->rules[before].at.line);
	}
}

/* --- rules that ask for what nobody looks for ---------------------------- */

static bool can_sniff(const struct config *c, unsigned protos)
{
	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (protos & 1u << proto && eval_can_sniff(c, proto))
			return true;
	}
	return false;
}

static void warn_blind_rules(struct parser *p)
{
	const struct config *c = p->config;

	for (size_t i = 0; i < c->rule_count; i++) {
		const struct rule *r = &c->rules[i];

		if (!eval_rule_is_open(r) || can_sniff(c, r->protos))
			continue;
		(void)report_warning(p->report, r->at,
				     "this rule asks for %s, and \"sniff\" "
				     "(line %u) leaves out all that could tell "
				     "it",
				     r->is_quic ? "QUIC" : "a name",
				     c->sniff.at.line);
	}
}

/* --- intercepts that intercept nothing ----------------------------------- */

static unsigned protos_of(const struct intercept *i)
{
	unsigned protos = 0;

	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (i->ports[proto].count)
			protos |= 1u << proto;
	}
	return protos;
}

/* Do all rules up to one that takes what is left say direct? */
static bool is_all_direct(const struct config *c, size_t intercept)
{
	unsigned left = protos_of(&c->intercepts[intercept]);

	for (size_t i = 0; i < c->rule_count && left; i++) {
		const struct rule *r = &c->rules[i];

		if ((r->has_intercept && r->intercept != intercept) ||
		    !(r->protos & left))
			continue;
		if (eval_rule_kind(c, i) != VERDICT_PASS)
			return false;
		if (!r->src.count && !r->dst.count && !r->has_ports)
			left &= ~(unsigned)r->protos;
	}
	return true;
}

static void warn_direct(struct parser *p)
{
	const struct config *c = p->config;

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];
		struct message *m;

		if (in->has_deliver || in->has_listen || !is_all_direct(c, i))
			continue;
		m = report_warning(p->report, in->at,
				   "intercept \"%s\": every rule for it says "
				   "direct, so nothing is intercepted",
				   in->name);
		message_help(m, "to have its flows relayed and listed, name an "
				"upstream: \"upstream out { via direct }\" and "
				"\"default -> out\"");
	}
}

/* --- what NAT hides ------------------------------------------------------ */

/* Once is enough. */
static void warn_redirected(struct parser *p)
{
	const struct config *c = p->config;
	struct message *m;
	size_t i = 0;

	while (i < c->intercept_count &&
	       !c->intercepts[i].redirected_from.count)
		i++;
	if (i == c->intercept_count)
		return;
	m = report_warning(
		p->report, c->intercepts[i].at,
		"intercept \"%s\": NAT may change a client's port, or "
		"merge flows that share one, and UDP cannot come "
		"this way",
		c->intercepts[i].name);
	message_help(m, "where packets can be taken themselves, say \"from "
			"INTERFACE\" or \"from host\" instead");
}

/* --- proxies beside us -----------------------------------------------------
 */

static bool is_beside(const struct upstream *u)
{
	return u->kind > UPSTREAM_DROP && u->has_to && u->to.family &&
	       addr_is_loopback(&u->to);
}

/* Does it take what any program of this host opens? */
static bool takes_own(const struct intercept *i)
{
	return i->from_host && i->ports[PROTO_TCP].count && !i->has_deliver &&
	       !i->except_user_count && !i->except_cgroup_count;
}

static void warn_neighbour(struct parser *p, const struct upstream *u)
{
	const struct config *c = p->config;
	struct message *m;

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];

		if (!takes_own(in))
			continue;
		m = report_warning(p->report, u->at,
				   "upstream \"%s\" is on this host, and "
				   "intercept \"%s\" (line %u) takes this "
				   "host's traffic: its own connections would "
				   "come back to it",
				   u->name, in->name, in->at.line);
		message_help(m, "except its user or its cgroup");
		return;
	}
}

static void warn_neighbours(struct parser *p)
{
	const struct config *c = p->config;

	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++) {
		if (is_beside(&c->upstreams[i]))
			warn_neighbour(p, &c->upstreams[i]);
	}
}

void check_warn(struct parser *p, const bool *is_list_used)
{
	warn_lists(p, is_list_used);
	warn_upstreams(p);
	warn_idle_rules(p);
	warn_covered_rules(p);
	warn_blind_rules(p);
	warn_direct(p);
	warn_redirected(p);
	warn_neighbours(p);
	check_meet(p);
}
