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

static void warn_lists(struct parser *p, const bool *is_used)
{
	for (size_t i = 0; i < p->config->list_count; i++) {
		const struct list *l = &p->config->lists[i];

		if (!l->count)
			(void)report_warning(p->report, l->at,
					     "list \"%s\" is empty", l->name);
		if (!is_used[i])
			(void)report_warning(p->report, l->at,
					     "list \"%s\" is never used",
					     l->name);
	}
}

static void warn_upstreams(struct parser *p)
{
	const struct config *c = p->config;
	bool is_used[UPSTREAMS_MAX] = { 0 };

	for (size_t i = 0; i < c->rule_count; i++)
		is_used[c->rules[i].upstream] = true;
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++) {
		if (!is_used[i])
			(void)report_warning(p->report, c->upstreams[i].at,
					     "upstream \"%s\" is never used",
					     c->upstreams[i].name);
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

static bool covers_rule(const struct rule *outer, const struct rule *inner,
			size_t *steps)
{
	if (outer->has_intercept &&
	    !(inner->has_intercept && inner->intercept == outer->intercept))
		return false;
	return !(inner->protos & ~outer->protos) &&
	       covers_ports(outer, inner, steps) &&
	       covers_nets(&outer->src, &inner->src, steps) &&
	       covers_nets(&outer->dst, &inner->dst, steps);
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
		while (before < i && !covers_rule(&c->rules[before], r, &steps))
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

		if (in->has_deliver || !is_all_direct(c, i))
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

/* --- intercepts that want the same traffic ------------------------------- */

static bool is_pattern(const char *name, size_t *len)
{
	*len = strlen(name);
	if (!*len || name[*len - 1] != '*')
		return false;
	--*len;
	return true;
}

/* Can one interface match both? */
static bool ifnames_meet(const char *a, const char *b)
{
	size_t a_len, b_len, common;

	if (!is_pattern(a, &a_len))
		return ifname_matches(b, a);
	if (!is_pattern(b, &b_len))
		return ifname_matches(a, b);
	common = a_len < b_len ? a_len : b_len;
	return strncmp(a, b, common) == 0;
}

/* Does each interface that matches inner match outer as well? */
static bool ifname_covers(const char *outer, const char *inner)
{
	size_t outer_len, inner_len;

	if (!is_pattern(inner, &inner_len))
		return ifname_matches(outer, inner);
	return is_pattern(outer, &outer_len) && outer_len <= inner_len &&
	       strncmp(outer, inner, outer_len) == 0;
}

static bool sources_meet(const struct intercept *a, const struct intercept *b)
{
	for (size_t i = 0; i < a->ifname_count; i++) {
		for (size_t j = 0; j < b->ifname_count; j++) {
			if (ifnames_meet(a->ifnames[i], b->ifnames[j]))
				return true;
		}
	}
	return a->from_host && b->from_host;
}

static bool source_covers(const struct intercept *outer, const char *inner)
{
	for (size_t i = 0; i < outer->ifname_count; i++) {
		if (ifname_covers(outer->ifnames[i], inner))
			return true;
	}
	return false;
}

static bool sources_cover(const struct intercept *outer,
			  const struct intercept *inner)
{
	for (size_t i = 0; i < inner->ifname_count; i++) {
		if (!source_covers(outer, inner->ifnames[i]))
			return false;
	}
	return outer->from_host || !inner->from_host;
}

static bool has_any_family(const struct intercept *i)
{
	return !i->has_deliver || i->deliver.family == AF_UNSPEC;
}

static bool families_meet(const struct intercept *a, const struct intercept *b)
{
	return has_any_family(a) || has_any_family(b) ||
	       a->deliver.family == b->deliver.family;
}

static bool families_cover(const struct intercept *outer,
			   const struct intercept *inner)
{
	return has_any_family(outer) ||
	       (!has_any_family(inner) &&
		inner->deliver.family == outer->deliver.family);
}

/* A port of the earlier one that the later one wants too; 0: none. */
static uint16_t ports_meet(const struct intercept *first,
			   const struct intercept *later, const char **proto)
{
	uint16_t port = 0;

	for (size_t i = 0; i < PROTO_COUNT && !port; i++) {
		*proto = proto_words[i];
		port = port_set_meets(&first->ports[i], &later->ports[i],
				      &first->except_port);
	}
	return port && port_set_has(&later->except_port, port) ? 0 : port;
}

static bool ports_cover(const struct intercept *outer,
			const struct intercept *inner)
{
	return !outer->except_port.count &&
	       port_set_covers(&outer->ports[PROTO_TCP],
			       &inner->ports[PROTO_TCP]) &&
	       port_set_covers(&outer->ports[PROTO_UDP],
			       &inner->ports[PROTO_UDP]);
}

static void warn_pair(struct parser *p, const struct intercept *first,
		      const struct intercept *later)
{
	const char *proto = NULL;
	uint16_t port;

	if (first->except_src.count || first->except_dst.count ||
	    first->except_user_count || first->except_cgroup_count)
		return; /* what it excepts goes on to the later one */
	port = ports_meet(first, later, &proto);
	if (!port || !sources_meet(first, later) ||
	    !families_meet(first, later))
		return;
	if (sources_cover(first, later) && ports_cover(first, later) &&
	    families_cover(first, later))
		(void)report_warning(p->report, later->at,
				     "intercept \"%s\" on line %u is never "
				     "reached: \"%s\" on line %u takes all of "
				     "its traffic",
				     later->name, later->at.line, first->name,
				     first->at.line);
	else if (!first->has_deliver && !later->has_deliver)
		(void)report_warning(p->report, later->at,
				     "intercept \"%s\" on line %u and \"%s\" "
				     "on line %u select the same traffic, such "
				     "as %s port %u; \"%s\" takes it",
				     later->name, later->at.line, first->name,
				     first->at.line, proto, port, first->name);
}

static void warn_intercepts(struct parser *p)
{
	const struct config *c = p->config;

	if (!c->intercept_count)
		(void)report_warning(p->report, (struct place){ 0 },
				     "there is no intercept, so there is "
				     "nothing to do");
	for (size_t later = 1; later < c->intercept_count; later++) {
		for (size_t first = 0; first < later; first++)
			warn_pair(p, &c->intercepts[first],
				  &c->intercepts[later]);
	}
}

void check_warn(struct parser *p, const bool *is_list_used)
{
	warn_lists(p, is_list_used);
	warn_upstreams(p);
	warn_idle_rules(p);
	warn_covered_rules(p);
	warn_direct(p);
	warn_intercepts(p);
}
