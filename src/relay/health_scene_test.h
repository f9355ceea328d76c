/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_scene_test.h - a worker with checks, whose dials go as told.
 *
 * The dials and what is used of the worker are defined here; time is a number.
 * A dial has an eventfd, so that the check's watch is found by epoll as it
 * would be.  Two members: "fra" is SOCKS5, "ams" CONNECT.
 */
#ifndef WL_RELAY_HEALTH_SCENE_TEST_H
#define WL_RELAY_HEALTH_SCENE_TEST_H

#include "relay/dial.h"
#include "relay/health.h"
#include "relay/upstreams_test.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum {
	BEGIN_MS = 1 << 20, /* a multiple of the wheel's ticks */
	EVERY_MS = 10000,
	TIMEOUT_MS = 3000,
	STEP_MS = WHEEL_TICK_MS,
};

/* What becomes of a dial when its descriptor says something. */
enum fate {
	OPENS,
	REFUSES,       /* the server, REP 5 */
	WRONG_USER,    /* the proxy */
	STAYS_SILENT,  /* after it was connected to */
	IS_NOT_THERE,  /* never connects */
	FAILS_AT_ONCE, /* in dial_begin() */
	FAILS_HERE,    /* for a reason of our own */
	DEAF,	       /* opens, but is silent to all words at once */
	TOUCHY,	       /* the same, closes instead */
};

/* One scene at a time; the dials below are found by it. */
static struct scene {
	struct world w;
	struct worker worker;
	struct health_checks *checks;
	size_t fra, ams, group;
	enum fate fates[WORLD_MAX];
	unsigned dials[WORLD_MAX];   /* begun, by upstream */
	uint64_t last_ms[WORLD_MAX]; /* the last of them */
	bool is_pipelined[WORLD_MAX];
	struct dial_request last;
	int fds, open_fds;
	unsigned notices;
	bool has_no_room;
} now;

/* --- the worker ---------------------------------------------------------- */

void worker_use_fds(struct worker *w, int change)
{
	assert_ptr_equal(w, &now.worker);
	now.fds += change;
	assert_true(now.fds >= 0);
}

bool worker_has_room(const struct worker *w, uint32_t fds)
{
	(void)w;
	(void)fds;
	return !now.has_no_room;
}

void worker_notice(struct worker *w)
{
	(void)w;
	now.notices++;
}

/* --- the dials ----------------------------------------------------------- */

static inline void fail_dial(struct dial *d, enum flow_end why, unsigned reply)
{
	if (d->fd >= 0) {
		close(d->fd);
		now.open_fds--;
	}
	d->fd = -1;
	d->state = DIAL_FAILED;
	d->end = (uint8_t)why;
	d->reply = (uint16_t)reply;
}

static inline bool bears_all_words(size_t upstream)
{
	uint8_t known = now.worker.args.board->upstreams[upstream].pipeline;

	switch (now.w.upstreams[upstream].pipeline) {
	case PIPELINE_OFF:
		return false;
	case PIPELINE_ON:
		return true;
	case PIPELINE_AUTO:
		break;
	}
	return known != BOARD_PIPELINE_NO;
}

void dial_begin(struct dial *d, const struct dial_request *r)
{
	*d = (struct dial){ .fd = -1, .state = DIAL_CONNECTING };
	now.last = *r;
	now.dials[r->upstream]++;
	now.last_ms[r->upstream] = now.worker.loop.now_ms;
	d->is_pipelined = bears_all_words(r->upstream);
	now.is_pipelined[r->upstream] = d->is_pipelined;
	d->bound.port = (uint16_t)r->upstream; /* to find its fate */
	if (now.fates[r->upstream] == FAILS_AT_ONCE) {
		fail_dial(d, END_UPSTREAM_UNREACHABLE, 0);
		return;
	}
	d->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(d->fd >= 0);
	now.open_fds++;
}

enum dial_state dial_on_event(struct dial *d, uint32_t events)
{
	assert_true(events & EPOLLIN);
	assert_int_equal(d->state, DIAL_CONNECTING);
	switch (now.fates[d->bound.port]) {
	case OPENS:
		d->state = DIAL_DONE;
		break;
	case REFUSES:
		fail_dial(d, END_SERVER_REFUSED, 5);
		break;
	case WRONG_USER:
		fail_dial(d, END_UPSTREAM_AUTH, 0);
		break;
	case STAYS_SILENT:
		d->state = DIAL_TALKING;
		break;
	case DEAF:
		d->state = d->is_pipelined ? DIAL_TALKING : DIAL_DONE;
		break;
	case TOUCHY:
		d->state = DIAL_DONE;
		if (d->is_pipelined)
			fail_dial(d, END_UPSTREAM_PROTOCOL, 0);
		break;
	case FAILS_HERE:
		fail_dial(d, END_ERROR, 0);
		break;
	case IS_NOT_THERE:
	case FAILS_AT_ONCE:
		break;
	}
	return (enum dial_state)d->state;
}

void dial_time_out(struct dial *d)
{
	fail_dial(d, END_UPSTREAM_TIMEOUT, 0);
}

void dial_end(struct dial *d)
{
	if (d->fd >= 0)
		fail_dial(d, END_NONE, 0);
	d->state = DIAL_IDLE;
}

/* --- the scene ----------------------------------------------------------- */

static inline void scene_begin(enum fate fra, enum fate ams)
{
	struct worker_args *args = &now.worker.args;
	struct health *h;

	memset(&now, 0, sizeof(now));
	world_init(&now.w);
	now.fra = world_add(&now.w, "fra", UPSTREAM_SOCKS5, "192.0.2.1:1080");
	now.ams = world_add(&now.w, "ams", UPSTREAM_HTTP_CONNECT,
			    "192.0.2.2:3128");
	now.group = world_group(&now.w, "g", BALANCE_FIRST);
	world_join(&now.w, now.group, now.fra);
	world_join(&now.w, now.group, now.ams);
	h = world_check(&now.w, now.group, 2, 3);
	h->every_ms = EVERY_MS;
	h->timeout_ms = TIMEOUT_MS;
	now.fates[now.fra] = fra;
	now.fates[now.ams] = ams;
	args->config = &now.w.config;
	args->board = board_new(args->config, NULL, NULL);
	assert_non_null(args->board);
	assert_int_equal(loop_open(&now.worker.loop), 0);
	now.worker.loop.now_ms = BEGIN_MS;
	wheel_init(&now.worker.loop.wheel, BEGIN_MS);
	assert_int_equal(health_new(&now.worker, &now.checks), 0);
}

/* What is left open by a check is found here. */
static inline void scene_end(void)
{
	struct loop *l = &now.worker.loop;
	struct epoll_event event;

	health_stop(now.checks);
	for (struct deferred *d = l->deferred, *next; d; d = next) {
		next = d->next;
		d->fn(d);
	}
	assert_int_equal(now.fds, 0);
	assert_int_equal(now.open_fds, 0);
	assert_int_equal(l->wheel.count, 0);
	assert_int_equal(epoll_wait(l->epoll_fd, &event, 1, 0), 0);
	loop_close(l);
	board_free(now.worker.args.board);
}

static inline void handle_events(void)
{
	struct loop *l = &now.worker.loop;
	struct epoll_event event;

	while (epoll_wait(l->epoll_fd, &event, 1, 0) == 1) {
		struct watch *w = event.data.ptr;

		w->fn(l, w, event.events);
	}
}

static inline void pass_ms(uint64_t ms)
{
	struct loop *l = &now.worker.loop;

	for (uint64_t end_ms = l->now_ms + ms; l->now_ms < end_ms;) {
		l->now_ms += STEP_MS;
		wheel_run(&l->wheel, l->now_ms);
		handle_events();
	}
}

static inline struct board_upstream *fra(void)
{
	return &now.worker.args.board->upstreams[now.fra];
}

static inline struct board_upstream *ams(void)
{
	return &now.worker.args.board->upstreams[now.ams];
}

#endif
