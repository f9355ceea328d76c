/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_scene_test.h - a group "g" of members a, b, c, d.
 *
 * What a flow is given one after the other is written as a word: "bca-" is b,
 * then c, then a, then the built-in reject; the word ends when nobody is left.
 */
#ifndef WL_RELAY_GROUP_SCENE_TEST_H
#define WL_RELAY_GROUP_SCENE_TEST_H

#include "relay/group.h"
#include "relay/upstreams_test.h"

enum { MEMBERS = 4, WORD_MAX = 32, NOW_MS = 1000000, SEED = 7 };

struct scene {
	struct world w;
	struct board *board;
	_Atomic uint32_t flows[UPSTREAMS_MAX];
	struct addr client;
	struct group_ask ask;
	size_t members[MEMBERS], group;
};

static inline void scene_begin(struct scene *s, enum balance balance,
			       bool is_checked)
{
	static const char *const names[MEMBERS] = { "a", "b", "c", "d" };

	memset(s, 0, sizeof(*s));
	world_init(&s->w);
	s->group = world_group(&s->w, "g", balance);
	for (size_t i = 0; i < MEMBERS; i++) {
		s->members[i] = world_add(&s->w, names[i], UPSTREAM_SOCKS5,
					  "192.0.2.1:1080");
		world_join(&s->w, s->group, s->members[i]);
	}
	if (is_checked)
		(void)world_check(&s->w, s->group, 2, 4);
	assert_int_equal(addr_parse("10.0.0.7:40000", &s->client), 0);
	s->board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(s->board);
	s->ask = (struct group_ask){ .config = &s->w.config,
				     .board = s->board,
				     .flows = s->flows,
				     .client = &s->client,
				     .now_ms = NOW_MS,
				     .seed = SEED };
}

static inline struct board_upstream *member(struct scene *s, char letter)
{
	return &s->board->upstreams[s->members[letter - 'a']];
}

static inline char letter_of(const struct scene *s, size_t upstream)
{
	return s->w.config.upstreams[upstream].kind == UPSTREAM_REJECT
		       ? '-'
		       : *s->w.config.upstreams[upstream].name;
}

/* Everything that one flow is given. */
static inline const char *walk_from(struct scene *s, size_t upstream)
{
	static char word[WORD_MAX];
	struct group_path path = { 0 };
	size_t out, len = 0;

	while (group_next(&s->ask, upstream, &path, &out)) {
		assert_true(len < WORD_MAX - 1);
		word[len++] = letter_of(s, out);
	}
	word[len] = '\0';
	return word;
}

static inline const char *walk(struct scene *s)
{
	return walk_from(s, s->group);
}

/* The first one that a flow is given. */
static inline char first_of(struct scene *s)
{
	struct group_path path = { 0 };
	size_t out;

	return group_next(&s->ask, s->group, &path, &out) ? letter_of(s, out)
							  : ' ';
}

#endif
