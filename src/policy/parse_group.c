/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_group.c - `group NAME { ... }`; see parse.h.
 *
 * A group stands among the upstreams, since whatever names an upstream may
 * name a group.  Who can be a member is judged when all names are known
 * (check_groups.c).
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <string.h>

static void *open_group(struct parser *p)
{
	const struct word reject = { .text = "reject" };
	struct upstream *u = parse_new_upstream(p, "group");
	struct group *g = u ? parse_grow(p, NULL, 0, sizeof(*g)) : NULL;

	if (!g)
		return NULL;
	g->health.every_ms = HEALTH_EVERY_MS;
	g->health.timeout_ms = HEALTH_TIMEOUT_MS;
	g->health.rise = HEALTH_RISE;
	g->health.fall = HEALTH_FALL;
	g->fallback = parse_ref(p, &reject); /* until it is said */
	u->kind = UPSTREAM_GROUP;
	u->group = g;
	return u;
}

/* --- members, balance, fallback ------------------------------------------ */

static bool has_member(const struct parser *p, const struct group *g,
		       const char *name)
{
	for (size_t i = 0; i < g->member_count; i++) {
		if (strcmp(p->refs[g->members[i]].name, name) == 0)
			return true;
	}
	return false;
}

static bool add_member(struct parser *p, struct group *g, const struct word *w)
{
	size_t *members;

	if (has_member(p, g, w->text)) {
		(void)report_error(p->report, w->at, "\"%s\" is named twice",
				   w->text);
		return false;
	}
	if (g->member_count == GROUP_MEMBERS_MAX) {
		(void)report_error(p->report, w->at,
				   "too many members; %d are allowed",
				   GROUP_MEMBERS_MAX);
		return false;
	}
	members = parse_grow(p, g->members, g->member_count, sizeof(*members));
	if (!members)
		return false;
	g->members = members;
	members[g->member_count++] = parse_ref(p, w);
	return true;
}

static bool parse_members(struct parser *p, const struct keyword *k,
			  void *subject)
{
	struct group *g = ((struct upstream *)subject)->group;
	const struct word *w;

	(void)k; /* has no more to say */
	do {
		w = word_take_item(p, "names of upstreams");
		if (!w || !add_member(p, g, w))
			return false;
	} while (w->has_comma);
	return true;
}

static bool parse_balance(struct parser *p, const struct keyword *k,
			  void *subject)
{
	static const char *const of_what[] = { "client", NULL };
	struct group *g = ((struct upstream *)subject)->group;
	unsigned choice, ignored;

	if (!value_choice(p, k->name, balance_words, &choice))
		return false;
	g->balance = choice;
	return choice != BALANCE_HASH_CLIENT ||
	       value_choice(p, "hash", of_what, &ignored);
}

static bool parse_fallback(struct parser *p, const struct keyword *k,
			   void *subject)
{
	struct group *g = ((struct upstream *)subject)->group;
	const struct word *w = word_take(p, "the name of an upstream or group");

	(void)k; /* has no more to say */
	if (!w)
		return false;
	g->fallback = parse_ref(p, w);
	return true;
}

/* --- health -------------------------------------------------------------- */

enum { HEALTH_COUNT_MAX = 1000 };

/* What may follow "connect HOST:PORT", each once, in any order. */
static const struct keyword health_options[] = {
	{ .name = "every",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct health, every_ms) },
	{ .name = "timeout",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct health, timeout_ms) },
	{ .name = "rise",
	  .parse = field_number,
	  .min = 1,
	  .max = HEALTH_COUNT_MAX,
	  .field = offsetof(struct health, rise) },
	{ .name = "fall",
	  .parse = field_number,
	  .min = 1,
	  .max = HEALTH_COUNT_MAX,
	  .field = offsetof(struct health, fall) },
};

enum { OPTION_COUNT = sizeof(health_options) / sizeof(health_options[0]) };

static bool parse_option(struct parser *p, struct health *h, unsigned *given)
{
	const char *names[OPTION_COUNT + 1] = { 0 };
	const struct word *w = word_peek(p);
	unsigned choice;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		names[i] = health_options[i].name;
	if (!value_choice(p, "word of a check", names, &choice))
		return false;
	if (*given & 1u << choice) {
		(void)report_error(p->report, w->at, "\"%s\" is given twice",
				   w->text);
		return false;
	}
	*given |= 1u << choice;
	return health_options[choice].parse(p, &health_options[choice], h);
}

static bool check_times(struct parser *p, const struct health *h)
{
	char timeout[DURATION_TEXT_MAX], every[DURATION_TEXT_MAX];
	struct message *m;

	if (h->timeout_ms < h->every_ms)
		return true;
	m = report_error(p->report, h->at,
			 "a check that may take %s cannot be made every %s",
			 duration_format(h->timeout_ms, timeout),
			 duration_format(h->every_ms, every));
	message_help(m, "\"timeout\" must be less than \"every\"; they are 3s "
			"and 10s when not said");
	return false;
}

static bool parse_health(struct parser *p, const struct keyword *k,
			 void *subject)
{
	static const char *const words[] = { "connect", NULL };
	struct health *h = &((struct upstream *)subject)->group->health;
	unsigned choice, given = 0;

	h->at = p->words[0].at;
	if (!value_choice(p, k->name, words, &choice) ||
	    !value_host_port(p, words[choice], &h->to, &h->to_name))
		return false;
	while (word_peek(p)) {
		if (!parse_option(p, h, &given))
			return false;
	}
	h->is_on = true;
	return check_times(p, h);
}

/* --- the block ----------------------------------------------------------- */

static void close_group(struct parser *p, void *subject)
{
	const struct upstream *u = subject;

	if (!u->group->member_count)
		(void)report_error(p->report, u->at,
				   "group \"%s\" is empty: it needs "
				   "\"members\"",
				   u->name);
}

static const struct keyword group_keywords[] = {
	{ .name = "members", .parse = parse_members },
	{ .name = "balance", .parse = parse_balance },
	{ .name = "health", .parse = parse_health },
	{ .name = "fallback", .parse = parse_fallback },
	{ .name = NULL },
};

const struct block group_block = {
	.noun = "group",
	.keywords = group_keywords,
	.open = open_group,
	.close = close_group,
};
