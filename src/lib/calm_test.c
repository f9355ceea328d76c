/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm_test.c - a program's signals stay its own.
 */
#include "lib/calm.h"

#include "lib/face_test.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int number)
{
	(void)number;
	pipes++;
}

static bool is_blocked(void)
{
	sigset_t mask;

	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
	return sigismember(&mask, SIGPIPE) == 1;
}

static bool is_pending(void)
{
	sigset_t pending;

	assert_int_equal(sigpending(&pending), 0);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void test_a_sigpipe_of_ours_is_not_told(void **state)
{
	struct calm calm;
	int pair[2];

	(void)state; /* unused */
	pipes = 0;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(pair[0]);
	calm_begin(&calm);
	assert_int_equal(write(pair[1], "!", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_true(is_pending());
	calm_end(&calm);
	assert_int_equal(errno, EPIPE); /* is left alone too */
	assert_false(is_pending());
	assert_false(is_blocked());
	assert_int_equal(pipes, 0);
	close(pair[1]);
}

static void test_the_programs_own_sigpipe_is_kept(void **state)
{
	struct calm calm;
	sigset_t pipe_only;

	(void)state; /* unused */
	pipes = 0;
	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	assert_int_equal(sigprocmask(SIG_BLOCK, &pipe_only, NULL), 0);
	assert_int_equal(raise(SIGPIPE), 0);
	calm_begin(&calm);
	calm_end(&calm);
	assert_true(is_blocked());
	assert_true(is_pending());
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &pipe_only, NULL), 0);
	assert_int_equal(pipes, 1);
}

static int catch (void **state)
{
	struct sigaction ours = { .sa_handler = on_pipe };

	(void)state; /* unused */
	return sigaction(SIGPIPE, &ours, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sigpipe_of_ours_is_not_told),
		cmocka_unit_test(test_the_programs_own_sigpipe_is_kept),
	};

	return cmocka_run_group_tests(tests, catch, NULL);
}
