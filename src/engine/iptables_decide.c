/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_decide.c - the chains that decide; see iptables_decide.h.
 */
#include "engine/iptables_decide.h"

#include "engine/iptables.h"
#include "engine/iptables_render.h"

#include <stdio.h>
#include <string.h>

/* --- small questions ----------------------------------------------------- */

bool takes_from(const struct intercept *it, const struct side *side)
{
	return side->is_host ? it->from_host : it->ifname_count > 0;
}

bool takes_family(const struct render *r, size_t i)
{
	const struct selection s = { .intercept = i };

	return selection_has_family(r->c, &s, plan_family(r->w.family));
}

/* --- pieces of rules ----------------------------------------------------- */

void put_mark(struct render *r, const char *chain, const char *comment,
	      uint32_t mark)
{
	put_rule(&r->w, chain, "%s%s%s-j MARK --set-xmark 0x%x/0x%x",
		 *comment ? "-m comment --comment " : "", comment,
		 *comment ? " " : "", mark, r->c->mask);
}

/* A chain of one rule. */
void put_marking(struct render *r, const char *chain, const char *comment,
		 uint32_t mark)
{
	put_chain(&r->w, chain);
	put_mark(r, chain, comment, mark);
}

struct name name_of(const char *what, size_t intercept)
{
	struct name n;

	(void)snprintf(n.text, sizeof(n.text), "waylay-%s-%zu", what,
		       intercept);
	return n;
}

/* One rule for each interface of an intercept. */
void put_interfaces(struct render *r, const char *chain, const char *option,
		    size_t i, const char *what)
{
	const struct intercept *it = &r->c->intercepts[i];

	for (size_t n = 0; n < it->ifname_count; n++)
		put_interface(&r->w, chain, option, it->ifnames[n], what);
}

/* --- what is never intercepted ------------------------------------------- */

static const char *const special_src[FAMILY_COUNT][6] = {
	{ "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32" },
	{ "::/128", "::1/128", "::ffff:0:0/96", "ff00::/8" },
};
static const char *const link_local[] = { "169.254.0.0/16", "fe80::/10" };
/* Over IPv4 an address of any of the types matches, over IPv6 one that is all
 * of them: xt_addrtype.c. */
static const char *const local_types[FAMILY_COUNT][3] = {
	{ "LOCAL,BROADCAST,ANYCAST,MULTICAST" },
	{ "LOCAL", "ANYCAST" },
};

static void put_special(struct render *r, const char *chain, const char *option,
			const char *net)
{
	put_rule(&r->w, chain,
		 "%s %s -m comment --comment passed_special -j RETURN", option,
		 net);
}

static void put_left_alone(struct render *r, const char *chain,
			   const struct side *side)
{
	enum family_index f = r->w.family;

	for (int i = 0; local_types[f][i]; i++)
		put_rule(&r->w, chain,
			 "-m addrtype --dst-type %s -m comment --comment "
			 "passed_local -j RETURN",
			 local_types[f][i]);
	for (int i = 0; special_src[f][i]; i++)
		put_special(r, chain, "-d", special_src[f][i]);
	put_special(r, chain, "-d", link_local[f]);
	if (side->is_host)
		return; /* its own addresses are its own by right */
	put_rule(&r->w, chain,
		 "-m addrtype --src-type LOCAL -m comment --comment "
		 "passed_local -j RETURN");
	for (int i = 0; special_src[f][i]; i++)
		put_special(r, chain, "-s", special_src[f][i]);
}

/* --- intercepts ---------------------------------------------------------- */

/* Exceptions leave the chain; for each port of the rest, `what`. */
void put_exceptions(struct render *r, const char *chain, size_t i)
{
	const struct intercept *it = &r->c->intercepts[i];

	put_prefixes(&r->w, chain, "-s", &it->except_src, "-j RETURN");
	put_prefixes(&r->w, chain, "-d", &it->except_dst, "-j RETURN");
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		if (it->ports[p].count)
			put_ports(&r->w, chain, p, &it->except_port,
				  "-j RETURN");
}

static void put_match(struct render *r, size_t i, const struct side *side)
{
	const struct intercept *it = &r->c->intercepts[i];
	struct name chain = name_of("match", i);
	char what[64];

	put_chain(&r->w, chain.text);
	if (side->is_host)
		put_except_owners(&r->w, chain.text, it);
	put_exceptions(r, chain.text, i);
	(void)snprintf(what, sizeof(what), "-j MARK --set-xmark 0x%x/0x%x",
		       r->c->mark, r->c->mask);
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		put_ports(&r->w, chain.text, p, &it->ports[p], what);
}

/* Which of the chains of put_verdicts() takes it. */
static const char *taking(const struct render *r, size_t i, enum proto p)
{
	if (r->c->intercepts[i].has_deliver)
		return "-g waylay-take";
	if (!r->w.plan->ports[i][p][r->w.family])
		return "-g waylay-nobody";
	return iptables_has_lease(r->w.plan) ? "-g waylay-lease"
					     : "-g waylay-take";
}

static void put_take(struct render *r, size_t i)
{
	static const char *const names[] = { "tcp", "udp" };
	struct name chain = name_of("take", i);

	put_chain(&r->w, chain.text);
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		if (r->c->intercepts[i].ports[p].count)
			put_rule(&r->w, chain.text, "-p %s %s", names[p],
				 taking(r, i, p));
}

static void put_selection(struct render *r, const char *chain,
			  const struct selection *s)
{
	struct name take = name_of("take", s->intercept);
	const char *to = NULL;
	char action[64];

	switch (s->kind) {
	case VERDICT_PASS:
		to = "waylay-direct";
		break;
	case VERDICT_REJECT:
		to = "waylay-reject";
		break;
	case VERDICT_DROP:
		to = "waylay-drop";
		break;
	case VERDICT_RELAY:
	case VERDICT_DELIVER:
		to = take.text;
		break;
	}
	(void)snprintf(action, sizeof(action), "-g %s", to);
	if (s->rule) {
		const struct condition c = {
			.src = &s->rule->src,
			.dst = eval_rule_dst(s->rule),
			.protos = s->rule->protos,
			.ports = s->rule->has_ports ? &s->rule->ports : NULL,
		};

		put_if(&r->w, chain, &c, action);
	} else {
		put_rule(&r->w, chain, "%s", action);
	}
}

static void put_select(struct render *r, size_t i)
{
	struct name chain = name_of("select", i);

	put_chain(&r->w, chain.text);
	for (size_t n = 0; n < r->selections->count; n++)
		if (r->selections->of[n].intercept == i)
			put_selection(r, chain.text, &r->selections->of[n]);
}

/* Each intercept in turn: if it takes the packet, its rules have the last
 * word; the RETURN at their end leaves `chain` as well. */
static void put_intercepts(struct render *r, const char *chain,
			   const struct side *side)
{
	for (size_t i = 0; i < r->c->intercept_count; i++) {
		struct name match = name_of("match", i);
		struct name select = name_of("select", i);
		char what[64];

		if (!takes_from(&r->c->intercepts[i], side) ||
		    !takes_family(r, i))
			continue;
		put_match(r, i, side);
		put_take(r, i);
		put_select(r, i);
		(void)snprintf(what, sizeof(what), "-j %s", match.text);
		if (side->is_host)
			put_rule(&r->w, chain, "%s", what);
		else
			put_interfaces(r, chain, "-i", i, what);
		put_rule(&r->w, chain, "-m mark --mark 0x%x/0x%x -g %s",
			 r->c->mark, r->c->mask, select.text);
	}
}

/* --- verdicts ------------------------------------------------------------ */

static void put_dropping(struct render *r, const char *chain,
			 const char *comment, const struct side *side)
{
	if (side->drop)
		put_marking(r, chain, comment, side->drop);
	else {
		put_chain(&r->w, chain);
		put_rule(&r->w, chain, "-m comment --comment %s -j DROP",
			 comment);
	}
}

/* Where every selection ends. */
static void put_verdicts(struct render *r, const struct side *side)
{
	struct writer *w = &r->w;
	bool is_open = r->c->on_failure == ON_FAILURE_OPEN;

	put_marking(r, "waylay-direct", "passed_direct", 0);
	put_marking(r, "waylay-reject", "", side->reject);
	put_dropping(r, "waylay-drop", "dropped_rule", side);
	if (is_open)
		put_marking(r, "waylay-nobody", "passed_no_listener", 0);
	else
		put_dropping(r, "waylay-nobody", "dropped_no_listener", side);
	put_chain(w, "waylay-take");
	if (side->is_host) {
		put_rule(w, "waylay-take",
			 "-p tcp -j CONNMARK --set-xmark 0x%x/0x%x", side->take,
			 r->c->mask);
	} else {
		put_rule(w, "waylay-take", "-p tcp --syn -j CT --notrack");
		put_rule(w, "waylay-take", "-p udp -j CT --notrack");
	}
	put_mark(r, "waylay-take", side->is_host ? "taken_host" : "",
		 side->take);
	if (!iptables_has_lease(w->plan))
		return;
	put_chain(w, "waylay-lease");
	put_rule(w, "waylay-lease",
		 "-m recent --rcheck --seconds %d --name %s --mask %s "
		 "--rsource -g waylay-take",
		 IPTABLES_LEASE_S,
		 strrchr(iptables_lease_path(w->family), '/') + 1,
		 iptables_lease_text(w->family) + 1);
	put_rule(w, "waylay-lease", "-g waylay-nobody");
}

void put_decision(struct render *r, const char *chain, const struct side *side)
{
	put_left_alone(r, chain, side);
	put_verdicts(r, side);
	put_intercepts(r, chain, side);
}
