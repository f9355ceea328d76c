/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.c - policy routing for marked packets; see routing.h.
 */
#include "engine/routing.h"

#include "base/str.h"
#include "net/route.h"

#include <errno.h>

enum { RULES_MIN = 3, RULES_ROOM = 4 };

static bool has_host(const struct config *c)
{
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			return true;
	return false;
}

/* Returns how many there are. */
static int make_rules(const struct config *c, enum family_index f,
		      struct ip_rule rules[RULES_ROOM])
{
	struct ip_rule like = {
		.family = plan_family(f),
		.protocol = PLAN_PROTOCOL,
		.mask = c->mask,
	};

	for (uint32_t i = 0; i < RULES_ROOM; i++) {
		rules[i] = like;
		rules[i].priority = PLAN_PRIORITY + i;
	}
	rules[0].action = RULE_GOTO;
	rules[0].target = PLAN_PRIORITY + 2;
	rules[0].mark = c->mark;
	rules[0].is_from_loopback = true;
	rules[1].action = RULE_LOOKUP;
	rules[1].target = c->table;
	rules[1].mark = c->mark;
	rules[2].action = RULE_NOP;
	rules[2].mask = 0;
	rules[3].action = RULE_LOOKUP;
	rules[3].target = c->table;
	rules[3].mark = plan_host_mark(c);
	rules[3].is_from_loopback = true;
	return has_host(c) ? RULES_ROOM : RULES_MIN;
}

int routing_check(struct nl *nl, const struct plan *p, struct err *e)
{
	struct ip_rule rules[RULES_ROOM];

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		int count = make_rules(p->config, f, rules);

		for (int i = 0; i < count && p->has_family[f]; i++) {
			int clash = route_rule_clash(nl, &rules[i], e);

			if (clash)
				return clash < 0 ? clash : -EEXIST;
		}
	}
	return 0;
}

static int install_rule(struct nl *nl, const struct ip_rule *r, unsigned *added,
			struct err *e)
{
	int has = route_has_rule(nl, r, e);

	if (has)
		return has < 0 ? has : 0;
	++*added;
	return route_add_rule(nl, r, e);
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
	struct ip_rule rules[RULES_ROOM];
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++) {
		int count = make_rules(p->config, f, rules);

		if (!p->has_family[f])
			continue;
		error = install_route(nl, p, f, added, e);
		for (int i = count - 1; i >= 0 && !error; i--)
			error = install_rule(nl, &rules[i], added, e);
	}
	return error;
}

int routing_prune(struct nl *nl, const struct plan *p, struct err *e)
{
	struct ip_rule keep[FAMILY_COUNT * RULES_ROOM];
	size_t count = 0;
	int error;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		count += (size_t)make_rules(p->config, f, keep + count);
	error = route_flush_rules(nl, PLAN_PROTOCOL, keep, count, e);
	if (error < 0)
		return error;
	return route_flush(nl, PLAN_PROTOCOL, p->config->table, e);
}

int routing_remove(struct nl *nl, struct err *e)
{
	int error = route_flush_rules(nl, PLAN_PROTOCOL, NULL, 0, e);

	return error < 0 ? error : route_flush(nl, PLAN_PROTOCOL, 0, e);
}

static void render_rule(const struct ip_rule *r, const char *ip,
			struct str *out)
{
	str_addf(out, "%s rule add pref %u", ip, r->priority);
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
	struct ip_rule rules[RULES_ROOM];

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		const char *ip = f == FAMILY_V6 ? "ip -6" : "ip";
		int count = make_rules(p->config, f, rules);

		if (!p->has_family[f])
			continue;
		str_addf(out,
			 "%s route add local default dev lo table %u proto "
			 "%d\n",
			 ip, p->config->table, PLAN_PROTOCOL);
		for (int i = count - 1; i >= 0; i--)
			render_rule(&rules[i], ip, out);
	}
}
