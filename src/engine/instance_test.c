/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance_test.c - one lock for each network namespace.
 *
 * Processes tell each other by pipes where they are; nothing sleeps.
 */
#include "engine/instance.h"

#include "net/netns_test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void tell(int fd)
{
	assert_int_equal(write(fd, "!", 1), 1);
}

static void await(int fd)
{
	char byte;

	assert_int_equal(read(fd, &byte, 1), 1);
}

static void expect_end(pid_t pid, bool is_killed)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFSIGNALED(status), is_killed);
	if (!is_killed)
		assert_int_equal(WEXITSTATUS(status), 0);
}

/* As a daemon whose worker keeps the lock: the worker lets go when somebody
 * has asked for it. */
static void hold(int ready, int worker_gone)
{
	struct err e;
	int fd = instance_lock(&e);

	if (fd < 0)
		_exit(1);
	if (!fork()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		tell(ready);
		if (poll(&p, 1, -1) != 1)
			_exit(1);
		tell(worker_gone);
		_exit(0);
	}
	for (;;)
		(void)pause();
}

static void test_second_is_refused(void **state)
{
	int ready[2];
	char words[64];
	struct err e = { 0 };
	pid_t pid;
	int fd;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (instance_lock(&e) < 0)
			_exit(1);
		tell(ready[1]);
		for (;;)
			(void)pause();
	}
	await(ready[0]);
	(void)snprintf(words, sizeof(words), "(pid %d)", (int)pid);
	for (int i = 0; i < 200; i++) { /* more than its queue holds */
		assert_int_equal(instance_lock(&e), -EBUSY);
		assert_non_null(strstr(e.text, "this network namespace"));
		if (i < 100)
			assert_non_null(strstr(e.text, words));
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect_end(pid, true);
	fd = instance_lock(&e); /* nothing is left behind */
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

/* Killed, but a worker has the lock still: the next one waits for it. */
static void test_waits_for_worker(void **state)
{
	int ready[2], gone[2], fd;
	struct pollfd p;
	struct err e = { 0 };
	pid_t pid;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(gone), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		hold(ready[1], gone[1]);
	await(ready[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect_end(pid, true);
	p = (struct pollfd){ .fd = gone[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0); /* the worker holds it */
	fd = instance_lock(&e);
	if (fd < 0)
		fail_msg("%s", e.text);
	assert_int_equal(poll(&p, 1, 0), 1); /* it was asked, and went */
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(gone[i]);
	}
}

struct name_case {
	const char *comm, *name, *does;
};

/* What each holder is called in the refusal. */
static const struct name_case names[] = {
	{ "waylayd", "another waylayd", "serves" },
	{ "squid", "squid", "intercepts in" },
	{ "a\x1b[31m", "a?[31m", "intercepts in" },
	{ "", "a program without a name", "intercepts in" },
};

static void test_names_the_holder(void **state)
{
	char before[16], sentence[128];
	struct err e = { 0 };
	int fd;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	fd = instance_lock(&e);
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i].comm), 0);
		assert_int_equal(instance_lock(&e), -EBUSY);
		(void)snprintf(sentence, sizeof(sentence),
			       "%s (pid %d) %s this network namespace",
			       names[i].name, (int)getpid(), names[i].does);
		assert_string_equal(e.text, sentence);
	}
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
	close(fd);
}

static void test_other_namespace(void **state)
{
	struct err e = { 0 };
	int here, there;

	(void)state; /* unused */
	netns_begin();
	here = instance_lock(&e);
	assert_true(here >= 0);
	netns_begin();
	there = instance_lock(&e);
	assert_true(there >= 0);
	assert_int_equal(instance_lock(&e), -EBUSY);
	close(here);
	assert_int_equal(instance_lock(&e), -EBUSY);
	close(there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_is_refused),
		cmocka_unit_test(test_waits_for_worker),
		cmocka_unit_test(test_names_the_holder),
		cmocka_unit_test(test_other_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
