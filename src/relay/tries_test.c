/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tries_test.c - what record and counters say of the tries of a flow.
 */
#include "relay/tries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/group_scene_test.h"

/* A worker with two rules: to the group of the scene, and to its member a. */
enum { TO_GROUP, TO_MEMBER, RULES };

struct stage {
	struct scene s;
	struct rule rules[RULES];
	struct worker w;
	struct flow_record r;
	struct group_path path;
};

static void never(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	fail();
}

static void stage_begin(struct stage *t, uint32_t rule, enum proto proto)
{
	memset(t, 0, sizeof(*t));
	scene_begin(&t->s, BALANCE_FIRST, true);
	t->rules[TO_GROUP].upstream = t->s.group;
	t->rules[TO_MEMBER].upstream = t->s.members[0];
	t->s.w.config.rules = t->rules;
	t->s.w.config.rule_count = RULES;
	t->w.args.config = &t->s.w.config;
	t->w.args.board = t->s.board;
	t->w.args.shared = shared_new(1);
	assert_non_null(t->w.args.shared);
	wheel_init(&t->w.loop.wheel, NOW_MS);
	t->w.wake.fn = never;
	t->w.loop.now_ms = NOW_MS;
	t->r.rule = rule;
	t->r.proto = (uint8_t)proto;
	t->r.client = t->s.client;
}

static void stage_end(struct stage *t)
{
	board_free(t->s.board);
	shared_free(t->w.args.shared);
}

static uint64_t counted(const struct stage *t, enum counter c)
{
	return t->w.args.shared->counters[c];
}

/* Everything that the flow is given, each of them tried. */
static const char *try_all(struct stage *t)
{
	static char word[WORD_MAX];
	size_t upstream, len = 0;

	while (tries_next(&t->w, &t->r, &t->path, &upstream)) {
		assert_true(len < WORD_MAX - 1);
		word[len++] = letter_of(&t->s, upstream);
		tries_begin(&t->w, &t->r, upstream);
		assert_int_equal(t->r.upstream, upstream);
	}
	word[len] = '\0';
	return word;
}

static void test_each_try_is_noted(void **state)
{
	struct stage t;

	(void)state;
	stage_begin(&t, TO_GROUP, PROTO_TCP);
	assert_string_equal(try_all(&t), "abcd-");
	assert_int_equal(t.r.attempts, 5);
	assert_int_equal(counted(&t, COUNTER_upstream_retried), 4);
	t.r.attempts = UINT8_MAX;
	tries_begin(&t.w, &t.r, t.s.members[0]);
	assert_int_equal(t.r.attempts, UINT8_MAX);
	stage_end(&t);
}

static void test_datagrams_go_where_they_can(void **state)
{
	struct stage t;

	(void)state;
	stage_begin(&t, TO_GROUP, PROTO_UDP);
	t.s.w.upstreams[t.s.members[2]].is_udp = true;
	assert_string_equal(try_all(&t), "c-");
	stage_end(&t);
}

static void test_whether_there_is_another(void **state)
{
	struct stage t;
	size_t upstream;

	(void)state;
	stage_begin(&t, TO_GROUP, PROTO_TCP);
	assert_false(tries_has_other(&t.w, &t.r, &t.path));
	for (int i = 0; i < MEMBERS; i++) {
		assert_true(tries_next(&t.w, &t.r, &t.path, &upstream));
		assert_int_equal(tries_has_other(&t.w, &t.r, &t.path),
				 i < MEMBERS - 1);
	}
	t.s.w.groups[t.s.group].fallback = WORLD_DIRECT;
	assert_true(tries_has_other(&t.w, &t.r, &t.path));
	stage_end(&t);

	stage_begin(&t, TO_MEMBER, PROTO_TCP);
	assert_null(tries_group(&t.w, &t.r));
	assert_string_equal(try_all(&t), "a");
	assert_false(tries_has_other(&t.w, &t.r, &t.path));
	stage_end(&t);
}

/* --- giving up ----------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t rule;
	enum board_want want; /* of all members */
	uint8_t attempts;
	enum flow_end end;
	bool is_counted;
} rows[] = {
	{ "all have failed: what the last one said", TO_GROUP, BOARD_ENABLED, 4,
	  END_UPSTREAM_AUTH, true },
	{ "nobody was asked: all are down", TO_GROUP, BOARD_ENABLED, 0,
	  END_NO_UPSTREAM, true },
	{ "nobody was asked: all are disabled", TO_GROUP, BOARD_DISABLED, 0,
	  END_UPSTREAM_DISABLED, false },
	{ "nobody was asked: all are draining", TO_GROUP, BOARD_DRAINING, 0,
	  END_UPSTREAM_DISABLED, false },
	{ "one was asked before all were disabled", TO_GROUP, BOARD_DISABLED, 1,
	  END_UPSTREAM_AUTH, true },
	{ "no group, and it failed", TO_MEMBER, BOARD_ENABLED, 1,
	  END_UPSTREAM_AUTH, false },
	{ "no group, and it is disabled", TO_MEMBER, BOARD_DISABLED, 0,
	  END_UPSTREAM_DISABLED, false },
};

static void test_giving_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct stage t;
		enum flow_end end;

		stage_begin(&t, rows[i].rule, PROTO_TCP);
		for (size_t k = 0; k < MEMBERS; k++)
			t.s.board->upstreams[t.s.members[k]].want =
				(uint8_t)rows[i].want;
		t.r.attempts = rows[i].attempts;
		end = tries_give_up(&t.w, &t.r, END_UPSTREAM_AUTH);
		if (end != rows[i].end ||
		    counted(&t, COUNTER_upstream_none) != rows[i].is_counted)
			fail_msg("%s: %s", rows[i].name, flow_end_name(end));
		assert_int_equal(timer_is_set(&t.w.wake),
				 end != END_UPSTREAM_DISABLED);
		stage_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_try_is_noted),
		cmocka_unit_test(test_datagrams_go_where_they_can),
		cmocka_unit_test(test_whether_there_is_another),
		cmocka_unit_test(test_giving_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
