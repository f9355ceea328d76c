/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_rules.c - an intercept's conditions and selections; see nft_text.h.
 *
 * The same for what comes from interfaces and for what this host sends; only
 * the chains have other names.
 */
#include "engine/nft_text.h"

#include <stdio.h>

const char *const nft_prefix_key[FAMILY_COUNT] = { "ip", "ip6" };
const char *const nft_proto_key[PROTO_COUNT] = { "tcp", "udp" };

/* --- ports --------------------------------------------------------------- */

static void put_port_set(struct str *out, const struct port_set *s)
{
	str_add(out, "{ ");
	for (size_t i = 0; i < s->count; i++) {
		const struct port_range *r = &s->ranges[i];

		str_addf(out, i ? ", %u" : "%u", r->first);
		if (r->last != r->first)
			str_addf(out, "-%u", r->last);
	}
	str_add(out, " }");
}

static bool is_any_port(const struct port_set *s)
{
	return s->count == 1 && s->ranges[0].first <= 1 &&
	       s->ranges[0].last == 65535;
}

void nft_put_ports(struct nft_text *t, size_t intercept, const char *to)
{
	const struct intercept *it = &t->plan->config->intercepts[intercept];

	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		if (!it->ports[p].count)
			continue;
		str_add(t->out, "\t\t");
		if (it->has_deliver && it->deliver.family != AF_UNSPEC)
			str_addf(t->out, "meta nfproto ipv%d ",
				 it->deliver.family == AF_INET6 ? 6 : 4);
		str_addf(t->out, "meta l4proto %s ", nft_proto_key[p]);
		if (!is_any_port(&it->ports[p])) {
			str_addf(t->out, "%s dport ", nft_proto_key[p]);
			put_port_set(t->out, &it->ports[p]);
			str_add(t->out, " ");
		}
		str_addf(t->out, "goto %s_%zu\n", to, intercept);
	}
}

/* --- exceptions ---------------------------------------------------------- */

static void put_except(struct nft_text *t, const struct net_expr *e,
		       const char *key)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if (!nft_has_family(&e->set, f))
			continue;
		str_add(t->out, "\t\t");
		nft_put_nets(&t->sets, &e->set, f, key, t->out);
		str_add(t->out, "return\n");
	}
}

void nft_put_exceptions(struct nft_text *t, size_t intercept)
{
	const struct intercept *it = &t->plan->config->intercepts[intercept];

	put_except(t, &it->except_src, "saddr");
	put_except(t, &it->except_dst, "daddr");
	if (!it->except_port.count)
		return;
	str_add(t->out, "\t\tmeta l4proto { tcp, udp } th dport ");
	put_port_set(t->out, &it->except_port);
	str_add(t->out, " return\n");
}

/* --- selections ---------------------------------------------------------- */

struct line {
	const struct selection *selection;
	const char *take;
	enum family_index family;
	enum proto proto;
};

static void put_verdict(struct nft_text *t, const struct line *l)
{
	static const char *const reject[PROTO_COUNT] = {
		[PROTO_TCP] = "counter name rejected_tcp "
			      "reject with tcp reset\n",
		[PROTO_UDP] = "counter name rejected_udp "
			      "reject with icmpx port-unreachable\n",
	};

	switch (l->selection->kind) {
	case VERDICT_PASS:
		str_add(t->out, "counter name passed_direct accept\n");
		break;
	case VERDICT_REJECT:
		str_add(t->out, reject[l->proto]);
		break;
	case VERDICT_DROP:
		str_add(t->out, "counter name dropped_rule drop\n");
		break;
	case VERDICT_RELAY:
	case VERDICT_DELIVER:
		str_addf(t->out, "goto %s_%zu\n", l->take,
			 l->selection->intercept);
		break;
	}
}

static void put_line(struct nft_text *t, const struct line *l)
{
	const struct rule *r = l->selection->rule;
	const struct net_expr *dst = eval_rule_dst(r);

	str_add(t->out, "\t\t");
	if (r->src.count)
		nft_put_nets(&t->sets, &r->src.set, l->family, "saddr", t->out);
	if (dst)
		nft_put_nets(&t->sets, &dst->set, l->family, "daddr", t->out);
	str_addf(t->out, "meta l4proto %s ", nft_proto_key[l->proto]);
	if (r->has_ports) {
		str_add(t->out, "th dport ");
		put_port_set(t->out, &r->ports);
		str_add(t->out, " ");
	}
	put_verdict(t, l);
}

/* One line for each protocol; and, if addresses are asked for, for each
 * family that they have. */
static void put_selection(struct nft_text *t, const struct selection *s,
			  const char *take)
{
	const struct rule *r = s->rule;
	const struct net_expr *dst = eval_rule_dst(r);
	bool has_addresses = r->src.count || dst;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if ((r->src.count && !nft_has_family(&r->src.set, f)) ||
		    (dst && !nft_has_family(&dst->set, f)) ||
		    (!has_addresses && f != FAMILY_V4))
			continue;
		for (enum proto p = 0; p < PROTO_COUNT; p++)
			if (r->protos & (1 << p))
				put_line(t, &(struct line){ s, take, f, p });
	}
}

/* Without conditions: what is left of the intercept. */
static void put_last(struct nft_text *t, const struct selection *s,
		     const char *take)
{
	struct line l = { .selection = s, .take = take };

	if (s->kind == VERDICT_REJECT) {
		str_add(t->out, "\t\tmeta l4proto tcp ");
		put_verdict(t, &l);
		l.proto = PROTO_UDP;
	}
	str_add(t->out, "\t\t");
	put_verdict(t, &l);
}

void nft_put_selections(struct nft_text *t, size_t intercept, const char *take)
{
	for (size_t i = 0; i < t->selections.count; i++) {
		const struct selection *s = &t->selections.of[i];

		if (s->intercept != intercept)
			continue;
		if (s->rule)
			put_selection(t, s, take);
		else
			put_last(t, s, take);
	}
}

/* --- listeners ----------------------------------------------------------- */

static bool has_listener(const struct plan *p, size_t intercept,
			 const struct nft_listener *l)
{
	const struct intercept *it = &p->config->intercepts[intercept];

	if (!it->ports[l->proto].count)
		return false;
	if (!it->has_deliver)
		return p->ports[intercept][l->proto][l->family];
	return it->deliver.family == AF_UNSPEC ||
	       it->deliver.family == plan_family(l->family);
}

/* Without an address tproxy takes the first one of the interface. */
static void name_listener(const struct plan *p, size_t intercept,
			  struct nft_listener *l)
{
	const struct intercept *it = &p->config->intercepts[intercept];
	uint16_t port = it->has_deliver
				? it->deliver.port
				: p->ports[intercept][l->proto][l->family];

	if (it->has_deliver && it->deliver.family != AF_UNSPEC)
		addr_format(&it->deliver, l->to);
	else
		(void)snprintf(l->to, sizeof(l->to), "%s:%u",
			       it->has_deliver		? ""
			       : l->family == FAMILY_V6 ? "[::1]"
							: "127.0.0.1",
			       port); /* fits */
}

size_t nft_listeners(const struct plan *p, size_t intercept,
		     struct nft_listener out[NFT_LISTENERS_MAX])
{
	size_t count = 0;

	for (enum proto proto = 0; proto < PROTO_COUNT; proto++) {
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			struct nft_listener l = { .family = f, .proto = proto };

			if (!has_listener(p, intercept, &l))
				continue;
			name_listener(p, intercept, &l);
			out[count++] = l;
		}
	}
	return count;
}

void nft_put_kind(struct nft_text *t, const struct nft_listener *l)
{
	str_addf(t->out, "meta nfproto ipv%d meta l4proto %s ",
		 l->family == FAMILY_V6 ? 6 : 4, nft_proto_key[l->proto]);
}
