/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_groups.c - who can be a member of a group, what checks can call, and
 * where fallbacks lead; see parse.h.
 *
 * A flow that finds no member goes to the fallback, which may be a group with
 * a fallback of its own.  That chain must end somewhere: a circle is an error,
 * told once, with all who are in it.
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <string.h>

void check_member(struct parser *p, const struct ref *ref, size_t member)
{
	const struct upstream *u = &p->config->upstreams[member];
	struct message *m;

	switch (u->kind) {
	case UPSTREAM_GROUP:
		m = report_error(p->report, ref->at,
				 "\"%s\" is a group, and members are upstreams",
				 ref->name);
		message_help(m, "another group can be the fallback");
		return;
	case UPSTREAM_REJECT:
	case UPSTREAM_DROP:
		(void)report_error(p->report, ref->at,
				   "\"%s\" carries no flow, so it cannot be a "
				   "member; it can be the fallback",
				   ref->name);
		return;
	case UPSTREAM_DIRECT:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
		break;
	}
}

/* Only such a proxy can be told the name that a check calls: nothing else may
 * turn a name into an address. */
static bool takes_names(const struct upstream *u)
{
	return u->kind == UPSTREAM_SOCKS5 || u->kind == UPSTREAM_HTTP_CONNECT;
}

static void check_health(struct parser *p, const struct group *g)
{
	const struct health *h = &g->health;
	const struct upstream *u;
	struct message *m;

	if (!h->is_on || !h->to_name)
		return;
	for (size_t i = 0; i < g->member_count; i++) {
		u = &p->config->upstreams[g->members[i]];
		if (takes_names(u))
			continue;
		m = report_error(p->report, h->at,
				 "this check calls \"%s\" by its name, and "
				 "member \"%s\" cannot be told a name",
				 h->to_name, u->name);
		message_help(m, "write the address");
		return;
	}
}

/* The next group down the chain, or 0: it ends (0 is no group). */
static size_t next_group(const struct config *c, size_t group)
{
	size_t next = c->upstreams[group].group->fallback;

	return c->upstreams[next].kind == UPSTREAM_GROUP ? next : 0;
}

/* Is `first` in a circle, and the first of it in the text? */
static bool leads_circle(const struct config *c, size_t first)
{
	size_t at = next_group(c, first);

	for (size_t steps = 0; at && at != first; steps++) {
		if (at < first || steps == c->upstream_count)
			return false; /* told there, or not ours */
		at = next_group(c, at);
	}
	return at;
}

static void report_circle(struct parser *p, size_t first, struct place at)
{
	const struct config *c = p->config;
	struct str names = { .len = 0 };
	size_t group = first;

	do {
		group = next_group(c, group);
		str_addf(&names, " -> %s", c->upstreams[group].name);
	} while (group != first);
	(void)report_error(p->report, at,
			   "fallbacks go round in a circle: %s%s",
			   c->upstreams[first].name, str_get(&names));
	str_done(&names);
}

void check_groups(struct parser *p, const struct place *fallback_at)
{
	const struct config *c = p->config;

	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++) {
		if (c->upstreams[i].kind != UPSTREAM_GROUP)
			continue;
		check_health(p, c->upstreams[i].group);
		if (leads_circle(c, i))
			report_circle(p, i, fallback_at[i]);
	}
}
