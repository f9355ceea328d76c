/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege_test.c - without privilege: an error each, and nothing is left.
 *
 * A child becomes somebody who may do nothing; what fails there is told by its
 * exit status.
 */
#include "lib/face_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

enum { NOBODY = 65534 };

static int listener = -1; /* made with privilege, used without */

static int try_listen_tcp(struct waylay_error *e)
{
	struct at any = at("127.0.0.1", 0);

	return waylay_listen_tcp(at_sockaddr(&any), NULL, e);
}

static int try_listen_udp(struct waylay_error *e)
{
	struct at any = at("::1", 0);

	return waylay_listen_udp(at_sockaddr(&any), NULL, e);
}

static int try_connect(struct waylay_error *e)
{
	struct at from = at("192.0.2.1", 0), to = at("127.0.0.1", 80);

	return waylay_connect(SOCK_STREAM, at_sockaddr(&from), at_sockaddr(&to),
			      NULL, e);
}

static int try_sender(struct waylay_error *e)
{
	return waylay_sender(AF_INET, NULL, e);
}

static int try_install(struct waylay_error *e)
{
	struct waylay_intercept *i = waylay_intercept_new();
	int error = waylay_intercept_set(i, "from", "lan0", e);

	if (!error)
		error = waylay_intercept_set(i, "tcp", "80", e);
	if (!error)
		error = waylay_intercept_deliver(i, listener, e);
	if (!error)
		error = waylay_intercept_install(i, e);
	waylay_intercept_free(i);
	return error;
}

static int try_clean(struct waylay_error *e)
{
	return waylay_clean(e);
}

struct privilege_case {
	const char *name, *words;
	int (*try)(struct waylay_error *e);
};

static const struct privilege_case cases[] = {
	{ "a tcp listener", "CAP_NET_RAW", try_listen_tcp },
	{ "a udp listener", "CAP_NET_RAW", try_listen_udp },
	{ "a connection", "CAP_NET_RAW", try_connect },
	{ "a sender", "CAP_NET_RAW", try_sender },
	{ "an interception", "CAP_NET_ADMIN", try_install },
	{ "cleaning", "CAP_NET_ADMIN", try_clean },
};

static void be_nobody(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(2);
}

static _Noreturn void run(const struct privilege_case *c)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	int before, result;

	be_nobody();
	before = descriptors();
	result = c->try(&e);
	if (result == -EPERM && e.code == EPERM && strstr(e.text, c->words) &&
	    descriptors() == before)
		_exit(0);
	print_message("%s: %d, %s\n", c->name, result, e.text);
	_exit(1);
}

static void test_without_privilege_it_is_said_which_is_missing(void **state)
{
	struct at any = at("127.0.0.1", 0);

	(void)state; /* unused */
	if (geteuid() != 0)
		skip();
	netns_begin();
	listener = waylay_listen_tcp(at_sockaddr(&any), NULL, NULL);
	assert_true(listener >= 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			run(&cases[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	close(listener);
}

/* Descriptors that somebody with privilege has made can be used by all. */
static void test_a_destination_needs_no_privilege(void **state)
{
	struct at any = at("127.0.0.1", 0), where;
	struct sockaddr_storage to;
	int fd, leg, accepted, status;
	pid_t pid;

	(void)state; /* unused */
	if (geteuid() != 0)
		skip();
	netns_begin();
	fd = waylay_listen_tcp(at_sockaddr(&any), NULL, NULL);
	where = at_of(fd);
	leg = waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where), NULL,
			     NULL);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		be_nobody();
		_exit(waylay_destination(accepted, &to, NULL) != WAYLAY_PLAIN);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	close(leg);
	close(accepted);
}

struct other_thread {
	struct waylay_error e;
	int result;
};

static void *clean_elsewhere(void *arg)
{
	struct other_thread *t = arg;

	if (unshare(CLONE_NEWNET) == 0) /* this thread alone */
		t->result = waylay_clean(&t->e);
	return NULL;
}

/* Engines look at the main thread's namespace; what they did would be there. */
static void test_a_thread_in_a_namespace_of_its_own_is_refused(void **state)
{
	struct other_thread t = { .e = WAYLAY_ERROR_INIT };
	pthread_t thread;

	(void)state; /* unused */
	if (geteuid() != 0)
		skip();
	netns_begin();
	assert_int_equal(pthread_create(&thread, NULL, clean_elsewhere, &t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	expect_error(t.result, &t.e, EXDEV, "network namespace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_without_privilege_it_is_said_which_is_missing),
		cmocka_unit_test(test_a_destination_needs_no_privilege),
		cmocka_unit_test(
			test_a_thread_in_a_namespace_of_its_own_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
