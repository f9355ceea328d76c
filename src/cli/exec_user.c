/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_user.c - users, their namespaces and capabilities; see exec_user.h.
 */
#include "cli/exec_user.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* What waylayd asks for, and what making and entering namespaces takes. */
static const unsigned needed[] = {
	CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE,
	CAP_SETPCAP,   CAP_SETUID,    CAP_SETGID,  CAP_SYS_CHROOT,
};

bool exec_user_is_privileged(void)
{
	capng_get_caps_process();
	return capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
}

/* --- a user namespace ---------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* One user and one group, as they are outside.  Who is not privileged may map
 * no more, and no group before setgroups() is given up. */
static int map_ids(uid_t uid, gid_t gid)
{
	char line[64];
	int error = write_file("/proc/self/setgroups", "deny");

	(void)snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
	if (!error)
		error = write_file("/proc/self/uid_map", line);
	(void)snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
	return error ? error : write_file("/proc/self/gid_map", line);
}

/* exec takes the capabilities of a user that is not 0, but for ambient ones. */
static int keep_over_exec(void)
{
	const unsigned count = sizeof(needed) / sizeof(*needed);

	capng_get_caps_process();
	for (unsigned i = 0; i < count; i++)
		if (capng_update(CAPNG_ADD, CAPNG_INHERITABLE, needed[i]) < 0)
			return -EPERM;
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	for (unsigned i = 0; i < count; i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, needed[i], 0,
			  0) < 0)
			return -errno;
	return 0;
}

/* For a limit that is reached the kernel says that a device is full. */
static const char *reason(int error)
{
	return error == ENOSPC ? "user.max_user_namespaces is reached"
			       : strerror(error);
}

int exec_user_enter_namespace(struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int error = unshare(CLONE_NEWUSER) < 0 ? -errno : map_ids(uid, gid);

	if (!error)
		error = keep_over_exec();
	if (error < 0)
		return err_set(e, EPERM,
			       "not privileged: it needs root, or a user "
			       "namespace, which this system does not give to "
			       "this user: %s (see LIMITS of exec in "
			       "waylay(1))",
			       reason(-error));
	return 0;
}

int exec_user_leave_capabilities(struct err *e)
{
	/* Ambient ones go with the inheritable; exec does the rest. */
	capng_get_caps_process();
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_set(e, EPERM, "cannot give up capabilities");
	return 0;
}

/* --- users --------------------------------------------------------------- */

static const struct passwd *find(const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user && *name && !name[strspn(name, "0123456789")])
		user = getpwuid((uid_t)strtoul(name, NULL, 10));
	return user;
}

int exec_user_check(const char *name, struct err *e)
{
	if (find(name))
		return 0;
	return err_set(e, EINVAL, "--user: there is no user '%s'", name);
}

static int set_environment(const struct passwd *user)
{
	const char *const values[][2] = {
		{ "HOME", user->pw_dir },
		{ "USER", user->pw_name },
		{ "LOGNAME", user->pw_name },
		{ "SHELL", *user->pw_shell ? user->pw_shell : "/bin/sh" },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (setenv(values[i][0], values[i][1], 1) < 0)
			return -errno;
	return 0;
}

int exec_user_become(const char *name, struct err *e)
{
	const struct passwd *user = find(name);

	if (!user)
		return exec_user_check(name, e);
	if (set_environment(user) < 0 ||
	    initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return err_errno(e, errno, "cannot become user %s", name);
	return exec_user_leave_capabilities(e);
}

int exec_user_be_nobody(struct err *e)
{
	if (geteuid() == 0) {
		/* In a namespace of one user there is nobody else to be, and
		 * this process has no capability in either case. */
		(void)!setgroups(0, NULL);
		(void)!setresgid(NOBODY, NOBODY, NOBODY);
		(void)!setresuid(NOBODY, NOBODY, NOBODY);
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* it runs nothing */
	return exec_user_leave_capabilities(e);
}
