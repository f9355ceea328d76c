/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.c - one who intercepts for each network namespace; see instance.h.
 */
#include "engine/instance.h"

#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_MS = 5000, TRIES = 16 };

static const char lock_name[] = "\0waylay/instance";

static int open_socket(struct sockaddr_un *at, socklen_t *len)
{
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(at->sun_path, lock_name, sizeof(lock_name) - 1);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			   sizeof(lock_name) - 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Who listens?  *fd stays open: it hangs up when the holder lets go. */
static int ask_holder(int *fd, pid_t *pid)
{
	struct sockaddr_un at;
	struct ucred cred;
	socklen_t len, cred_len = sizeof(cred);

	*fd = open_socket(&at, &len);
	if (*fd < 0)
		return -errno;
	if (connect(*fd, (struct sockaddr *)&at, len) < 0 ||
	    getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) < 0) {
		int error = -errno;

		close(*fd);
		return error;
	}
	*pid = cred.pid;
	return 0;
}

/* The length of /proc/PID/NAME, or -errno. */
static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	close(fd);
	buf[len > 0 ? len : 0] = '\0';
	return len > 0 ? len : 0;
}

/* A process that has ended counts as dead, even if nobody has reaped it:
 * kill() alone would find it.  0: a process that our pid namespace does not
 * see, and so may well live. */
static bool is_alive(pid_t pid)
{
	char stat[512];
	const char *state;
	ssize_t len;

	if (pid <= 0)
		return true;
	len = read_proc(pid, "stat", stat, sizeof(stat));
	if (len <= 0)
		return len < 0 && len != -ENOENT; /* 0: ended in between */
	state = strrchr(stat, ')');		  /* a name may hold anything */
	return !state || (state[1] && state[2] != 'Z' && state[2] != 'X');
}

/* "waylayd", or the name that a program gives itself, made fit to be shown. */
static void name_holder(pid_t pid, char *buf, size_t size)
{
	if (pid <= 0 || read_proc(pid, "comm", buf, size) <= 0)
		(void)snprintf(buf, size, "waylayd");
	buf[strcspn(buf, "\n")] = '\0';
	if (!*buf)
		(void)snprintf(buf, size, "a program without a name");
	for (char *c = buf; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static int refuse(pid_t pid, struct err *e)
{
	char name[32];

	name_holder(pid, name, sizeof(name));
	if (!strcmp(name, "waylayd"))
		return err_set(e, EBUSY,
			       "another waylayd (pid %d) serves this network "
			       "namespace",
			       (int)pid);
	return err_set(e, EBUSY,
		       "%s (pid %d) intercepts in this network namespace", name,
		       (int)pid);
}

/* The holder is a live daemon: refuse.  It is what a dead one's workers
 * still hold: wait until they let go.  0: try again. */
static int wait_for_holder(uint64_t end_ms, struct err *e)
{
	uint64_t now_ms = clock_ms();
	struct pollfd p = { .events = POLLIN };
	pid_t pid = 0;
	int error = ask_holder(&p.fd, &pid);

	if (error == -ECONNREFUSED)
		return 0;     /* gone in between */
	if (error == -EAGAIN) /* its queue is full: it does not accept */
		return err_set(e, EBUSY,
			       "another waylayd, or a program, intercepts in "
			       "this network namespace");
	if (error < 0)
		return err_errno(e, -error, "cannot ask the other waylayd");
	if (is_alive(pid))
		error = refuse(pid, e);
	else if (now_ms >= end_ms || poll(&p, 1, (int)(end_ms - now_ms)) <= 0)
		error = err_set(e, ETIMEDOUT,
				"workers of a killed waylayd do not give up "
				"their listeners; end them and start again");
	close(p.fd);
	return error;
}

int instance_lock(struct err *e)
{
	uint64_t end_ms = clock_ms() + WAIT_MS;
	struct sockaddr_un at;
	socklen_t len;
	int fd = open_socket(&at, &len), error = 0;

	if (fd < 0)
		return err_errno(e, errno, "cannot open a unix socket");
	for (int i = 0; i < TRIES && !error; i++) {
		if (!bind(fd, (struct sockaddr *)&at, len)) {
			if (!listen(fd, 128))
				return fd;
			error = err_errno(e, errno, "cannot hold the lock");
		} else if (errno != EADDRINUSE) {
			error = err_errno(e, errno, "cannot take the lock");
		} else {
			error = wait_for_holder(end_ms, e);
		}
	}
	close(fd);
	return error ? error
		     : err_set(e, EBUSY,
			       "cannot take the lock that "
			       "other processes keep taking");
}
