/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - a child with a network of its own; see probe.h.
 *
 * The child leads a process group, so that what the engine starts (nft) ends
 * with it.  It never returns: no handler, no buffer of the caller is run or
 * written twice.
 */
#include "engine/probe.h"

#include "base/loop.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- in the child -------------------------------------------------------- */

enum { ANSWER_FD = STDERR_FILENO + 1 };

/* What belongs to the caller: its signals, its descriptors, its group. */
static void leave_caller(int answer, pid_t caller)
{
	sigset_t none;

	(void)setpgid(0, 0); /* the caller does it too: who is first */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != caller)
		_exit(1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (answer != ANSWER_FD &&
	    dup3(answer, ANSWER_FD, O_CLOEXEC) != ANSWER_FD)
		_exit(1);
	if (close_range(ANSWER_FD + 1, ~0u, 0) < 0)
		_exit(1);
}

static int enter_scratch(struct err *e)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, error = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return err_set(e, PROBE_NO_PLACE,
			       "cannot be tried: cannot make a network "
			       "namespace: %s",
			       strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		error = err_set(e, PROBE_NO_PLACE,
				"cannot be tried: cannot set lo up: %s",
				strerror(errno));
	if (fd >= 0)
		close(fd);
	return error;
}

static _Noreturn void be_child(const struct engine *engine, int answer,
			       pid_t caller)
{
	struct err e = { 0 };
	int error;

	leave_caller(answer, caller);
	error = enter_scratch(&e);
	if (!error)
		error = engine->probe(&e);
	e.code = error < 0 ? -error : 0;
	/* Shorter than PIPE_BUF: whole or not at all. */
	_exit(write(ANSWER_FD, &e, sizeof(e)) != sizeof(e));
}

/* --- in the caller ------------------------------------------------------- */

/* Until there is something to read; -ETIMEDOUT. */
static int wait_for_answer(int fd, uint64_t end_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int count;

	do {
		uint64_t now_ms = clock_ms();

		if (now_ms >= end_ms)
			return -ETIMEDOUT;
		count = poll(&p, 1, (int)(end_ms - now_ms));
	} while (count == 0 || (count < 0 && errno == EINTR));
	return count < 0 ? -errno : 0;
}

/* The whole group, also if its leader is ending: what it started must not
 * keep the namespace.  Who is ending keeps the status it has. */
static int end_child(pid_t pid)
{
	int status = 0;

	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int say_no_answer(int status, struct err *e)
{
	if (WIFSIGNALED(status))
		return err_set(e, EPROTO, "its probe died of signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return err_set(e, EPROTO, "its probe ended without an answer");
}

static int hear(pid_t pid, int fd, uint32_t limit_ms, struct err *e)
{
	int error = wait_for_answer(fd, clock_ms() + limit_ms), status;
	struct err answer;
	ssize_t len = 0;

	if (!error)
		len = read(fd, &answer, sizeof(answer));
	status = end_child(pid);
	if (error == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT,
			       "its probe did not end within %u.%u s",
			       limit_ms / 1000, limit_ms % 1000 / 100);
	if (error < 0)
		return err_errno(e, -error, "cannot wait for its probe");
	if (len != sizeof(answer))
		return say_no_answer(status, e);
	if (answer.code && e)
		*e = answer;
	return -answer.code;
}

int probe_run(const struct engine *engine, uint32_t limit_ms, struct err *e)
{
	pid_t caller = getpid(), pid;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "cannot make a pipe for its probe");
	pid = fork();
	if (pid == 0)
		be_child(engine, ends[1], caller);
	error = pid < 0 ? errno : 0;
	close(ends[1]);
	if (!error) {
		(void)setpgid(pid, pid); /* the child does it too */
		error = -hear(pid, ends[0], limit_ms, e);
	} else {
		(void)err_errno(e, error, "cannot start its probe");
	}
	close(ends[0]);
	return -error;
}
