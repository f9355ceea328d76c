/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_flow_test.c - flows are cut at any moment, and no byte notices.
 *
 * Two processes are the ends of many connections at once, each byte of which
 * they compare; this one is the router, see cut_world_test.h and
 * cut_relay_test.h.
 */
#include "daemon/cut_flow.h"

#include "daemon/cut_relay_test.h"
#include "daemon/cut_world_test.h"

enum { AT_ONCE = 24, DEADLINE_MS = 100000 };

static const struct scenario {
	const char *sentence;
	struct end client, server;
} scenarios[] = {
	{ "much both ways",
	  { END_BOTH, 1 << 20, 1 << 20 },
	  { END_BOTH, 1 << 20, 1 << 20 } },
	{ "in turns", { END_TURNS, 200, 0 }, { END_TURNS, 200, 1 } },
	{ "much up, then FIN, then much down",
	  { END_FIRST, 700000, 500000 },
	  { END_LAST, 500000, 700000 } },
	{ "much down, then FIN, then much up",
	  { END_LAST, 300000, 900000 },
	  { END_FIRST, 900000, 300000 } },
	{ "FIN of both behind few bytes",
	  { END_BOTH, 40000, 30000 },
	  { END_BOTH, 30000, 40000 } },
	{ "FIN behind a byte",
	  { END_FIRST, 1, 20000 },
	  { END_LAST, 20000, 1 } },
	{ "RST of the client",
	  { END_RESET, 60000, 1000 },
	  { END_IS_RESET, 200000, 0 } },
	{ "RST of the server",
	  { END_IS_RESET, 200000, 0 },
	  { END_RESET, 1000, 60000 } },
};
enum {
	SCENARIOS = sizeof(scenarios) / sizeof(*scenarios),
	PEACEFUL = SCENARIOS - 2, /* a RST that is lost is not sent again */
};

/* How. */
struct run {
	int count;
	uint32_t cut_at_max;	     /* 0: anywhere */
	const struct scenario *only; /* NULL: all */
	bool keeps_sockets;
	bool has_loss;
};

/* --- the ends ------------------------------------------------------------ */

static pid_t spawn(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Wait for a child; how many have failed. */
static int reap(int *running)
{
	int status, failed = 0;

	if (wait(&status) > 0) {
		--*running;
		failed = status != 0;
	}
	return failed;
}

static int connect_and_run(int i, const struct scenario *s)
{
	int family = i / SCENARIOS % 2, fd;
	struct addr to =
		world_address(world_servers[family],
			      (uint16_t)(WORLD_PORT + (s - scenarios)));

	fd = socket(to.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sock_connect(fd, &to) < 0)
		return END_NO_SOCKET;
	return (int)end_run(fd, &s->client, true);
}

static int run_clients(const struct run *run)
{
	int running = 0, failed = 0;

	for (int i = 0; i < run->count; i++) {
		const struct scenario *s =
			&scenarios[i % (run->has_loss ? PEACEFUL : SCENARIOS)];
		pid_t pid;

		while (running == AT_ONCE)
			failed += reap(&running);
		pid = spawn();
		if (!pid)
			_exit(connect_and_run(i, s));
		running++;
	}
	while (running)
		failed += reap(&running);
	return failed;
}

static void listen_all(struct pollfd polls[2 * SCENARIOS])
{
	for (int i = 0; i < 2 * SCENARIOS; i++) {
		struct addr at = world_address(world_servers[i % 2],
					       (uint16_t)(WORLD_PORT + i / 2));
		struct err e;

		polls[i] = (struct pollfd){ sock_listen_plain(&at, 0, &e),
					    POLLIN, 0 };
		assert_true(polls[i].fd >= 0);
	}
}

static int run_servers(int count, struct pollfd polls[2 * SCENARIOS])
{
	int running = 0, failed = 0;

	for (int served = 0; served < count;) {
		if (poll(polls, 2 * SCENARIOS, WORLD_WAIT_MS) < 1)
			return END_SILENCE;
		for (int i = 0; i < 2 * SCENARIOS; i++) {
			const struct scenario *s = &scenarios[i / 2];
			int fd = accept(polls[i].fd, NULL, NULL);

			if (fd < 0)
				continue;
			if (!spawn())
				_exit((int)end_run(fd, &s->server, false));
			close(fd);
			served++;
			running++;
		}
	}
	while (running)
		failed += reap(&running);
	return failed;
}

/* --- a run --------------------------------------------------------------- */

struct people {
	struct timer timer;
	struct loop *loop;
	pid_t pids[2];
	int failed, left;
	uint64_t until_ms;
};

static void look_at_people(struct timer *t, uint64_t now_ms)
{
	struct people *p = (struct people *)t;
	int status;

	for (int i = 0; i < 2; i++)
		if (p->pids[i] && waitpid(p->pids[i], &status, WNOHANG) > 0) {
			p->pids[i] = 0;
			p->failed += status != 0;
			p->left--;
		}
	if (!p->left || now_ms > p->until_ms)
		loop_stop(p->loop);
	else
		wheel_set(&p->loop->wheel, t, now_ms + 20);
}

static void begin_people(struct people *p, const struct world *w,
			 const struct run *run, struct loop *loop)
{
	struct pollfd polls[2 * SCENARIOS];

	*p = (struct people){ .timer = { .fn = look_at_people },
			      .loop = loop,
			      .left = 2,
			      .until_ms = clock_ms() + DEADLINE_MS };
	world_enter(w->server);
	listen_all(polls);
	p->pids[1] = spawn();
	if (!p->pids[1])
		_exit(run_servers(run->count, polls) != 0);
	for (int i = 0; i < 2 * SCENARIOS; i++)
		close(polls[i].fd);
	world_enter(w->client);
	p->pids[0] = spawn();
	if (!p->pids[0])
		_exit(run_clients(run) != 0);
	world_enter(w->router);
	wheel_set(&loop->wheel, &p->timer, clock_ms() + 20);
}

static void await_free(struct relay *r)
{
	uint64_t until_ms = clock_ms() + DEADLINE_MS;

	while (relay_in_hand(r) && clock_ms() < until_ms)
		loop_turn(&r->loop);
	assert_int_equal(relay_in_hand(r), 0);
}

static uint64_t late_bytes(const struct relay *r)
{
	return r->shop.shared->counters[COUNTER_cut_late_bytes];
}

static void report(const struct relay *r, const struct run *run)
{
	print_message("%u of %d flows cut, %u ended; late bytes %llu;", r->cut,
		      run->count, r->ended,
		      (unsigned long long)
			      r->shop.shared->counters[COUNTER_cut_late_bytes]);
	for (int i = 0; i < CUT_CAUSE_COUNT; i++)
		if (r->causes[i])
			print_message(" %d: %u", i, r->causes[i]);
	print_message("\n");
}

/* Of both ways together. */
static uint32_t bytes_of(const struct scenario *s)
{
	uint32_t sum = s->client.send + s->server.send;

	if (s->client.what == END_TURNS)
		return sum * 500;
	if (s->client.what == END_RESET)
		return s->client.send;
	return s->server.what == END_RESET ? s->server.send : sum;
}

static void do_run(const struct run *run)
{
	uint32_t cut_at_max[SCENARIOS];
	struct people people;
	struct relay relay;
	struct world world;

	for (int i = 0; i < SCENARIOS; i++)
		cut_at_max[i] = bytes_of(&scenarios[i]) / 2;
	world_begin(&world);
	if (run->has_loss)
		world_lose(&world);
	relay_begin(&relay, &world, SCENARIOS);
	relay.cut_at_max = cut_at_max;
	relay.keeps_sockets = run->keeps_sockets;
	begin_people(&people, &world, run, &relay.loop);
	loop_run(&relay.loop);
	report(&relay, run);
	assert_int_equal(people.left, 0);
	assert_int_equal(people.failed, 0);
	await_free(&relay);
	assert_true(relay.cut > 0);
	assert_true(late_bytes(&relay) > 0);
	relay_done(&relay, SCENARIOS);
	world_done(&world);
}

static void flows_are_cut_at_any_moment(void **state)
{
	(void)state;
	do_run(&(struct run){ .count = 400 });
}

static void flows_are_cut_while_packets_are_lost(void **state)
{
	(void)state;
	do_run(&(struct run){ .count = 150, .has_loss = true });
}

static void a_worker_may_be_slow_to_close(void **state)
{
	(void)state;
	do_run(&(struct run){ .count = 150, .keeps_sockets = true });
}

/* --- entries ------------------------------------------------------------- */

static struct cut_ask ask_of(const char *own_source)
{
	struct cut_ask ask = { .kind = CUT_WATCH, .proto = PROTO_TCP };

	ask.peer[CUT_CLIENT] = world_address("10.0.0.2", 1000);
	ask.own[CUT_CLIENT] = world_address("198.51.100.7", 2000);
	ask.peer[CUT_SERVER] = ask.own[CUT_CLIENT];
	ask.own[CUT_SERVER] = own_source ? world_address(own_source, 3000)
					 : ask.peer[CUT_CLIENT];
	return ask;
}

static void check_entries(struct cut_shop *shop, const char *own_source)
{
	const struct cut_ask ask = ask_of(own_source);
	struct cut_flow f, other;
	struct wl_cut value[2];

	assert_int_equal(cut_flow_watch(&f, shop, &ask), CUT_CAUSE_NONE);
	assert_int_equal(f.state, CUT_FLOW_WATCH);
	assert_int_equal(f.has_two, own_source != NULL);
	for (int leg = 0; leg < 2; leg++) {
		assert_int_equal(
			cut_table_get(shop->table, &f.key[leg], &value[leg]),
			0);
		assert_int_equal(value[leg].state, WL_CUT_WATCH);
		assert_int_equal(!!(value[leg].shape & WL_CUT_READDRESSED),
				 own_source != NULL);
	}
	/* as the other leg would send them */
	if (own_source) {
		assert_int_equal(value[CUT_CLIENT].to.sport, htons(3000));
		assert_int_equal(value[CUT_CLIENT].to.dport, htons(2000));
		assert_int_equal(value[CUT_SERVER].to.sport, htons(2000));
		assert_int_equal(value[CUT_SERVER].to.dport, htons(1000));
	}
	assert_int_equal(cut_flow_watch(&other, shop, &ask), CUT_CAUSE_TAKEN);
	assert_int_equal(other.state, CUT_FLOW_FREE);
	cut_flow_forget(&f);
	assert_int_equal(f.state, CUT_FLOW_FREE);
	for (int leg = 0; leg < 2; leg++)
		assert_int_equal(
			cut_table_get(shop->table, &f.key[leg], &value[leg]),
			-ENOENT);
}

/* The second entry is another flow's: the first one goes too. */
static void check_half(struct cut_shop *shop)
{
	const struct cut_ask ask = ask_of("198.51.100.1");
	struct cut_ask second = ask_of("198.51.100.1");
	struct cut_flow f, other;
	struct wl_cut value;

	second.peer[CUT_CLIENT].port = 1001;
	assert_int_equal(cut_flow_watch(&f, shop, &ask), CUT_CAUSE_NONE);
	assert_int_equal(cut_flow_watch(&other, shop, &second),
			 CUT_CAUSE_TAKEN);
	assert_int_equal(
		cut_table_get(shop->table, &other.key[CUT_CLIENT], &value),
		-ENOENT);
	cut_flow_forget(&f);
}

static void entries_come_and_go_with_their_flow(void **state)
{
	struct relay relay;
	struct world world;

	(void)state;
	world_begin(&world);
	relay_begin(&relay, &world, 0);
	check_entries(&relay.shop, NULL);
	check_entries(&relay.shop, "198.51.100.1");
	check_half(&relay.shop);
	relay_done(&relay, 0);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_and_go_with_their_flow),
		cmocka_unit_test(flows_are_cut_at_any_moment),
		cmocka_unit_test(flows_are_cut_while_packets_are_lost),
		cmocka_unit_test(a_worker_may_be_slow_to_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
