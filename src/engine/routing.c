/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.c - policy routing for marked packets; see routing.h.
 */
#include "engine/routing.h"

#include "base/str.h"
#include "net/route.h"

#include <errno.h>

enum { RULES = 3 };

static void make_rules(const struct config *c, enum family_index f,
		       struct ip_rule rules[RULES])
{
	struct ip_rule like = {
		.family = plan_family(f),
		.protocol = PLAN_PROTOCOL,
	};

	for (uint32_t i = 0; i < RULES; i++) {
		rules[i] = like;
		rules[i].priority = PLAN_PRIORITY + i;
	}
	rules[0].action = RULE_GOTO;
	rules[0].target = PLAN_PRIORITY + RULES - 1;
	rules[0].is_from_loopback = true;
	rules[1].action = RULE_LOOKUP;
	rules[1].target = c->table;
	rules[2].action = RULE_NOP;
	for (int i = 0; i < RULES - 1; i++) {
		rules[i].mark = c->mark;
		rules[i].mask = c->mask;
	}
}

int routing_check(struct nl *nl, const struct plan *p, struct err *e)
{
	struct ip_rule rules[RULES];

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		make_rules(p->config, f, rules);
		for (int i = 0; i < RULES && p->has_family[f]; i++) {
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
	struct ip_rule rules[RULES];
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++) {
		if (!p->has_family[f])
			continue;
		make_rules(p->config, f, rules);
		error = install_route(nl, p, f, added, e);
		for (int i = RULES - 1; i >= 0 && !error; i--)
			error = install_rule(nl, &rules[i], added, e);
	}
	return error;
}

int routing_prune(struct nl *nl, const struct plan *p, struct err *e)
{
	struct ip_rule keep[FAMILY_COUNT * RULES];
	int error;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		make_rules(p->config, f, keep + f * RULES);
	error = route_flush_rules(nl, PLAN_PROTOCOL, keep, FAMILY_COUNT * RULES,
				  e);
	if (error < 0)
		return error;
	return route_flush(nl, PLAN_PROTOCOL, p->config->table, e);
}

int routing_remove(struct nl *nl, struct err *e)
{
	int error = route_flush_rules(nl, PLAN_PROTOCOL, NULL, 0, e);

	return error < 0 ? error : route_flush(nl, PLAN_PROTOCOL, 0, e);
}

void routing_render(const struct plan *p, struct str *out)
{
	const struct config *c = p->config;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		const char *ip = f == FAMILY_V6 ? "ip -6" : "ip";

		if (!p->has_family[f])
			continue;
		str_addf(out,
			 "%s route add local default dev lo table %u proto "
			 "%d\n",
			 ip, c->table, PLAN_PROTOCOL);
		str_addf(out, "%s rule add pref %d nop protocol %d\n", ip,
			 PLAN_PRIORITY + 2, PLAN_PROTOCOL);
		str_addf(out,
			 "%s rule add pref %d fwmark 0x%x/0x%x lookup %u "
			 "protocol %d\n",
			 ip, PLAN_PRIORITY + 1, c->mark, c->mask, c->table,
			 PLAN_PROTOCOL);
		str_addf(out,
			 "%s rule add pref %d iif lo fwmark 0x%x/0x%x goto %d "
			 "protocol %d\n",
			 ip, PLAN_PRIORITY, c->mark, c->mask, PLAN_PRIORITY + 2,
			 PLAN_PROTOCOL);
	}
}
