/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval_rule.c - which rule is for a flow, and what it makes of it; see eval.h.
 *
 * Each condition is a function of its own that says yes, no, or that it
 * depends on first bytes nobody has seen.  A rule that has not the condition
 * says yes.
 */
#include "policy/eval.h"
#include "policy/domains.h"

#include <assert.h>

const struct net_expr *eval_rule_dst(const struct rule *r)
{
	bool is_either = r->is_dst_or_domain && r->domains.set;

	return r->dst.count && !is_either ? &r->dst : NULL;
}

bool eval_rule_is_open(const struct rule *r)
{
	return r->is_quic || r->domains.count || r->domains.set;
}

/* --- conditions ---------------------------------------------------------- */

static enum match match_of(bool is_match)
{
	return is_match ? MATCH_YES : MATCH_NO;
}

static enum match match_intercept(const struct rule *r,
				  const struct flow_facts *f)
{
	return match_of(!r->has_intercept || r->intercept == f->intercept);
}

static enum match match_proto(const struct rule *r, const struct flow_facts *f)
{
	return match_of(r->protos & 1u << f->proto);
}

static enum match match_src(const struct rule *r, const struct flow_facts *f)
{
	return match_of(!r->src.count || net_set_has(&r->src.set, f->src));
}

static enum match match_dst(const struct rule *r, const struct flow_facts *f)
{
	const struct net_expr *dst = eval_rule_dst(r);

	return match_of(!dst || net_set_has(&dst->set, f->dst));
}

static enum match match_port(const struct rule *r, const struct flow_facts *f)
{
	return match_of(!r->has_ports || port_set_has(&r->ports, f->dst->port));
}

static enum match match_quic(const struct rule *r, const struct flow_facts *f)
{
	if (!r->is_quic || f->is_quic)
		return MATCH_YES;
	return f->is_open ? MATCH_OPEN : MATCH_NO;
}

/* Of a set that is not empty; an empty one has no names to wait for. */
static enum match match_name(const struct rule *r, const struct flow_facts *f)
{
	if (f->name)
		return match_of(domain_set_has(r->domains.set, f->name));
	return f->is_open && r->domains.set ? MATCH_OPEN : MATCH_NO;
}

static enum match match_domain(const struct rule *r, const struct flow_facts *f)
{
	bool has_names = r->domains.count || r->domains.set;

	if (!has_names || r->is_dst_or_domain)
		return MATCH_YES;
	return match_name(r, f);
}

static enum match match_either(const struct rule *r, const struct flow_facts *f)
{
	if (!r->is_dst_or_domain || net_set_has(&r->dst.set, f->dst))
		return MATCH_YES;
	return match_name(r, f);
}

/* --- rules --------------------------------------------------------------- */

/* What a rule may ask, in the order in which people are told. */
static const struct {
	enum match (*ask)(const struct rule *r, const struct flow_facts *f);
	enum mismatch why;
} conditions[] = {
	{ match_intercept, MISMATCH_INTERCEPT },
	{ match_proto, MISMATCH_PROTO },
	{ match_src, MISMATCH_SRC },
	{ match_dst, MISMATCH_DST },
	{ match_port, MISMATCH_PORT },
	{ match_quic, MISMATCH_QUIC },
	{ match_domain, MISMATCH_DOMAIN },
	{ match_either, MISMATCH_DST_OR_DOMAIN },
};

/* One NO is enough, so an open condition waits for the others. */
enum match eval_rule(const struct config *c, size_t rule,
		     const struct flow_facts *f, enum mismatch *why)
{
	enum match all = MATCH_YES;

	*why = MISMATCH_NONE;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]);
	     i++) {
		enum match one = conditions[i].ask(&c->rules[rule], f);

		if (one == MATCH_NO) {
			*why = conditions[i].why;
			return MATCH_NO;
		}
		if (one == MATCH_OPEN)
			all = MATCH_OPEN;
	}
	return all;
}

size_t eval_flow(const struct config *c, const struct flow_facts *f,
		 bool *is_open)
{
	enum match match = MATCH_YES;
	enum mismatch why;
	size_t i = 0;

	assert(c->rule_count); /* check.c has put a default at the end */
	for (; i < c->rule_count - 1; i++) {
		match = eval_rule(c, i, f, &why);
		if (match != MATCH_NO)
			break;
	}
	*is_open = match == MATCH_OPEN;
	return i;
}

bool eval_can_sniff(const struct config *c, enum proto proto)
{
	const struct sniff *s = &c->sniff;

	return proto == PROTO_TCP ? s->is_tls || s->is_http : s->is_quic;
}

size_t eval_rules(const struct config *c, size_t intercept, enum proto proto,
		  const struct addr *src, const struct addr *dst)
{
	struct flow_facts f = { .intercept = intercept,
				.proto = proto,
				.src = src,
				.dst = dst,
				.is_open = true };
	bool is_open;

	return eval_flow(c, &f, &is_open);
}

enum verdict_kind eval_upstream_kind(const struct upstream *u)
{
	switch (u->kind) {
	case UPSTREAM_REJECT:
		return VERDICT_REJECT;
	case UPSTREAM_DROP:
		return VERDICT_DROP;
	case UPSTREAM_DIRECT:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
	case UPSTREAM_GROUP:
		break;
	}
	return VERDICT_RELAY;
}

bool eval_upstream_has_udp(const struct upstream *u)
{
	return u->kind != UPSTREAM_PROXY_V1 &&
	       u->kind != UPSTREAM_HTTP_CONNECT &&
	       (u->kind != UPSTREAM_SOCKS5 || u->is_udp);
}

/* Nobody wrote a rule: relay all, so that what is intercepted is seen. */
static bool has_no_rules(const struct config *c)
{
	return c->rule_count == 1 && !c->rules[0].at.line;
}

enum verdict_kind eval_rule_kind(const struct config *c, size_t rule)
{
	const struct rule *r = &c->rules[rule];

	if (eval_rule_is_open(r))
		return VERDICT_RELAY;
	if (r->upstream == UPSTREAM_DIRECT && !r->is_logged && !has_no_rules(c))
		return VERDICT_PASS;
	return eval_upstream_kind(&c->upstreams[r->upstream]);
}

const char *mismatch_name(enum mismatch m)
{
	static const char *const names[] = {
		[MISMATCH_NONE] = "it matches",
		[MISMATCH_INTERCEPT] = "it is for another intercept",
		[MISMATCH_PROTO] = "it is for another protocol",
		[MISMATCH_SRC] = "the source is not in it",
		[MISMATCH_DST] = "the destination is not in it",
		[MISMATCH_PORT] = "the port is not in it",
		[MISMATCH_QUIC] = "it is not QUIC",
		[MISMATCH_DOMAIN] = "the name is not in it",
		[MISMATCH_DST_OR_DOMAIN] = "neither the destination nor the "
					   "name is in it",
	};

	static_assert(sizeof(names) / sizeof(names[0]) ==
			      MISMATCH_DST_OR_DOMAIN + 1,
		      "every mismatch has a name");
	return names[m];
}
