/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - the checks of groups; see health.h.
 *
 * What fails on our own side (no descriptor, no memory, no port) says nothing
 * of the upstream and is not noted.
 *
 * Pipelining is tried out in two steps.  For the second one the board says NO
 * before it is known, so that the dial says one word at a time; flows say all
 * at once only where it says YES, so they see no difference.  If the second
 * step fails as well, the proxy is ill, and nothing was learned.
 */
#include "relay/health.h"

#include "relay/dial.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

enum { CHECK_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

struct check {
	struct watch watch;
	struct timer timer; /* WAITING: begin; TRYING: give up */
	struct health_checks *all;
	const struct health *health;
	size_t upstream;
	struct dial dial;
	uint64_t due_ms;   /* the next one */
	uint64_t began_us; /* this one */
	uint32_t pick;	   /* of the proxy's addresses */
	bool is_trying;
	bool has_talked; /* the proxy was connected to */
	bool is_second;	 /* try, one word at a time */
};

struct health_checks {
	struct worker *worker;
	struct deferred later; /* freed when the batch is over */
	size_t count;
	struct check checks[];
};

static struct board_upstream *state_of(const struct check *k)
{
	return &k->all->worker->args.board->upstreams[k->upstream];
}

/* --- what came out ------------------------------------------------------- */

static void wait_for_next(struct check *k)
{
	struct loop *l = &k->all->worker->loop;

	k->is_trying = k->is_second = false;
	wheel_set(&l->wheel, &k->timer,
		  k->due_ms > l->now_ms ? k->due_ms : l->now_ms);
}

static void put_away(struct check *k)
{
	dial_end(&k->dial); /* and with its descriptor the watch */
	worker_use_fds(k->all->worker, -1);
}

static void note(struct check *k, bool has_passed)
{
	struct worker *w = k->all->worker;
	struct board_check c = {
		.upstream = k->upstream,
		.rise = k->health->rise,
		.fall = k->health->fall,
		.now_ms = w->loop.now_ms,
		.latency_us = (uint32_t)(clock_us() - k->began_us),
		.why = k->dial.end,
		.reply = k->dial.reply,
	};

	if (has_passed ? board_passed(w->args.board, &c)
		       : board_missed(w->args.board, &c))
		worker_notice(w);
}

static bool is_ours(const struct dial *d)
{
	return d->end == END_ERROR || d->end == END_NO_PORT;
}

static bool is_auto(const struct check *k)
{
	const struct config *c = k->all->worker->args.config;
	const struct upstream *u = &c->upstreams[k->upstream];

	return u->kind == UPSTREAM_SOCKS5 && u->pipeline == PIPELINE_AUTO;
}

/* No answer to all words at once, from a proxy that is there. */
static bool wants_second(const struct check *k)
{
	const struct dial *d = &k->dial;

	if (!is_auto(k) || k->is_second || !d->is_pipelined || d->reply)
		return false;
	return d->end == END_UPSTREAM_PROTOCOL ||
	       (d->end == END_UPSTREAM_TIMEOUT && k->has_talked);
}

static void begin(struct check *k);

static void on_passed(struct check *k)
{
	if (is_auto(k))
		atomic_store(&state_of(k)->pipeline,
			     k->dial.is_pipelined ? BOARD_PIPELINE_YES
						  : BOARD_PIPELINE_NO);
	note(k, true);
	put_away(k);
	wait_for_next(k);
}

static void on_failed(struct check *k)
{
	bool wants = wants_second(k);

	if (wants) {
		put_away(k);
		k->is_second = true;
		atomic_store(&state_of(k)->pipeline, BOARD_PIPELINE_NO);
		begin(k);
		return;
	}
	if (k->is_second)
		atomic_store(&state_of(k)->pipeline, BOARD_PIPELINE_UNKNOWN);
	if (!is_ours(&k->dial))
		note(k, false);
	put_away(k);
	wait_for_next(k);
}

/* --- a try --------------------------------------------------------------- */

static void look(struct check *k)
{
	switch ((enum dial_state)k->dial.state) {
	case DIAL_DONE:
		on_passed(k);
		break;
	case DIAL_FAILED:
		on_failed(k);
		break;
	case DIAL_TALKING:
		k->has_talked = true;
		break;
	case DIAL_IDLE:
	case DIAL_CONNECTING:
		break;
	}
}

static void on_event(struct loop *l, struct watch *watch, uint32_t events)
{
	struct check *k =
		(struct check *)((char *)watch - offsetof(struct check, watch));

	(void)l;
	if (!k->is_trying)
		return; /* of a descriptor that is closed */
	(void)dial_on_event(&k->dial, events);
	look(k);
}

static void begin(struct check *k)
{
	struct worker *w = k->all->worker;
	const struct health *h = k->health;
	struct dial_request r = {
		.config = w->args.config,
		.board = w->args.board,
		.counters = w->args.shared,
		.upstream = k->upstream,
		.client = NULL, /* from our own address */
		.server = &h->to,
		.name = h->to_name,
		.mark = worker_own_mark(w),
		.pick = k->pick++,
		.is_check = true,
	};

	worker_use_fds(w, 1);
	k->is_trying = true;
	k->has_talked = false;
	k->began_us = clock_us();
	dial_begin(&k->dial, &r);
	if (k->dial.fd >= 0 &&
	    loop_add(&w->loop, k->dial.fd, CHECK_EVENTS, &k->watch) < 0) {
		put_away(k);
		wait_for_next(k);
		return;
	}
	wheel_set(&w->loop.wheel, &k->timer, w->loop.now_ms + h->timeout_ms);
	look(k);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct check *k =
		(struct check *)((char *)t - offsetof(struct check, timer));
	struct worker *w = k->all->worker;

	if (k->is_trying) {
		dial_time_out(&k->dial);
		look(k);
		return;
	}
	k->due_ms = now_ms + k->health->every_ms;
	if (atomic_load(&state_of(k)->want) == BOARD_DISABLED) {
		wait_for_next(k);
	} else if (!worker_has_room(w, 1)) {
		k->due_ms = now_ms + HEALTH_ROOM_MS;
		wait_for_next(k);
	} else {
		begin(k);
	}
}

/* --- beginning and end --------------------------------------------------- */

static void add(struct health_checks *h, size_t upstream, const struct group *g)
{
	struct check *k = &h->checks[h->count];
	struct loop *l = &h->worker->loop;

	*k = (struct check){ .watch = { on_event },
			     .timer = { .fn = on_timer },
			     .all = h,
			     .health = &g->health,
			     .upstream = upstream,
			     .dial = { .fd = -1 } };
	wheel_set(&l->wheel, &k->timer,
		  l->now_ms + h->count * HEALTH_STAGGER_MS);
	h->count++;
}

int health_new(struct worker *w, struct health_checks **out)
{
	const struct config *c = w->args.config;
	struct health_checks *h =
		calloc(1, sizeof(*h) + c->upstream_count * sizeof(*h->checks));

	if (!h)
		return -ENOMEM;
	h->worker = w;
	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct group *g = board_checker(c, i);

		if (g)
			add(h, i, g);
	}
	*out = h;
	if (!h->count) {
		free(h);
		*out = NULL;
	}
	return 0;
}

static void free_checks(struct deferred *d)
{
	free((char *)d - offsetof(struct health_checks, later));
}

void health_stop(struct health_checks *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->count; i++) {
		struct check *k = &h->checks[i];

		wheel_cancel(&h->worker->loop.wheel, &k->timer);
		if (k->is_trying)
			put_away(k);
		k->is_trying = false;
	}
	loop_defer(&h->worker->loop, &h->later, free_checks);
}
