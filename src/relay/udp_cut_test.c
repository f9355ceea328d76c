/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_cut_test.c - a UDP flow that is let through.
 *
 * Its way is the test's own: datagrams are numbers here.
 */
#include "relay/cut_scene_test.h"

#include "relay/udp_open.h"
#include "relay/udp_path.h"

/* --- a flow -------------------------------------------------------------- */

static struct {
	unsigned reads, closes;
} way;

static void read_way(struct udp_flow *f)
{
	way.reads++;
	assert_int_equal(way.closes, 0);
	udp_flow_note(f, 1, 100, 1); /* something was late */
}

static void close_way(struct udp_flow *f)
{
	(void)f;
	way.closes++;
}

static const struct udp_path path = { .read = read_way, .close = close_way };

static struct udp_flow *begin(struct scene *s, const char *client,
			      const char *server)
{
	struct udp *u = s->worker.udp;
	struct flow_record r = { .proto = PROTO_UDP,
				 .client = at(client),
				 .server = at(server),
				 .source = at(client),
				 .upstream = WORLD_DIRECT };
	struct udp_flow *f = udp_table_add(&u->table, &r.client, &r.server);

	assert_non_null(f);
	way.reads = way.closes = 0;
	f->udp = u;
	f->to = f->server;
	f->path = &path;
	udp_flow_begin(f, &r, FLOW_CONNECTING);
	udp_flow_use_upstream(f, WORLD_DIRECT);
	udp_open_done(f);
	return f;
}

static struct udp_flow *begin_any(struct scene *s)
{
	return begin(s, "192.0.2.1:4000", "198.51.100.7:443");
}

static void move(struct udp_flow *f, int dir, unsigned dgrams)
{
	if (dir)
		udp_table_answered(&f->udp->table, f);
	for (; dgrams; dgrams--)
		udp_flow_note(f, dir, 100, 1);
}

static void get_let(struct scene *s, struct udp_flow *f, bool is_asked)
{
	move(f, 0, UDP_CUT_DGRAMS - 1);
	move(f, 1, 1);
	expect(s, CUT_WATCH);
	if (!is_asked)
		return;
	f->cut.next_ms = 0;
	move(f, 0, 1);
	expect(s, CUT_CUT);
	assert_int_equal(f->cut.stage, CUT_ASKED);
}

/* --- when it is asked for ------------------------------------------------ */

static void test_datagrams(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	move(f, 0, UDP_CUT_DGRAMS - 2);
	move(f, 1, 1);
	assert_false(is_asked(s));
	move(f, 0, 1);
	expect(s, CUT_WATCH);
	scene_end(s);
}

static void test_no_answer(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	move(f, 0, 10 * UDP_CUT_DGRAMS);
	assert_false(is_asked(s));
	move(f, 1, 1);
	expect(s, CUT_WATCH);
	scene_end(s);
}

static void test_words(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);
	const struct flow_record *r = udp_flow_record(f);

	(void)state; /* unused */
	get_let(s, f, false);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(s->ask.proto, PROTO_UDP);
		assert_int_equal(s->ask.slot, udp_flow_slot(f));
		assert_int_equal(s->ask.slot, FLOWS);
		assert_int_equal(s->ask.name, r->name);
		assert_true(addr_equal(&s->ask.peer[0], &f->client));
		assert_true(addr_equal(&s->ask.own[0], &f->server));
		assert_true(addr_equal(&s->ask.peer[1], &f->server));
		assert_true(addr_equal(&s->ask.own[1], &f->client));
		if (i)
			break;
		f->cut.next_ms = 0;
		move(f, 1, 1);
		expect(s, CUT_CUT);
	}
	assert_int_equal(s->ask.record.bytes[0], r->bytes[0]);
	assert_int_equal(s->ask.record.bytes[1], r->bytes[1]);
	scene_end(s);
}

static const struct {
	const char *name, *server, *to, *source;
	enum upstream_kind kind;
	enum rule_cut_through rule;
	bool may;
} eligible[] = {
	{ "the client's own address and port", "198.51.100.7:443",
	  "198.51.100.7:443", "192.0.2.1:4000", UPSTREAM_DIRECT,
	  RULE_CUT_AS_FILE, true },
	{ "its port was taken", "198.51.100.7:443", "198.51.100.7:443",
	  "192.0.2.1:4001", UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "this host's address", "198.51.100.7:443", "198.51.100.7:443",
	  "192.0.2.9:4000", UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "another server", "198.51.100.7:443", "198.51.100.8:443",
	  "192.0.2.1:4000", UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "another port", "198.51.100.7:443", "198.51.100.7:444",
	  "192.0.2.1:4000", UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "a header in front", "198.51.100.7:443", "198.51.100.7:443",
	  "192.0.2.1:4000", UPSTREAM_PROXY_V2, RULE_CUT_AS_FILE, false },
	{ "SOCKS5", "198.51.100.7:443", "198.51.100.7:443", "192.0.2.1:4000",
	  UPSTREAM_SOCKS5, RULE_CUT_AS_FILE, false },
	{ "an address of one link", "[fe80::7%1]:443", "[fe80::7%1]:443",
	  "192.0.2.1:4000", UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "DNS", "198.51.100.7:53", "198.51.100.7:53", "192.0.2.1:4000",
	  UPSTREAM_DIRECT, RULE_CUT_AS_FILE, false },
	{ "the rule says off", "198.51.100.7:443", "198.51.100.7:443",
	  "192.0.2.1:4000", UPSTREAM_DIRECT, RULE_CUT_OFF, false },
};

static void test_eligible(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(eligible) / sizeof(*eligible); i++) {
		struct scene *s = scene_begin();
		struct udp_flow *f =
			begin(s, "192.0.2.1:4000", eligible[i].server);

		f->to = at(eligible[i].to);
		udp_flow_record(f)->source = at(eligible[i].source);
		s->w.upstreams[WORLD_DIRECT].kind = eligible[i].kind;
		s->rule.cut_through = (uint8_t)eligible[i].rule;
		move(f, 1, 3 * UDP_CUT_DGRAMS);
		if (is_asked(s) != eligible[i].may)
			fail_msg("%s: not so", eligible[i].name);
		assert_int_equal(f->cut.stage,
				 eligible[i].may ? CUT_WATCHED : CUT_STAYS);
		assert_int_equal(not_cut(s), 0);
		scene_end(s);
	}
}

/* --- answers ------------------------------------------------------------- */

/* Nothing waits for the answer. */
static void test_not_yet(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	get_let(s, f, true);
	for (int i = 1; i <= CUT_TRIES_MAX; i++) {
		move(f, 0, 3);
		assert_false(is_asked(s));
		answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
		if (i == CUT_TRIES_MAX)
			break;
		assert_int_equal(f->cut.stage, CUT_WATCHED);
		f->cut.next_ms = 0;
		move(f, 1, 1);
		expect(s, CUT_CUT);
	}
	expect(s, CUT_FORGET);
	assert_int_equal(s->ask.proto, PROTO_UDP);
	assert_int_equal(counted(s, COUNTER_cut_not_seen), 1);
	move(f, 0, 100);
	assert_false(is_asked(s));
	scene_end(s);
}

static void test_refused(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	get_let(s, f, true);
	answer(s, CUT_REFUSED, CUT_CAUSE_FRAGMENTS);
	assert_int_equal(counted(s, COUNTER_cut_fragments), 1);
	assert_int_equal(f->state, FLOW_RELAYING);
	move(f, 0, 100);
	assert_false(is_asked(s));
	udp_flow_end(f, END_IDLE_TIMEOUT, 0);
	assert_false(is_asked(s)); /* it is forgotten already */
	assert_int_equal(told(s), END_IDLE_TIMEOUT);
	scene_end(s);
}

/* The flow is there for late datagrams, and nobody sees it. */
static struct udp_flow *get_gone(struct scene *s)
{
	struct udp_flow *f = begin_any(s);
	struct flow_record r;

	get_let(s, f, true);
	assert_true(shared_read(s->worker.args.shared, FLOWS, &r));
	answer(s, CUT_DONE, CUT_CAUSE_NONE);
	assert_int_equal(counted(s, COUNTER_cut_udp), 1);
	assert_false(shared_read(s->worker.args.shared, FLOWS, &r));
	assert_int_equal(way.closes, 0);
	assert_ptr_equal(
		udp_table_find(&s->worker.udp->table, &f->client, &f->server),
		f);
	move(f, 0, 2);
	assert_false(is_asked(s));
	return f;
}

/* Its end is not told, and leaves nothing. */
static void expect_gone(struct scene *s, const struct udp_flow *f)
{
	const struct shared *shared = s->worker.args.shared;

	assert_int_equal(way.closes, 1);
	assert_int_equal(f->state, FLOW_FREE);
	assert_int_equal(s->worker.udp->table.flow_pool.used, 0);
	assert_int_equal(shared->udp_flows, 0);
	assert_int_equal(shared->upstream_flows[WORLD_DIRECT], 0);
	assert_int_equal(told(s), END_NONE);
	assert_int_equal(not_cut(s), 0);
	assert_int_equal(counted(s, COUNTER_udp_expired), 0);
	assert_false(is_asked(s));
}

static void test_done(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = get_gone(s);

	(void)state; /* unused */
	while (f->state != FLOW_FREE)
		turn(s);
	assert_int_equal(way.reads, 1); /* before it was closed */
	expect_gone(s, f);
	scene_end(s);
}

static void test_ends_when_done(void **state)
{
	(void)state; /* unused */
	for (int i = 0; i < 2; i++) {
		struct scene *s = scene_begin();
		struct udp_flow *f = get_gone(s);

		if (i)
			end_line(s);
		settle(s);
		udp_end_all(s->worker.udp, END_SHUTDOWN);
		expect_gone(s, f);
		scene_end(s);
	}
}

/* --- ends ---------------------------------------------------------------- */

static void test_end_before(void **state)
{
	(void)state; /* unused */
	for (int i = 0; i < 2; i++) {
		struct scene *s = scene_begin();
		struct udp_flow *f = begin_any(s);
		uint64_t name = udp_flow_record(f)->name;

		get_let(s, f, i);
		udp_flow_end(f, END_IDLE_TIMEOUT, 0);
		expect(s, CUT_FORGET);
		assert_int_equal(s->ask.name, name);
		assert_int_equal(s->ask.slot, FLOWS);
		assert_int_equal(told(s), END_IDLE_TIMEOUT);
		assert_int_equal(counted(s, COUNTER_cut_ending), 1);
		answer(s, CUT_DONE, CUT_CAUSE_NONE); /* too late */
		assert_int_equal(counted(s, COUNTER_cut_udp), 0);
		scene_end(s);
	}
}

/* Nothing has stopped, so nothing is lost. */
static void test_lost(void **state)
{
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	get_let(s, f, true);
	end_line(s);
	settle(s);
	assert_int_equal(s->worker.args.cut_fd, -1);
	assert_int_equal(f->state, FLOW_RELAYING);
	assert_int_equal(f->cut.stage, CUT_STAYS);
	assert_int_equal(counted(s, COUNTER_cut_error), 1);
	move(f, 0, 100);
	scene_end(s);
}

/* Slots of other flows, of none, and of TCP. */
static void test_stale_answers(void **state)
{
	static const uint32_t slots[] = {
		0, FLOWS - 1, FLOWS, FLOWS + 1, FLOWS + UDP_FLOWS, UINT32_MAX
	};
	struct scene *s = scene_begin();
	struct udp_flow *f = begin_any(s);

	(void)state; /* unused */
	get_let(s, f, true);
	for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		s->ask.slot = slots[i];
		s->ask.name = udp_flow_record(f)->name + (slots[i] == FLOWS);
		answer(s, CUT_DONE, CUT_CAUSE_NONE);
		assert_int_equal(f->cut.stage, CUT_ASKED);
	}
	assert_int_equal(counted(s, COUNTER_cut_udp), 0);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_eligible),
		cmocka_unit_test(test_not_yet),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_ends_when_done),
		cmocka_unit_test(test_end_before),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_stale_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
