/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_write.c - conditions as rules; see iptables_write.h.
 */
#include "engine/iptables_write.h"

#include "engine/nft_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	PORTS_MAX = 15, /* of -m multiport; a range counts twice */
	RULE_TEXT_MAX = 256,
};

static const char *const proto_names[] = { "tcp", "udp" };

size_t iptables_count(const struct net_expr *e, enum family_index f)
{
	size_t count = 0;

	for (size_t i = 0; e && i < e->set.count; i++)
		count += e->set.prefixes[i].net.family == plan_family(f);
	return count;
}

/* --- lines --------------------------------------------------------------- */

static struct iptables_part *part_of(struct writer *w)
{
	return &w->out->parts[w->table];
}

void put_chain(struct writer *w, const char *chain)
{
	str_addf(&part_of(w)->chains, ":%s - [0:0]\n", chain);
}

void put_rule(struct writer *w, const char *chain, const char *spec, ...)
{
	char text[RULE_TEXT_MAX];
	va_list ap;
	int len;

	va_start(ap, spec);
	len = vsnprintf(text, sizeof(text), spec, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		part_of(w)->rules.is_failed = true;
	str_addf(&part_of(w)->rules, "-A %s %s\n", chain, text);
}

void put_hook(struct writer *w, const char *builtin, const char *chain)
{
	str_addf(&part_of(w)->hooks, "%s -m comment --comment waylay -j %s\n",
		 builtin, chain);
}

/* Inside quotes iptables-restore takes a backslash as its escape. */
static void put_quoted(struct str *out, const char *text, size_t len)
{
	str_add(out, "\"");
	for (size_t i = 0; i < len; i++)
		str_addf(out, "%s%c", strchr("\"\\", text[i]) ? "\\" : "",
			 text[i]);
	str_add(out, "\"");
}

void put_interface(struct writer *w, const char *chain, const char *option,
		   const char *ifname, const char *what)
{
	struct str *rules = &part_of(w)->rules;
	size_t len = strlen(ifname);
	bool is_pattern = len && ifname[len - 1] == '*';
	struct str name = { 0 };

	str_addn(&name, ifname, len - is_pattern);
	str_add(&name, is_pattern ? "+" : "");
	str_addf(rules, "-A %s %s ", chain, option);
	put_quoted(rules, str_get(&name), name.len);
	str_addf(rules, " %s\n", what);
	rules->is_failed |= !str_ok(&name);
	str_done(&name);
}

void put_except_owners(struct writer *w, const char *chain,
		       const struct intercept *it)
{
	struct str *rules = &part_of(w)->rules;

	for (size_t i = 0; i < it->except_user_count; i++)
		put_rule(w, chain, "-m owner --uid-owner %s -j RETURN",
			 it->except_users[i]);
	for (size_t i = 0; i < it->except_cgroup_count; i++) {
		const char *path = it->except_cgroups[i];
		struct nft_cgroup found;

		/* What is not there has no packets, and the kernel refuses
		 * to be told of it. */
		if (!nft_find_cgroup(path, &found))
			continue;
		str_addf(rules, "-A %s -m cgroup --path ", chain);
		put_quoted(rules, path, strlen(path));
		str_add(rules, " -j RETURN\n");
	}
}

/* --- prefixes and ports -------------------------------------------------- */

void put_prefixes(struct writer *w, const char *chain, const char *option,
		  const struct net_expr *e, const char *action)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < e->set.count; i++)
		if (e->set.prefixes[i].net.family == plan_family(w->family))
			put_rule(w, chain, "%s %s %s", option,
				 prefix_format(&e->set.prefixes[i], text),
				 action);
}

static bool is_any_port(const struct port_set *s)
{
	return s->count == 1 && s->ranges[0].first <= 1 &&
	       s->ranges[0].last == 65535;
}

/* As many of ports[at...] as one rule takes; where the next one begins. */
static size_t format_ports(const struct port_set *s, size_t at, char *text,
			   size_t size)
{
	const char *comma = "";
	size_t room = PORTS_MAX;
	int len = 0;

	for (; at < s->count; at++, comma = ",") {
		const struct port_range *r = &s->ranges[at];
		bool is_range = r->last != r->first;

		if (room < 1u + is_range)
			break;
		room -= 1u + is_range;
		len += snprintf(text + len, size - (size_t)len, "%s%u", comma,
				r->first);
		if (is_range)
			len += snprintf(text + len, size - (size_t)len, ":%u",
					r->last);
	}
	return at;
}

void put_ports(struct writer *w, const char *chain, enum proto proto,
	       const struct port_set *ports, const char *what)
{
	char text[128]; /* PORTS_MAX times ",65535" */
	size_t at = 0;

	if (is_any_port(ports)) { /* 0 is no port */
		put_rule(w, chain, "-p %s -m %s ! --dport 0 %s",
			 proto_names[proto], proto_names[proto], what);
		return;
	}
	while (at < ports->count) {
		at = format_ports(ports, at, text, sizeof(text));
		put_rule(w, chain, "-p %s -m multiport --dports %s %s",
			 proto_names[proto], text, what);
	}
}

/* --- all together -------------------------------------------------------- */

static bool is_given(const struct net_expr *e)
{
	return e && e->count;
}

/* The one prefix of this family, or nothing. */
static const char *format_only(const struct writer *w, const char *option,
			       const struct net_expr *e, char *text,
			       size_t size)
{
	char net[ADDR_TEXT_MAX];

	*text = '\0';
	for (size_t i = 0; e && i < e->set.count; i++)
		if (e->set.prefixes[i].net.family == plan_family(w->family))
			(void)snprintf(text, size, "%s %s ", option,
				       prefix_format(&e->set.prefixes[i], net));
	return text;
}

/* The chain that asks for each prefix of e, and does `action` for them. */
static void put_asking(struct writer *w, const char *option,
		       const struct net_expr *e, const char *action,
		       char name[32])
{
	(void)snprintf(name, 32, "waylay-if-%u", w->conditions++);
	put_chain(w, name);
	put_prefixes(w, name, option, e, action);
}

/* Protocol and ports, then `what`. */
static void put_protos(struct writer *w, const char *chain,
		       const struct condition *c, const char *what)
{
	if (!c->ports && c->protos == (1 << PROTO_COUNT) - 1) {
		put_rule(w, chain, "%s", what);
		return;
	}
	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		if (!(c->protos & 1 << p))
			continue;
		if (c->ports)
			put_ports(w, chain, p, c->ports, what);
		else
			put_rule(w, chain, "-p %s %s", proto_names[p], what);
	}
}

void put_if(struct writer *w, const char *chain, const struct condition *c,
	    const char *action)
{
	uint32_t mask = w->plan->config->mask, yes = mask;
	size_t src = is_given(c->src) ? iptables_count(c->src, w->family) : 1;
	size_t dst = is_given(c->dst) ? iptables_count(c->dst, w->family) : 1;
	char what[RULE_TEXT_MAX], next[64], from[64] = "", to[64] = "";
	char name[32];

	if (!src || !dst)
		return; /* the other family's */
	if (src == 1)
		(void)format_only(w, "-s", c->src, from, sizeof(from));
	if (dst == 1)
		(void)format_only(w, "-d", c->dst, to, sizeof(to));
	if (src == 1 && dst == 1) {
		(void)snprintf(what, sizeof(what), "%s%s%s", from, to, action);
		put_protos(w, chain, c, what);
		return;
	}
	(void)snprintf(next, sizeof(next), "-j MARK --set-xmark 0x%x/0x%x", yes,
		       mask);
	if (dst > 1) {
		put_asking(w, "-d", c->dst, next, name);
		(void)snprintf(next, sizeof(next), "-j %s", name);
	}
	if (src > 1) {
		put_asking(w, "-s", c->src, next, name);
		(void)snprintf(next, sizeof(next), "-j %s", name);
	}
	(void)snprintf(what, sizeof(what), "%s%s%s", from, to, next);
	put_protos(w, chain, c, what);
	put_rule(w, chain, "-m mark --mark 0x%x/0x%x %s", yes, mask, action);
}
