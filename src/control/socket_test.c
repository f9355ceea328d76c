/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_test.c - what may lie where the control socket shall be.
 *
 * Servers are opened and closed in one process; nobody turns the loop.  A
 * server that leaves (as a forked child would) makes a stale socket.
 */
#include "base/err.h"
#include "control/server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char base[32];
	char run_dir[64]; /* below base, not made yet */
	struct sockaddr_un address;
	struct loop loop;
	struct control_server first, second;
	struct err e;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .base = "/tmp/socket_test.XXXXXX" };
	assert_non_null(mkdtemp(f.base));
	(void)snprintf(f.run_dir, sizeof(f.run_dir), "%s/run", f.base);
	assert_int_equal(control_address(f.run_dir, &f.address, &f.e), 0);
	assert_int_equal(loop_open(&f.loop), 0);
	*state = &f;
	return 0;
}

/* Fails if a test left anything behind. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_close(&f->loop);
	(void)rmdir(f->run_dir); /* not every test makes it */
	return rmdir(f->base);
}

static int open_server(struct fixture *f, struct control_server *s)
{
	return control_server_open(s, &f->loop, f->run_dir, NULL, NULL, &f->e);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void directory_and_socket_are_private(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(0);

	assert_int_equal(open_server(f, &f->first), 0);
	(void)umask(old);
	assert_int_equal(mode_of(f->run_dir), 0700);
	assert_int_equal(mode_of(f->address.sun_path), 0600);
	control_server_close(&f->first);
	assert_int_equal(access(f->address.sun_path, F_OK), -1);
	control_server_close(&f->first);
}

static void a_living_server_is_not_replaced(void **state)
{
	struct fixture *f = *state;
	char pid[32];

	assert_int_equal(open_server(f, &f->first), 0);
	assert_int_equal(open_server(f, &f->second), -EADDRINUSE);
	(void)snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	assert_non_null(strstr(f->e.text, pid));
	assert_int_equal(access(f->address.sun_path, F_OK), 0);
	control_server_close(&f->first);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_server(f, &f->first), 0);
	control_server_leave(&f->first);
	assert_int_equal(access(f->address.sun_path, F_OK), 0);
	assert_int_equal(open_server(f, &f->second), 0);
	control_server_close(&f->second);
	assert_int_equal(access(f->address.sun_path, F_OK), -1);
}

static void a_socket_of_somebody_else_is_not_removed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_server(f, &f->first), 0);
	assert_int_equal(unlink(f->address.sun_path), 0);
	assert_int_equal(open_server(f, &f->second), 0);
	control_server_close(&f->first);
	assert_int_equal(access(f->address.sun_path, F_OK), 0);
	control_server_close(&f->second);
}

static void what_is_not_a_socket_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->run_dir, 0700), 0);
	assert_int_equal(symlink("/nowhere", f->address.sun_path), 0);
	assert_int_equal(open_server(f, &f->first), -EEXIST);
	assert_int_equal(unlink(f->address.sun_path), 0);
	assert_int_equal(mkdir(f->address.sun_path, 0700), 0);
	assert_int_equal(open_server(f, &f->first), -EEXIST);
	assert_non_null(strstr(f->e.text, "is not a socket"));
	assert_int_equal(rmdir(f->address.sun_path), 0);
}

static const struct {
	const char *name;
	mode_t mode;
	uid_t uid;
	int rc;
	bool needs_root;
} directories[] = {
	{ "others may read", 0755, 0, 0, false },
	{ "the group may write", 0770, 0, -EPERM, false },
	{ "all may write, sticky", 01777, 0, -EPERM, false },
	{ "it belongs to another user", 0700, 12345, -EPERM, true },
};

static void a_directory_open_to_others_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->run_dir, 0700), 0);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]);
	     i++) {
		uid_t uid = geteuid() ? geteuid() : directories[i].uid;
		int rc;

		if (directories[i].needs_root && geteuid() != 0)
			continue;
		assert_int_equal(chown(f->run_dir, uid, (gid_t)-1), 0);
		assert_int_equal(chmod(f->run_dir, directories[i].mode), 0);
		rc = open_server(f, &f->first);
		if (rc != directories[i].rc)
			fail_msg("%s: %d", directories[i].name, rc);
		if (rc == 0)
			control_server_close(&f->first);
	}
}

static void a_path_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sun;
	char path[256];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_address(path, &sun, &f->e), -ENAMETOOLONG);
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACED(directory_and_socket_are_private),
		PLACED(a_living_server_is_not_replaced),
		PLACED(a_stale_socket_is_replaced),
		PLACED(a_socket_of_somebody_else_is_not_removed),
		PLACED(what_is_not_a_socket_is_refused),
		PLACED(a_directory_open_to_others_is_refused),
		PLACED(a_path_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
