/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_move_end_test.c - what comes first in a direction, and how it ends.
 */
#include "relay/tcp_move.h"

#include "relay/move_path_test.h"

static void test_preload(void **state)
{
	char bytes[32] = "";
	struct path p;

	(void)state; /* unused */
	begin(&p, make_tcp_pair);
	assert_int_equal(
		move_preload(&p.mover, &p.dir, (const uint8_t *)"first ", 6),
		0);
	assert_int_equal(send(p.source, "second", 6, 0), 6);
	while (p.moved < 12)
		assert_int_equal(run(&p), MOVE_WAIT);
	assert_int_equal(recv(p.sink, bytes, sizeof(bytes), 0), 12);
	assert_string_equal(bytes, "first second");
	end(&p);
}

static void reset(int fd)
{
	struct linger l = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)),
			 0);
}

/* Called until something else than waiting happens. */
static enum move_result run_on(struct path *p)
{
	enum move_result result = MOVE_WAIT;

	for (int i = 0; i < 1000000 && result <= MOVE_AGAIN; i++)
		result = run(p);
	return result;
}

static void run_read_error(enum flow_mover mover)
{
	struct path p;

	begin(&p, make_tcp_pair);
	p.dir.mover = (uint8_t)mover;
	reset(p.source);
	close(p.source);
	assert_int_equal(run_on(&p), MOVE_READ_FAILED);
	assert_int_equal(p.error, ECONNRESET);
	assert_false(p.dir.is_fin_sent);
	p.source = -1;
	end(&p);
}

static void run_write_error(enum flow_mover mover)
{
	struct path p;

	begin(&p, make_tcp_pair);
	p.dir.mover = (uint8_t)mover;
	assert_int_equal(send(p.source, "lost", 4, 0), 4);
	reset(p.sink);
	close(p.sink);
	p.sink = -1;
	assert_int_equal(run_on(&p), MOVE_WRITE_FAILED);
	assert_true(p.error == ECONNRESET || p.error == EPIPE);
	end(&p);
}

static void test_errors(void **state)
{
	(void)state; /* unused */
	for (int mover = MOVER_COPY; mover <= MOVER_SPLICE; mover++) {
		run_read_error((enum flow_mover)mover);
		run_write_error((enum flow_mover)mover);
	}
}

/* The reader is gone while bytes are held: no FIN follows them. */
static void test_write_error_while_held(void **state)
{
	(void)state; /* unused */
	for (int mover = MOVER_COPY; mover <= MOVER_SPLICE; mover++) {
		struct path p;

		begin(&p, make_tcp_pair);
		p.dir.mover = (uint8_t)mover;
		while (!held(&p)) {
			(void)fill(&p);
			(void)run(&p);
		}
		shutdown(p.source, SHUT_WR);
		reset(p.sink);
		close(p.sink);
		p.sink = -1;
		assert_int_equal(run_on(&p), MOVE_WRITE_FAILED);
		assert_false(p.dir.is_fin_sent);
		end(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preload),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_write_error_while_held),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as a worker does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
