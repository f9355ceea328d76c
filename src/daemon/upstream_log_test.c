/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_log_test.c - each change is said once, and says what is to be known.
 *
 * Two proxies, fra (SOCKS5) and ams (CONNECT), in a checked group "world"; the
 * proxy "free" is in none.
 */
#include "daemon/upstream_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "relay/upstreams_test.h"

struct scene {
	struct world w;
	struct board *board;
	struct upstream_log log;
	size_t fra, ams, free, group;
	struct str text;
};

static void scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	world_init(&s->w);
	s->fra = world_add(&s->w, "fra", UPSTREAM_SOCKS5, "192.0.2.1:1080");
	s->ams = world_add(&s->w, "ams", UPSTREAM_HTTP_CONNECT,
			   "192.0.2.2:3128");
	s->free = world_add(&s->w, "free", UPSTREAM_SOCKS5, "192.0.2.3:1080");
	s->group = world_group(&s->w, "world", BALANCE_FIRST);
	world_join(&s->w, s->group, s->fra);
	world_join(&s->w, s->group, s->ams);
	(void)world_check(&s->w, s->group, 2, 3);
	s->board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(s->board);
	upstream_log_begin(&s->log, &s->w.config, s->board);
}

static void scene_end(struct scene *s)
{
	board_free(s->board);
	str_done(&s->text);
}

static void play(struct scene *s, size_t upstream, const char *events)
{
	struct board_check check = { .upstream = upstream,
				     .rise = 2,
				     .fall = 3,
				     .now_ms = 1000,
				     .why = END_UPSTREAM_AUTH };

	for (; *events; events++) {
		if (*events == 'p')
			(void)board_passed(s->board, &check);
		else if (*events == 'm')
			(void)board_missed(s->board, &check);
		else if (*events == 'o')
			board_opened(s->board, upstream, 500);
		else
			board_failed(s->board, upstream, END_UPSTREAM_REFUSED,
				     403, 3, check.now_ms);
	}
}

/* All lines at this moment, '!' in front of warnings, '|' behind each. */
static const char *say(struct scene *s, uint64_t now_ms)
{
	struct str line = { 0 };
	bool is_warning = false;

	str_reset(&s->text);
	while (upstream_log_next(&s->log, now_ms, &line, &is_warning)) {
		str_addf(&s->text, "%s%s|", is_warning ? "!" : "",
			 str_get(&line));
		str_reset(&line);
	}
	str_done(&line);
	return str_get(&s->text);
}

static const struct {
	const char *name;
	const char *fra, *ams, *free; /* what they meet */
	const char *lines;
} cases[] = {
	{ "nothing", "", "", "", "" },
	{ "not enough of anything", "p", "mm", "ff", "" },
	{ "checks pass", "pp", "", "", "upstream fra is up|" },
	{ "checks fail", "mmm", "", "",
	  "!upstream fra is down: upstream-auth (3 checks failed)|" },
	{ "flows fail, with a reply", "fff", "", "",
	  "!upstream fra is down: upstream-refused, reply 403 (3 flows "
	  "failed)|" },
	{ "flows fail, with a status", "", "fff", "",
	  "!upstream ams is down: upstream-refused, status 403 (3 flows "
	  "failed)|" },
	{ "flows of one that is not checked", "", "", "o", "" },
	{ "it fails", "", "", "fff",
	  "!upstream free is down: upstream-refused, reply 403 (3 flows "
	  "failed)|" },
	{ "both members fail", "mmm", "mmmm", "",
	  "!upstream fra is down: upstream-auth (3 checks failed)|"
	  "!upstream ams is down: upstream-auth (4 checks failed)|"
	  "!group world has no member that is up: its traffic goes to reject "
	  "(fallback)|" },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scene s;

		scene_begin(&s);
		play(&s, s.fra, cases[i].fra);
		play(&s, s.ams, cases[i].ams);
		play(&s, s.free, cases[i].free);
		if (strcmp(say(&s, 1000), cases[i].lines) != 0)
			fail_msg("%s: %s", cases[i].name, str_get(&s.text));
		assert_string_equal(say(&s, 2000), ""); /* once */
		scene_end(&s);
	}
}

static void test_one_is_one(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	board_failed(s.board, s.free, END_UPSTREAM_LOST, 0, 1, 0);
	assert_string_equal(say(&s, 0), "!upstream free is down: "
					"upstream-lost (1 flow failed)|");
	scene_end(&s);
}

static void test_up_again(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	play(&s, s.fra, "mmm");
	play(&s, s.ams, "mmm");
	play(&s, s.free, "fff");
	(void)say(&s, 5000);
	play(&s, s.fra, "pp");
	play(&s, s.free, "o");
	assert_string_equal(say(&s, 40999),
			    "upstream fra is up again after 35 s|"
			    "upstream free is up again after 35 s|"
			    "group world has a member that is up again|");
	scene_end(&s);
}

/* A group whose members are all taken out of use is empty, too. */
static void test_empty_by_wish(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	s.board->upstreams[s.fra].want = BOARD_DRAINING;
	assert_string_equal(say(&s, 0), "");
	s.board->upstreams[s.ams].want = BOARD_DISABLED;
	assert_string_equal(say(&s, 0),
			    "!group world has no member that is up: its "
			    "traffic goes to reject (fallback)|");
	scene_end(&s);
}

static void test_reload(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	play(&s, s.fra, "mmm");
	(void)say(&s, 5000);
	upstream_log_begin(&s.log, &s.w.config, s.board);
	assert_string_equal(say(&s, 6000), "");
	play(&s, s.fra, "pp");
	assert_string_equal(say(&s, 11000),
			    "upstream fra is up again after 10 s|");
	upstream_log_begin(&s.log, NULL, NULL);
	assert_string_equal(say(&s, 12000), "");
	scene_end(&s);
}

/* Whatever a worker wrote there. */
static void test_broken_board(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	s.board->upstreams[s.fra].health = 77;
	assert_string_equal(say(&s, 0), "");
	play(&s, s.fra, "mmm");
	s.board->upstreams[s.fra].last_end = 200;
	assert_string_equal(say(&s, 0),
			    "!upstream fra is down: ? (3 checks failed)|");
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_one_is_one),
		cmocka_unit_test(test_up_again),
		cmocka_unit_test(test_empty_by_wish),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_broken_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
