/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_test.c - what is noted of upstreams; what a reload keeps of it.
 */
#include "relay/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/upstreams_test.h"

/* Two proxies in a group, one of them by name; "free" is in none. */
struct scene {
	struct world w;
	size_t fra, ams, free, group;
	struct board *board;
};

static void scene_init(struct scene *s)
{
	struct world *w = &s->w;

	world_init(w);
	s->fra = world_add(w, "fra", UPSTREAM_SOCKS5, "192.0.2.1:1080");
	s->ams = world_add(w, "ams", UPSTREAM_SOCKS5, NULL);
	w->upstreams[s->ams].has_to = true;
	w->upstreams[s->ams].to_name = "ams.example.org";
	s->free = world_add(w, "free", UPSTREAM_HTTP_CONNECT, "192.0.2.3:3128");
	s->group = world_group(w, "world", BALANCE_FIRST);
	world_join(w, s->group, s->fra);
	world_join(w, s->group, s->ams);
	(void)world_check(w, s->group, 2, 3);
}

static void scene_begin(struct scene *s)
{
	scene_init(s);
	s->board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(s->board);
}

/* --- health -------------------------------------------------------------- */

/* One letter an event: p and m checks that passed and missed, o and f flows
 * that opened and failed; behind each word the health there must be. */
static const struct {
	const char *name;
	bool is_checked;
	const char *events;
	enum board_health health;
} lives[] = {
	{ "nothing is known at first", true, "", BOARD_UNKNOWN },
	{ "one check is not enough to rise", true, "p", BOARD_UNKNOWN },
	{ "two are", true, "pp", BOARD_UP },
	{ "two that are not in a row are not", true, "pmp", BOARD_UNKNOWN },
	{ "two misses are not enough to fall", true, "ppmm", BOARD_UP },
	{ "three are", true, "ppmmm", BOARD_DOWN },
	{ "three from the start, too", true, "mmm", BOARD_DOWN },
	{ "not in a row: it stays up", true, "ppmmpmm", BOARD_UP },
	{ "one pass does not bring it back", true, "mmmp", BOARD_DOWN },
	{ "two do", true, "mmmpp", BOARD_UP },
	{ "flows that fail bring it down", true, "ppfff", BOARD_DOWN },
	{ "passes of before do not count then", true, "ppfffp", BOARD_DOWN },
	{ "two more do", true, "ppfffpp", BOARD_UP },
	{ "a flow between forgives flows", true, "ppffoff", BOARD_UP },
	{ "a flow between forgives no check", true, "ppmomom", BOARD_DOWN },
	{ "a pass between forgives no flow", true, "ppfpfpf", BOARD_DOWN },
	{ "flows do not bring up what is checked", true, "oooo",
	  BOARD_UNKNOWN },
	{ "nor what is down and checked", true, "mmmooo", BOARD_DOWN },
	{ "unchecked: one flow brings it up", false, "o", BOARD_UP },
	{ "unchecked: two failures do not matter", false, "off", BOARD_UP },
	{ "unchecked: three bring it down", false, "fff", BOARD_DOWN },
	{ "unchecked: one flow brings it back", false, "fffo", BOARD_UP },
	{ "unchecked: and three are needed again", false, "fffoff", BOARD_UP },
};

static void play(struct board *b, size_t upstream, const char *events)
{
	struct board_check check = { .upstream = upstream,
				     .rise = 2,
				     .fall = 3,
				     .latency_us = 1000,
				     .why = END_UPSTREAM_AUTH,
				     .reply = 7 };

	for (check.now_ms = 100; *events; events++, check.now_ms += 100) {
		if (*events == 'p')
			(void)board_passed(b, &check);
		else if (*events == 'm')
			(void)board_missed(b, &check);
		else if (*events == 'o')
			board_opened(b, upstream, 500);
		else
			board_failed(b, upstream, END_UPSTREAM_TIMEOUT, 9, 3,
				     check.now_ms);
	}
}

static void test_health(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		struct scene s;
		size_t who;

		scene_begin(&s);
		who = lives[i].is_checked ? s.fra : s.free;
		play(s.board, who, lives[i].events);
		if (s.board->upstreams[who].health != lives[i].health)
			fail_msg("%s: %s", lives[i].name,
				 board_health_name(
					 s.board->upstreams[who].health));
		board_free(s.board);
	}
}

static void test_what_is_noted(void **state)
{
	struct board_upstream *u;
	struct scene s;

	(void)state;
	scene_begin(&s);
	u = &s.board->upstreams[s.fra];
	play(s.board, s.fra, "ofmm");
	assert_int_equal(u->opened, 1);
	assert_int_equal(u->failed, 1);
	assert_int_equal(u->check_fails, 2);
	assert_int_equal(u->checked_ms, 400);
	assert_int_equal(u->last_end, END_UPSTREAM_AUTH);
	assert_int_equal(u->last_reply, 7);
	assert_int_equal(u->changed_ms, 0);
	play(s.board, s.fra, "f");
	assert_int_equal(u->last_end, END_UPSTREAM_TIMEOUT);
	assert_int_equal(u->last_reply, 9);
	board_free(s.board);
}

/* Who changes it is told so, and nobody else; and its time is the change's. */
static void test_changes_are_told_once(void **state)
{
	struct board_check check = { .rise = 1, .fall = 1, .now_ms = 50 };
	struct scene s;

	(void)state;
	scene_begin(&s);
	check.upstream = s.fra;
	assert_true(board_missed(s.board, &check));
	check.now_ms = 60;
	assert_false(board_missed(s.board, &check));
	assert_int_equal(s.board->upstreams[s.fra].changed_ms, 50);
	assert_true(board_passed(s.board, &check));
	assert_false(board_passed(s.board, &check));
	assert_int_equal(s.board->upstreams[s.fra].changed_ms, 60);
	board_free(s.board);
}

static void test_latency(void **state)
{
	struct board_check check = { .rise = 1, .fall = 1 };
	_Atomic uint32_t *checked, *unchecked;
	struct scene s;

	(void)state;
	scene_begin(&s);
	check.upstream = s.fra;
	checked = &s.board->upstreams[s.fra].latency_us;
	unchecked = &s.board->upstreams[s.free].latency_us;
	board_opened(s.board, s.fra, 100);
	assert_int_equal(*checked, 0); /* flows go to many servers */
	check.latency_us = 800;
	(void)board_passed(s.board, &check);
	assert_int_equal(*checked, 800);
	check.latency_us = 1600;
	(void)board_passed(s.board, &check);
	assert_int_equal(*checked, 900);
	check.latency_us = 100;
	(void)board_passed(s.board, &check);
	assert_int_equal(*checked, 800);
	board_opened(s.board, s.free, 800);
	assert_int_equal(*unchecked, 800);
	board_opened(s.board, s.free, 0); /* not measured */
	assert_int_equal(*unchecked, 800);
	for (int i = 0; i < 200; i++)
		board_opened(s.board, s.free, 1);
	assert_in_range(*unchecked, 1, 8); /* never 0: that is unknown */
	for (int i = 0; i < 200; i++)
		board_opened(s.board, s.free, UINT32_MAX);
	assert_in_range(*unchecked, UINT32_MAX - 8, UINT32_MAX);
	board_free(s.board);
}

static void test_want(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	assert_true(board_is_open(s.board, s.fra));
	s.board->upstreams[s.fra].want = BOARD_DRAINING;
	assert_false(board_is_open(s.board, s.fra));
	s.board->upstreams[s.fra].want = BOARD_DISABLED;
	assert_false(board_is_open(s.board, s.fra));
	assert_true(board_is_open(s.board, s.ams));
	board_free(s.board);
	board_free(NULL);
}

/* --- who checks ---------------------------------------------------------- */

static void test_checker(void **state)
{
	struct health *health;
	struct scene s;
	size_t plain;

	(void)state;
	scene_init(&s);
	plain = world_add(&s.w, "plain", UPSTREAM_DIRECT, NULL);
	world_join(&s.w, s.group, plain);
	assert_ptr_equal(board_checker(&s.w.config, s.fra),
			 &s.w.groups[s.group]);
	assert_null(board_checker(&s.w.config, s.free));
	assert_null(board_checker(&s.w.config, s.group));
	assert_non_null(board_checker(&s.w.config, plain));
	/* a name is for proxies only */
	health = &s.w.groups[s.group].health;
	health->to = (struct addr){ .port = 443 };
	health->to_name = "example.org";
	assert_non_null(board_checker(&s.w.config, s.fra));
	assert_null(board_checker(&s.w.config, plain));
	health->is_on = false;
	assert_null(board_checker(&s.w.config, s.fra));
}

static void test_first_group_checks(void **state)
{
	struct scene s;
	size_t second;

	(void)state;
	scene_init(&s);
	second = world_group(&s.w, "second", BALANCE_FIRST);
	world_join(&s.w, second, s.fra);
	world_join(&s.w, second, s.free);
	assert_null(board_checker(&s.w.config, s.free));
	(void)world_check(&s.w, second, 1, 1);
	assert_ptr_equal(board_checker(&s.w.config, s.fra),
			 &s.w.groups[s.group]);
	assert_ptr_equal(board_checker(&s.w.config, s.free),
			 &s.w.groups[second]);
}

/* --- reload -------------------------------------------------------------- */

/* What is changed of "fra" in the new configuration. */
static void change_nothing(struct world *w, size_t at)
{
	(void)w;
	(void)at;
}

static void change_user(struct world *w, size_t at)
{
	w->upstreams[at].user = "alice";
}

static void change_kind(struct world *w, size_t at)
{
	w->upstreams[at].kind = UPSTREAM_HTTP_CONNECT;
}

static void change_port(struct world *w, size_t at)
{
	w->upstreams[at].to.port = 1081;
}

static void change_address(struct world *w, size_t at)
{
	(void)addr_parse("192.0.2.9:1080", &w->upstreams[at].to);
}

static void change_name(struct world *w, size_t at)
{
	w->upstreams[at].name = "fra2";
}

static void change_to_name(struct world *w, size_t at)
{
	w->upstreams[at].to = (struct addr){ .port = 1080 };
	w->upstreams[at].to_name = "fra.example.org";
}

static const struct {
	const char *name;
	void (*change)(struct world *w, size_t at);
	bool is_kept;
} changes[] = {
	{ "nothing: it is kept", change_nothing, true },
	{ "the user: the proxy is the same", change_user, true },
	{ "the kind", change_kind, false },
	{ "the port", change_port, false },
	{ "the address", change_address, false },
	{ "the name", change_name, false },
	{ "an address becomes a name", change_to_name, false },
};

static void test_reload_keeps_the_same_proxy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct board *next;
		struct scene s, t;
		size_t at;

		scene_begin(&s);
		play(s.board, s.fra, "ppmmmf");
		s.board->upstreams[s.fra].want = BOARD_DRAINING;
		s.board->upstreams[s.fra].pipeline = BOARD_PIPELINE_YES;
		scene_init(&t); /* and at another index */
		(void)world_add(&t.w, "other", UPSTREAM_DIRECT, NULL);
		t.w.upstreams[t.fra].name = "else";
		at = world_add(&t.w, "fra", UPSTREAM_SOCKS5, "192.0.2.1:1080");
		changes[i].change(&t.w, at);
		next = board_new(&t.w.config, s.board, &s.w.config);
		assert_non_null(next);
		if ((next->upstreams[at].want == BOARD_DRAINING) !=
		    changes[i].is_kept)
			fail_msg("%s", changes[i].name);
		if (changes[i].is_kept) {
			const struct board_upstream *u = &next->upstreams[at];

			assert_int_equal(u->health, BOARD_DOWN);
			assert_int_equal(u->pipeline, BOARD_PIPELINE_YES);
			assert_int_equal(u->latency_us, 1000);
			assert_int_equal(u->changed_ms, 500);
			assert_int_equal(u->failed, 1);
			assert_int_equal(u->last_reply, 9);
			assert_false(u->is_checked);
		}
		assert_int_equal(next->upstreams[t.fra].want, BOARD_ENABLED);
		board_free(next);
		board_free(s.board);
	}
}

static void test_reload_with_another_name_to_look_up(void **state)
{
	struct board *next;
	struct scene s, t;
	struct addr out;

	(void)state;
	scene_begin(&s);
	s.board->upstreams[s.ams].want = BOARD_DRAINING;
	board_set_addresses(s.board, s.ams, &s.w.upstreams[s.fra].to, 1);
	scene_init(&t);
	next = board_new(&t.w.config, s.board, &s.w.config);
	assert_int_equal(next->upstreams[t.ams].want, BOARD_DRAINING);
	assert_true(board_address(next, &t.w.config, t.ams, 0, &out));
	board_free(next);
	t.w.upstreams[t.ams].to_name = "ams.example.net";
	next = board_new(&t.w.config, s.board, &s.w.config);
	assert_int_equal(next->upstreams[t.ams].want, BOARD_ENABLED);
	assert_false(board_address(next, &t.w.config, t.ams, 0, &out));
	board_free(next);
	board_free(s.board);
}

/* --- names --------------------------------------------------------------- */

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(board_want_name(BOARD_DRAINING), "draining");
	assert_string_equal(board_want_name(3), "?");
	assert_string_equal(board_want_name(255), "?");
	assert_string_equal(board_health_name(BOARD_DOWN), "down");
	assert_string_equal(board_health_name(3), "?");
	assert_string_equal(board_pipeline_name(BOARD_PIPELINE_NO), "no");
	assert_string_equal(board_pipeline_name(3), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_what_is_noted),
		cmocka_unit_test(test_changes_are_told_once),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_checker),
		cmocka_unit_test(test_first_group_checks),
		cmocka_unit_test(test_reload_keeps_the_same_proxy),
		cmocka_unit_test(test_reload_with_another_name_to_look_up),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
