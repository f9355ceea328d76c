/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - the event loop; see loop.h.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 128 };

uint64_t clock_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		return 0; /* cannot happen on Linux */
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

int loop_open(struct loop *l)
{
	*l = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (l->epoll_fd < 0)
		return -errno;
	l->now_ms = clock_ms();
	wheel_init(&l->wheel, l->now_ms);
	return 0;
}

void loop_close(struct loop *l)
{
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	l->epoll_fd = -1;
}

static int control(struct loop *l, int op, int fd, uint32_t events,
		   struct watch *w)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	assert(w->fn);
	return epoll_ctl(l->epoll_fd, op, fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, int fd, uint32_t events, struct watch *w)
{
	return control(l, EPOLL_CTL_ADD, fd, events, w);
}

int loop_mod(struct loop *l, int fd, uint32_t events, struct watch *w)
{
	return control(l, EPOLL_CTL_MOD, fd, events, w);
}

void loop_del(struct loop *l, int fd)
{
	/* fails only if fd is not watched, which is what is wanted */
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void loop_defer(struct loop *l, struct deferred *d, deferred_fn fn)
{
	d->fn = fn;
	d->next = l->deferred;
	l->deferred = d;
}

/* Only what was deferred before: a function that defers itself again waits
 * for the next batch, so that descriptors are looked at in between. */
static void run_deferred(struct loop *l)
{
	struct deferred *d = l->deferred, *next;

	l->deferred = NULL;
	for (; d; d = next) {
		next = d->next;
		d->fn(d);
	}
}

void loop_turn(struct loop *l)
{
	struct epoll_event events[BATCH];
	int wait_ms = l->deferred ? 0 : wheel_wait_ms(&l->wheel, clock_ms());
	int count = epoll_wait(l->epoll_fd, events, BATCH, wait_ms);

	l->now_ms = clock_ms();
	for (int i = 0; i < count; i++) { /* -1, EINTR: none */
		struct watch *w = events[i].data.ptr;

		w->fn(l, w, events[i].events);
	}
	wheel_run(&l->wheel, l->now_ms);
	run_deferred(l);
}

void loop_run(struct loop *l)
{
	l->is_stopped = false;
	while (!l->is_stopped)
		loop_turn(l);
}

void loop_stop(struct loop *l)
{
	l->is_stopped = true;
}
