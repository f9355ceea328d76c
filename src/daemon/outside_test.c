/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside_test.c - where the children of who has left are.
 *
 * Needs root.  Namespaces are told apart by their inodes.
 */
#include "daemon/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char netns[] = "/proc/thread-self/ns/net";

static ino_t inode_here(void)
{
	struct stat st;

	return stat(netns, &st) == 0 ? st.st_ino : 0;
}

/* A namespace that nobody is in. */
static int new_netns(void)
{
	int before = open(netns, O_RDONLY | O_CLOEXEC), fresh;

	assert_true(before >= 0);
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("skipped: cannot make a network namespace\n");
		skip();
	}
	fresh = open(netns, O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(before, CLONE_NEWNET), 0);
	close(before);
	return fresh;
}

static void tell_inode(void *ctx)
{
	ino_t inode = inode_here();
	const int *fd = ctx;

	_exit(write(*fd, &inode, sizeof(inode)) != sizeof(inode));
}

static ino_t inode_of_child(struct outside *o)
{
	int pair[2], status;
	ino_t inode = 0;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = outside_fork(o, tell_inode, &pair[1]);
	assert_true(pid > 0);
	/* a child of the process, whichever thread has made it */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(pair[0], &inode, sizeof(inode)), sizeof(inode));
	close(pair[0]);
	close(pair[1]);
	return inode;
}

static void test_a_wrong_descriptor_is_one_sentence(void **state)
{
	struct outside *o = NULL;
	struct err e = { 0 };
	ino_t before = inode_here();
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state; /* unused */
	assert_int_equal(outside_leave(fd, &o, &e), -EINVAL);
	close(fd);
	assert_non_null(o); /* a thread has it */
	assert_string_not_equal(e.text, "");
	assert_true(inode_here() == before);
}

static void test_who_has_not_left_forks_here(void **state)
{
	(void)state; /* unused */
	assert_true(inode_of_child(NULL) == inode_here());
}

static void test_children_of_who_has_left_are_outside(void **state)
{
	ino_t before = inode_here();
	struct outside *o = NULL;
	int fd = new_netns();
	struct err e = { 0 };

	(void)state; /* unused */
	if (outside_leave(fd, &o, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	assert_true(inode_here() != before);
	for (int i = 0; i < 3; i++)
		assert_true(inode_of_child(o) == before);
	assert_true(inode_of_child(NULL) == inode_here());
}

static void end_at_once(void *ctx)
{
	(void)ctx;
}

/* It is not to return; if it does, the child ends. */
static void test_a_child_that_returns_ends(void **state)
{
	pid_t pid = outside_fork(NULL, end_at_once, NULL);
	int status;

	(void)state; /* unused */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wrong_descriptor_is_one_sentence),
		cmocka_unit_test(test_who_has_not_left_forks_here),
		cmocka_unit_test(test_children_of_who_has_left_are_outside),
		cmocka_unit_test(test_a_child_that_returns_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
