/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_take.c - intercept for as long as we live; see nc_take.h.
 */
#include "cli/nc_take.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the guard ----------------------------------------------------------- */

enum { WORD_FD = STDERR_FILENO + 1, PARENT_FD };

/* It outlives us, so it holds nothing that somebody waits for, and hears no
 * signal that was meant for us. */
static void let_go(int word_fd, int parent_fd)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int word = fcntl(word_fd, F_DUPFD_CLOEXEC, PARENT_FD + 1);
	int parent = fcntl(parent_fd, F_DUPFD_CLOEXEC, PARENT_FD + 1);

	(void)setsid();
	for (int i = 0; nothing >= 0 && i <= STDERR_FILENO; i++)
		(void)dup2(nothing, i);
	(void)dup2(word, WORD_FD);
	(void)dup2(parent, PARENT_FD);
	(void)close_range(PARENT_FD + 1, ~0u, 0); /* listeners, above all */
}

/* The pipe ends before the lock is free: descriptors are closed one by one.
 * So the end of the process is waited for. */
static _Noreturn void be_guard(const int *pipe_fds, int parent_fd)
{
	struct pollfd dead = { .fd = PARENT_FD, .events = POLLIN };
	ssize_t len;
	char byte;

	close(pipe_fds[1]);
	let_go(pipe_fds[0], parent_fd);
	do
		len = read(WORD_FD, &byte, 1);
	while (len < 0 && errno == EINTR);
	if (len > 0)
		_exit(0);
	while (poll(&dead, 1, -1) < 0 && errno == EINTR)
		;
	(void)waylay_clean(NULL); /* if it fails, somebody else has it */
	_exit(0);
}

static int start_guard(struct nc_take *t, struct err *e)
{
	int fds[2], parent_fd = pidfd_open(getpid(), 0), error;
	pid_t pid;

	if (parent_fd < 0)
		return err_errno(e, errno, "cannot watch a process");
	if (pipe2(fds, O_CLOEXEC) < 0) {
		error = errno;
		close(parent_fd);
		return err_errno(e, error, "cannot make a pipe");
	}
	pid = fork();
	error = errno;
	if (pid == 0)
		be_guard(fds, parent_fd);
	close(fds[0]);
	close(parent_fd);
	if (pid < 0) {
		close(fds[1]);
		return err_errno(e, error, "cannot start a process");
	}
	t->guard_fd = fds[1];
	t->guard_pid = pid;
	return 0;
}

/* `is_clean`: nothing is left for it to do. */
static void end_guard(struct nc_take *t, bool is_clean)
{
	if (!t->guard_pid)
		return;
	/* Else it tries again when we are gone. */
	if (is_clean && write(t->guard_fd, "", 1) == 1)
		while (waitpid(t->guard_pid, NULL, 0) < 0 && errno == EINTR)
			;
	close(t->guard_fd);
	t->guard_fd = -1;
	t->guard_pid = 0;
}

/* --- installing ---------------------------------------------------------- */

static int set(struct nc_take *t, const char *name, const char *value,
	       struct waylay_error *error)
{
	if (!value)
		return 0;
	return waylay_intercept_set(t->intercept, name, value, error);
}

static int begin(struct nc_take *t, const struct nc_options *o,
		 const char *ports, struct waylay_error *error)
{
	int result = set(t, "from", o->from, error);

	if (!result)
		result = set(t, o->is_udp ? "udp" : "tcp", ports, error);
	if (!result)
		result = set(t, "engine", o->engine, error);
	return result;
}

static int open_take(struct nc_take *t, const struct nc_options *o,
		     struct err *e)
{
	*t = NC_TAKE_NONE;
	t->is_verbose = o->is_verbose;
	t->intercept = waylay_intercept_new();
	if (!t->intercept)
		return err_set(e, ENOMEM, "no memory for an interception");
	return 0;
}

static int close_failed(struct nc_take *t, int result,
			const struct waylay_error *error, struct err *e)
{
	waylay_intercept_free(t->intercept);
	t->intercept = NULL;
	return err_set(e, -result, "cannot intercept: %s", error->text);
}

static int install(struct nc_take *t, struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	char engine[32] = "";
	int result = start_guard(t, e);

	if (result < 0) {
		waylay_intercept_free(t->intercept);
		t->intercept = NULL;
		return result;
	}
	result = waylay_intercept_install(t->intercept, &error);
	if (result < 0) {
		end_guard(t, true);
		return close_failed(t, result, &error, e);
	}
	(void)waylay_intercept_text(t->intercept, WAYLAY_TEXT_ENGINE, engine,
				    sizeof(engine), NULL); /* is installed */
	if (t->is_verbose)
		fprintf(stderr, "Intercepting by engine %s\n", engine);
	return 0;
}

/* With an object of its own, which is never installed. */
int nc_take_judge(const struct nc_options *o, struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	struct nc_take t;
	int result = o->from ? open_take(&t, o, e) : 0;

	if (result < 0 || !o->from)
		return result;
	result = begin(&t, o, o->take, &error);
	if (!result)
		result = set(&t, "except-dst", o->except_dst, &error);
	waylay_intercept_free(t.intercept);
	return result < 0 ? err_set(e, -result, "%s", error.text) : 0;
}

int nc_take_traffic(struct nc_take *t, const struct nc_options *o,
		    const int *listeners, size_t count, struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	int result = open_take(t, o, e);

	if (result < 0)
		return result;
	result = begin(t, o, o->take, &error);
	if (!result)
		result = set(t, "except-dst", o->except_dst, &error);
	for (size_t i = 0; i < count && !result; i++)
		result = waylay_intercept_deliver(t->intercept, listeners[i],
						  &error);
	return result < 0 ? close_failed(t, result, &error, e) : install(t, e);
}

/* Whatever is selected, packets of a socket of this host stay here.  So the
 * selection is one that nothing matches; its listener is never asked. */
int nc_take_answers(struct nc_take *t, const struct nc_options *o,
		    struct err *e)
{
	const struct sockaddr_in nobody = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(9),
	};
	const struct sockaddr_in6 nobody6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(9),
	};
	int type = o->is_udp ? SOCK_DGRAM : SOCK_STREAM;
	struct waylay_error error = WAYLAY_ERROR_INIT;
	int result = open_take(t, o, e);

	if (result < 0)
		return result;
	result = begin(t, o, "9", &error);
	if (!result)
		result = set(t, "except-dst", "0.0.0.0/0, ::/0", &error);
	if (!result)
		result = waylay_intercept_deliver_to(
			t->intercept, type, (const struct sockaddr *)&nobody,
			&error);
	if (!result)
		result = waylay_intercept_deliver_to(
			t->intercept, type, (const struct sockaddr *)&nobody6,
			&error);
	return result < 0 ? close_failed(t, result, &error, e) : install(t, e);
}

/* --- meanwhile, and the end ---------------------------------------------- */

void nc_take_check(struct nc_take *t)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	int result = waylay_intercept_check(t->intercept, &error);

	if (result < 0 && !t->has_complained)
		(void)cli_fail(CLI_FAILED, "nc: the interception: %s",
			       error.text);
	t->has_complained = result < 0;
	if (result > 0 && t->is_verbose)
		fputs("Interception put back: somebody had removed a part\n",
		      stderr);
}

int nc_take_remove(struct nc_take *t, struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	int result;

	if (!t->intercept)
		return 0;
	result = waylay_intercept_remove(t->intercept, &error);
	waylay_intercept_free(t->intercept);
	t->intercept = NULL;
	end_guard(t, result == 0); /* else it tries again */
	if (result < 0)
		return err_set(e, -result, "cannot remove the interception: %s",
			       error.text);
	return 0;
}
