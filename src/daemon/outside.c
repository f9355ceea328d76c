/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside.c - fork in the namespace that was left; see outside.h.
 */
#include "daemon/outside.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct outside {
	sem_t ask, answer;
	outside_fn fn;
	void *ctx;
	pid_t pid;
	int error;
};

static void fork_here(struct outside *o)
{
	o->pid = fork();
	o->error = errno;
	if (o->pid == 0) {
		o->fn(o->ctx);
		_exit(1);
	}
}

static void wait_for(sem_t *s)
{
	while (sem_wait(s) < 0)
		; /* EINTR */
}

static void *stay(void *ctx)
{
	struct outside *o = ctx;

	for (;;) {
		wait_for(&o->ask);
		fork_here(o);
		(void)sem_post(&o->answer);
	}
	return NULL;
}

/* Signals are for the main thread. */
static int start_thread(struct outside *o)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, stay, o);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int outside_leave(int netns_fd, struct outside **out, struct err *e)
{
	struct outside *o = calloc(1, sizeof(*o));
	int error;

	if (!o)
		return err_set(e, ENOMEM, "no memory");
	(void)sem_init(&o->ask, 0, 0); /* fails only if misused */
	(void)sem_init(&o->answer, 0, 0);
	error = start_thread(o);
	if (error < 0) {
		free(o);
		return err_errno(e, -error, "cannot start a thread");
	}
	*out = o; /* is the thread's from now on */
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_errno(e, errno,
				 "cannot enter the network namespace of "
				 "descriptor %d",
				 netns_fd);
	return 0;
}

pid_t outside_fork(struct outside *o, outside_fn fn, void *ctx)
{
	if (!o) {
		pid_t pid = fork();

		if (pid == 0) {
			fn(ctx);
			_exit(1);
		}
		return pid;
	}
	o->fn = fn;
	o->ctx = ctx;
	(void)sem_post(&o->ask);
	wait_for(&o->answer);
	if (o->pid < 0)
		errno = o->error;
	return o->pid;
}
