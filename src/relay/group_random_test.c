/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_random_test.c - random groups and states, against a naive reading.
 *
 * Whatever a flow is given must be allowed, not given before, and not worse
 * than another that might have been given; nobody may be left when it ends.
 */
#include "relay/group.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/upstreams_test.h"

enum {
	GROUPS = 5,
	PROXIES = 12,
	WORLDS = 400,
	FLOWS = 100, /* in each */
	NOW_MS = 1000000,
};

struct scene {
	struct world w;
	struct board *board;
	_Atomic uint32_t flows[UPSTREAMS_MAX];
	struct addr client;
	struct group_ask ask;
	size_t groups[GROUPS];
};

/* --- the worlds ---------------------------------------------------------- */

static void random_world(struct rnd *r, struct scene *s)
{
	struct world *w = &s->w;
	size_t proxies[PROXIES];
	char name[2] = "A";

	world_init(w);
	for (size_t i = 0; i < PROXIES; i++, name[0]++) {
		proxies[i] =
			world_add(w, name, UPSTREAM_SOCKS5, "192.0.2.1:1080");
		w->upstreams[proxies[i]].is_udp = rnd_draw(r, 2);
	}
	for (size_t g = 0; g < GROUPS; g++) {
		s->groups[g] =
			world_group(w, "group", (enum balance)rnd_draw(r, 5));
		for (size_t i = rnd_draw(r, PROXIES); i < PROXIES; i++)
			if (rnd_draw(r, 2))
				world_join(w, s->groups[g], proxies[i]);
		/* an earlier group, a proxy, or what is built in */
		w->groups[s->groups[g]].fallback =
			rnd_draw(r, (unsigned)s->groups[g]);
		if (rnd_draw(r, 2))
			(void)world_check(w, s->groups[g], 1, 1);
	}
}

static void scene_begin(struct rnd *r, struct scene *s)
{
	memset(s, 0, sizeof(*s));
	random_world(r, s);
	s->board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(s->board);
	assert_int_equal(addr_parse("10.0.0.1:1", &s->client), 0);
	s->ask = (struct group_ask){ .config = &s->w.config,
				     .board = s->board,
				     .flows = s->flows,
				     .client = &s->client,
				     .now_ms = NOW_MS };
}

static void random_states(struct rnd *r, struct scene *s)
{
	for (size_t i = 3; i < s->w.config.upstream_count; i++) {
		struct board_upstream *b = &s->board->upstreams[i];

		b->want = rnd_draw(r, 4) ? BOARD_ENABLED
					 : (uint8_t)rnd_draw(r, 3);
		b->health = (uint8_t)rnd_draw(r, 3);
		b->changed_ms = NOW_MS - rnd_draw(r, 2 * BOARD_RETRY_MS);
		b->retried_ms = rnd_draw(r, 2) ? NOW_MS : 0;
		b->probed_ms = NOW_MS - rnd_draw(r, 2 * GROUP_PROBE_MS);
		b->latency_us = rnd_draw(r, 5);
		s->flows[i] = rnd_draw(r, 4);
	}
}

/* --- the naive reading --------------------------------------------------- */

/* Written anew from group.h and board.h: may this member be given? */
static bool naive_may(const struct scene *s, size_t upstream)
{
	const struct board_upstream *b = &s->board->upstreams[upstream];
	bool rests = NOW_MS - b->changed_ms < BOARD_RETRY_MS ||
		     NOW_MS - b->retried_ms < BOARD_RETRY_MS;

	if (b->want != BOARD_ENABLED)
		return false;
	if (s->ask.is_udp && !s->w.upstreams[upstream].is_udp)
		return false;
	if (b->health != BOARD_DOWN)
		return true;
	return !b->is_checked && !rests;
}

static bool naive_must_measure(const struct scene *s, size_t upstream)
{
	const struct board_upstream *b = &s->board->upstreams[upstream];

	return !b->is_checked && NOW_MS - b->probed_ms >= GROUP_PROBE_MS;
}

/* Is `one` a worse choice than `other`, so that it must not come first? */
static bool naive_is_worse(const struct scene *s, const struct group *g,
			   size_t one, size_t other)
{
	const struct board_upstream *all = s->board->upstreams;
	uint32_t us[2] = { all[g->members[one]].latency_us,
			   all[g->members[other]].latency_us };

	switch (g->balance) {
	case BALANCE_FIRST:
		return other < one;
	case BALANCE_LEAST_CONN:
		return s->flows[g->members[other]] < s->flows[g->members[one]];
	case BALANCE_LEAST_LATENCY:
		if (naive_must_measure(s, g->members[one]))
			return false;
		if (us[1] && (!us[0] || us[1] < us[0]))
			return true;
		return us[0] == us[1] && other < one;
	case BALANCE_ROUND_ROBIN:
	case BALANCE_HASH_CLIENT:
		return false;
	}
	return false;
}

static size_t position(const struct group *g, size_t upstream)
{
	size_t i = 0;

	while (g->members[i] != upstream)
		assert_true(++i < g->member_count);
	return i;
}

static uint32_t naive_left(const struct scene *s, const struct group *g,
			   uint32_t tried)
{
	uint32_t left = 0;

	for (size_t i = 0; i < g->member_count; i++)
		if (!(tried >> i & 1) && naive_may(s, g->members[i]))
			left |= 1u << i;
	return left;
}

static void expect_more(const struct scene *s, const struct group_path *path)
{
	const struct group *g = s->w.upstreams[path->at - 1].group;

	assert_int_equal(group_has_more(&s->ask, path),
			 g && naive_left(s, g, path->tried) != 0);
}

/* What is given must be allowed, new, and the best; true if it is one. */
static bool naive_step(struct scene *s, size_t *at, uint32_t *tried,
		       const size_t *given)
{
	const struct group *g = s->w.upstreams[*at].group;
	uint32_t left;

	if (!g) { /* itself, once */
		bool is_next = !*tried &&
			       s->board->upstreams[*at].want == BOARD_ENABLED;

		assert_int_equal(is_next, given != NULL);
		assert_true(!given || *given == *at);
		*tried = 1;
		return true;
	}
	left = naive_left(s, g, *tried);
	if (!left) {
		*at = g->fallback;
		*tried = 0;
		return false;
	}
	assert_non_null(given);
	for (size_t i = 0, at_given = position(g, *given); i < g->member_count;
	     i++) {
		if (i == at_given)
			assert_true(left >> i & 1);
		else if (left >> i & 1)
			assert_false(naive_is_worse(s, g, at_given, i));
	}
	*tried |= 1u << position(g, *given);
	return true;
}

static void follow(struct scene *s, struct rnd *r)
{
	size_t start = s->groups[rnd_draw(r, GROUPS)], at = start, out;
	struct group_path path = { 0 };
	uint32_t tried = 0;
	bool is_given = true;

	random_states(r, s);
	s->ask.is_udp = rnd_draw(r, 2);
	rnd_fill(r, s->client.ip, 4);
	for (int n = 0; is_given; n++) {
		/* naive_step() looks at what was there before the choice */
		struct board_upstream before[WORLD_MAX], after[WORLD_MAX];
		size_t bytes = s->w.config.upstream_count * sizeof(before[0]);

		assert_true(n < GROUPS * GROUP_MEMBERS_MAX);
		memcpy(before, s->board->upstreams, bytes);
		is_given = group_next(&s->ask, start, &path, &out);
		memcpy(after, s->board->upstreams, bytes);
		memcpy(s->board->upstreams, before, bytes);
		while (!naive_step(s, &at, &tried, is_given ? &out : NULL))
			;
		memcpy(s->board->upstreams, after, bytes);
		expect_more(s, &path);
	}
}

static void test_random(void **state)
{
	static struct scene s;
	struct rnd r;

	(void)state;
	rnd_begin(&r);
	for (int world = 0; world < WORLDS; world++) {
		scene_begin(&r, &s);
		for (int flow = 0; flow < FLOWS; flow++)
			follow(&s, &r);
		board_free(s.board);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
