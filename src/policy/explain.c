/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c - the answers of eval.h, and why they are so; see explain.h.  What
 * becomes of the flow is told by explain_way.c.
 */
#include "policy/explain.h"

#include "policy/words.h"

#include <string.h>

/* --- asking -------------------------------------------------------------- */

static struct facts facts_of(const struct explain_question *q,
			     const char *ifname)
{
	return (struct facts){ .ifname = ifname,
			       .proto = q->proto,
			       .src = q->src,
			       .dst = q->dst };
}

/* Ask once; true if an intercept takes it.  What is kept says most: an
 * exception is more than nothing. */
static bool try_from(struct explanation *x, enum explain_from from,
		     const char *ifname)
{
	struct facts f = facts_of(x->asked, ifname);
	bool is_first = x->from == FROM_ANY;
	struct verdict v;

	eval_packet(x->config, &f, &v);
	if (v.intercept < 0 && !is_first &&
	    (v.reason != PASS_EXCEPT || x->kernel.reason == PASS_EXCEPT))
		return false;
	x->kernel = v;
	x->from = from;
	x->ifname = ifname;
	return v.intercept >= 0;
}

/* A client's way first: whether a source is this host's is not known here, so
 * the host is asked for only if nothing else could be meant. */
static void try_all(struct explanation *x)
{
	const struct config *c = x->config;

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];

		/* A pattern is a name that it matches. */
		for (size_t n = 0; n < in->ifname_count; n++) {
			if (try_from(x, FROM_LINK, in->ifnames[n]))
				return;
		}
	}
	if (x->from == FROM_ANY)
		(void)try_from(x, FROM_HOST, NULL); /* kept in any case */
}

/* Nothing is asked of a connection that a proxy brings but the rules. */
static void take_listen(struct explanation *x)
{
	const struct config *c = x->config;
	const struct explain_question *q = x->asked;

	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].has_listen ||
		    strcmp(c->intercepts[i].name, q->ifname) != 0)
			continue;
		x->kernel.kind = VERDICT_RELAY;
		x->kernel.reason = PASS_NONE;
		x->kernel.intercept = (int)i;
		x->kernel.rule =
			(int)eval_rules(c, i, q->proto, &q->src, &q->dst);
	}
	x->from = q->from;
	x->ifname = q->ifname;
}

/* `may_come`: as before the first bytes; else when nothing more will come. */
static struct flow_facts flow_of(const struct explanation *x, bool may_come)
{
	const struct explain_question *q = x->asked;

	return (struct flow_facts){
		.intercept = (size_t)x->kernel.intercept,
		.proto = q->proto,
		.src = &q->src,
		.dst = &q->dst,
		.is_open = may_come && !q->name &&
			   eval_can_sniff(x->config, q->proto),
		.name = q->name,
		.is_quic = q->is_quic,
	};
}

static void ask_rules(struct explanation *x)
{
	struct flow_facts f = flow_of(x, false);
	bool is_open;

	if (x->kernel.intercept < 0 || x->kernel.kind == VERDICT_DELIVER)
		return;
	x->rule = (int)eval_flow(x->config, &f, &is_open);
	x->upstream = (int)x->config->rules[x->rule].upstream;
}

void explain(const struct config *c, const struct explain_question *q,
	     struct explanation *out)
{
	static const struct verdict nobody = { VERDICT_PASS, PASS_NO_INTERCEPT,
					       -1, -1, -1 };

	*out = (struct explanation){ .config = c,
				     .asked = q,
				     .kernel = nobody,
				     .from = FROM_ANY,
				     .rule = -1,
				     .upstream = -1 };
	if (q->from == FROM_ANY)
		try_all(out);
	else if (q->from == FROM_LISTEN)
		take_listen(out);
	else
		(void)try_from(out, q->from, q->ifname); /* kept in any case */
	ask_rules(out);
	if (out->kernel.intercept >= 0)
		out->intercepts = (size_t)out->kernel.intercept + 1;
	else if (out->kernel.reason >= PASS_NO_INTERCEPT)
		out->intercepts = c->intercept_count;
	out->has_unseen_name = q->name && !eval_can_sniff(c, q->proto);
}

/* --- values -------------------------------------------------------------- */

static void add_ip(struct str *out, const struct addr *a)
{
	char buf[ADDR_TEXT_MAX];

	str_add(out, addr_format_ip(a, buf));
}

/* --- intercepts ---------------------------------------------------------- */

static void add_froms(struct str *out, const struct intercept *in)
{
	const char *comma = "";

	str_add(out, "it is from ");
	for (size_t n = 0; n < in->ifname_count; n++) {
		str_addf(out, "%s%s", comma, in->ifnames[n]);
		comma = ", ";
	}
	if (in->from_host)
		str_addf(out, "%shost", comma);
}

static void add_miss(struct str *out, const struct explanation *x, size_t i,
		     enum miss miss)
{
	const struct explain_question *q = x->asked;

	if (miss == MISS_FROM) {
		add_froms(out, &x->config->intercepts[i]);
		return;
	}
	str_add(out, miss_name(miss));
	if (miss == MISS_PORT || miss == MISS_EXCEPT_PORT)
		str_addf(out, ": %s %u", proto_words[q->proto], q->dst.port);
	if (miss != MISS_EXCEPT_SRC && miss != MISS_EXCEPT_DST)
		return;
	str_add(out, ": ");
	add_ip(out, miss == MISS_EXCEPT_SRC ? &q->src : &q->dst);
}

/* Of several that could have been asked: as if it came from there. */
static const char *ifname_for(const struct explanation *x, size_t i)
{
	const struct intercept *in = &x->config->intercepts[i];

	if (x->asked->from != FROM_ANY || x->kernel.intercept >= 0)
		return x->ifname;
	return in->ifname_count ? in->ifnames[0] : x->ifname;
}

bool explain_intercept(const struct explanation *x, size_t i, struct str *out)
{
	struct facts f = facts_of(x->asked, ifname_for(x, i));
	enum miss miss;

	if ((int)i == x->kernel.intercept)
		return true;
	miss = eval_intercept(x->config, i, &f);
	add_miss(out, x, i, miss);
	return miss == MISS_NONE;
}

/* --- rules --------------------------------------------------------------- */

/* Why the condition does not hold, with the value that it was asked for. */
static void add_mismatch(struct str *out, const struct explanation *x,
			 const struct rule *r, enum mismatch why)
{
	const struct explain_question *q = x->asked;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	addr_format_ip(&q->src, src);
	addr_format_ip(&q->dst, dst);
	switch (why) {
	case MISMATCH_NONE:
	case MISMATCH_QUIC:
		str_add(out, mismatch_name(why));
		return;
	case MISMATCH_INTERCEPT:
		str_addf(out, "it is for intercept %s",
			 x->config->intercepts[r->intercept].name);
		return;
	case MISMATCH_PROTO:
		str_addf(out, "it is for %s", proto_words[!q->proto]);
		return;
	case MISMATCH_SRC:
		str_addf(out, "source %s is not in it", src);
		return;
	case MISMATCH_DST:
		str_addf(out, "destination %s is not in it", dst);
		return;
	case MISMATCH_PORT:
		str_addf(out, "port %u is not in it", q->dst.port);
		return;
	case MISMATCH_DOMAIN:
		str_addf(out, "name %s is not in it", q->name);
		return;
	case MISMATCH_DST_OR_DOMAIN:
		str_addf(out, "neither %s nor %s is in it", dst, q->name);
		return;
	}
}

/* There is no name, and none will come. */
static void add_nameless(struct str *out, const struct explanation *x,
			 const struct rule *r, enum mismatch why)
{
	if (why == MISMATCH_DST_OR_DOMAIN && r->dst.set.count) {
		add_mismatch(out, x, r, MISMATCH_DST);
		str_add(out, ", and ");
	}
	str_addf(out, "sniff looks for no name in %s",
		 proto_words[x->asked->proto]);
}

enum match explain_rule(const struct explanation *x, size_t i, struct str *out)
{
	const struct rule *r = &x->config->rules[i];
	struct flow_facts f = flow_of(x, (int)i < x->rule);
	enum mismatch why;
	enum match match = eval_rule(x->config, i, &f, &why);
	bool needs_name =
		why == MISMATCH_DOMAIN || why == MISMATCH_DST_OR_DOMAIN;

	if (match == MATCH_OPEN) {
		str_add(out, r->is_quic && !f.is_quic
				     ? "it depends on whether this is QUIC"
				     : "it depends on the name");
	} else if (match == MATCH_NO && needs_name && !x->asked->name) {
		add_nameless(out, x, r, why);
	} else if (match == MATCH_NO) {
		add_mismatch(out, x, r, why);
	}
	return match;
}
