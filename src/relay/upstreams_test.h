/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstreams_test.h - upstreams and groups for tests, without any text.
 *
 *	struct world w;
 *	world_init(&w);
 *	size_t a = world_add(&w, "a", UPSTREAM_SOCKS5, "192.0.2.1:1080");
 *	size_t g = world_group(&w, "g", BALANCE_FIRST);
 *	world_join(&w, g, a);
 *
 * The three built in are there at 0, 1 and 2.
 */
#ifndef WL_RELAY_UPSTREAMS_TEST_H
#define WL_RELAY_UPSTREAMS_TEST_H

#include "policy/model.h"

#include <string.h>

enum { WORLD_MAX = 64, WORLD_DIRECT = 0, WORLD_REJECT = 1 };

struct world {
	struct config config;
	struct upstream upstreams[WORLD_MAX];
	struct group groups[WORLD_MAX];
	size_t members[WORLD_MAX][GROUP_MEMBERS_MAX];
	char names[WORLD_MAX][NAME_TEXT_MAX];
};

static inline size_t world_add(struct world *w, const char *name,
			       enum upstream_kind kind, const char *to)
{
	size_t i = w->config.upstream_count++;
	struct upstream *u = &w->upstreams[i];

	assert_true(i < WORLD_MAX);
	*u = (struct upstream){ .kind = kind, .has_to = to };
	(void)strncpy(w->names[i], name, NAME_TEXT_MAX - 1);
	u->name = w->names[i];
	if (to)
		assert_int_equal(addr_parse(to, &u->to), 0);
	return i;
}

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->config.upstreams = w->upstreams;
	(void)world_add(w, "direct", UPSTREAM_DIRECT, NULL);
	(void)world_add(w, "reject", UPSTREAM_REJECT, NULL);
	(void)world_add(w, "drop", UPSTREAM_DROP, NULL);
}

static inline size_t world_group(struct world *w, const char *name,
				 enum balance balance)
{
	size_t i = world_add(w, name, UPSTREAM_GROUP, NULL);

	w->groups[i] = (struct group){ .members = w->members[i],
				       .balance = balance,
				       .fallback = WORLD_REJECT };
	w->upstreams[i].group = &w->groups[i];
	return i;
}

static inline void world_join(struct world *w, size_t group, size_t upstream)
{
	struct group *g = &w->groups[group];

	g->members[g->member_count++] = upstream;
}

static inline struct health *world_check(struct world *w, size_t group,
					 uint32_t rise, uint32_t fall)
{
	struct health *h = &w->groups[group].health;

	*h = (struct health){ .is_on = true,
			      .every_ms = 10000,
			      .timeout_ms = 3000,
			      .rise = rise,
			      .fall = fall };
	assert_int_equal(addr_parse("198.51.100.1:443", &h->to), 0);
	return h;
}

#endif
