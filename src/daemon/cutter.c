/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter.c - the process: channels and time; see cutter.h.
 */
#include "daemon/cutter.h"

#include "daemon/cutter_priv.h"
#include "net/parcel.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTER(pointer, type, member)                                           \
	((type *)((char *)(pointer)-offsetof(type, member)))

/* --- workers ------------------------------------------------------------- */

static void free_worker(struct deferred *d)
{
	free(OUTER(d, struct cutter_worker, later));
}

static void end_worker(struct cutter_worker *w)
{
	struct cutter *c = w->cutter;
	struct cutter_worker **at = &c->workers;

	cutter_ask_end(w);
	loop_del(&c->loop, w->fd);
	close(w->fd);
	w->fd = -1;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_defer(&c->loop, &w->later, free_worker);
}

/* False: it has gone, or does not read; then nothing of it is read either. */
static bool send_answer(struct cutter_worker *w, const struct cut_answer *a)
{
	ssize_t len = send(w->fd, a, sizeof(*a), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (len == sizeof(*a))
		return true;
	if (errno != EAGAIN && errno != ENOBUFS)
		return false; /* its end follows */
	w->unsent = *a;
	w->has_unsent = true;
	(void)loop_mod(&w->cutter->loop, w->fd, EPOLLOUT, &w->watch);
	return false;
}

static bool send_unsent(struct cutter_worker *w)
{
	if (!w->has_unsent)
		return true;
	w->has_unsent = false;
	if (!send_answer(w, &w->unsent))
		return false;
	(void)loop_mod(&w->cutter->loop, w->fd, EPOLLIN, &w->watch);
	return true;
}

static void on_worker(struct loop *l, struct watch *watch, uint32_t events)
{
	struct cutter_worker *w = OUTER(watch, struct cutter_worker, watch);
	struct cut_ask ask;
	struct parcel p = { .bytes = &ask, .size = sizeof(ask) };

	(void)l;
	(void)events;
	if (w->fd < 0 || !send_unsent(w))
		return;
	for (int i = 0; i < CUTTER_ASKS_MAX; i++) {
		struct cut_answer a;
		int result = parcel_receive(w->fd, &p);

		if (result == -EAGAIN)
			return;
		if (result <= 0) { /* gone, or talking nonsense */
			end_worker(w);
			return;
		}
		if (cutter_ask(w, &p, &a) && !send_answer(w, &a))
			return;
	}
}

static void add_worker(struct cutter *c, int fd, uint32_t generation)
{
	struct cutter_worker *w = calloc(1, sizeof(*w));

	if (w)
		w->watch.fn = on_worker;
	if (!w || loop_add(&c->loop, fd, EPOLLIN, &w->watch) < 0) {
		free(w);
		close(fd);
		return;
	}
	w->cutter = c;
	w->fd = fd;
	w->number = c->workers_made++;
	w->generation = generation;
	w->next = c->workers;
	c->workers = w;
}

/* --- time ---------------------------------------------------------------- */

/* A full channel has a wake-up in it already. */
static void tell_supervisor(struct cutter *c)
{
	if (c->ledger.has_ended)
		(void)send(c->args.channel_fd, "r", 1,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	c->ledger.has_ended = false;
}

static void on_tick(struct timer *t, uint64_t now_ms)
{
	struct cutter *c = OUTER(t, struct cutter, tick);

	cut_ledger_tick(&c->ledger, now_ms);
	tell_supervisor(c);
	wheel_set(&c->loop.wheel, t, now_ms + cut_ledger_pause_ms(&c->ledger));
}

static void on_sweep(struct timer *t, uint64_t now_ms)
{
	struct cutter *c = OUTER(t, struct cutter, sweep);

	cutter_sweep(c);
	tell_supervisor(c);
	if (c->hand)
		wheel_set(&c->loop.wheel, t, now_ms + CUTTER_SWEEP_MS);
	else if (c->is_leaving)
		loop_stop(&c->loop);
}

static void on_grace(struct loop *l, struct watch *w, uint32_t events)
{
	struct cutter *c = OUTER(w, struct cutter, grace_watch);
	uint64_t passed = cut_grace_passed(c->shop.grace);

	(void)l;
	(void)events;
	for (struct cutter_flow *f = c->hand; f; f = f->next)
		cut_flow_on_grace(&f->flow, passed);
}

/* --- the supervisor ------------------------------------------------------ */

static void on_last(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	loop_stop(&OUTER(t, struct cutter, last)->loop);
}

/* The next daemon's cutter takes the map over: here only flows go on whose
 * sockets are here. */
static void leave(struct cutter *c)
{
	c->is_leaving = true;
	loop_del(&c->loop, c->args.channel_fd);
	wheel_cancel(&c->loop.wheel, &c->tick);
	while (c->workers)
		end_worker(c->workers);
	cutter_sweep(c);
	if (!c->hand)
		loop_stop(&c->loop);
	else
		wheel_set(&c->loop.wheel, &c->last,
			  c->loop.now_ms + CUTTER_LAST_MS);
}

static void obey(struct cutter *c, const struct cutter_order *order,
		 struct parcel *p)
{
	if (order->command == CUTTER_WORKER && p->fd_count == 1) {
		add_worker(c, p->fd[0], order->generation);
		return;
	}
	parcel_close(p);
	if (order->command == CUTTER_LOOK)
		cut_ledger_fulfil(&c->ledger);
	else if (order->command == CUTTER_STOP)
		loop_stop(&c->loop);
	tell_supervisor(c);
}

static void on_channel(struct loop *l, struct watch *w, uint32_t events)
{
	struct cutter *c = OUTER(w, struct cutter, channel_watch);
	struct cutter_order order;
	struct parcel p = { .bytes = &order, .size = sizeof(order) };
	int result;

	(void)l;
	(void)events;
	if (c->is_leaving)
		return;
	result = parcel_receive(c->args.channel_fd, &p);
	if (result == 1)
		obey(c, &order, &p);
	else if (result != -EAGAIN)
		leave(c);
}

/* --- beginning and end --------------------------------------------------- */

static int make(struct cutter *c)
{
	uint32_t max = c->args.shared->flow_max;
	const struct cut_ledger_args ledger = {
		.table = &c->args.table,
		.shared = c->args.shared,
		.orders = c->args.orders,
		.entries = c->args.entries,
		.generation = c->args.generation,
		.raw_fd = c->args.raw_fd,
	};
	int error = loop_open(&c->loop);

	if (error < 0)
		return error;
	c->flows = mmap(NULL, max * sizeof(*c->flows), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->flows == MAP_FAILED)
		c->flows = NULL;
	if (!c->flows || pool_init(&c->pool, max) < 0 ||
	    imap_init(&c->by_name, max) < 0)
		return -ENOMEM;
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		return -EIO;
	error = cut_ledger_init(&c->ledger, &ledger);
	if (!error)
		error = loop_add(&c->loop, c->args.channel_fd, EPOLLIN,
				 &c->channel_watch);
	return error;
}

int cutter_new(const struct cutter_args *args, struct cutter **out)
{
	struct cutter *c = calloc(1, sizeof(*c));
	int error;

	if (!c)
		return -ENOMEM;
	*c = (struct cutter){ .args = *args,
			      .loop.epoll_fd = -1,
			      .channel_watch = { on_channel },
			      .grace_watch = { on_grace },
			      .tick.fn = on_tick,
			      .sweep.fn = on_sweep,
			      .last.fn = on_last };
	c->shop = (struct cut_shop){ .loop = &c->loop,
				     .table = &c->args.table,
				     .ledger = &c->ledger,
				     .shared = c->args.shared };
	error = make(c);
	if (error < 0) {
		cutter_free(c);
		return error;
	}
	*out = c;
	return 0;
}

int cutter_run(struct cutter *c)
{
	int error = cut_grace_new(&c->shop.grace);

	if (!error)
		error = loop_add(&c->loop, cut_grace_fd(c->shop.grace), EPOLLIN,
				 &c->grace_watch);
	if (error < 0)
		return error;
	on_tick(&c->tick, clock_ms());
	loop_run(&c->loop);
	return 0;
}

void cutter_free(struct cutter *c)
{
	if (!c)
		return;
	while (c->workers)
		end_worker(c->workers);
	while (c->loop.deferred) { /* what loop_turn() would have done */
		struct deferred *d = c->loop.deferred;

		c->loop.deferred = d->next;
		d->fn(d);
	}
	cut_grace_free(c->shop.grace);
	cut_ledger_done(&c->ledger);
	imap_done(&c->by_name);
	pool_done(&c->pool);
	if (c->flows)
		(void)munmap(c->flows,
			     c->args.shared->flow_max * sizeof(*c->flows));
	loop_close(&c->loop);
	free(c);
}
