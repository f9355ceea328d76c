/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_watch.c - wait, and be ready to end; see nc_watch.h.
 */
#include "cli/nc_watch.h"

#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { CHECK_EVERY_MS = 5000 };

static void ending_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGHUP);
}

int nc_watch_open(struct nc_watch *w, struct nc_take *take, struct err *e)
{
	sigset_t set;

	*w = (struct nc_watch){ .signal_fd = -1, .take = take };
	ending_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &w->before);
	/* Whose reader has gone is told by write(2). */
	(void)signal(SIGPIPE, SIG_IGN);
	w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signal_fd < 0)
		return err_errno(e, errno, "cannot wait for signals");
	w->check_ms = clock_ms() + CHECK_EVERY_MS;
	return 0;
}

void nc_watch_close(struct nc_watch *w)
{
	if (w->signal_fd >= 0)
		close(w->signal_fd);
	w->signal_fd = -1;
	(void)sigprocmask(SIG_SETMASK, &w->before, NULL);
}

static int take_signal(struct nc_watch *w)
{
	struct signalfd_siginfo info;

	if (read(w->signal_fd, &info, sizeof(info)) == sizeof(info))
		w->signal = (int)info.ssi_signo;
	return w->signal ? -EINTR : 0;
}

/* Until `end_ms` (0: none), or until the interception wants to be seen. */
static int next_wait(const struct nc_watch *w, uint64_t end_ms, uint64_t now_ms)
{
	uint64_t next_ms = end_ms;

	if (nc_take_is_there(w->take) && (!end_ms || w->check_ms < end_ms))
		next_ms = w->check_ms;
	if (!next_ms)
		return -1;
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void look_after(struct nc_watch *w)
{
	if (!nc_take_is_there(w->take) || clock_ms() < w->check_ms)
		return;
	nc_take_check(w->take);
	w->check_ms = clock_ms() + CHECK_EVERY_MS;
}

int nc_poll(struct nc_watch *w, struct pollfd *p, size_t count, int timeout_ms)
{
	uint64_t now_ms = clock_ms();
	uint64_t end_ms = timeout_ms < 0 ? 0 : now_ms + (uint64_t)timeout_ms;
	int ready;

	p[0] = (struct pollfd){ .fd = w->signal_fd, .events = POLLIN };
	for (;;) {
		int wait_ms = timeout_ms ? next_wait(w, end_ms, now_ms) : 0;

		ready = poll(p, count, wait_ms);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready > 0 && p[0].revents && take_signal(w) < 0)
			return -EINTR;
		look_after(w);
		ready -= ready > 0 && p[0].revents;
		now_ms = clock_ms();
		if (ready > 0)
			return ready;
		if (timeout_ms >= 0 && now_ms >= end_ms)
			return 0;
	}
}

int nc_poll_one(struct nc_watch *w, int fd, short events, int timeout_ms)
{
	struct pollfd p[2] = { [1] = { .fd = fd, .events = events } };

	return nc_poll(w, p, 2, timeout_ms);
}
