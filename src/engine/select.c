/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c - intercepts and rules multiplied out; see select.h.
 *
 * The conditions are asked with the look-ups of policy/eval.h, so that a set
 * means the same here and there.
 */
#include "engine/select.h"

#include <assert.h>
#include <errno.h>

/* --- the list ------------------------------------------------------------ */

/* Can rule r hold for anything that the intercept selects? */
static bool is_rule_of(const struct config *c, size_t r, size_t intercept)
{
	const struct intercept *it = &c->intercepts[intercept];
	const struct rule *rule = &c->rules[r];

	if (rule->has_intercept && rule->intercept != intercept)
		return false;
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		if ((rule->protos & 1u << p) && it->ports[p].count)
			return true;
	return false;
}

/* Behind the last rule of this intercept that does not say what the default
 * says. */
static size_t rules_end(const struct config *c, size_t intercept)
{
	size_t end = c->rule_count - 1;
	enum verdict_kind otherwise = eval_rule_kind(c, end);

	if (c->intercepts[intercept].has_deliver)
		return 0; /* rules are the relay's */
	while (end && (!is_rule_of(c, end - 1, intercept) ||
		       eval_rule_kind(c, end - 1) == otherwise))
		end--;
	return end;
}

static size_t count_selections(const struct config *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->intercept_count; i++) {
		if (c->intercepts[i].has_listen)
			continue;
		count++; /* the last one */
		for (size_t r = rules_end(c, i); r > 0; r--)
			count += is_rule_of(c, r - 1, i);
	}
	return count;
}

static void add_intercept(struct selections *out, size_t intercept)
{
	const struct config *c = out->config;
	size_t end = rules_end(c, intercept);
	struct selection last = { .kind = VERDICT_DELIVER,
				  .intercept = intercept };

	for (size_t r = 0; r < end; r++) {
		if (!is_rule_of(c, r, intercept))
			continue;
		out->of[out->count++] = (struct selection){
			.kind = eval_rule_kind(c, r),
			.intercept = intercept,
			.rule = &c->rules[r],
		};
	}
	if (!c->intercepts[intercept].has_deliver)
		last.kind = eval_rule_kind(c, c->rule_count - 1);
	out->of[out->count++] = last;
}

int selections_make(const struct config *c, struct selections *out,
		    struct err *e)
{
	size_t count;

	assert(c->rule_count); /* check.c has put a default at the end */
	count = count_selections(c);
	if (count > SELECTIONS_MAX)
		return err_set(e, E2BIG,
			       "intercepts and rules make %zu selections, one "
			       "for each rule of each intercept, and %d is the "
			       "most",
			       count, SELECTIONS_MAX);
	out->config = c;
	out->count = 0;
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].has_listen)
			add_intercept(out, i);
	}
	assert(out->count == count);
	return 0;
}

/* --- the conditions ------------------------------------------------------ */

/* NULL or not given: any address. */
static bool expr_has(const struct net_expr *e, const struct addr *a)
{
	return !e || !e->count || net_set_has(&e->set, a);
}

bool selection_has_src(const struct config *c, const struct selection *s,
		       const struct addr *src)
{
	return (!s->rule || expr_has(&s->rule->src, src)) &&
	       !net_set_has(&c->intercepts[s->intercept].except_src.set, src);
}

bool selection_has_dst(const struct config *c, const struct selection *s,
		       const struct addr *dst)
{
	return (!s->rule || expr_has(eval_rule_dst(s->rule), dst)) &&
	       !net_set_has(&c->intercepts[s->intercept].except_dst.set, dst);
}

static bool rule_has_port(const struct rule *r, enum proto proto, uint16_t port)
{
	return (r->protos & 1u << proto) &&
	       (!r->has_ports || port_set_has(&r->ports, port));
}

bool selection_has_port(const struct config *c, const struct selection *s,
			enum proto proto, uint16_t port)
{
	const struct intercept *in = &c->intercepts[s->intercept];

	return port_set_has(&in->ports[proto], port) &&
	       (!s->rule || rule_has_port(s->rule, proto, port)) &&
	       !port_set_has(&in->except_port, port);
}

bool selection_has_link(const struct config *c, const struct selection *s,
			const char *ifname)
{
	const struct intercept *in = &c->intercepts[s->intercept];

	if (!ifname)
		return in->from_host;
	for (size_t i = 0; i < in->ifname_count; i++) {
		if (ifname_matches(in->ifnames[i], ifname))
			return true;
	}
	return false;
}

bool selection_has_family(const struct config *c, const struct selection *s,
			  int family)
{
	const struct intercept *in = &c->intercepts[s->intercept];

	return !in->has_deliver || in->deliver.family == AF_UNSPEC ||
	       in->deliver.family == family;
}
