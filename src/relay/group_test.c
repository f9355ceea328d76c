/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_test.c - who is chosen, who is next, and who is left out.
 */
#include "relay/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/group_scene_test.h"

/* --- who is left out ----------------------------------------------------- */

/* A letter a member: . enabled, d draining, x disabled; health: u unknown,
 * U up, D down since long, N down since now. */
static const struct {
	const char *name;
	const char *wants, *healths;
	bool is_checked;
	const char *all;
} outs[] = {
	{ "all are there", "....", "UUUU", true, "abcd-" },
	{ "nothing is known yet", "....", "uuuu", true, "abcd-" },
	{ "one is draining", "d...", "UUUU", true, "bcd-" },
	{ "one is disabled", ".x..", "UUUU", true, "acd-" },
	{ "one is down", "....", "UUDU", true, "abd-" },
	{ "all are down: the fallback", "....", "DDDD", true, "-" },
	{ "all are draining: the fallback", "dddd", "UUUU", true, "-" },
	{ "unchecked: one that went down now", "....", "NUUU", false, "bcd-" },
	{ "unchecked: one that is down for long", "....", "DUUU", false,
	  "abcd-" },
	{ "unchecked: all went down now", "....", "NNNN", false, "-" },
	{ "unchecked: all are down for long", "....", "DDDD", false, "abcd-" },
	{ "unchecked, down and draining", "d...", "DUUU", false, "bcd-" },
};

static void set_states(struct scene *s, const char *wants, const char *healths)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		struct board_upstream *b = member(s, (char)('a' + i));

		b->want = wants[i] == 'd'   ? BOARD_DRAINING
			  : wants[i] == 'x' ? BOARD_DISABLED
					    : BOARD_ENABLED;
		b->health = healths[i] == 'u'	? BOARD_UNKNOWN
			    : healths[i] == 'U' ? BOARD_UP
						: BOARD_DOWN;
		b->changed_ms = NOW_MS;
		if (healths[i] == 'D')
			b->changed_ms -= BOARD_RETRY_MS;
	}
}

static void test_who_is_left_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(outs) / sizeof(*outs); i++) {
		struct scene s;
		const char *word;

		scene_begin(&s, BALANCE_FIRST, outs[i].is_checked);
		set_states(&s, outs[i].wants, outs[i].healths);
		word = walk(&s);
		if (strcmp(word, outs[i].all) != 0)
			fail_msg("%s: %s", outs[i].name, word);
		board_free(s.board);
	}
}

static void test_how_many_are_up(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, false);
	set_states(&s, ".d..", "UUuD");
	assert_int_equal(group_count_up(s.board, &s.w.groups[s.group]), 2);
	board_free(s.board);
}

/* Of those who are down and unchecked one flow each BOARD_RETRY_MS tries. */
static void test_one_flow_tries_who_is_down(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, false);
	set_states(&s, "....", "DUUU");
	assert_int_equal(first_of(&s), 'a');
	assert_int_equal(first_of(&s), 'b');
	s.ask.now_ms += BOARD_RETRY_MS - 1;
	assert_int_equal(first_of(&s), 'b');
	s.ask.now_ms++;
	assert_int_equal(first_of(&s), 'a');
	board_opened(s.board, s.members[0], 100);
	assert_int_equal(first_of(&s), 'a');
	assert_int_equal(first_of(&s), 'a');
	board_free(s.board);
}

static void test_one_that_is_checked_elsewhere_is_not_tried(void **state)
{
	struct scene s;
	size_t other;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, false);
	other = world_group(&s.w, "other", BALANCE_FIRST);
	world_join(&s.w, other, s.members[0]);
	(void)world_check(&s.w, other, 2, 3);
	board_free(s.board);
	s.board = s.ask.board = board_new(&s.w.config, NULL, NULL);
	set_states(&s, "....", "DUUU");
	assert_string_equal(walk(&s), "bcd-");
	board_free(s.board);
}

/* --- UDP ----------------------------------------------------------------- */

static void test_udp_goes_where_it_can(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, true);
	s.w.upstreams[s.members[1]].is_udp = true;
	s.w.upstreams[s.members[3]].is_udp = true;
	assert_string_equal(walk(&s), "abcd-");
	s.ask.is_udp = true;
	assert_string_equal(walk(&s), "bd-");
	/* not by way of a group: its owner says why it is refused */
	assert_string_equal(walk_from(&s, s.members[0]), "a");
	board_free(s.board);
}

/* --- fallback ------------------------------------------------------------ */

/* The scene with a second group to fall back to, of one member z. */
static size_t begin_with_spare(struct scene *s, size_t *z)
{
	size_t second;

	scene_begin(s, BALANCE_FIRST, true);
	second = world_group(&s->w, "second", BALANCE_FIRST);
	*z = world_add(&s->w, "z", UPSTREAM_SOCKS5, "192.0.2.1:1080");
	world_join(&s->w, second, *z);
	s->w.groups[s->group].fallback = second;
	board_free(s->board);
	s->board = s->ask.board = board_new(&s->w.config, NULL, NULL);
	return second;
}

static void test_fallback_is_a_group(void **state)
{
	struct scene s;
	size_t second, z;

	(void)state;
	second = begin_with_spare(&s, &z);
	assert_string_equal(walk(&s), "abcdz-");
	s.w.groups[second].fallback = WORLD_DIRECT;
	assert_string_equal(walk(&s), "abcdzd");
	s.board->upstreams[WORLD_DIRECT].want = BOARD_DISABLED;
	assert_string_equal(walk(&s), "abcdz");
	board_free(s.board);
}

/* The operator's word is no failure; one member that may have flows and does
 * not work is. */
static void test_who_is_closed(void **state)
{
	static const struct {
		const char *name, *wants, *healths;
		enum board_want spare; /* of the fallback's only member */
		bool is_closed;
	} rows[] = {
		{ "all are enabled", "....", "UUUU", BOARD_ENABLED, false },
		{ "all are down", "....", "DDDD", BOARD_DISABLED, false },
		{ "one is down, the others are disabled", "xx.x", "UUDU",
		  BOARD_DISABLED, false },
		{ "all are disabled, the fallback is not", "xxxx", "UUUU",
		  BOARD_ENABLED, false },
		{ "all are disabled", "xxxx", "UUUU", BOARD_DISABLED, true },
		{ "all are draining", "dddd", "UUUU", BOARD_DRAINING, true },
		{ "all are disabled and down", "xxxx", "DDDD", BOARD_DISABLED,
		  true },
	};
	struct scene s;
	size_t second, z;

	(void)state;
	second = begin_with_spare(&s, &z);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		set_states(&s, rows[i].wants, rows[i].healths);
		s.board->upstreams[z].want = rows[i].spare;
		if (group_is_closed(&s.w.config, s.board, s.group) !=
		    rows[i].is_closed)
			fail_msg("%s", rows[i].name);
	}
	assert_true(group_is_closed(&s.w.config, s.board, s.members[0]));
	member(&s, 'a')->want = BOARD_ENABLED;
	assert_false(group_is_closed(&s.w.config, s.board, s.members[0]));
	s.w.groups[second].fallback = WORLD_DIRECT;
	assert_false(group_is_closed(&s.w.config, s.board, second));
	board_free(s.board);
}

static void test_a_circle_ends(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, true);
	s.w.groups[s.group].fallback = s.group;
	set_states(&s, "....", "DDDD");
	assert_string_equal(walk(&s), "");
	set_states(&s, "xxxx", "UUUU");
	assert_true(group_is_closed(&s.w.config, s.board, s.group));
	board_free(s.board);
}

static void test_no_group(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, true);
	assert_string_equal(walk_from(&s, s.members[1]), "b");
	member(&s, 'b')->health = BOARD_DOWN; /* there is no other one */
	assert_string_equal(walk_from(&s, s.members[1]), "b");
	member(&s, 'b')->want = BOARD_DRAINING;
	assert_string_equal(walk_from(&s, s.members[1]), "");
	assert_string_equal(walk_from(&s, WORLD_REJECT), "-");
	board_free(s.board);
}

static void test_has_more(void **state)
{
	struct group_path path = { 0 };
	struct scene s;
	size_t out;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, true);
	set_states(&s, "..x.", "UUUD");
	assert_false(group_has_more(&s.ask, &path));
	assert_true(group_next(&s.ask, s.group, &path, &out));
	assert_true(group_has_more(&s.ask, &path));
	assert_int_equal(group_fall(&s.w.config, &path), 4);
	assert_true(group_next(&s.ask, s.group, &path, &out));
	assert_false(group_has_more(&s.ask, &path));
	assert_true(group_next(&s.ask, s.group, &path, &out));
	assert_int_equal(letter_of(&s, out), '-');
	assert_false(group_has_more(&s.ask, &path));
	assert_int_equal(group_fall(&s.w.config, &path), BOARD_FALL);
	board_free(s.board);
}

/* To ask takes nobody's turn. */
static void test_has_more_changes_nothing(void **state)
{
	struct group_path path = { 0 };
	struct scene s;
	size_t out;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, false);
	set_states(&s, "....", "UDUU");
	assert_true(group_next(&s.ask, s.group, &path, &out));
	for (int i = 0; i < 5; i++)
		assert_true(group_has_more(&s.ask, &path));
	assert_int_equal(member(&s, 'b')->retried_ms, 0);
	assert_true(group_next(&s.ask, s.group, &path, &out));
	assert_int_equal(letter_of(&s, out), 'b');
	assert_int_equal(group_fall(&s.w.config, &path), BOARD_FALL);
	board_free(s.board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_left_out),
		cmocka_unit_test(test_how_many_are_up),
		cmocka_unit_test(test_one_flow_tries_who_is_down),
		cmocka_unit_test(
			test_one_that_is_checked_elsewhere_is_not_tried),
		cmocka_unit_test(test_udp_goes_where_it_can),
		cmocka_unit_test(test_fallback_is_a_group),
		cmocka_unit_test(test_who_is_closed),
		cmocka_unit_test(test_a_circle_ends),
		cmocka_unit_test(test_no_group),
		cmocka_unit_test(test_has_more),
		cmocka_unit_test(test_has_more_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
