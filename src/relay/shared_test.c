/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_test.c - one process writes, another reads without asking.
 *
 * The writer fills a record so that every field follows from one number: a
 * copy that mixes two states of a record shows itself.
 */
#include "relay/shared.h"

#include "base/random_test.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOWS = 4, ROUNDS = 300000 };

static void make_record(uint64_t n, struct flow_record *out)
{
	*out = (struct flow_record){
		.state = FLOW_RELAYING,
		.name = n,
		.client.port = (uint16_t)n,
		.server.scope = (uint32_t)n,
		.intercept = (uint32_t)n,
		.upstream = (uint32_t)n,
		.begun_ms = n,
		.last_ms = n,
		.bytes = { n, n },
	};
}

static void expect_whole(const struct flow_record *r)
{
	struct flow_record like;

	make_record(r->name, &like);
	atomic_store(&like.version, atomic_load(&r->version));
	assert_memory_equal(r, &like, sizeof(like));
}

static void expect_end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- slots --------------------------------------------------------------- */

static void test_publish(void **state)
{
	struct shared *s = shared_new(FLOWS);
	struct flow_record r, copy = { .name = 0 };

	(void)state; /* unused */
	assert_non_null(s);
	assert_int_equal(s->flow_max, FLOWS);
	assert_false(shared_read(s, 1, &copy));
	make_record(7, &r);
	shared_publish(s, 1, &r);
	assert_true(shared_read(s, 1, &copy));
	assert_int_equal(copy.name, 7);
	expect_whole(&copy);
	assert_false(shared_read(s, 0, &copy));
	assert_false(shared_read(s, 2, &copy));
	assert_true(shared_read(s, 1, &copy));
	assert_int_equal(atomic_load(&s->flows[1].version) & 1, 0);
	shared_publish(s, 1, NULL);
	assert_false(shared_read(s, 1, &copy));
	shared_free(s);
	shared_free(NULL);
}

/* A writer that died in the middle: nothing is read, nobody waits. */
static void test_half_written(void **state)
{
	struct shared *s = shared_new(FLOWS);
	struct flow_record r, copy = { .name = 0 };

	(void)state; /* unused */
	assert_non_null(s);
	make_record(7, &r);
	shared_publish(s, 0, &r);
	atomic_fetch_add(&s->flows[0].version, 1);
	assert_false(shared_read(s, 0, &copy));
	shared_free(s);
}

static void write_for_ever(struct shared *s, int go_on)
{
	struct flow_record r;
	char byte;

	for (uint64_t n = 1; read(go_on, &byte, 1) != 0; n++) {
		make_record(n, &r);
		for (int i = 0; i < 64; i++)
			shared_publish(s, 0, n % 7 ? &r : NULL);
	}
	_exit(0);
}

static void test_concurrent_writer(void **state)
{
	struct shared *s = shared_new(FLOWS);
	struct flow_record copy = { .name = 0 };
	unsigned seen = 0;
	int go_on[2];
	pid_t pid;

	(void)state; /* unused */
	assert_non_null(s);
	assert_int_equal(pipe2(go_on, O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(go_on[1]);
		write_for_ever(s, go_on[0]);
	}
	while (seen < ROUNDS)
		if (shared_read(s, 0, &copy)) {
			expect_whole(&copy);
			seen++;
		}
	close(go_on[1]);
	close(go_on[0]);
	expect_end_of(pid);
	shared_free(s);
}

/* --- the ring ------------------------------------------------------------ */

static void test_ring(void **state)
{
	struct shared *s = shared_new(0);
	struct flow_record r, copy = { .name = 0 };

	(void)state; /* unused */
	assert_non_null(s);
	/* the numbers run over while we look */
	atomic_store(&s->ended.head, UINT32_MAX - 10);
	atomic_store(&s->ended.tail, UINT32_MAX - 10);
	assert_false(shared_next_ended(s, &copy));
	for (uint64_t n = 0; n < 3 * RING_SIZE; n++) {
		make_record(n, &r);
		assert_true(shared_end(s, &r)); /* the reader was idle */
		make_record(n + 1, &r);
		assert_false(shared_end(s, &r)); /* it has been woken */
		assert_true(shared_next_ended(s, &copy));
		assert_int_equal(copy.name, n);
		expect_whole(&copy);
		assert_true(shared_next_ended(s, &copy));
		assert_int_equal(copy.name, n + 1);
		assert_false(shared_next_ended(s, &copy));
	}
	assert_int_equal(s->counters[COUNTER_log_lost], 0);
	shared_free(s);
}

/* What does not fit is counted; what was there stays. */
static void test_ring_overflow(void **state)
{
	struct shared *s = shared_new(0);
	struct flow_record r, copy = { .name = 0 };

	(void)state; /* unused */
	assert_non_null(s);
	for (uint64_t n = 0; n < RING_SIZE + 17; n++) {
		make_record(n, &r);
		(void)shared_end(s, &r);
	}
	assert_int_equal(s->counters[COUNTER_log_lost], 17);
	for (uint64_t n = 0; n < RING_SIZE; n++) {
		assert_true(shared_next_ended(s, &copy));
		assert_int_equal(copy.name, n);
	}
	assert_false(shared_next_ended(s, &copy));
	make_record(99, &r);
	assert_true(shared_end(s, &r));
	assert_true(shared_next_ended(s, &copy));
	assert_int_equal(copy.name, 99);
	shared_free(s);
}

/* Every record arrives once and in order, or is counted as lost. */
static void test_ring_concurrent(void **state)
{
	struct shared *s = shared_new(0);
	struct flow_record r, copy = { .name = 0 };
	uint64_t seen = 0, last = 0;
	bool is_writing = true;
	pid_t pid;

	(void)state; /* unused */
	assert_non_null(s);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (uint64_t n = 1; n <= ROUNDS; n++) {
			make_record(n, &r);
			(void)shared_end(s, &r);
		}
		_exit(0);
	}
	for (;;) {
		if (shared_next_ended(s, &copy)) {
			expect_whole(&copy);
			assert_true(copy.name > last);
			last = copy.name;
			seen++;
		} else if (!is_writing) {
			break;
		} else {
			is_writing = waitpid(pid, NULL, WNOHANG) == 0;
		}
	}
	assert_int_equal(seen + s->counters[COUNTER_log_lost], ROUNDS);
	shared_free(s);
}

/* A worker that lies about the ring's ends must not lead us out of it. */
static void test_ring_hostile(void **state)
{
	struct shared *s = shared_new(0);
	struct flow_record copy;
	struct rnd r;

	(void)state; /* unused */
	assert_non_null(s);
	rnd_begin(&r);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t head = rnd_draw(&r, UINT32_MAX);

		atomic_store(&s->ended.head, head);
		atomic_store(&s->ended.tail, rnd_draw(&r, UINT32_MAX));
		(void)shared_next_ended(s, &copy);
	}
	shared_free(s);
}

/* --- names and counters -------------------------------------------------- */

static void expect_names(const char *(*name)(unsigned), unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_non_null(name(i));
		assert_string_not_equal(name(i), "?");
		for (unsigned other = 0; other < i; other++)
			assert_string_not_equal(name(i), name(other));
	}
	assert_string_equal(name(count), "?");
	assert_string_equal(name(255), "?");
	assert_string_equal(name(UINT32_MAX), "?");
}

static void test_names(void **state)
{
	(void)state; /* unused */
	expect_names(flow_state_name, FLOW_STATE_COUNT);
	expect_names(flow_end_name, END_COUNT);
	expect_names(flow_mover_name, MOVER_COUNT);
	assert_string_equal(flow_state_name(FLOW_HALF_CLOSED), "half-closed");
	assert_string_equal(flow_end_name(END_CLIENT_RESET), "client-reset");
	assert_string_equal(flow_end_name(END_ERROR), "error");
	assert_string_equal(flow_mover_name(MOVER_SPLICE), "splice");
}

static void test_counters(void **state)
{
	struct shared *s = shared_new(1);

	(void)state; /* unused */
	assert_non_null(s);
	for (unsigned c = 0; c < COUNTER_COUNT; c++) {
		assert_true(*counter_name(c) && *counter_help(c));
		for (unsigned other = 0; other < c; other++)
			assert_string_not_equal(counter_name(c),
						counter_name(other));
		count_add(s, c, c);
		count(s, c);
	}
	for (unsigned c = 0; c < COUNTER_COUNT; c++)
		assert_int_equal(s->counters[c], c + 1);
	assert_string_equal(counter_name(COUNTER_log_lost), "log_lost");
	shared_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_half_written),
		cmocka_unit_test(test_concurrent_writer),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_ring_concurrent),
		cmocka_unit_test(test_ring_hostile),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
