/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_move_test.c - bytes through one direction, by copy and by splice.
 *
 * How a direction begins and ends is in tcp_move_end_test.c.
 */
#include "relay/tcp_move.h"

#include "base/random_test.h"
#include "relay/move_path_test.h"

/* --- any stream, any reader ---------------------------------------------- */

enum { PERIOD = 65521, PIECE_MAX = 1 << 18, STALL_S = 20 };

/* The stream repeats these bytes; a prime that no buffer's size divides. */
static uint8_t pattern[PERIOD + PIECE_MAX];

struct stream {
	size_t total, write_max, read_max;
	unsigned read_every; /* 1: at each turn; more: a slow reader */
	uint64_t sent, received;
};

static void feed(struct path *p, struct stream *s, struct rnd *r)
{
	size_t len = 1 + rnd_draw(r, (unsigned)s->write_max);
	ssize_t went;

	if (s->sent == s->total)
		return;
	if (len > s->total - s->sent)
		len = s->total - s->sent;
	went = send(p->source, pattern + s->sent % PERIOD, len, MSG_NOSIGNAL);
	s->sent += went > 0 ? (uint64_t)went : 0;
	if (s->sent == s->total)
		assert_int_equal(shutdown(p->source, SHUT_WR), 0);
}

/* True at the end of the stream. */
static bool drink(struct path *p, struct stream *s, struct rnd *r)
{
	static uint8_t bytes[PIECE_MAX];
	size_t want = 1 + rnd_draw(r, (unsigned)s->read_max);
	ssize_t len = recv(p->sink, bytes, want, 0);

	if (len > 0) {
		assert_memory_equal(bytes, pattern + s->received % PERIOD,
				    (size_t)len);
		s->received += (size_t)len;
	}
	return len == 0;
}

static void run_stream(struct path *p, struct stream s, struct rnd *r)
{
	time_t end_s = time(NULL) + STALL_S;
	bool is_fin_sent = false;

	for (unsigned turn = 0;; turn++) {
		enum move_result result;

		if (time(NULL) > end_s)
			fail_msg("stalled at %zu of %zu bytes",
				 (size_t)s.received, s.total);
		feed(p, &s, r);
		result = run(p);
		assert_true(result == MOVE_WAIT || result == MOVE_AGAIN ||
			    result == MOVE_FIN);
		assert_false(is_fin_sent && result == MOVE_FIN);
		is_fin_sent |= result == MOVE_FIN;
		assert_int_equal(is_fin_sent, p->dir.is_fin_sent);
		assert_true(held(p) <= MOVE_PIPE_BYTES);
		if (turn % s.read_every == 0 && drink(p, &s, r))
			break;
	}
	assert_true(is_fin_sent);
	assert_int_equal(s.received, s.total);
	assert_int_equal(p->moved, s.total);
	assert_int_equal(held(p), 0);
	p->last = MOVE_AGAIN;
	assert_int_equal(run(p), MOVE_WAIT); /* no second FIN */
}

static const struct stream streams[] = {
	{ .write_max = 1, .read_max = 1, .read_every = 1 }, /* only a FIN */
	{ 1, 1, 10, 1, 0, 0 },
	{ 5000, 50, 5000, 1, 0, 0 },		/* small messages */
	{ 90000, 900, 700, 4, 0, 0 },		/* and a slow reader */
	{ 8 << 20, 1 << 18, 1 << 18, 1, 0, 0 }, /* bulk */
	{ 3 << 20, 1 << 18, 9000, 3, 0, 0 },	/* and a slow reader */
	{ 2 << 20, 70000, 70000, 1, 0, 0 },	/* any sizes */
	{ 300000, 1 << 18, 64, 1, 0, 0 },	/* few bytes a read */
};

static void run_pairs(const struct stream *s, enum flow_mover mover,
		      struct rnd *r)
{
	static void (*const pairs[])(int fd[2]) = { make_tcp_pair,
						    make_unix_pair };

	for (int kind = 0; kind < 2; kind++) {
		struct path p;
		const struct shared *shared;

		begin(&p, pairs[kind]);
		shared = p.mover.shared;
		p.dir.mover = (uint8_t)mover;
		if (!s->total)
			shutdown(p.source, SHUT_WR);
		run_stream(&p, *s, r);
		if (mover == MOVER_SPLICE && s->total)
			assert_true(shared->counters[COUNTER_tcp_spliced]);
		if (mover == MOVER_COPY && s->write_max < 1000)
			assert_false(shared->counters[COUNTER_tcp_spliced]);
		end(&p);
	}
}

static void test_streams(void **state)
{
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		run_pairs(&streams[i], MOVER_COPY, &r);
		run_pairs(&streams[i], MOVER_SPLICE, &r);
	}
}

/* One large read shows that this is bulk. */
static void test_on_to_splice(void **state)
{
	struct path p;

	(void)state; /* unused */
	begin(&p, make_unix_pair);
	assert_int_equal(send(p.source, pattern, 4096, 0), 4096);
	assert_int_equal(run(&p), MOVE_WAIT);
	assert_int_equal(p.dir.mover, MOVER_COPY);
	assert_true(fill(&p) > MOVE_COPY_BYTES);
	(void)run(&p);
	assert_int_equal(p.dir.mover, MOVER_SPLICE);
	end(&p);
}

/* Bulk that becomes a trickle is copied again. */
static void test_back_to_copy(void **state)
{
	struct path p;
	uint8_t byte = 1;

	(void)state; /* unused */
	begin(&p, make_tcp_pair);
	p.dir.mover = MOVER_SPLICE;
	for (unsigned i = 0; i < 20 && p.dir.mover == MOVER_SPLICE; i++) {
		assert_int_equal(send(p.source, &byte, 1, 0), 1);
		assert_int_equal(run(&p), MOVE_WAIT);
		assert_int_equal(p.dir.pipe, -1); /* given back when empty */
		assert_int_equal(recv(p.sink, &byte, 1, 0), 1);
	}
	assert_int_equal(p.dir.mover, MOVER_COPY);
	end(&p);
}

/* --- memory -------------------------------------------------------------- */

/* Whatever holds bytes, nothing more is read before they are gone. */
static void run_full(enum flow_mover mover)
{
	size_t before, kept;
	struct path p;

	begin(&p, make_tcp_pair);
	p.dir.mover = (uint8_t)mover;
	while (!held(&p)) {
		(void)fill(&p);
		(void)run(&p);
	}
	if (mover == MOVER_SPLICE)
		assert_true(p.dir.pipe_held > 0);
	kept = held(&p);
	(void)fill(&p);
	before = waiting(p.from.fd);
	assert_true(before > 0);
	p.to.is_writable = false; /* no event came */
	for (int i = 0; i < 100; i++) {
		uint64_t moved;

		p.from.is_readable = true;
		assert_int_equal(move_run(&p.mover, &p.dir, &p.from, &p.to,
					  &moved, &p.error),
				 MOVE_WAIT);
		assert_int_equal(moved, 0);
	}
	assert_int_equal(held(&p), kept);
	assert_true(waiting(p.from.fd) >= before);
	end(&p);
}

static void test_full(void **state)
{
	(void)state; /* unused */
	run_full(MOVER_COPY);
	run_full(MOVER_SPLICE);
}

/* All pipes are lent: copy takes over, is counted, and loses nothing. */
static void test_no_pipe(void **state)
{
	struct stream s = { 4 << 20, 1 << 18, 1 << 18, 1, 0, 0 };
	struct shared *shared;
	struct path p;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	begin(&p, make_tcp_pair);
	p.mover.pipe_free = -1;
	p.dir.mover = MOVER_SPLICE; /* not left to how much a read finds */
	shared = p.mover.shared;
	run_stream(&p, s, &r);
	assert_true(shared->counters[COUNTER_no_pipe] > 0);
	assert_int_equal(shared->counters[COUNTER_tcp_spliced], 0);
	end(&p);
}

/* One flow that never ends lets others have their turn. */
static void test_fairness(void **state)
{
	size_t all = 0;
	struct path p;

	(void)state; /* unused */
	begin(&p, make_unix_pair);
	p.mover.spilled = MOVE_SPILL_BUDGET; /* high: reads are small */
	while (waiting(p.from.fd) <= MOVE_ROUNDS * MOVE_SMALL_BYTES)
		all += fill(&p);
	p.from.is_readable = true;
	assert_int_equal(
		move_run(&p.mover, &p.dir, &p.from, &p.to, &p.moved, &p.error),
		MOVE_AGAIN);
	assert_int_equal(p.moved, MOVE_ROUNDS * MOVE_SMALL_BYTES);
	assert_true(all > p.moved);
	p.mover.spilled -= MOVE_SPILL_BUDGET;
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_on_to_splice),
		cmocka_unit_test(test_back_to_copy),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_fairness),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i % PERIOD * 2654435761u >> 13);
	(void)signal(SIGPIPE, SIG_IGN); /* as a worker does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
