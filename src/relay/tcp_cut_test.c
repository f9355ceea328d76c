/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_cut_test.c - a flow that is given to cut-through, and one that is not.
 *
 * Quiet moments and windows are in tcp_quiet_test.c, the line in
 * cut_line_test.c.
 */
#include "relay/cut_scene_test.h"

/* --- when it is asked for ------------------------------------------------ */

static void test_age(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	assert_true(t.flow->cut.next_ms >=
		    tcp_flow_record(t.flow)->begun_ms + CUT_AGE_MS);
	assert_true(t.flow->cut.next_ms <= clock_ms() + CUT_AGE_MS);
	make_young(t.flow);
	converse(s, &t);
	assert_false(is_asked(s));
	make_due(&t);
	settle(s);
	assert_false(is_asked(s)); /* old, but it does not move */
	assert_int_equal(say(&t, 1, 1), 1);
	expect(s, CUT_WATCH);
	pair_end(&t);
	scene_end(s);
}

static void test_bytes(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	make_young(t.flow);
	while (t.sent[1] < CUT_BYTES - 1) {
		(void)say(&t, 1, CUT_BYTES - 1 - t.sent[1]);
		hear_all(s, &t, 1);
	}
	settle(s);
	assert_false(is_asked(s));
	assert_int_equal(say(&t, 1, 1), 1);
	expect(s, CUT_WATCH);
	assert_true(s->ask.is_bulk[1]);
	assert_false(s->ask.is_bulk[0]);
	pair_end(&t);
	scene_end(s);
}

/* Far ends and ours, of both legs, as the sockets have them. */
static void expect_addresses(const struct cut_ask *ask, const struct pair *t)
{
	struct addr here = at("127.0.0.2:5000"), there = at("127.0.0.3:80");
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	assert_int_equal(sock_local_addr(t->fd[0], &a), 0);
	assert_true(addr_equal(&ask->peer[0], &a));
	assert_true(addr_equal(&ask->own[0], &here));
	assert_true(addr_equal(&ask->peer[1], &there));
	assert_int_equal(getpeername(t->fd[1], (struct sockaddr *)&ss, &len),
			 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	assert_true(addr_equal(&ask->own[1], &a));
}

static void test_words(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	struct flow_record *r = tcp_flow_record(t.flow);

	(void)state; /* unused */
	make_due(&t);
	assert_int_equal(say(&t, 0, 1), 1);
	expect(s, CUT_WATCH);
	assert_int_equal(s->ask.proto, PROTO_TCP);
	assert_int_equal(s->ask.slot, tcp_flow_slot(t.flow));
	assert_int_equal(s->ask.name, r->name);
	expect_addresses(&s->ask, &t);
	assert_true(t.flow->cut.next_ms >= r->begun_ms + CUT_PAUSE_MS);
	get_asked(s, &t);
	expect_addresses(&s->ask, &t);
	assert_int_equal(s->ask.slot, tcp_flow_slot(t.flow));
	assert_int_equal(s->ask.name, r->name);
	assert_int_equal(s->ask.record.bytes[0], t.sent[0]);
	assert_int_equal(s->ask.record.bytes[1], t.sent[1]);
	assert_true(addr_equal(&s->ask.record.client, &r->client));
	drop_fds(s);
	pair_end(&t);
	scene_end(s);
}

/* --- while ASKED --------------------------------------------------------- */

static size_t waiting(int fd)
{
	int bytes = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
	return (size_t)bytes;
}

/* Both say something, and it stays where it is. */
static void expect_untouched(struct scene *s, struct pair *t)
{
	for (int who = 0; who < 2; who++) {
		size_t before = waiting(t->flow->side[who].fd);

		assert_int_equal(say(t, who, 1000), 1000);
		while (waiting(t->flow->side[who].fd) < before + 1000)
			turn(s);
	}
	settle(s);
	for (int who = 0; who < 2; who++) {
		assert_int_equal(hear(t, who), -EAGAIN);
		assert_int_equal(waiting(t->flow->side[who].fd), 1000);
		assert_true(t->flow->side[who].is_readable);
		assert_null(t->flow->dir[who].spill);
		assert_int_equal(t->flow->dir[who].pipe, -1);
	}
}

static void test_not_yet(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	for (int i = 0; i < 3; i++) {
		get_asked(s, &t);
		expect_untouched(s, &t);
		answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
		assert_int_equal(t.flow->cut.stage, CUT_WATCHED);
		hear_all(s, &t, 0); /* with no other event */
		hear_all(s, &t, 1);
		converse(s, &t);
	}
	assert_int_equal(not_cut(s), 0);
	pair_end(&t);
	scene_end(s);
}

static void test_pauses_grow(void **state)
{
	uint64_t before = 0, pause;
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	for (int i = 0; i < 5; i++) {
		struct cut_answer a = { .kind = CUT_NOT_YET };

		get_asked(s, &t);
		a.slot = s->ask.slot;
		a.name = s->ask.name;
		drop_fds(s);
		tcp_cut_on_answer(s->worker.tcp, &a);
		pause = t.flow->cut.next_ms - s->worker.loop.now_ms;
		assert_true(pause > before);
		before = pause;
	}
	pair_end(&t);
	scene_end(s);
}

/* Nothing of it is left here, and no end was told. */
static void expect_given_away(struct scene *s, const struct pair *t)
{
	const struct shared *shared = s->worker.args.shared;

	assert_int_equal(t->flow->state, FLOW_FREE);
	assert_int_equal(s->worker.tcp->pool.used, 0);
	assert_int_equal(shared->tcp_flows, 0);
	assert_int_equal(shared->upstream_flows[s->rule.upstream], 0);
	assert_int_equal(shared->flows[0].state, FLOW_FREE);
	assert_int_equal(counted(s, COUNTER_cut_tcp), 1);
	assert_int_equal(counted(s, COUNTER_tcp_finished), 0);
	assert_int_equal(counted(s, COUNTER_tcp_error), 0);
	assert_int_equal(not_cut(s), 0);
	assert_int_equal(told(s), END_NONE);
	assert_false(timer_is_set(&t->flow->timer));
}

static void test_done(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	const struct shared *shared = s->worker.args.shared;
	struct pollfd p = { .fd = s->worker.loop.epoll_fd, .events = POLLIN };
	uint32_t fds = s->worker.fds;
	int fd[2] = { t.flow->side[0].fd, t.flow->side[1].fd };

	(void)state; /* unused */
	get_watched(s, &t);
	get_asked(s, &t);
	expect_untouched(s, &t);
	assert_int_equal(shared->upstream_flows[s->rule.upstream], 1);
	answer(s, CUT_DONE, CUT_CAUSE_NONE);
	assert_int_equal(s->worker.fds, fds - 2);
	expect_given_away(s, &t);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(fd[i], F_GETFD), -1);
		/* It lives, it is the cutter's, and we hear nothing of it. */
		assert_int_equal(hear(&t, i), -EAGAIN);
		assert_int_equal(say(&t, i, 100), 100);
		while (waiting(s->fd[i]) < 1100)
			assert_true(clock_ms() < s->end_ms);
	}
	assert_int_equal(poll(&p, 1, 0), 0);
	drop_fds(s);
	pair_end(&t);
	t = pair_begin(s); /* the slot is free */
	converse(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* --- refused ------------------------------------------------------------- */

static const struct {
	enum cut_cause cause;
	enum counter counter;
} causes[] = {
	{ CUT_CAUSE_UNSEEN, COUNTER_cut_not_seen },
	{ CUT_CAUSE_NO_ROUTE, COUNTER_cut_no_route },
	{ CUT_CAUSE_BUSY, COUNTER_cut_busy },
	{ CUT_CAUSE_WINDOW, COUNTER_cut_window },
	{ CUT_CAUSE_ENDING, COUNTER_cut_ending },
	{ CUT_CAUSE_TIMESTAMPS, COUNTER_cut_timestamps },
	{ CUT_CAUSE_URGENT, COUNTER_cut_urgent },
	{ CUT_CAUSE_FAST_OPEN, COUNTER_cut_fast_open },
	{ CUT_CAUSE_SMALL_MSS, COUNTER_cut_small_mss },
	{ CUT_CAUSE_FRAGMENTS, COUNTER_cut_fragments },
	{ CUT_CAUSE_FULL, COUNTER_cut_full },
	{ CUT_CAUSE_TAKEN, COUNTER_cut_taken },
	{ CUT_CAUSE_ERROR, COUNTER_cut_error },
};

static void expect_stays(struct scene *s, struct pair *t)
{
	assert_int_equal(t->flow->cut.stage, CUT_STAYS);
	for (int i = 0; i < 3; i++)
		converse(s, t);
	assert_false(is_asked(s));
}

static void test_refused(void **state)
{
	struct scene *s = scene_begin();

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++) {
		struct pair t = pair_begin(s);

		get_watched(s, &t);
		get_asked(s, &t);
		expect_untouched(s, &t);
		answer(s, CUT_REFUSED, causes[i].cause);
		hear_all(s, &t, 0);
		hear_all(s, &t, 1);
		assert_int_equal(counted(s, causes[i].counter), 1);
		assert_int_equal(not_cut(s), i + 1);
		expect_stays(s, &t);
		pair_end(&t);
		settle(s);
	}
	scene_end(s);
}

/* What can be another time is not asked for ever. */
static void test_tries_end(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	for (int i = 0; i < CUT_TRIES_MAX; i++) {
		assert_int_equal(not_cut(s), 0);
		get_asked(s, &t);
		answer(s, CUT_NOT_YET, CUT_CAUSE_NO_ROUTE);
	}
	expect(s, CUT_FORGET);
	assert_int_equal(s->ask.name, tcp_flow_record(t.flow)->name);
	assert_int_equal(counted(s, COUNTER_cut_no_route), 1);
	assert_int_equal(not_cut(s), 1);
	expect_stays(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* --- ends ---------------------------------------------------------------- */

static void reset(int *fd)
{
	struct linger l = { .l_onoff = 1 };

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)),
			 0);
	close(*fd);
	*fd = -1;
}

/* What the other one reads at last: 0, or -errno. */
static ssize_t last_heard(struct scene *s, struct pair *t, int who)
{
	ssize_t len = hear(t, who);

	for (; len > 0 || len == -EAGAIN; len = hear(t, who))
		turn(s);
	return len;
}

/* While it is ASKED, `who` speaks and ends. */
static void end_while_asked(struct scene *s, struct pair *t, int who,
			    bool is_reset)
{
	get_watched(s, t);
	get_asked(s, t);
	assert_int_equal(say(t, who, 300), 300);
	if (is_reset)
		reset(&t->fd[who]);
	else
		assert_int_equal(shutdown(t->fd[who], SHUT_WR), 0);
	while (!t->flow->side[who].has_hup)
		turn(s);
	settle(s);
	assert_int_equal(t->flow->state, FLOW_RELAYING);
	assert_int_equal(hear(t, who), -EAGAIN);
}

static void test_fin_while_asked(void **state)
{
	(void)state; /* unused */
	for (int who = 0; who < 2; who++) {
		struct scene *s = scene_begin();
		struct pair t = pair_begin(s);

		end_while_asked(s, &t, who, false);
		answer(s, CUT_NOT_YET, CUT_CAUSE_ENDING);
		assert_int_equal(last_heard(s, &t, who), 0);
		assert_int_equal(t.got[who], t.sent[who]);
		expect(s, CUT_FORGET);
		assert_int_equal(t.flow->state, FLOW_HALF_CLOSED);
		assert_int_equal(say(&t, !who, 300), 300); /* half-close */
		hear_all(s, &t, !who);
		assert_int_equal(shutdown(t.fd[!who], SHUT_WR), 0);
		assert_int_equal(last_heard(s, &t, !who), 0);
		settle(s);
		assert_int_equal(told(s), END_FINISHED);
		pair_end(&t);
		scene_end(s);
	}
}

static void test_reset_while_asked(void **state)
{
	static const enum flow_end ends[] = { END_CLIENT_RESET,
					      END_SERVER_RESET };

	(void)state; /* unused */
	for (int who = 0; who < 2; who++) {
		struct scene *s = scene_begin();
		struct pair t = pair_begin(s);

		end_while_asked(s, &t, who, true);
		answer(s, CUT_REFUSED, CUT_CAUSE_ENDING);
		assert_int_equal(last_heard(s, &t, who), -ECONNRESET);
		settle(s);
		assert_int_equal(told(s), ends[who]);
		assert_int_equal(counted(s, COUNTER_cut_ending), 1);
		pair_end(&t);
		scene_end(s);
	}
}

/* The end of a WATCHED flow is told, once, and counted. */
static void test_end_while_watched(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	uint64_t name;

	(void)state; /* unused */
	get_watched(s, &t);
	name = s->ask.name;
	reset(&t.fd[0]);
	expect(s, CUT_FORGET);
	assert_int_equal(s->ask.name, name);
	settle(s);
	assert_false(is_asked(s));
	assert_int_equal(counted(s, COUNTER_cut_ending), 1);
	pair_end(&t);
	scene_end(s);
}

/* One direction alone cannot be cut, and it may last for hours. */
static void test_half_closed(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	assert_int_equal(shutdown(t.fd[0], SHUT_WR), 0);
	expect(s, CUT_FORGET);
	assert_int_equal(t.flow->state, FLOW_HALF_CLOSED);
	assert_int_equal(t.flow->cut.next_ms, CUT_NEVER);
	assert_int_equal(say(&t, 1, 1000), 1000);
	hear_all(s, &t, 1);
	settle(s);
	assert_false(is_asked(s));
	assert_int_equal(counted(s, COUNTER_cut_ending), 1);
	pair_end(&t);
	scene_end(s);
}

/* The operator's word waits for the answer like everything else. */
static void test_disabled_while_asked(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	struct board *b = s->worker.args.board;

	(void)state; /* unused */
	get_watched(s, &t);
	get_asked(s, &t);
	b->upstreams[s->rule.upstream].want = BOARD_DISABLED;
	tcp_end_disabled(s->worker.tcp);
	settle(s);
	assert_true(tcp_cut_is_asked(t.flow));
	assert_int_equal(t.flow->state, FLOW_RELAYING);
	answer(s, CUT_NOT_YET, CUT_CAUSE_BUSY);
	assert_int_equal(told(s), END_UPSTREAM_DISABLED);
	assert_int_equal(last_heard(s, &t, 0), -ECONNRESET);
	pair_end(&t);
	scene_end(s);
}

static void test_stop_while_asked(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	get_asked(s, &t);
	drop_fds(s);
	tcp_end_all(s->worker.tcp, END_SHUTDOWN);
	settle(s);
	assert_int_equal(told(s), END_SHUTDOWN);
	expect(s, CUT_FORGET);
	answer(s, CUT_DONE, CUT_CAUSE_NONE); /* too late */
	assert_int_equal(counted(s, COUNTER_cut_tcp), 0);
	pair_end(&t);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_not_yet),
		cmocka_unit_test(test_pauses_grow),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tries_end),
		cmocka_unit_test(test_fin_while_asked),
		cmocka_unit_test(test_reset_while_asked),
		cmocka_unit_test(test_end_while_watched),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_disabled_while_asked),
		cmocka_unit_test(test_stop_while_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
