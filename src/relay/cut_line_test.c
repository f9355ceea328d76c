/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_line_test.c - the line to the cutter: who may be cut, and a line that is
 * full, silent, wrong, or at its end.
 */
#include "relay/cut_scene_test.h"

/* --- who may be cut ------------------------------------------------------ */

static const struct {
	const char *name;
	enum cut_through file;
	enum rule_cut_through rule;
	bool is_from_host, is_private, has_no_cutter, may;
} eligible[] = {
	{ "where the kernel can", CUT_THROUGH_AUTO, RULE_CUT_AS_FILE, 0, 0, 0,
	  true },
	{ "the file says on", CUT_THROUGH_ON, RULE_CUT_AS_FILE, 0, 0, 0, true },
	{ "the file says off", CUT_THROUGH_OFF, RULE_CUT_AS_FILE, 0, 0, 0,
	  false },
	{ "the rule says off", CUT_THROUGH_ON, RULE_CUT_OFF, 0, 0, 0, false },
	{ "the rule says on", CUT_THROUGH_AUTO, RULE_CUT_ON, 0, 0, 0, true },
	{ "a rule's on goes before the file's off", CUT_THROUGH_OFF,
	  RULE_CUT_ON, 0, 0, 0, true },
	{ "a rule's on does not make a cutter", CUT_THROUGH_AUTO, RULE_CUT_ON,
	  0, 0, 1, false },
	{ "this host's own flows", CUT_THROUGH_ON, RULE_CUT_ON, 1, 0, 0,
	  false },
	{ "a private worker", CUT_THROUGH_ON, RULE_CUT_ON, 0, 1, 0, false },
};

static void test_who_may(void **state)
{
	struct scene *s = scene_begin();
	struct worker w = { .args = s->worker.args };
	const struct flow_record r = { .rule = 0 };

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(eligible) / sizeof(*eligible); i++) {
		s->w.config.cut_through = eligible[i].file;
		s->rule.cut_through = (uint8_t)eligible[i].rule;
		s->intercept.from_host = eligible[i].is_from_host;
		w.args.is_private = eligible[i].is_private;
		w.args.cut_fd = eligible[i].has_no_cutter ? -1 : 0;
		if (cut_line_may(&w, &r) != eligible[i].may)
			fail_msg("%s: not so", eligible[i].name);
	}
	s->intercept.from_host = false;
	scene_end(s);
}

static const struct {
	const char *name, *peer[2], *own[2];
	bool can;
} legs[] = {
	{ "IPv4",
	  { "192.0.2.1:4000", "198.51.100.7:80" },
	  { "198.51.100.7:80", "192.0.2.1:4000" },
	  true },
	{ "IPv6",
	  { "[2001:db8::1]:4000", "[2001:db8::7]:80" },
	  { "[2001:db8::7]:80", "[2001:db8::2]:4000" },
	  true },
	{ "an IPv4 client of an IPv6 server",
	  { "192.0.2.1:4000", "[2001:db8::7]:80" },
	  { "198.51.100.7:80", "[2001:db8::1]:4000" },
	  false },
	{ "a client on the link",
	  { "[fe80::1%1]:4000", "[2001:db8::7]:80" },
	  { "[2001:db8::7]:80", "[2001:db8::1]:4000" },
	  false },
	{ "our own address on the server's link",
	  { "[2001:db8::1]:4000", "[2001:db8::7]:80" },
	  { "[2001:db8::7]:80", "[fe80::1%1]:4000" },
	  false },
};

static void test_which_can(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(legs) / sizeof(*legs); i++) {
		struct cut_ask ask = { 0 };

		for (int leg = 0; leg < 2; leg++) {
			ask.peer[leg] = at(legs[i].peer[leg]);
			ask.own[leg] = at(legs[i].own[leg]);
		}
		if (cut_line_can(&ask) != legs[i].can)
			fail_msg("%s: not so", legs[i].name);
	}
}

/* It is not told of, not counted, and looked at once. */
static void expect_never(struct scene *s, struct pair *t)
{
	make_due(t);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(say(t, 0, 1), 1);
		hear_all(s, t, 0);
		settle(s);
	}
	assert_int_equal(t->flow->cut.stage, CUT_STAYS);
	assert_int_equal(t->flow->cut.next_ms, CUT_NEVER);
	assert_false(is_asked(s));
	assert_int_equal(not_cut(s), 0);
}

static void test_not_eligible(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	s->rule.cut_through = RULE_CUT_OFF;
	expect_never(s, &t);
	pair_end(&t);
	settle(s);
	assert_false(is_asked(s)); /* nothing is to be forgotten */
	assert_int_equal(not_cut(s), 0);
	scene_end(s);
}

/* A flow that may be going round waits for its server's first byte. */
static void test_not_while_guarded(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	int row = loop_guard_enter(&s->worker.tcp->guard,
				   &tcp_flow_record(t.flow)->server);

	(void)state; /* unused */
	assert_true(row > 0);
	t.flow->guard = (uint8_t)row;
	expect_never(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* --- a full line --------------------------------------------------------- */

static void test_full_for_watch(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	fill_line(s);
	make_due(&t);
	converse(s, &t);
	assert_int_equal(t.flow->cut.stage, CUT_NONE);
	assert_true(t.flow->cut.next_ms > 0);
	assert_int_equal(not_cut(s), 0);
	drain_line(s);
	get_watched(s, &t);
	pair_end(&t);
	scene_end(s);
}

static void test_full_for_cut(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	fill_line(s);
	make_due(&t);
	converse(s, &t);
	assert_int_equal(t.flow->cut.stage, CUT_WATCHED);
	assert_int_equal(t.flow->cut.tries, 0);
	assert_false(t.flow->cut.was_asked);
	drain_line(s);
	get_asked(s, &t);
	answer(s, CUT_NOT_YET, CUT_CAUSE_BUSY);
	converse(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* What is to be forgotten is said as soon as there is room, and before
 * anything else. */
static void test_full_for_forget(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s), other;
	uint64_t name;

	(void)state; /* unused */
	get_watched(s, &t);
	name = s->ask.name;
	fill_line(s);
	pair_end(&t);
	while (t.flow->state != FLOW_FREE)
		turn(s);
	settle(s);
	assert_int_equal(s->worker.cut.forget_count, 1);
	other = pair_begin(s);
	make_due(&other);
	converse(s, &other);
	assert_int_equal(other.flow->cut.stage, CUT_NONE);
	drain_line(s);
	expect(s, CUT_FORGET);
	assert_int_equal(s->ask.name, name);
	settle(s);
	assert_int_equal(s->worker.cut.forget_count, 0);
	assert_false(is_asked(s));
	get_watched(s, &other);
	pair_end(&other);
	scene_end(s);
}

/* A slot that waits to be forgotten may be that of the next flow. */
static void test_forget_comes_first(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	s->worker.cut.forget_count = 1;
	make_due(&t);
	converse(s, &t);
	assert_false(is_asked(s));
	assert_int_equal(t.flow->cut.stage, CUT_NONE);
	s->worker.cut.forget_count = 0;
	get_watched(s, &t);
	pair_end(&t);
	scene_end(s);
}

static void test_too_many_to_forget(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	unsigned forgotten = 0;

	(void)state; /* unused */
	get_watched(s, &t);
	fill_line(s);
	s->worker.cut.forget_count = CUT_FORGETS_MAX;
	pair_end(&t);
	while (t.flow->state != FLOW_FREE)
		turn(s);
	settle(s);
	assert_int_equal(s->worker.cut.forget_count, CUT_FORGETS_MAX);
	for (drain_line(s); s->worker.cut.forget_count; turn(s))
		for (; is_asked(s); forgotten++)
			assert_int_equal(s->ask.kind, CUT_FORGET);
	for (; is_asked(s); forgotten++)
		assert_int_equal(s->ask.kind, CUT_FORGET);
	assert_int_equal(forgotten, CUT_FORGETS_MAX);
	scene_end(s);
}

/* --- the end of the line ------------------------------------------------- */

static ssize_t last_heard(struct scene *s, struct pair *t, int who)
{
	ssize_t len = hear(t, who);

	for (; len > 0 || len == -EAGAIN; len = hear(t, who))
		turn(s);
	return len;
}

/* A new cutter. */
static void begin_line(struct scene *s)
{
	int line[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line), 0);
	cut_line_renew(&s->worker, line[0]);
	assert_int_equal(s->worker.args.cut_fd, line[0]);
	s->cutter = line[1];
}

/* Whether the cutter has switched the flow nobody knows: it is reset. */
static void expect_reset(struct scene *s, struct pair *t)
{
	while (t->flow->state != FLOW_FREE)
		turn(s);
	assert_int_equal(told(s), END_ERROR);
	for (int who = 0; who < 2; who++)
		assert_int_equal(last_heard(s, t, who), -ECONNRESET);
	settle(s);
	assert_int_equal(s->worker.args.cut_fd, -1);
}

static void test_end(void **state)
{
	struct scene *s = scene_begin();
	struct pair young = pair_begin(s), watched = pair_begin(s),
		    asked = pair_begin(s), after;
	int old;

	(void)state; /* unused */
	make_young(young.flow);
	get_watched(s, &watched);
	get_watched(s, &asked);
	get_asked(s, &asked);
	end_line(s);
	expect_reset(s, &asked);
	assert_int_equal(counted(s, COUNTER_cut_error), 2);
	assert_int_equal(not_cut(s), 2);
	converse(s, &young);
	converse(s, &watched);
	after = pair_begin(s);
	make_due(&after);
	converse(s, &after);
	assert_int_equal(after.flow->cut.stage, CUT_STAYS);
	begin_line(s);
	get_watched(s, &young);
	converse(s, &watched);
	assert_false(is_asked(s));
	old = s->cutter;
	begin_line(s); /* before the end of the old one is heard */
	close(old);
	assert_int_equal(young.flow->cut.stage, CUT_STAYS);
	pair_end(&young);
	pair_end(&watched);
	pair_end(&asked);
	pair_end(&after);
	scene_end(s);
}

/* The last answers count, also of a cutter that has not read all. */
static void test_end_behind_answers(void **state)
{
	struct scene *s = scene_begin();
	struct pair done = pair_begin(s), not_yet = pair_begin(s);
	struct cut_answer answers[2] = { { .kind = CUT_DONE },
					 { .kind = CUT_NOT_YET } };
	struct pair *const pairs[2] = { &done, &not_yet };

	(void)state; /* unused */
	for (int i = 0; i < 2; i++) {
		get_watched(s, pairs[i]);
		get_asked(s, pairs[i]);
		answers[i].slot = s->ask.slot;
		answers[i].name = s->ask.name;
	}
	fill_line(s); /* not read by the cutter */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			send(s->cutter, &answers[i], sizeof(answers[i]), 0),
			sizeof(answers[i]));
	end_line(s);
	settle(s);
	assert_int_equal(s->worker.args.cut_fd, -1);
	assert_int_equal(counted(s, COUNTER_cut_tcp), 1);
	assert_int_equal(told(s), END_NONE);
	converse(s, &not_yet);
	pair_end(&done);
	pair_end(&not_yet);
	scene_end(s);
}

/* Not even a CUT_NOT_YET: whoever is silent for so long is as good as gone. */
static void test_silence(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	uint64_t least;

	(void)state; /* unused */
	get_watched(s, &t);
	least = s->worker.loop.now_ms + CUT_ANSWER_MS;
	get_asked(s, &t);
	assert_true(t.flow->timer.due_tick * WHEEL_TICK_MS >= least);
	assert_true(t.flow->timer.due_tick * WHEEL_TICK_MS <=
		    clock_ms() + CUT_ANSWER_MS + 2 * WHEEL_TICK_MS);
	drop_fds(s);
	tcp_flow_on_timer(&t.flow->timer, s->worker.loop.now_ms);
	expect_reset(s, &t);
	pair_end(&t);
	scene_end(s);
}

/* With an answer time is as it was. */
static void test_time_goes_on(void **state)
{
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);

	(void)state; /* unused */
	get_watched(s, &t);
	get_asked(s, &t);
	answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	assert_true(t.flow->timer.due_tick * WHEEL_TICK_MS >=
		    t.flow->last_ms + s->w.config.timeouts.idle_ms);
	tcp_flow_on_timer(&t.flow->timer,
			  t.flow->last_ms + s->w.config.timeouts.idle_ms);
	assert_int_equal(told(s), END_IDLE_TIMEOUT);
	assert_true(s->worker.args.cut_fd >= 0);
	pair_end(&t);
	scene_end(s);
}

/* --- what no cutter says ------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t kind, cause;
	int longer; /* than an answer */
} wrong[] = {
	{ "no kind", 0, 0, 0 },
	{ "another kind", CUT_REFUSED + 1, 0, 0 },
	{ "another cause", CUT_REFUSED, CUT_CAUSE_COUNT, 0 },
	{ "an answer that is cut off", CUT_REFUSED, CUT_CAUSE_FULL, -1 },
	{ "one byte", CUT_REFUSED, CUT_CAUSE_FULL,
	  1 - (int)sizeof(struct cut_answer) },
	{ "one byte more", CUT_REFUSED, CUT_CAUSE_FULL, 1 },
};

static void test_wrong_answers(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct scene *s = scene_begin();
		struct pair t = pair_begin(s);
		struct cut_answer a[2] = { { .kind = wrong[i].kind,
					     .cause = wrong[i].cause } };
		size_t len = (size_t)((int)sizeof(a[0]) + wrong[i].longer);

		get_watched(s, &t);
		get_asked(s, &t);
		a[0].slot = s->ask.slot;
		a[0].name = s->ask.name;
		drop_fds(s);
		assert_int_equal(send(s->cutter, a, len, 0), len);
		expect_reset(s, &t);
		if (counted(s, COUNTER_cut_error) != 1)
			fail_msg("%s: is an answer", wrong[i].name);
		pair_end(&t);
		scene_end(s);
	}
}

/* Answers that are about nobody, or come too late. */
static void test_stale_answers(void **state)
{
	static const uint32_t slots[] = {
		0, 1, FLOWS - 1, FLOWS, FLOWS + 1, FLOWS + UDP_FLOWS, UINT32_MAX
	};
	struct scene *s = scene_begin();
	struct pair t = pair_begin(s);
	uint64_t name = tcp_flow_record(t.flow)->name;

	(void)state; /* unused */
	for (int is_asked = 0; is_asked < 2; is_asked++) {
		struct cut_answer a = { .kind = CUT_DONE, .name = name };

		get_watched(s, &t);
		if (is_asked)
			get_asked(s, &t);
		for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
			a.slot = slots[i];
			a.name = name + (is_asked && !slots[i]);
			assert_int_equal(send(s->cutter, &a, sizeof(a), 0),
					 sizeof(a));
		}
		settle(s);
		assert_int_equal(t.flow->state, FLOW_RELAYING);
		assert_int_equal(counted(s, COUNTER_cut_tcp), 0);
		assert_int_equal(t.flow->cut.stage,
				 is_asked ? CUT_ASKED : CUT_WATCHED);
		t.flow->cut.stage = CUT_NONE;
		t.flow->cut.next_ms = 0;
	}
	pair_end(&t);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_which_can),
		cmocka_unit_test(test_not_eligible),
		cmocka_unit_test(test_not_while_guarded),
		cmocka_unit_test(test_full_for_watch),
		cmocka_unit_test(test_full_for_cut),
		cmocka_unit_test(test_full_for_forget),
		cmocka_unit_test(test_forget_comes_first),
		cmocka_unit_test(test_too_many_to_forget),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_behind_answers),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_time_goes_on),
		cmocka_unit_test(test_wrong_answers),
		cmocka_unit_test(test_stale_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
