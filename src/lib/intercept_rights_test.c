/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept_rights_test.c - an interception in the hands of who may not touch
 * it: without privilege, or from a thread in another network namespace.
 */
#include "lib/intercept_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

/* --- without privilege --------------------------------------------------- */

enum { NOBODY = 65534 };

static void expect_no_privilege(const char *what, int result,
				const struct waylay_error *e)
{
	if (result == -EPERM && e->code == EPERM &&
	    strstr(e->text, "CAP_NET_ADMIN"))
		return;
	print_message("%s: %d: %s\n", what, result, e->text);
	_exit(1);
}

/* In a child: nothing works, and nothing harms. */
static _Noreturn void be_nobody_with(struct waylay_intercept *i)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;

	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(2);
	expect_no_privilege("check", waylay_intercept_check(i, &e), &e);
	e.code = 0;
	expect_no_privilege("install", waylay_intercept_install(i, &e), &e);
	e.code = 0;
	expect_no_privilege("remove", waylay_intercept_remove(i, &e), &e);
	waylay_intercept_free(i);
	_exit(0);
}

static void run_unprivileged(const char *engine)
{
	int listener = listen_on("127.0.0.1"), status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct waylay_intercept *i = make(listener, engine);

		if (waylay_intercept_install(i, NULL) < 0)
			_exit(3);
		be_nobody_with(i);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(has_rule(), 1);
	assert_int_equal(waylay_clean(NULL), 0);
	assert_int_equal(has_rule(), 0);
	close(listener);
}

static void test_without_privilege_it_stays_until_it_is_cleaned(void **state)
{
	(void)state; /* unused */
	if (geteuid() != 0)
		skip();
	for_engines(run_unprivileged);
}

/* --- a thread elsewhere -------------------------------------------------- */

struct elsewhere {
	struct waylay_intercept *i;
	struct waylay_error check_error, install_error;
	int unshared, checked, installed;
};

/* What engines start would be in the thread's namespace. */
static void *use_elsewhere(void *arg)
{
	struct elsewhere *t = arg;

	t->unshared = unshare(CLONE_NEWNET);
	t->checked = waylay_intercept_check(t->i, &t->check_error);
	t->installed = waylay_intercept_install(t->i, &t->install_error);
	return NULL;
}

static void run_elsewhere(const char *engine)
{
	int listener = listen_on("127.0.0.1");
	struct elsewhere t = { .i = make(listener, engine),
			       .check_error = WAYLAY_ERROR_INIT,
			       .install_error = WAYLAY_ERROR_INIT };
	pthread_t thread;

	assert_int_equal(waylay_intercept_install(t.i, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, use_elsewhere, &t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(t.unshared, 0);
	expect_error(t.checked, &t.check_error, EXDEV, "network namespace");
	expect_error(t.installed, &t.install_error, EXDEV, "network namespace");
	assert_int_equal(waylay_intercept_check(t.i, NULL), 0);
	assert_int_equal(waylay_intercept_remove(t.i, NULL), 0);
	waylay_intercept_free(t.i);
	close(listener);
}

static void test_a_thread_in_another_namespace_changes_nothing(void **state)
{
	(void)state; /* unused */
	if (geteuid() != 0)
		skip();
	for_engines(run_elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_without_privilege_it_stays_until_it_is_cleaned),
		cmocka_unit_test(
			test_a_thread_in_another_namespace_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
