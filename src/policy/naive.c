/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naive.c - a second evaluator, for tests; see naive.h.
 *
 * Shares nothing with eval.c: no sets, no look-ups, every term as written is
 * tried, one after another.
 */
#include "policy/naive.h"

#include <string.h>

/* --- addresses and ports ------------------------------------------------- */

static bool is_in(const struct prefix *p, const struct addr *a)
{
	bool is_equal = p->net.family == a->family;

	for (unsigned i = 0; i < p->len && is_equal; i++)
		is_equal = !((p->net.ip[i / 8] ^ a->ip[i / 8]) & 0x80 >> i % 8);
	return is_equal;
}

static bool is_private(const struct addr *a)
{
	const uint8_t *ip = a->ip;
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET6)
		return (ip[0] & 0xfe) == 0xfc || memcmp(ip, one, 16) == 0 ||
		       (ip[0] == 0xfe && ip[1] >= 0x80 && ip[1] < 0xc0);
	return ip[0] == 10 || ip[0] == 127 ||
	       (ip[0] == 172 && ip[1] >= 16 && ip[1] < 32) ||
	       (ip[0] == 192 && ip[1] == 168) ||
	       (ip[0] == 169 && ip[1] == 254) ||
	       (ip[0] == 100 && ip[1] >= 64 && ip[1] < 128);
}

static bool naive_nets(const struct config *c, const struct net_expr *e,
		       const struct addr *a)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct net_term *t = &e->terms[i];
		const struct list *l = &c->lists[t->list];

		if (t->kind == NET_TERM_PRIVATE && is_private(a))
			return true;
		if (t->kind == NET_TERM_PREFIX && is_in(&t->prefix, a))
			return true;
		for (size_t n = 0; t->kind == NET_TERM_LIST && n < l->count;
		     n++) {
			if (is_in(&l->nets[n], a))
				return true;
		}
	}
	return false;
}

static bool naive_ports(const struct port_set *s, uint16_t port)
{
	for (size_t i = 0; i < s->count; i++) {
		if (port >= s->ranges[i].first && port <= s->ranges[i].last)
			return true;
	}
	return false;
}

/* --- intercepts ---------------------------------------------------------- */

static bool naive_from(const struct intercept *in, const char *ifname)
{
	if (!ifname)
		return in->from_host;
	for (size_t i = 0; i < in->ifname_count; i++) {
		const char *p = in->ifnames[i], *s = ifname;

		while (*p && *p == *s)
			p++, s++;
		if (*p == '*' || (!*p && !*s))
			return true;
	}
	return false;
}

static bool naive_user(const struct intercept *in, const char *user)
{
	for (size_t i = 0; user && i < in->except_user_count; i++) {
		if (strcmp(in->except_users[i], user) == 0)
			return true;
	}
	return false;
}

/* Climb from the cgroup to the root and compare each. */
static bool naive_cgroup(const struct intercept *in, const char *cgroup)
{
	char path[256];
	char *slash;

	if (!cgroup || strlen(cgroup) >= sizeof(path))
		return false;
	memcpy(path, cgroup, strlen(cgroup) + 1);
	do {
		for (size_t i = 0; i < in->except_cgroup_count; i++) {
			if (strcmp(in->except_cgroups[i], path) == 0)
				return true;
		}
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return false;
}

/* The intercept that takes it, or -1. */
static int naive_intercept(const struct config *c, const struct facts *f,
			   bool *is_excepted)
{
	*is_excepted = false;
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];

		if (in->has_listen || !naive_from(in, f->ifname) ||
		    !naive_ports(&in->ports[f->proto], f->dst.port))
			continue;
		if (in->has_deliver && in->deliver.family &&
		    in->deliver.family != f->dst.family)
			continue;
		if (!naive_nets(c, &in->except_src, &f->src) &&
		    !naive_nets(c, &in->except_dst, &f->dst) &&
		    !naive_ports(&in->except_port, f->dst.port) &&
		    !(!f->ifname && naive_user(in, f->user)) &&
		    !(!f->ifname && naive_cgroup(in, f->cgroup)))
			return (int)i;
		*is_excepted = true;
	}
	return -1;
}

/* --- names --------------------------------------------------------------- */

/* Is `name` the text's name ("a.b"), below it ("*.a.b"), or either (".a.b")? */
static bool naive_is_named(const char *text, const char *name)
{
	size_t len = strlen(name), tail;

	if (text[0] != '*' && text[0] != '.')
		return strcmp(text, name) == 0;
	if (text[0] == '.' && strcmp(text + 1, name) == 0)
		return true;
	text += text[0] == '*';
	tail = strlen(text);
	return len > tail && strcmp(name + len - tail, text) == 0;
}

static bool naive_names(const struct domain_term *terms, size_t count,
			const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (naive_is_named(terms[i].text, name))
			return true;
	}
	return false;
}

/* The list of `list NAME`, if it has names, or NULL. */
static const struct list *naive_list(const struct config *c,
				     const struct rule *r)
{
	const struct net_term *t = r->dst.terms;

	if (r->dst.count != 1 || t->kind != NET_TERM_LIST ||
	    !c->lists[t->list].domain_count || !r->is_dst_or_domain)
		return NULL;
	return &c->lists[t->list];
}

static bool naive_asks_name(const struct config *c, const struct rule *r)
{
	return r->domains.count || naive_list(c, r);
}

static bool naive_is_in(const struct config *c, const struct rule *r,
			const char *name)
{
	const struct list *l = naive_list(c, r);

	if (!name)
		return false;
	return l ? naive_names(l->domains, l->domain_count, name)
		 : naive_names(r->domains.terms, r->domains.count, name);
}

/* --- rules --------------------------------------------------------------- */

/* Does the rule hold, if its question for the name is answered so? */
static bool naive_holds(const struct config *c, const struct rule *r,
			const struct flow_facts *f, bool is_in, bool is_quic)
{
	bool is_dst = !r->dst.count || naive_nets(c, &r->dst, f->dst);

	if (r->has_intercept && r->intercept != f->intercept)
		return false;
	if (!(r->protos >> f->proto & 1) || (r->is_quic && !is_quic))
		return false;
	if (r->src.count && !naive_nets(c, &r->src, f->src))
		return false;
	if (r->has_ports && !naive_ports(&r->ports, f->dst->port))
		return false;
	if (naive_list(c, r))
		return is_dst || is_in;
	return is_dst && (!r->domains.count || is_in);
}

/* Open is what holds for some answers only. */
int naive_flow(const struct config *c, const struct flow_facts *f,
	       bool *is_open)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct rule *r = &c->rules[i];
		bool is_in = naive_is_in(c, r, f->name);
		bool may_be_in = f->name ? is_in : naive_asks_name(c, r);

		*is_open = !naive_holds(c, r, f, is_in, f->is_quic);
		if (!*is_open ||
		    (f->is_open && naive_holds(c, r, f, may_be_in, true)))
			return (int)i;
	}
	return -1;
}

/* --- packets ------------------------------------------------------------- */

/* Did anybody write a rule? */
static bool has_rules(const struct config *c)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		if (c->rules[i].at.line)
			return true;
	}
	return false;
}

/* The built-in direct is known by its name here, not by its place. */
static bool naive_is_direct(const struct config *c, const struct rule *r)
{
	return strcmp(c->upstreams[r->upstream].name, "direct") == 0 &&
	       !r->is_logged && has_rules(c) && !r->is_quic &&
	       !naive_asks_name(c, r);
}

static void naive_take(const struct config *c, const struct facts *f,
		       struct verdict *v)
{
	static const enum verdict_kind kinds[] = {
		[UPSTREAM_DIRECT] = VERDICT_RELAY,
		[UPSTREAM_REJECT] = VERDICT_REJECT,
		[UPSTREAM_DROP] = VERDICT_DROP,
		[UPSTREAM_PROXY_V1] = VERDICT_RELAY,
		[UPSTREAM_PROXY_V2] = VERDICT_RELAY,
		[UPSTREAM_SOCKS5] = VERDICT_RELAY,
		[UPSTREAM_HTTP_CONNECT] = VERDICT_RELAY,
		[UPSTREAM_GROUP] = VERDICT_RELAY,
	};
	const struct flow_facts unseen = { .intercept = (size_t)v->intercept,
					   .proto = f->proto,
					   .src = &f->src,
					   .dst = &f->dst,
					   .is_open = true };
	const struct rule *r;
	bool is_open;

	v->rule = naive_flow(c, &unseen, &is_open);
	r = &c->rules[v->rule];
	v->upstream = (int)r->upstream;
	v->kind = kinds[c->upstreams[v->upstream].kind];
	if (r->is_quic || naive_asks_name(c, r))
		v->kind = VERDICT_RELAY; /* first bytes are the relay's */
	if (naive_is_direct(c, r)) {
		v->kind = VERDICT_PASS;
		v->reason = PASS_DIRECT;
	}
}

struct verdict naive_verdict(const struct config *c, const struct facts *f)
{
	struct verdict v = { VERDICT_PASS, PASS_NO_INTERCEPT, -1, -1, -1 };
	bool is_excepted;

	v.intercept = naive_intercept(c, f, &is_excepted);
	if (v.intercept < 0) {
		if (is_excepted)
			v.reason = PASS_EXCEPT;
		return v;
	}
	v.reason = PASS_NONE;
	v.kind = VERDICT_DELIVER;
	if (!c->intercepts[v.intercept].has_deliver)
		naive_take(c, f, &v);
	return v;
}
