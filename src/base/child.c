/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - run a command and wait for it; see child.h.
 *
 * Three pipes and one poll loop.  The child is killed when its time is up,
 * so that the caller never hangs on somebody else's program.
 */
#include "base/child.h"

#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const directories[] = { "/usr/sbin", "/sbin", "/usr/bin",
					   "/bin", "/usr/local/sbin" };

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_COUNT };

struct child {
	pid_t pid;
	uint64_t end_ms;      /* when its time is up */
	int fd[STREAM_COUNT]; /* our ends; -1 when closed */
	const char *input;
	size_t input_left;
	struct str *text[STREAM_COUNT]; /* [STREAM_IN] unused */
};

static bool find_program(const char *name, char *path, size_t size)
{
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories);
	     i++) {
		int len = snprintf(path, size, "%s/%s", directories[i], name);

		if (len > 0 && (size_t)len < size && !access(path, X_OK))
			return true;
	}
	return false;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In the child: our ends become 0, 1, 2, everything else is closed. */
static void become(const char *path, const char *const argv[], int ends[])
{
	static char *const no_environment[] = { NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	/* The pipes' numbers are above 2: the parent keeps 0, 1, 2 open. */
	for (int i = 0; i < STREAM_COUNT; i++)
		if (dup2(ends[i], i) < 0)
			_exit(127);
	execve(path, (char *const *)argv, no_environment);
	_exit(127);
}

static int start(struct child *c, const char *const argv[], struct err *e)
{
	int pipes[STREAM_COUNT][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int ends[STREAM_COUNT], error = 0;
	char path[256];

	if (!find_program(argv[0], path, sizeof(path)))
		return err_set(e, ENOENT,
			       "cannot find the program `%s`: "
			       "install its package",
			       argv[0]);
	for (int i = 0; i < STREAM_COUNT && !error; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			error = errno;
	for (int i = 0; i < STREAM_COUNT; i++) {
		ends[i] = pipes[i][i == STREAM_IN ? 0 : 1];
		c->fd[i] = pipes[i][i == STREAM_IN ? 1 : 0];
	}
	if (!error) {
		c->pid = fork();
		if (c->pid < 0)
			error = errno;
		if (c->pid == 0)
			become(path, argv, ends);
	}
	for (int i = 0; i < STREAM_COUNT; i++)
		close_end(&ends[i]);
	if (!error)
		return 0;
	for (int i = 0; i < STREAM_COUNT; i++)
		close_end(&c->fd[i]);
	return err_errno(e, error, "cannot run `%s`", argv[0]);
}

static void feed(struct child *c)
{
	ssize_t len = write(c->fd[STREAM_IN], c->input, c->input_left);

	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			close_end(&c->fd[STREAM_IN]); /* reads no more */
		return;
	}
	c->input += len;
	c->input_left -= (size_t)len;
	if (!c->input_left)
		close_end(&c->fd[STREAM_IN]);
}

static int drain(struct child *c, int stream)
{
	char buf[16384];
	ssize_t len = read(c->fd[stream], buf, sizeof(buf));

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len <= 0) {
		close_end(&c->fd[stream]);
		return 0;
	}
	if (!c->text[stream])
		return 0;
	if (c->text[stream]->len + (size_t)len > CHILD_OUTPUT_MAX)
		return -EFBIG;
	str_addn(c->text[stream], buf, (size_t)len);
	return str_ok(c->text[stream]) ? 0 : -ENOMEM;
}

/* Until both outputs are closed. */
static int talk(struct child *c)
{
	int error = 0;

	while (!error && (c->fd[STREAM_OUT] >= 0 || c->fd[STREAM_ERR] >= 0)) {
		struct pollfd p[STREAM_COUNT];
		uint64_t now_ms = clock_ms();

		if (now_ms >= c->end_ms)
			return -ETIMEDOUT;
		for (int i = 0; i < STREAM_COUNT; i++)
			p[i] = (struct pollfd){
				.fd = c->fd[i],
				.events = i == STREAM_IN ? POLLOUT : POLLIN,
			};
		if (poll(p, STREAM_COUNT, (int)(c->end_ms - now_ms)) < 0 &&
		    errno != EINTR)
			return -errno;
		if (p[STREAM_IN].revents && c->fd[STREAM_IN] >= 0)
			feed(c);
		for (int i = STREAM_OUT; i <= STREAM_ERR && !error; i++)
			if (p[i].revents)
				error = drain(c, i);
	}
	return error;
}

/* Closing its outputs is not yet an end: wait for that, as long as there is
 * time. */
static int wait_for_end(const struct child *c)
{
	struct pollfd p = { .fd = pidfd_open(c->pid, 0), .events = POLLIN };
	uint64_t now_ms = clock_ms();
	int count;

	if (p.fd < 0)
		return -errno;
	count = now_ms < c->end_ms ? poll(&p, 1, (int)(c->end_ms - now_ms)) : 0;
	close(p.fd);
	return count > 0 ? 0 : -ETIMEDOUT;
}

static int reap(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int child_run(const char *const argv[], const char *input, struct str *out,
	      struct str *complaint, struct err *e)
{
	struct child c = {
		.input = input,
		.input_left = input ? strlen(input) : 0,
		.text = { [STREAM_OUT] = out, [STREAM_ERR] = complaint },
		.end_ms = clock_ms() + CHILD_TIMEOUT_MS,
	};
	int status = 0, error = start(&c, argv, e), reaped;

	if (error < 0)
		return error;
	(void)fcntl(c.fd[STREAM_IN], F_SETFL, O_NONBLOCK);
	if (!c.input_left)
		close_end(&c.fd[STREAM_IN]);
	error = talk(&c);
	if (!error)
		error = wait_for_end(&c);
	if (error < 0)
		(void)kill(c.pid, SIGKILL);
	for (int i = 0; i < STREAM_COUNT; i++)
		close_end(&c.fd[i]);
	reaped = reap(c.pid, &status);
	if (error < 0 || reaped < 0)
		return err_errno(e, error < 0 ? -error : -reaped,
				 "`%s` was ended", argv[0]);
	if (!WIFEXITED(status))
		return err_set(e, EINTR, "`%s` was killed by signal %d",
			       argv[0], WTERMSIG(status));
	return WEXITSTATUS(status);
}
