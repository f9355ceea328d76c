/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_quiet_window_test.c - small windows for a flow that is to be cut.
 */
#include "relay/tcp_quiet.h"

#include "relay/quiet_scene_test.h"

static int buffer_of(const struct pair *t, int side, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(t->flow->side[side].fd, SOL_SOCKET, option,
				    &value, &len),
			 0);
	return value;
}

static bool is_as_before(const struct pair *t, int side)
{
	return tcp_option(t, side, TCP_WINDOW_CLAMP) > CUT_CLAMP_BYTES &&
	       buffer_of(t, side, SO_RCVBUF) > 2 * CUT_CLAMP_BYTES &&
	       !buffer_of(t, side, SO_BUF_LOCK);
}

static void get_bulk(struct scene *s, struct pair *t, int who)
{
	make_young(t->flow);
	while (t->sent[who] < CUT_BULK_BYTES) {
		(void)say(t, who, CUT_BULK_BYTES - t->sent[who]);
		hear_all(s, t, who);
	}
	settle(s);
	get_watched(s, t);
}

/* First the window, which takes some bytes, then the buffer; and only then it
 * is asked for.  All of it only where much comes in. */
static void test_prepare(void **state)
{
	(void)state; /* unused */
	for (int who = 0; who < 2; who++) {
		struct scene *s = scene_begin();
		struct pair t = pair_begin(s);

		get_bulk(s, &t, who);
		assert_true(is_as_before(&t, 0) && is_as_before(&t, 1));
		make_due(&t);
		assert_int_equal(say(&t, who, 1), 1);
		hear_all(s, &t, who);
		make_young(t.flow);
		settle(s);
		assert_false(is_asked(s));
		assert_int_equal(t.flow->cut.tries, 1);
		assert_int_equal(tcp_option(&t, who, TCP_WINDOW_CLAMP),
				 CUT_CLAMP_BYTES);
		assert_false(t.flow->is_shrunk[who]);
		get_small(s, &t, who);
		assert_int_equal(buffer_of(&t, who, SO_RCVBUF),
				 2 * CUT_CLAMP_BYTES);
		get_asked(s, &t);
		answer(s, CUT_NOT_YET, CUT_CAUSE_WINDOW);
		assert_true(t.flow->is_shrunk[who]); /* till it is over */
		assert_true(is_as_before(&t, !who));
		pair_end(&t);
		scene_end(s);
	}
}

/* Nothing much goes either way, or not any more. */
static void test_nothing_to_prepare(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	uint64_t then_ms;

	(void)state; /* unused */
	get_watched(s, &t);
	get_asked(s, &t);
	assert_false(s->ask.is_bulk[0] || s->ask.is_bulk[1]);
	answer(s, CUT_NOT_YET, CUT_CAUSE_WINDOW);
	assert_true(is_as_before(&t, 0) && is_as_before(&t, 1));
	t.flow->cut.stage = CUT_NONE;
	t.flow->cut.tries = 0;
	get_bulk(s, &t, 1);
	for (then_ms = clock_ms() + 60; clock_ms() < then_ms;)
		turn(s);
	get_asked(s, &t);
	assert_true(s->ask.is_bulk[1]);
	assert_true(is_as_before(&t, 0) && is_as_before(&t, 1));
	answer(s, CUT_NOT_YET, CUT_CAUSE_WINDOW);
	pair_end(&t);
	scene_end(s);
}

/* What lies in the buffer would not fit into a small one.  If it is never
 * empty, that is how it is. */
static void test_backlog(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_small(s, &t, 1);
	tcp_quiet_widen(t.flow);
	assert_int_equal(say(&t, 1, 1), 1);
	hear_all(s, &t, 1);
	settle(s);
	t.flow->side[SERVER].is_readable = true;
	assert_false(tcp_quiet_prepare(t.flow));
	assert_true(t.flow->is_clamped[SERVER]);
	assert_false(t.flow->is_shrunk[SERVER]);
	t.flow->cut.tries = 4;
	assert_true(tcp_quiet_prepare(t.flow));
	assert_true(t.flow->is_shrunk[SERVER]);
	pair_end(&t);
	scene_end(s);
}

/* Whoever stays must not stay slow. */
static void run_widen(void (*stay)(struct scene *s, struct pair *t))
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	get_small(s, &t, 1);
	stay(s, &t);
	assert_int_equal(t.flow->cut.stage, CUT_STAYS);
	assert_true(is_as_before(&t, 0) && is_as_before(&t, 1));
	pair_end(&t);
	scene_end(s);
}

static void refuse(struct scene *s, struct pair *t)
{
	get_asked(s, t);
	answer(s, CUT_REFUSED, CUT_CAUSE_WINDOW);
}

static void try_to_the_end(struct scene *s, struct pair *t)
{
	t->flow->cut.tries = CUT_TRIES_MAX - 1;
	get_asked(s, t);
	answer(s, CUT_NOT_YET, CUT_CAUSE_WINDOW);
	assert_int_equal(counted(s, COUNTER_cut_window), 1);
}

static void half_close(struct scene *s, struct pair *t)
{
	assert_int_equal(shutdown(t->fd[0], SHUT_WR), 0);
	expect(s, CUT_FORGET);
}

static void lose_cutter(struct scene *s, struct pair *t)
{
	(void)t;
	end_line(s);
	settle(s);
}

static void test_widen(void **state)
{
	(void)state; /* unused */
	run_widen(refuse);
	run_widen(try_to_the_end);
	run_widen(half_close);
	run_widen(lose_cutter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_nothing_to_prepare),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_widen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
