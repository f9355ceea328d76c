/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_test.c - what a probe may do, and what is left of it: nothing.
 */
#include "engine/probe.h"

#include "net/netns_test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool *was_handler_run; /* shared with all children */

/* --- probes -------------------------------------------------------------- */

static int succeed(struct err *e)
{
	(void)e; /* unused */
	return 0;
}

static int refuse(struct err *e)
{
	return err_set(e, EOPNOTSUPP, "the kernel lacks something");
}

static int crash(struct err *e)
{
	(void)e; /* unused */
	(void)signal(SIGILL, SIG_DFL);
	(void)raise(SIGILL);
	return 0;
}

static int vanish(struct err *e)
{
	(void)e; /* unused */
	_exit(0);
}

static int hang(struct err *e)
{
	(void)e; /* unused */
	while (pause() < 0)
		; /* for ever */
	return 0;
}

/* As nft that was started and does not end. */
static int leave_a_child(struct err *e)
{
	if (fork() == 0)
		return hang(e);
	return hang(e);
}

static bool has_only_lo_up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	struct if_nameindex *all = if_nameindex();
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool is_so = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &lo) == 0 &&
		     lo.ifr_flags & IFF_UP && all && all[0].if_index &&
		     !all[1].if_index;

	if_freenameindex(all);
	close(fd);
	return is_so;
}

static int see_network(struct err *e)
{
	return has_only_lo_up() ? 0 : err_set(e, EPROTO, "not lo alone");
}

static int see_signals(struct err *e)
{
	sigset_t blocked;

	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	return sigismember(&blocked, SIGTERM)
		       ? err_set(e, EPROTO, "SIGTERM is blocked")
		       : 0;
}

/* All but 0, 1, 2 and the one for the answer. */
static int see_descriptors(struct err *e)
{
	for (int fd = 4; fd < 2048; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return err_set(e, EPROTO, "%d is open", fd);
	return 0;
}

static const struct {
	const char *name;
	int (*probe)(struct err *e);
	int error;
	const char *text;
} cases[] = {
	{ "success", succeed, 0, "" },
	{ "failure and its sentence", refuse, -EOPNOTSUPP,
	  "the kernel lacks something" },
	{ "a crash", crash, -EPROTO,
	  "its probe died of signal 4 (Illegal instruction)" },
	{ "an end without answer", vanish, -EPROTO,
	  "its probe ended without an answer" },
	{ "the network", see_network, 0, "" },
	{ "the signals", see_signals, 0, "" },
	{ "the descriptors", see_descriptors, 0, "" },
};

/* --- the caller ---------------------------------------------------------- */

static int run(int (*probe)(struct err *e), uint32_t limit_ms, struct err *e)
{
	struct engine engine = { .name = "fake", .probe = probe };

	*e = (struct err){ 0 };
	return probe_run(&engine, limit_ms, e);
}

static ino_t own_netns(void)
{
	struct stat s;

	assert_int_equal(stat("/proc/self/ns/net", &s), 0);
	return s.st_ino;
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	(void)closedir(d);
	return count;
}

static void at_exit(void)
{
	*was_handler_run = true;
}

/* This process adopts what a probe leaves: living ones would be waited for
 * here until the test's time is up. */
static void expect_nothing_left(void)
{
	int status;

	while (waitpid(-1, &status, 0) > 0)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(errno, ECHILD);
	assert_false(*was_handler_run);
}

static void probes_answer(void **state)
{
	(void)state; /* unused */
	netns_begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ino_t before = own_netns();
		unsigned descriptors = open_descriptors();
		struct err e;

		print_message("%s\n", cases[i].name);
		assert_int_equal(run(cases[i].probe, 60000, &e),
				 cases[i].error);
		assert_string_equal(e.text, cases[i].text);
		assert_int_equal(e.code, -cases[i].error);
		assert_int_equal(own_netns(), before);
		expect_nothing_left();
		assert_int_equal(open_descriptors(), descriptors);
	}
}

static void a_probe_that_hangs_is_ended_with_its_children(void **state)
{
	struct err e;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(run(leave_a_child, 100, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "its probe did not end within 0.1 s");
	expect_nothing_left();
}

/* A daemon: descriptors beyond what select() can, signals blocked. */
static void a_busy_caller_is_not_in_the_way(void **state)
{
	struct rlimit r = { 4096, 4096 };
	unsigned descriptors;
	sigset_t set;
	struct err e;
	int fds[1200];

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	for (size_t i = 0; i < 1200; i++)
		fds[i] = dup(STDIN_FILENO);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	descriptors = open_descriptors();
	assert_int_equal(run(see_descriptors, 60000, &e), 0);
	assert_int_equal(run(see_signals, 60000, &e), 0);
	assert_int_equal(run(refuse, 60000, &e), -EOPNOTSUPP);
	assert_int_equal(open_descriptors(), descriptors);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	for (size_t i = 0; i < 1200; i++)
		close(fds[i]);
}

/* Without the privilege nothing is known: that is neither yes nor no. */
static void without_privilege_nothing_is_known(void **state)
{
	pid_t pid;
	int status;

	(void)state; /* unused */
	netns_begin();
	pid = fork();
	if (pid == 0) {
		struct err e;

		if (setuid(65534) < 0)
			_exit(1);
		_exit(run(succeed, 60000, &e) != -PROBE_NO_PLACE ||
		      !strstr(e.text, "cannot make a network namespace"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_answer),
		cmocka_unit_test(a_probe_that_hangs_is_ended_with_its_children),
		cmocka_unit_test(a_busy_caller_is_not_in_the_way),
		cmocka_unit_test(without_privilege_nothing_is_known),
	};

	was_handler_run = mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (was_handler_run == MAP_FAILED || atexit(at_exit) ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
