/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - from fork to worker; see process.h.
 */
#include "daemon/process.h"

#include "base/log.h"
#include "daemon/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <linux/close_range.h>

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything but `keep` is the supervisor's: its other workers' channels
 * among them, whose end must be seen when it dies. */
static void close_others(int *keep, size_t count)
{
	unsigned from = 3;

	qsort(keep, count, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)close_range(from, ~0u, 0);
}

/* Standard input and output are those of whoever started the daemon. */
static int leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -errno;
	close(fd);
	return 0;
}

static int keep_only(const struct worker_args *args, int netns_fd)
{
	int *keep = calloc(args->listener_count + 8, sizeof(*keep));
	size_t count = 0;

	if (!keep)
		return -ENOMEM;
	for (size_t i = 0; i < args->listener_count; i++)
		keep[count++] = args->listeners[i].fd;
	keep[count++] = args->raw_fd[0];
	keep[count++] = args->raw_fd[1];
	keep[count++] = args->channel_fd;
	keep[count++] = args->lock_fd;
	keep[count++] = netns_fd;
	close_others(keep, count);
	free(keep);
	return leave_terminal();
}

void process_run(const struct worker_args *args, int server_netns,
		 bool is_strict)
{
	struct err e = { 0 };
	struct worker *w = calloc(1, sizeof(*w));
	sigset_t none;
	int error = w ? keep_only(args, server_netns) : -ENOMEM;

	(void)prctl(PR_SET_NAME, "waylay-worker");
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* What a whole process group gets is for the supervisor, which tells
	 * us what to do. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!error && server_netns >= 0 &&
	    setns(server_netns, CLONE_NEWNET) < 0)
		error = -errno;
	if (server_netns >= 0)
		close(server_netns);
	if (!error)
		error = worker_init(w, args);
	if (error < 0)
		err_errno(&e, -error, "cannot start");
	else
		error = privilege_drop(is_strict, &e);
	if (error < 0) {
		log_error("worker %d: %s", (int)getpid(), e.text);
		_exit(1);
	}
	worker_run(w);
	_exit(0);
}
