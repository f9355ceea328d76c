/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_way.c - what becomes of a flow, in words; see explain.h.
 */
#include "policy/explain.h"

#include "policy/print.h"
#include "policy/words.h"

static void add_ip(struct str *out, const struct addr *a)
{
	char buf[ADDR_TEXT_MAX];

	str_add(out, addr_format_ip(a, buf));
}

static void add_line(struct str *out, const struct config *c, int rule)
{
	const struct rule *r = &c->rules[rule];

	if (r->at.line)
		str_addf(out, "the rule of line %u", r->at.line);
	else
		str_add(out, "the default that nobody wrote");
}

static const char *refusal(enum proto proto)
{
	return proto == PROTO_TCP ? "RST" : "ICMP port unreachable";
}

/* --- the kernel ---------------------------------------------------------- */

static void add_pass(struct str *out, const struct explanation *x)
{
	str_add(out, "lets it pass: ");
	if (x->kernel.reason != PASS_DIRECT) {
		str_add(out, pass_reason_name(x->kernel.reason));
		return;
	}
	add_line(out, x->config, x->kernel.rule);
	str_add(out, " says direct");
}

static void add_relay(struct str *out, const struct explanation *x)
{
	const struct config *c = x->config;

	if (x->from == FROM_LISTEN) {
		str_addf(
			out, "has no part in it: %s here",
			c->intercepts[x->kernel.intercept].redirected_from.count
				? "other NAT rules bring it"
				: "a proxy brings it");
		return;
	}
	str_add(out, "gives it to the relay");
	if (!eval_rule_is_open(&c->rules[x->kernel.rule]))
		return;
	str_add(out, ": ");
	add_line(out, c, x->kernel.rule);
	str_add(out, " asks for first bytes");
}

void explain_kernel(const struct explanation *x, struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	switch (x->kernel.kind) {
	case VERDICT_PASS:
		add_pass(out, x);
		return;
	case VERDICT_RELAY:
		add_relay(out, x);
		return;
	case VERDICT_DELIVER:
		str_addf(out, "gives it to another program at %s",
			 deliver_format(
				 &x->config->intercepts[x->kernel.intercept]
					  .deliver,
				 buf));
		return;
	case VERDICT_REJECT:
		str_addf(out, "refuses it with %s", refusal(x->asked->proto));
		return;
	case VERDICT_DROP:
		str_add(out, "drops it");
		return;
	}
}

/* --- upstreams ----------------------------------------------------------- */

static void add_source(struct str *out, const struct upstream *u)
{
	const char *comma = ", from ";

	if (u->source != SOURCE_ADDRESS) {
		str_addf(out, ", from %s address",
			 u->source == SOURCE_CLIENT ? "the client's"
						    : "this host's");
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		if (!u->source_addr[i].family)
			continue;
		str_add(out, comma);
		add_ip(out, &u->source_addr[i]);
		comma = " or ";
	}
}

static void add_direct(struct str *out, const struct explanation *x,
		       const struct upstream *u)
{
	struct addr to = u->has_to ? u->to : x->asked->dst;

	if (!to.port)
		to.port = x->asked->dst.port;
	str_add(out, u->has_to ? "to " : "to the server itself, ");
	print_host_port(&to, NULL, out);
}

static void add_proxy(struct str *out, const struct explanation *x,
		      const struct upstream *u)
{
	str_addf(out, "%s ", via_words[u->kind]);
	print_host_port(&u->to, u->to_name, out);
	if (u->is_resolving && x->asked->name)
		str_addf(out, ", which is asked for %s", x->asked->name);
}

static void add_group(struct str *out, const struct explanation *x,
		      const struct group *g)
{
	const char *comma = "";

	str_addf(out, "%s%s of ", balance_words[g->balance],
		 g->balance == BALANCE_HASH_CLIENT ? " client" : "");
	for (size_t i = 0; i < g->member_count; i++) {
		str_addf(out, "%s%s", comma,
			 x->config->upstreams[g->members[i]].name);
		comma = ", ";
	}
	str_addf(out, "; fallback %s", x->config->upstreams[g->fallback].name);
}

void explain_upstream(const struct explanation *x, size_t upstream,
		      struct str *out)
{
	const struct upstream *u = &x->config->upstreams[upstream];

	switch (u->kind) {
	case UPSTREAM_DIRECT:
		add_direct(out, x, u);
		break;
	case UPSTREAM_REJECT:
		str_addf(out, "refused with %s", refusal(x->asked->proto));
		return;
	case UPSTREAM_DROP:
		str_add(out, "dropped, and nothing is answered");
		return;
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
		add_proxy(out, x, u);
		break;
	case UPSTREAM_GROUP:
		add_group(out, x, u->group);
		return;
	}
	add_source(out, u);
	if (x->asked->proto == PROTO_UDP && !eval_upstream_has_udp(u))
		str_add(out, "; it carries no UDP");
}
