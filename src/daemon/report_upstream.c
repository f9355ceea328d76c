/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_upstream.c - upstreams and groups; see report_upstream.h.
 *
 * Numbers come from the board, which workers write: they are shown, and decide
 * nothing here.
 */
#include "daemon/report_upstream.h"

#include "base/log.h"
#include "daemon/supervisor.h"
#include "policy/suggest.h"
#include "policy/words.h"
#include "relay/group.h"

#include <string.h>

static void set(json_t *j, const char *key, json_t *value)
{
	(void)json_object_set_new(j, key, value); /* NULL: without memory */
}

static void set_number(json_t *j, const char *key, uint64_t value)
{
	set(j, key, json_integer((json_int_t)value));
}

static const struct config *config_of(const struct supervisor *s)
{
	return s->crew.current->config;
}

static const struct board *board_of(const struct supervisor *s)
{
	return s->crew.current->board;
}

/* --- one upstream -------------------------------------------------------- */

/* "192.0.2.1:1080", "proxy.example.org:3128", or null. */
static json_t *to_text(const struct upstream *u)
{
	char text[ADDR_TEXT_MAX];

	if (!u->has_to)
		return json_null();
	if (u->to_name)
		return json_sprintf("%s:%u", u->to_name, u->to.port);
	return json_string(u->to.port ? addr_format(&u->to, text)
				      : addr_format_ip(&u->to, text));
}

/* Where a name leads now. */
static json_t *addresses(const struct supervisor *s, size_t i)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];
	struct addr one, first;

	for (uint32_t n = 0; n < BOARD_ADDRS_MAX; n++) {
		if (!board_address(board_of(s), config_of(s), i, n, &one))
			break;
		if (n && addr_equal(&one, &first))
			break; /* once round */
		if (!n)
			first = one;
		if (one.family == AF_INET || one.family == AF_INET6)
			(void)json_array_append_new(
				list, json_string(addr_format(&one, text)));
	}
	return list;
}

/* -1: never. */
static json_t *age(const struct supervisor *s, uint64_t then_ms)
{
	uint64_t now_ms = s->loop.now_ms;

	if (!then_ms)
		return json_integer(-1);
	return json_integer(now_ms > then_ms ? (json_int_t)(now_ms - then_ms)
					     : 0);
}

static const char *last_error(const struct board_upstream *b)
{
	enum flow_end end = atomic_load(&b->last_end);

	return end == END_NONE ? "" : flow_end_name(end);
}

static json_t *upstream_json(const struct supervisor *s, size_t i)
{
	const struct board_upstream *b = &board_of(s)->upstreams[i];
	const struct upstream *u = &config_of(s)->upstreams[i];
	json_t *j = json_object();

	set(j, "name", json_string(u->name));
	set(j, "via", json_string(via_words[u->kind]));
	set(j, "to", to_text(u));
	if (u->to_name)
		set(j, "addresses", addresses(s, i));
	set(j, "health",
	    json_string(board_health_name(atomic_load(&b->health))));
	set(j, "is_checked", json_boolean(b->is_checked));
	set(j, "checked_ago_ms", age(s, atomic_load(&b->checked_ms)));
	set(j, "changed_ago_ms", age(s, atomic_load(&b->changed_ms)));
	set(j, "want", json_string(board_want_name(atomic_load(&b->want))));
	if (u->kind == UPSTREAM_SOCKS5)
		set(j, "pipeline",
		    json_string(
			    board_pipeline_name(atomic_load(&b->pipeline))));
	set_number(j, "flows", crew_upstream_flows(&s->crew, i));
	set_number(j, "latency_us", atomic_load(&b->latency_us));
	set_number(j, "opened", atomic_load(&b->opened));
	set_number(j, "failed", atomic_load(&b->failed));
	set(j, "last_error", json_string(last_error(b)));
	set_number(j, "last_reply", atomic_load(&b->last_reply));
	return j;
}

/* The built-in ones that end a flow are no way to anywhere. */
static bool is_listed(const struct upstream *u)
{
	return u->kind != UPSTREAM_REJECT && u->kind != UPSTREAM_DROP &&
	       u->kind != UPSTREAM_GROUP;
}

static json_t *upstreams(const struct supervisor *s)
{
	const struct config *c = config_of(s);
	json_t *list = json_array();

	for (size_t i = 0; i < c->upstream_count; i++)
		if (is_listed(&c->upstreams[i]))
			(void)json_array_append_new(list, upstream_json(s, i));
	return list;
}

/* --- groups -------------------------------------------------------------- */

static json_t *group_json(const struct supervisor *s, size_t i)
{
	const struct config *c = config_of(s);
	const struct group *g = c->upstreams[i].group;
	json_t *j = json_object(), *members = json_array();

	for (size_t n = 0; n < g->member_count; n++)
		(void)json_array_append_new(
			members, json_string(c->upstreams[g->members[n]].name));
	set(j, "name", json_string(c->upstreams[i].name));
	set(j, "members", members);
	set_number(j, "members_up", group_count_up(board_of(s), g));
	set(j, "balance",
	    json_string(g->balance == BALANCE_HASH_CLIENT
				? "hash client"
				: balance_words[g->balance]));
	set(j, "fallback", json_string(c->upstreams[g->fallback].name));
	set(j, "has_health", json_boolean(g->health.is_on));
	return j;
}

json_t *report_groups(const struct supervisor *s)
{
	const struct generation *g = s->crew.current;
	const struct config *c = g ? g->config : NULL;
	json_t *list = json_array();

	for (size_t i = 0; c && i < c->upstream_count; i++)
		if (c->upstreams[i].group)
			(void)json_array_append_new(list, group_json(s, i));
	return list;
}

void report_group_problems(const struct supervisor *s, json_t *list)
{
	const struct generation *now = s->crew.current;
	const struct config *c = now ? now->config : NULL;
	struct str text = { 0 };

	for (size_t i = 0; c && i < c->upstream_count; i++) {
		const struct group *g = c->upstreams[i].group;

		if (!g || group_count_up(board_of(s), g))
			continue;
		str_reset(&text);
		upstream_log_empty_group(c, i, &text);
		(void)json_array_append_new(list, json_string(str_get(&text)));
	}
	str_done(&text);
}

/* --- another wish -------------------------------------------------------- */

static const struct {
	const char *action;
	enum board_want want;
} wishes[] = {
	{ "enable", BOARD_ENABLED },
	{ "drain", BOARD_DRAINING },
	{ "disable", BOARD_DISABLED },
};

static json_t *refuse_unknown(const struct config *c, const char *name)
{
	struct suggestion near;
	struct str text = { 0 };
	json_t *j;

	suggest_init(&near, name);
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++)
		suggest_offer(&near, c->upstreams[i].name);
	str_addf(&text, "there is no upstream '%s'", name);
	if (near.best)
		str_addf(&text, " (did you mean '%s'?)", near.best);
	j = control_error(CONTROL_USAGE, str_get(&text));
	str_done(&text);
	return j;
}

static json_t *refuse(const char *name, const char *why)
{
	struct str text = { 0 };
	json_t *j;

	str_addf(&text, "'%s' %s", name, why);
	j = control_error(CONTROL_USAGE, str_get(&text));
	str_done(&text);
	return j;
}

static void log_wish(const struct supervisor *s, size_t i, enum board_want want)
{
	log_info(
		"upstream %s is %s, as `waylay upstream` asks; it has %u flows",
		config_of(s)->upstreams[i].name, board_want_name(want),
		crew_upstream_flows(&s->crew, i));
}

static json_t *wish(struct supervisor *s, enum board_want want,
		    const char *name)
{
	const struct config *c = config_of(s);
	size_t i = 0;

	while (i < c->upstream_count && strcmp(c->upstreams[i].name, name) != 0)
		i++;
	if (i == c->upstream_count)
		return refuse_unknown(c, name);
	if (c->upstreams[i].group)
		return refuse(name, "is a group: say it of its members");
	if (i < UPSTREAM_BUILTIN_COUNT)
		return refuse(name, "is built in: it is always there");
	if (atomic_load(&board_of(s)->upstreams[i].want) != want)
		log_wish(s, i, want);
	crew_want(&s->crew, i, want);
	return json_pack("{s:b, s:o}", "ok", 1, "upstream",
			 upstream_json(s, i));
}

json_t *report_upstream(struct supervisor *s, const json_t *request)
{
	const char *action =
		json_string_value(json_object_get(request, "action"));
	const char *name = json_string_value(json_object_get(request, "name"));

	if (!s->crew.current)
		return control_error(CONTROL_FAILED, "waylayd is ending");
	if (!action)
		return json_pack("{s:b, s:o, s:o}", "ok", 1, "groups",
				 report_groups(s), "upstreams", upstreams(s));
	for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++)
		if (!strcmp(wishes[i].action, action) && name)
			return wish(s, wishes[i].want, name);
	return control_error(CONTROL_USAGE,
			     "say enable, drain or disable, and a name");
}
