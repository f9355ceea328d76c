/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept_test.c - install, look, remove, in a network of their own.
 *
 * lab/test_library.py has the traffic.
 */
#include "lib/intercept_test.h"

#include "engine/bpffs_test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* --- the life of one ----------------------------------------------------- */

static void expect_texts(const struct waylay_intercept *i, const char *engine)
{
	char text[8192], again[16];
	int len = waylay_intercept_text(i, WAYLAY_TEXT_RULES, text,
					sizeof(text), NULL);

	assert_true(len > 0 && len < (int)sizeof(text));
	assert_int_equal(strlen(text), len);
	assert_non_null(strstr(text, "ip rule add pref 7701"));
	assert_int_equal(waylay_intercept_text(i, WAYLAY_TEXT_RULES, again,
					       sizeof(again), NULL),
			 len);
	assert_int_equal(strlen(again), sizeof(again) - 1);
	assert_memory_equal(again, text, sizeof(again) - 1);
	assert_int_equal(
		waylay_intercept_text(i, WAYLAY_TEXT_RULES, NULL, 0, NULL),
		len);
	(void)waylay_intercept_text(i, WAYLAY_TEXT_ENGINE, text, sizeof(text),
				    NULL);
	assert_string_equal(text, engine);
	(void)waylay_intercept_text(i, WAYLAY_TEXT_CONFIG, text, sizeof(text),
				    NULL);
	assert_non_null(strstr(text, "intercept tcp-ipv4 {"));
}

static void run_life(const char *engine)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	int listener = listen_on("127.0.0.1"), before = descriptors();
	struct waylay_intercept *i = make(listener, engine);

	assert_int_equal(has_rule(), 0);
	must(waylay_intercept_install(i, &e), &e);
	assert_int_equal(has_rule(), 1);
	expect_texts(i, engine);
	assert_int_equal(waylay_intercept_check(i, &e), 0);
	must(waylay_intercept_remove(i, &e), &e);
	assert_int_equal(has_rule(), 0);
	assert_int_equal(waylay_intercept_check(i, &e), -ENOENT);
	assert_int_equal(waylay_intercept_remove(i, &e), 0);
	must(waylay_intercept_install(i, &e), &e); /* it can come again */
	assert_int_equal(has_rule(), 1);
	waylay_intercept_free(i);
	assert_int_equal(has_rule(), 0);
	assert_int_equal(descriptors(), before);
	close(listener);
}

static void test_it_is_installed_and_removed(void **state)
{
	(void)state; /* unused */
	for_engines(run_life);
}

static void run_check(const char *engine)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	int listener = listen_on("127.0.0.1");
	struct waylay_intercept *i = make(listener, engine);

	must(waylay_intercept_install(i, &e), &e);
	flush_rules();
	assert_int_equal(waylay_intercept_check(i, &e), 1);
	assert_int_equal(has_rule(), 1);
	assert_int_equal(waylay_intercept_check(i, &e), 0);
	if (strcmp(engine, "ebpf") != 0) { /* which nobody else can take */
		assert_int_equal(engine_find(engine)->remove(NULL), 0);
		assert_int_equal(waylay_intercept_check(i, &e), 1);
		assert_int_equal(waylay_intercept_check(i, &e), 0);
	}
	waylay_intercept_free(i);
	close(listener);
}

static void test_what_was_removed_is_put_back(void **state)
{
	(void)state; /* unused */
	for_engines(run_check);
}

static void run_again(const char *engine)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	int listener = listen_on("127.0.0.1");
	struct waylay_intercept *i = make(listener, engine);
	char text[8192];

	must(waylay_intercept_install(i, &e), &e);
	set(i, "tcp", "4711");
	set(i, "on-failure", "closed");
	must(waylay_intercept_install(i, &e), &e);
	(void)waylay_intercept_text(i, WAYLAY_TEXT_RULES, text, sizeof(text),
				    NULL);
	assert_non_null(strstr(text, "4711"));
	assert_int_equal(waylay_intercept_check(i, &e), 0);
	set(i, "engine", strcmp(engine, "nft") ? "nft" : "ebpf");
	expect_error(waylay_intercept_install(i, &e), &e, EBUSY, engine);
	assert_int_equal(waylay_intercept_check(i, &e), 0);
	waylay_intercept_free(i);
	assert_int_equal(has_rule(), 0);
	close(listener);
}

static void test_it_can_be_changed_while_it_holds(void **state)
{
	(void)state; /* unused */
	for_engines(run_again);
}

/* --- others -------------------------------------------------------------- */

static void test_a_second_one_is_refused(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_intercept *first, *second;
	int listener, before;

	(void)state; /* unused */
	netns_begin();
	listener = listen_on("127.0.0.1");
	first = make(listener, "auto");
	second = make(listener, "auto");
	must(waylay_intercept_install(first, &e), &e);
	before = descriptors();
	expect_error(waylay_intercept_install(second, &e), &e, EBUSY,
		     "this network namespace");
	expect_error(waylay_clean(&e), &e, EBUSY, "this network namespace");
	assert_int_equal(descriptors(), before);
	assert_int_equal(waylay_intercept_check(first, &e), 0);
	waylay_intercept_free(first);
	must(waylay_intercept_install(second, &e), &e);
	waylay_intercept_free(second);
	close(listener);
}

/* A process that installs and is killed. */
static void leave_behind(const char *engine)
{
	int status, said[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct waylay_intercept *i;

		i = make(listen_on("127.0.0.1"), engine);
		set(i, "on-failure", "closed");
		if (waylay_intercept_install(i, NULL) < 0 ||
		    write(said[1], "!", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	close(said[1]); /* so that its end is one of ours */
	assert_int_equal(read(said[0], &byte, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(said[0]);
}

static void run_clean(const char *engine)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;

	leave_behind(engine);
	assert_int_equal(has_rule(), 1);
	must(waylay_clean(&e), &e);
	assert_int_equal(has_rule(), 0);
	must(waylay_clean(&e), &e);
}

static void test_what_a_killed_program_left_can_be_cleaned(void **state)
{
	(void)state; /* unused */
	for_engines(run_clean);
}

static void run_take_over(const char *engine)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_intercept *i;
	int listener;

	leave_behind(engine);
	listener = listen_on("127.0.0.1");
	i = make(listener, "auto");
	must(waylay_intercept_install(i, &e), &e);
	waylay_intercept_free(i);
	assert_int_equal(has_rule(), 0);
	close(listener);
}

static void test_what_a_killed_program_left_is_taken_over(void **state)
{
	(void)state; /* unused */
	for_engines(run_take_over);
}

/* --- somebody else ------------------------------------------------------- */

/* Somebody else's rule stands where ours has to. */
static void test_a_clash_leaves_nothing_behind(void **state)
{
	const struct ip_rule theirs = {
		.family = AF_INET,
		.priority = 7701,
		.action = RULE_LOOKUP,
		.target = 99,
		.mark = 1,
		.mask = 1,
		.protocol = 4,
	};
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_intercept *i;
	int listener, before;
	struct nl nl;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_int_equal(rule_add(&nl, &theirs, NULL), 0);
	nl_close(&nl);
	listener = listen_on("127.0.0.1");
	i = make(listener, "auto");
	before = descriptors();
	expect_error(waylay_intercept_install(i, &e), &e, EEXIST, "7701");
	assert_int_equal(descriptors(), before);
	assert_int_equal(has_rule(), 0);
	waylay_intercept_free(i);
	close(listener);
}

/* Where routing is there already when the engine fails. */
static void test_an_engine_that_fails_leaves_nothing_behind(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_intercept *i;
	int listener, before;

	(void)state; /* unused */
	netns_begin();
	if (!can_install("ebpf"))
		skip();
	assert_int_equal(umount2(BPFFS_ELSEWHERE, MNT_DETACH), 0);
	listener = listen_on("127.0.0.1");
	i = make(listener, "ebpf");
	set(i, "on-failure", "closed");
	before = descriptors();
	expect_error(waylay_intercept_install(i, &e), &e, ENODEV, "bpffs");
	assert_int_equal(descriptors(), before);
	assert_int_equal(has_rule(), 0);
	set(i, "on-failure", "open"); /* which needs none */
	must(waylay_intercept_install(i, &e), &e);
	waylay_intercept_free(i);
	bpffs_mount(BPFFS_ELSEWHERE);
	close(listener);
}

/* For what outlives a process; one of this test alone. */
static int mount_bpffs(void **state)
{
	(void)state; /* unused */
	if (geteuid() != 0)
		return 0; /* each test says that it is skipped */
	bpffs_begin();
	bpffs_mount(BPFFS_ELSEWHERE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_installed_and_removed),
		cmocka_unit_test(test_what_was_removed_is_put_back),
		cmocka_unit_test(test_it_can_be_changed_while_it_holds),
		cmocka_unit_test(test_a_second_one_is_refused),
		cmocka_unit_test(
			test_what_a_killed_program_left_can_be_cleaned),
		cmocka_unit_test(test_what_a_killed_program_left_is_taken_over),
		cmocka_unit_test(test_a_clash_leaves_nothing_behind),
		cmocka_unit_test(
			test_an_engine_that_fails_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, mount_bpffs, NULL);
}
