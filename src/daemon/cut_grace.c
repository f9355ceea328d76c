/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_grace.c - the thread that waits for RCU; see cut_grace.h.
 *
 * One grace period answers all tickets that were asked before it began.
 *
 * Kernel: membarrier(2); kernel/sched/membarrier.c.  With one CPU it returns at
 * once, and may: packets are handed up with bottom halves off, so that no
 * thread runs in the middle of it.  With nohz_full there is none.
 */
#include "daemon/cut_grace.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct cut_grace {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	uint64_t asked, passed; /* tickets */
	bool is_ending;
	int fd; /* eventfd */
};

static int barrier(int command)
{
	long result = syscall(SYS_membarrier, command, 0, 0);

	return result < 0 ? -errno : (int)result;
}

/* The next ticket to be waited for; false: the end. */
static bool await_ticket(struct cut_grace *g, uint64_t *out)
{
	bool is_ending;

	pthread_mutex_lock(&g->lock);
	while (!g->is_ending && g->asked == g->passed)
		pthread_cond_wait(&g->changed, &g->lock);
	*out = g->asked;
	is_ending = g->is_ending;
	pthread_mutex_unlock(&g->lock);
	return !is_ending;
}

static void *run(void *context)
{
	const uint64_t one = 1;
	struct cut_grace *g = context;
	uint64_t ticket;

	while (await_ticket(g, &ticket)) {
		/* cut_grace_new() has asked whether it is there */
		if (barrier(MEMBARRIER_CMD_GLOBAL) < 0)
			abort();
		pthread_mutex_lock(&g->lock);
		g->passed = ticket;
		pthread_mutex_unlock(&g->lock);
		/* full: it is readable, and that is all it has to be */
		(void)!write(g->fd, &one, sizeof(one));
	}
	return NULL;
}

/* Signals are for the thread that has the loop. */
static int start(struct cut_grace *g)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&g->thread, NULL, run, g);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int cut_grace_check(void)
{
	int known = barrier(MEMBARRIER_CMD_QUERY);

	if (known < 0)
		return known;
	return known & MEMBARRIER_CMD_GLOBAL ? 0 : -EOPNOTSUPP;
}

int cut_grace_new(struct cut_grace **out)
{
	int error = cut_grace_check();
	struct cut_grace *g;

	if (error)
		return error;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	g->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	error = g->fd < 0 ? -errno : start(g);
	if (error) {
		if (g->fd >= 0)
			close(g->fd);
		free(g);
		return error;
	}
	*out = g;
	return 0;
}

void cut_grace_free(struct cut_grace *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->is_ending = true;
	pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	close(g->fd);
	free(g);
}

uint64_t cut_grace_ask(struct cut_grace *g)
{
	uint64_t ticket;

	pthread_mutex_lock(&g->lock);
	ticket = ++g->asked;
	pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&g->lock);
	return ticket;
}

int cut_grace_fd(const struct cut_grace *g)
{
	return g->fd;
}

uint64_t cut_grace_passed(struct cut_grace *g)
{
	uint64_t count, passed;

	(void)!read(g->fd, &count, sizeof(count)); /* it need not be readable */
	pthread_mutex_lock(&g->lock);
	passed = g->passed;
	pthread_mutex_unlock(&g->lock);
	return passed;
}
