/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - what a forked child becomes; see process.h.
 */
#include "daemon/process.h"

#include "base/log.h"
#include "daemon/privilege.h"
#include "daemon/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
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

static void set_signals(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* What a whole process group gets is for the supervisor, which tells
	 * us what to do. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
}

int process_settle(const char *name, int *keep, size_t count)
{
	(void)prctl(PR_SET_NAME, name);
	set_signals();
	tzset(); /* or the first line of the log would open /etc/localtime */
	close_others(keep, count);
	return leave_terminal();
}

/* --- workers ------------------------------------------------------------- */

static int settle_worker(const struct worker_args *args)
{
	int *keep = calloc(args->listener_count + 8, sizeof(*keep));
	size_t count = 0;
	int error;

	if (!keep)
		return -ENOMEM;
	for (size_t i = 0; i < args->listener_count; i++)
		keep[count++] = args->listeners[i].fd;
	keep[count++] = args->raw_fd[0];
	keep[count++] = args->raw_fd[1];
	keep[count++] = args->channel_fd;
	keep[count++] = args->cut_fd;
	keep[count++] = args->lock_fd;
	error = process_settle("waylay-worker", keep, count);
	free(keep);
	return error;
}

void process_run(const struct worker_args *args, bool is_strict)
{
	struct err e = { 0 };
	struct worker *w = calloc(1, sizeof(*w));
	int error = w ? settle_worker(args) : -ENOMEM;

	if (!error)
		error = worker_init(w, args);
	if (error < 0)
		err_errno(&e, -error, "cannot start");
	else
		error = privilege_drop(PRIVILEGE_WORKER, is_strict, &e);
	if (error < 0) {
		log_error("worker %d: %s", (int)getpid(), e.text);
		_exit(1);
	}
	worker_run(w);
	_exit(0);
}

/* --- the resolver -------------------------------------------------------- */

void process_resolve(const struct process_resolver *p)
{
	int keep[] = { p->channel_fd };
	struct resolver *r = NULL;
	struct err e = { 0 };
	int error = process_settle("waylay-resolver", keep, 1);

	if (error < 0)
		err_errno(&e, -error, "cannot start");
	else /* it reads files: before privileges go */
		error = resolver_new(p->config, p->board, p->mark, &r, &e);
	if (!error)
		error = privilege_drop(PRIVILEGE_RESOLVER, p->is_strict, &e);
	if (error < 0) {
		log_error("resolver %d: %s", (int)getpid(), e.text);
		_exit(1);
	}
	resolver_run(r, p->channel_fd);
	_exit(0);
}

/* --- the cutter ---------------------------------------------------------- */

static int settle_cutter(const struct cutter_args *args)
{
	int keep[] = { args->channel_fd,	args->raw_fd[0],
		       args->raw_fd[1],		args->table.flows_fd,
		       args->table.counters_fd, args->table.change_fd };

	return process_settle("waylay-cutter", keep,
			      sizeof(keep) / sizeof(*keep));
}

void process_cut(const struct process_cutter *p)
{
	struct cutter *c = NULL;
	struct err e = { 0 };
	int error = settle_cutter(&p->args);

	if (!error)
		error = cutter_new(&p->args, &c);
	if (error < 0)
		err_errno(&e, -error, "cannot start");
	else
		error = privilege_drop(PRIVILEGE_CUTTER, p->is_strict, &e);
	if (!error) {
		error = cutter_run(c);
		if (error < 0)
			err_errno(&e, -error, "cannot begin");
	}
	if (error < 0)
		log_error("cutter %d: %s", (int)getpid(), e.text);
	_exit(error < 0);
}
