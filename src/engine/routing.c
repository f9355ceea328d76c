/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.c - policy routing for marked packets; see routing.h.
 */
#include "engine/routing.h"

#include "base/str.h"
#include "net/route.h"
#include "net/rule.h"

#include <errno.h>
#include <string.h>

/* Distance of each rule's priority from PLAN_PRIORITY; see routing.h. */
enum rule_place { DETOUR, MARKED, LANDING, HOST, ANSWERS };

enum { RULES_FIXED = 4, RULES_ROOM = RULES_FIXED + UPSTREAMS_MAX };

struct rules {
	struct ip_rule at[RULES_ROOM]; /* of one family */
	size_t count;
};

static struct ip_rule *add_rule(struct rules *rules, const struct config *c,
				enum family_index f, enum rule_place place)
{
	static const enum rule_action actions[] = {
		[DETOUR] = RULE_GOTO,	 [MARKED] = RULE_LOOKUP,
		[LANDING] = RULE_NOP,	 [HOST] = RULE_LOOKUP,
		[ANSWERS] = RULE_LOOKUP,
	};
	const uint32_t targets[] = {
		[RULE_LOOKUP] = c->table,
		[RULE_GOTO] = PLAN_PRIORITY + LANDING,
		[RULE_NOP] = 0,
	};
	struct ip_rule *r = &rules->at[rules->count++];

	*r = (struct ip_rule){
		.family = plan_family(f),
		.protocol = PLAN_PROTOCOL,
		.priority = PLAN_PRIORITY + place,
		.action = actions[place],
		.target = targets[actions[place]],
		.is_from_loopback = place != MARKED && place != LANDING,
	};
	return r;
}

static void add_marked(struct rules *rules, const struct config *c,
		       enum family_index f, enum rule_place place,
		       uint32_t mark)
{
	struct ip_rule *r = add_rule(rules, c, f, place);

	r->mark = mark;
	r->mask = c->mask;
}

static bool has_from(const struct rules *rules, const struct addr *a)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->at[i].from.len &&
		    addr_same_ip(&rules->at[i].from.net, a))
			return true;
	return false;
}

/* A server on this host's loopback that is shown the client's address: where
 * it answers to is elsewhere, by every other route. */
static bool answers_elsewhere(const struct upstream *u)
{
	return u->source == SOURCE_CLIENT && u->has_to &&
	       addr_is_loopback(&u->to);
}

static void add_answers(struct rules *rules, const struct config *c,
			enum family_index f)
{
	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct upstream *u = &c->upstreams[i];
		struct ip_rule *r;

		if (!answers_elsewhere(u) || u->to.family != plan_family(f) ||
		    has_from(rules, &u->to))
			continue;
		r = add_rule(rules, c, f, ANSWERS);
		r->from.net = u->to;
		r->from.net.port = 0;
		r->from.len = (uint8_t)(8 * addr_ip_len(&u->to));
	}
}

static void make_rules(const struct config *c, enum family_index f,
		       struct rules *out)
{
	out->count = 0;
	add_marked(out, c, f, DETOUR, c->mark);
	add_marked(out, c, f, MARKED, c->mark);
	(void)add_rule(out, c, f, LANDING);
	if (plan_has_host(c))
		add_marked(out, c, f, HOST, plan_host_mark(c));
	add_answers(out, c, f);
}

int routing_check(struct nl *nl, const struct plan *p, struct err *e)
{
	struct rules rules;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		make_rules(p->config, f, &rules);
		for (size_t i = 0; i < rules.count && p->has_family[f]; i++) {
			int clash = rule_clash(nl, &rules.at[i], e);

			if (clash)
				return clash < 0 ? clash : -EEXIST;
		}
	}
	return 0;
}

static int install_rule(struct nl *nl, const struct ip_rule *r, unsigned *added,
			struct err *e)
{
	int has = rule_has(nl, r, e);

	if (has)
		return has < 0 ? has : 0;
	++*added;
	return rule_add(nl, r, e);
}

static int install_route(struct nl *nl, const struct plan *p,
			 enum family_index f, unsigned *added, struct err *e)
{
	int has = route_has_local_default(nl, plan_family(f), p->config->table,
					  PLAN_PROTOCOL, e);

	if (has)
		return has < 0 ? has : 0;
	++*added;
	return route_add_local_default(nl, plan_family(f), p->config->table,
				       PLAN_PROTOCOL, e);
}

/* The target of a goto must exist before it, so rules go in from the last;
 * the route goes first so that no marked packet ever finds an empty table. */
int routing_install(struct nl *nl, const struct plan *p, unsigned *added,
		    struct err *e)
{
	struct rules rules;
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++) {
		if (!p->has_family[f])
			continue;
		make_rules(p->config, f, &rules);
		error = install_route(nl, p, f, added, e);
		for (size_t i = rules.count; i > 0 && !error; i--)
			error = install_rule(nl, &rules.at[i - 1], added, e);
	}
	return error;
}

int routing_prune(struct nl *nl, const struct plan *p, struct err *e)
{
	struct ip_rule keep[FAMILY_COUNT * RULES_ROOM];
	struct rules rules;
	size_t count = 0;
	int error;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		make_rules(p->config, f, &rules);
		memcpy(&keep[count], rules.at, rules.count * sizeof(*keep));
		count += rules.count;
	}
	error = rule_flush(nl, PLAN_PROTOCOL, keep, count, e);
	if (error < 0)
		return error;
	return route_flush(nl, PLAN_PROTOCOL, p->config->table, e);
}

int routing_remove(struct nl *nl, struct err *e)
{
	int error = rule_flush(nl, PLAN_PROTOCOL, NULL, 0, e);

	return error < 0 ? error : route_flush(nl, PLAN_PROTOCOL, 0, e);
}

static void render_rule(const struct ip_rule *r, const char *ip,
			struct str *out)
{
	char from[ADDR_TEXT_MAX];

	str_addf(out, "%s rule add pref %u", ip, r->priority);
	if (r->from.len)
		str_addf(out, " from %s", addr_format_ip(&r->from.net, from));
	if (r->is_from_loopback)
		str_add(out, " iif lo");
	if (r->mask)
		str_addf(out, " fwmark 0x%x/0x%x", r->mark, r->mask);
	switch (r->action) {
	case RULE_LOOKUP:
		str_addf(out, " lookup %u", r->target);
		break;
	case RULE_GOTO:
		str_addf(out, " goto %u", r->target);
		break;
	case RULE_NOP:
		str_add(out, " nop");
		break;
	}
	str_addf(out, " protocol %d\n", PLAN_PROTOCOL);
}

void routing_render(const struct plan *p, struct str *out)
{
	struct rules rules;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		const char *ip = f == FAMILY_V6 ? "ip -6" : "ip";

		if (!p->has_family[f])
			continue;
		make_rules(p->config, f, &rules);
		str_addf(out,
			 "%s route add local default dev lo table %u proto "
			 "%d\n",
			 ip, p->config->table, PLAN_PROTOCOL);
		for (size_t i = rules.count; i > 0; i--)
			render_rule(&rules.at[i - 1], ip, out);
	}
}
