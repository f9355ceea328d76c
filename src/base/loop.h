/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one event loop: descriptors, timers, deferred ends.
 *
 * A thin face over epoll.  One loop belongs to one process and one thread.
 * Handlers are short and never block.
 *
 * Lifetime: what owns a watch may be closed by any handler, also by one that
 * runs earlier in the same batch, so memory must not be reused before the
 * batch ends: hand it to loop_defer().  A handler can still be called once
 * for a descriptor closed earlier in the batch and must look at its own state
 * first.
 */
#ifndef WL_BASE_LOOP_H
#define WL_BASE_LOOP_H

#include "base/wheel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct watch;
typedef void (*watch_fn)(struct loop *l, struct watch *w, uint32_t events);

struct watch { /* embedded in what is watched */
	watch_fn fn;
};

struct deferred; /* embedded in what is freed late */
typedef void (*deferred_fn)(struct deferred *d);
struct deferred {
	struct deferred *next;
	deferred_fn fn;
};

struct loop {
	int epoll_fd;
	bool is_stopped;
	uint64_t now_ms; /* CLOCK_MONOTONIC, read once a batch */
	struct wheel wheel;
	struct deferred *deferred;
};

int loop_open(struct loop *l); /* 0 or -errno */
void loop_close(struct loop *l);

/* events: EPOLL* bits, EPOLLET included if wanted.  The loop keeps w until
 * loop_del() or the last close of fd.  0 or -errno. */
int loop_add(struct loop *l, int fd, uint32_t events, struct watch *w);
int loop_mod(struct loop *l, int fd, uint32_t events, struct watch *w);
void loop_del(struct loop *l, int fd);

/* Call fn(d) at the end of this batch, or, from within such a call, at the
 * end of the next one (which then does not wait).  d is not deferred twice. */
void loop_defer(struct loop *l, struct deferred *d, deferred_fn fn);

/* One batch: wait for events or the next timer, run handlers, then timers,
 * then deferred ends.  Descriptors come first so that after a long pause of
 * the host sockets are read before timers give up on them. */
void loop_turn(struct loop *l);
/* Turns until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

uint64_t clock_ms(void); /* CLOCK_MONOTONIC now */
uint64_t clock_us(void); /* the same */

#endif
