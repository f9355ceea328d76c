/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_quiet_test.c - a quiet moment for a flow that has none.
 */
#include "relay/tcp_quiet.h"

#include "relay/quiet_scene_test.h"

#include <linux/sockios.h>

/* --- held ---------------------------------------------------------------- */

/* For as long as the test likes, which is not known to the flow. */
static void stop_time(struct scene *s, struct pair *t)
{
	const struct timer *timer = &t->flow->timer;

	assert_true(timer_is_set(timer));
	assert_true(timer->due_tick * WHEEL_TICK_MS <=
		    clock_ms() + CUT_HOLD_MS + WHEEL_TICK_MS);
	wheel_cancel(&s->worker.loop.wheel, &t->flow->timer);
}

/* `who` says more than anybody takes, since nobody reads.  The flow is due,
 * and must wait for its quiet moment. */
static void get_held(struct scene *s, struct pair *t, int who)
{
	get_small(s, t, who);
	make_due(t);
	while (!t->flow->is_cut_held) {
		if (!say(t, who, 1 << 16))
			turn(s);
		if (is_asked(s)) /* it was quick */
			answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
		if (!t->flow->is_cut_held)
			make_due(t);
	}
	stop_time(s, t);
	while (say(t, who, 1 << 16))
		;
	settle(s);
	assert_true(t->flow->is_cut_held);
	assert_true(holds_bytes(t) || unsent(t, !who));
}

static int queued(int fd)
{
	int bytes = 0;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &bytes), 0);
	return bytes;
}

static size_t unread(const struct pair *t, int side)
{
	int bytes = 0;

	assert_int_equal(ioctl(t->flow->side[side].fd, FIONREAD, &bytes), 0);
	return (size_t)bytes;
}

/* The same with so little that the client has nothing more to send: no event
 * of its leg will come. */
static void get_held_by_little(struct scene *s, struct pair *t)
{
	get_small(s, t, 0);
	/* More than the server takes, once all has been sent that can be. */
	while (unsent(t, SERVER) < 1 << 17) {
		(void)say(t, 0, 8000);
		turn(s);
	}
	while (queued(t->fd[0]))
		turn(s);
	make_due(t);
	while (!t->flow->is_cut_held) {
		(void)say(t, 0, 1);
		turn(s);
	}
	stop_time(s, t);
	while (queued(t->fd[0]))
		turn(s);
	assert_int_equal(say(t, 0, 1000), 1000);
	while (unread(t, CLIENT) < 1000)
		turn(s);
	settle(s);
	assert_true(t->flow->is_cut_held);
}

/* --- quiet moments ------------------------------------------------------- */

/* It comes when the slow end has read enough, and nothing but its reading is
 * needed for that. */
static void run_quiet_moment(int who)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	get_held(s, &t, who);
	while (!is_asked(s)) {
		while (hear(&t, who) > 0)
			;
		turn(s);
	}
	assert_int_equal(s->ask.kind, CUT_CUT);
	assert_true(s->ask.is_bulk[who]);
	assert_false(s->ask.is_bulk[!who]);
	assert_false(holds_bytes(&t));
	for (int side = 0; side < 2; side++) {
		assert_int_equal(unsent(&t, side), 0);
		assert_int_equal(tcp_option(&t, side, TCP_NOTSENT_LOWAT), 0);
	}
	assert_int_equal(s->ask.record.bytes[who],
			 tcp_flow_record(t.flow)->bytes[who]);
	answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	make_young(t.flow);
	hear_all(s, &t, who);
	converse(s, &t);
	pair_end(&t);
	scene_end(s);
}

static void test_quiet_moment(void **state)
{
	(void)state; /* unused */
	run_quiet_moment(0);
	run_quiet_moment(1);
}

/* It does not come: the flow moves as before, and that was one try. */
static void test_moment_does_not_come(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	struct cut_try *cut = &t.flow->cut;
	unsigned tries;

	(void)state; /* unused */
	get_held(s, &t, 0);
	tries = cut->tries;
	tcp_flow_on_timer(&t.flow->timer, s->worker.loop.now_ms);
	assert_int_equal(cut->tries, tries + 1);
	assert_int_equal(cut->stage, CUT_WATCHED);
	assert_false(t.flow->dir[0].is_held || t.flow->dir[1].is_held);
	for (int side = 0; side < 2; side++)
		assert_int_equal(tcp_option(&t, side, TCP_NOTSENT_LOWAT), 0);
	make_young(t.flow);
	hear_all(s, &t, 0);
	converse(s, &t);
	assert_false(is_asked(s));
	get_held(s, &t, 0);
	cut->tries = CUT_TRIES_MAX - 1;
	tcp_flow_on_timer(&t.flow->timer, s->worker.loop.now_ms);
	expect(s, CUT_FORGET);
	assert_int_equal(counted(s, COUNTER_cut_busy), 1);
	hear_all(s, &t, 0);
	pair_end(&t);
	scene_end(s);
}

/* The timer of a hold is a timer: no event is needed for it. */
static void test_hold_has_an_end(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_held_by_little(s, &t);
	t.flow->cut.tries = CUT_TRIES_MAX - 1; /* it is not asked again */
	tcp_flow_arm(t.flow, 1);
	while (t.flow->is_cut_held)
		turn(s);
	hear_all(s, &t, 0);
	pair_end(&t);
	scene_end(s);
}

/* Who holds reads nothing; what was said before an end must still be read. */
static void test_end_while_held(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	ssize_t len;

	(void)state; /* unused */
	get_held_by_little(s, &t);
	assert_int_equal(shutdown(t.fd[0], SHUT_WR), 0);
	for (len = hear(&t, 0); len; len = hear(&t, 0))
		turn(s);
	assert_int_equal(t.got[0], t.sent[0]);
	expect(s, CUT_FORGET);
	assert_int_equal(t.flow->state, FLOW_HALF_CLOSED);
	assert_int_equal(say(&t, 1, 100), 100);
	hear_all(s, &t, 1);
	pair_end(&t);
	scene_end(s);
}

static void test_reset_while_held(void **state)
{
	struct linger l = { .l_onoff = 1 };
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_held(s, &t, 0);
	assert_int_equal(
		setsockopt(t.fd[1], SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(t.fd[1]);
	t.fd[1] = -1;
	while (t.flow->state != FLOW_FREE)
		turn(s);
	assert_int_equal(told(s), END_SERVER_RESET);
	expect(s, CUT_FORGET);
	pair_end(&t);
	scene_end(s);
}

/* Neither more bytes nor time: what the slow end takes is all that tells. */
static void test_moment_by_event(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_held_by_little(s, &t);
	assert_int_equal(say(&t, 1, 100), 100);
	while (unread(&t, SERVER) < 100)
		turn(s);
	settle(s); /* what is not read is told once */
	while (!is_asked(s)) {
		while (hear(&t, 0) > 0)
			;
		turn(s);
	}
	assert_int_equal(s->ask.kind, CUT_CUT);
	assert_true(unread(&t, CLIENT) >= 1000);
	answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	hear_all(s, &t, 0);
	hear_all(s, &t, 1);
	pair_end(&t);
	scene_end(s);
}

/* The moment has come, and the line is full: nothing waits for the line. */
static void test_full_line_at_the_moment(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_held_by_little(s, &t);
	fill_line(s);
	hear_all(s, &t, 0);
	assert_false(tcp_cut_is_asked(t.flow));
	assert_int_equal(t.flow->cut.stage, CUT_WATCHED);
	assert_int_equal(not_cut(s), 0);
	converse(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* The same where a leg had no room, and so was not waited for: one byte is
 * held for it, and then written and sent at once. */
static void test_full_line_at_once(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	uint8_t byte;

	(void)state; /* unused */
	get_watched(s, &t);
	byte = byte_at(t.sent[0]++);
	assert_int_equal(move_preload(&t.flow->tcp->mover, &t.flow->dir[CLIENT],
				      &byte, 1),
			 0);
	t.flow->side[SERVER].is_writable = false;
	fill_line(s);
	make_due(&t);
	tcp_cut_consider(t.flow);
	assert_true(t.flow->is_cut_held);
	assert_false(t.flow->is_awaited[0] || t.flow->is_awaited[1]);
	assert_int_equal(say(&t, 0, 1000), 1000);
	while (unread(&t, CLIENT) < 1000)
		turn(s);
	settle(s);
	t.flow->side[SERVER].is_writable = true;
	assert_int_equal(say(&t, 1, 1), 1);
	hear_all(s, &t, 0);
	hear_all(s, &t, 1);
	pair_end(&t);
	scene_end(s);
}

/* The cutter ends while a flow is held. */
static void test_lost_while_held(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_held_by_little(s, &t);
	end_line(s);
	settle(s);
	assert_int_equal(t.flow->cut.stage, CUT_STAYS);
	assert_false(t.flow->is_cut_held);
	hear_all(s, &t, 0);
	converse(s, &t);
	pair_end(&t);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet_moment),
		cmocka_unit_test(test_moment_does_not_come),
		cmocka_unit_test(test_hold_has_an_end),
		cmocka_unit_test(test_end_while_held),
		cmocka_unit_test(test_reset_while_held),
		cmocka_unit_test(test_moment_by_event),
		cmocka_unit_test(test_full_line_at_the_moment),
		cmocka_unit_test(test_full_line_at_once),
		cmocka_unit_test(test_lost_while_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
