/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_test.c - checks against dials that go as a script says.
 */
#include "relay/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/health_scene_test.h"

/* --- who is checked, and when -------------------------------------------- */

static void test_first_checks_at_once(void **state)
{
	(void)state;
	scene_begin(OPENS, OPENS);
	assert_int_equal(now.dials[now.fra], 0); /* the loop does not run yet */
	pass_ms(2 * HEALTH_STAGGER_MS);
	assert_int_equal(now.dials[now.fra], 1);
	assert_int_equal(now.dials[now.ams], 1);
	assert_in_range(now.last_ms[now.ams] - now.last_ms[now.fra],
			HEALTH_STAGGER_MS - STEP_MS,
			HEALTH_STAGGER_MS + STEP_MS);
	assert_int_equal(fra()->check_passes, 1);
	assert_true(fra()->latency_us > 0);
	assert_int_equal(now.open_fds, 0); /* closed at once */
	scene_end();
}

static void test_what_is_asked(void **state)
{
	(void)state;
	scene_begin(OPENS, OPENS);
	now.w.config.mark = 0x1000;
	now.w.config.mask = 0x3000;
	now.w.groups[now.group].health.to_name = "example.org";
	pass_ms(STEP_MS);
	assert_int_equal(now.last.upstream, now.fra);
	assert_true(now.last.is_check);
	assert_null(now.last.client);
	assert_ptr_equal(now.last.server, &now.w.groups[now.group].health.to);
	assert_string_equal(now.last.name, "example.org");
	assert_int_equal(now.last.mark, 0x2000);
	assert_false(now.last.is_udp);
	assert_int_equal(now.last.pick, 0);
	pass_ms(EVERY_MS + HEALTH_STAGGER_MS);
	assert_int_equal(now.last.pick, 1);
	scene_end();
}

static void test_every(void **state)
{
	(void)state;
	scene_begin(OPENS, REFUSES);
	pass_ms(EVERY_MS - STEP_MS);
	assert_int_equal(now.dials[now.fra], 1);
	pass_ms(9 * EVERY_MS - EVERY_MS / 2);
	assert_int_equal(now.dials[now.fra], 10);
	assert_int_equal(now.dials[now.ams], 10);
	scene_end();
}

static void test_nobody_to_check(void **state)
{
	struct health_checks *none = NULL;

	(void)state;
	scene_begin(OPENS, OPENS);
	now.w.groups[now.group].health.is_on = false;
	assert_int_equal(health_new(&now.worker, &none), 0);
	assert_null(none);
	health_stop(none);
	scene_end();
}

static void test_who_is_disabled_is_left_alone(void **state)
{
	(void)state;
	scene_begin(OPENS, OPENS);
	fra()->want = BOARD_DISABLED;
	ams()->want = BOARD_DRAINING;
	pass_ms(EVERY_MS / 2);
	assert_int_equal(now.dials[now.fra], 0);
	assert_int_equal(now.dials[now.ams], 1);
	fra()->want = BOARD_ENABLED;
	pass_ms(EVERY_MS);
	assert_int_equal(now.dials[now.fra], 1);
	scene_end();
}

static void test_without_room_it_waits(void **state)
{
	(void)state;
	scene_begin(OPENS, OPENS);
	now.has_no_room = true;
	pass_ms(EVERY_MS);
	assert_int_equal(now.dials[now.fra], 0);
	now.has_no_room = false;
	pass_ms(HEALTH_ROOM_MS + STEP_MS);
	assert_int_equal(now.dials[now.fra], 1);
	scene_end();
}

/* --- what comes out ------------------------------------------------------ */

static const struct {
	const char *name;
	enum fate fate;
	enum board_health health; /* after four checks */
	enum flow_end end;
	unsigned reply;
} fates[] = {
	{ "it opens", OPENS, BOARD_UP, END_NONE, 0 },
	{ "the server refuses", REFUSES, BOARD_DOWN, END_SERVER_REFUSED, 5 },
	{ "the user is wrong", WRONG_USER, BOARD_DOWN, END_UPSTREAM_AUTH, 0 },
	{ "no answer", STAYS_SILENT, BOARD_DOWN, END_UPSTREAM_TIMEOUT, 0 },
	{ "nobody there", IS_NOT_THERE, BOARD_DOWN, END_UPSTREAM_TIMEOUT, 0 },
	{ "it fails at once", FAILS_AT_ONCE, BOARD_DOWN,
	  END_UPSTREAM_UNREACHABLE, 0 },
	{ "our own fault tells nothing", FAILS_HERE, BOARD_UNKNOWN, END_NONE,
	  0 },
	{ "all words at once, or silence", DEAF, BOARD_UP, END_NONE, 0 },
	{ "all words at once, or it closes", TOUCHY, BOARD_UP, END_NONE, 0 },
};

static void test_fates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fates) / sizeof(*fates); i++) {
		scene_begin(fates[i].fate, OPENS);
		pass_ms(4 * EVERY_MS);
		if (fra()->health != fates[i].health ||
		    fra()->last_end != fates[i].end ||
		    fra()->last_reply != fates[i].reply)
			fail_msg("%s: %s, %s", fates[i].name,
				 board_health_name(fra()->health),
				 flow_end_name(fra()->last_end));
		assert_int_equal(ams()->health, BOARD_UP);
		scene_end();
	}
}

static void test_changes_wake_the_supervisor(void **state)
{
	(void)state;
	scene_begin(OPENS, OPENS);
	pass_ms(EVERY_MS / 2);
	assert_int_equal(now.notices, 0);
	pass_ms(EVERY_MS);
	assert_int_equal(fra()->health, BOARD_UP);
	assert_int_equal(now.notices, 2);
	pass_ms(4 * EVERY_MS);
	assert_int_equal(now.notices, 2);
	now.fates[now.ams] = REFUSES;
	pass_ms(4 * EVERY_MS);
	assert_int_equal(ams()->health, BOARD_DOWN);
	assert_int_equal(now.notices, 3);
	scene_end();
}

static void test_time_out(void **state)
{
	(void)state;
	scene_begin(IS_NOT_THERE, OPENS);
	pass_ms(TIMEOUT_MS - STEP_MS);
	assert_int_equal(fra()->check_fails, 0);
	assert_int_equal(now.fds, 1);
	pass_ms(3 * STEP_MS);
	assert_int_equal(fra()->check_fails, 1);
	assert_int_equal(now.fds, 0);
	scene_end();
}

/* A late event of a descriptor that is closed: nobody is there. */
static void test_late_event(void **state)
{
	struct loop *l = &now.worker.loop;
	struct epoll_event event;
	struct watch *w;

	(void)state;
	scene_begin(IS_NOT_THERE, OPENS);
	l->now_ms += STEP_MS;
	wheel_run(&l->wheel, l->now_ms);
	assert_int_equal(epoll_wait(l->epoll_fd, &event, 1, 0), 1);
	w = event.data.ptr;
	now.fates[now.fra] = REFUSES;
	w->fn(l, w, event.events);
	assert_int_equal(fra()->check_fails, 1);
	w->fn(l, w, event.events);
	assert_int_equal(fra()->check_fails, 1);
	scene_end();
}

static void test_stop_in_the_middle(void **state)
{
	(void)state;
	scene_begin(STAYS_SILENT, IS_NOT_THERE);
	pass_ms(2 * HEALTH_STAGGER_MS);
	assert_int_equal(now.fds, 2);
	assert_int_equal(now.open_fds, 2);
	scene_end(); /* looks */
}

/* --- pipelining ---------------------------------------------------------- */

static const struct {
	const char *name;
	enum pipeline pipeline;
	enum fate fate;
	enum board_pipeline known;
	unsigned dials; /* of the first check */
} pipelines[] = {
	{ "it bears them", PIPELINE_AUTO, OPENS, BOARD_PIPELINE_YES, 1 },
	{ "it is silent", PIPELINE_AUTO, DEAF, BOARD_PIPELINE_NO, 2 },
	{ "it closes", PIPELINE_AUTO, TOUCHY, BOARD_PIPELINE_NO, 2 },
	{ "it is silent to one word, too", PIPELINE_AUTO, STAYS_SILENT,
	  BOARD_PIPELINE_UNKNOWN, 2 },
	{ "it is not there", PIPELINE_AUTO, IS_NOT_THERE,
	  BOARD_PIPELINE_UNKNOWN, 1 },
	{ "it says no", PIPELINE_AUTO, REFUSES, BOARD_PIPELINE_UNKNOWN, 1 },
	{ "its user is wrong", PIPELINE_AUTO, WRONG_USER,
	  BOARD_PIPELINE_UNKNOWN, 1 },
	{ "off: nothing is tried", PIPELINE_OFF, OPENS, BOARD_PIPELINE_UNKNOWN,
	  1 },
	{ "on: nothing is tried", PIPELINE_ON, DEAF, BOARD_PIPELINE_UNKNOWN,
	  1 },
};

static void test_pipelining_is_found_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pipelines) / sizeof(*pipelines); i++) {
		scene_begin(pipelines[i].fate, OPENS);
		now.w.upstreams[now.fra].pipeline = pipelines[i].pipeline;
		pass_ms(EVERY_MS - STEP_MS);
		if (fra()->pipeline != pipelines[i].known ||
		    now.dials[now.fra] != pipelines[i].dials)
			fail_msg("%s: %u, %u dials", pipelines[i].name,
				 fra()->pipeline, now.dials[now.fra]);
		/* two steps are one check */
		assert_int_equal(fra()->check_passes + fra()->check_fails, 1);
		assert_int_equal(ams()->pipeline, BOARD_PIPELINE_UNKNOWN);
		scene_end();
	}
}

/* What was found out is not tried again, and what changed is. */
static void test_pipelining_later(void **state)
{
	(void)state;
	scene_begin(DEAF, OPENS);
	pass_ms(EVERY_MS + EVERY_MS / 2);
	assert_int_equal(now.dials[now.fra], 3);
	assert_false(now.is_pipelined[now.fra]);
	assert_int_equal(fra()->pipeline, BOARD_PIPELINE_NO);
	scene_end();
	scene_begin(OPENS, OPENS);
	pass_ms(EVERY_MS / 2);
	assert_int_equal(fra()->pipeline, BOARD_PIPELINE_YES);
	now.fates[now.fra] = TOUCHY;
	pass_ms(EVERY_MS);
	assert_int_equal(fra()->pipeline, BOARD_PIPELINE_NO);
	assert_int_equal(fra()->check_fails, 0);
	scene_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_checks_at_once),
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_every),
		cmocka_unit_test(test_nobody_to_check),
		cmocka_unit_test(test_who_is_disabled_is_left_alone),
		cmocka_unit_test(test_without_room_it_waits),
		cmocka_unit_test(test_fates),
		cmocka_unit_test(test_changes_wake_the_supervisor),
		cmocka_unit_test(test_time_out),
		cmocka_unit_test(test_late_event),
		cmocka_unit_test(test_stop_in_the_middle),
		cmocka_unit_test(test_pipelining_is_found_out),
		cmocka_unit_test(test_pipelining_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
