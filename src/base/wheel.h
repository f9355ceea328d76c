/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h - many timers, cheaply.
 *
 * A hierarchical timer wheel: setting, moving and cancelling cost the same
 * whatever their number, expiry costs only what expires.  Times are
 * milliseconds of a monotonic clock that the caller brings; a timer never
 * fires early and at most one tick (TICK_MS) late.  Timers are embedded in
 * what they time; the wheel owns nothing.
 */
#ifndef WL_BASE_WHEEL_H
#define WL_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WHEEL_TICK_MS = 16,
	WHEEL_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_BITS,
	WHEEL_LEVELS = 5, /* 16 ms * 2^30: half a year */
};

struct timer;
typedef void (*timer_fn)(struct timer *t, uint64_t now_ms);

struct timer { /* zeros: not set */
	struct timer *next;
	struct timer **prev; /* NULL: not in a wheel */
	uint64_t due_tick;
	timer_fn fn;
};

struct wheel {
	uint64_t tick; /* all ticks up to this one have been handled */
	uint32_t count;
	struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Set or move; t->fn must be set.  A due time in the past fires in the next
 * tick. */
void wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms);
void wheel_cancel(struct wheel *w, struct timer *t);
bool timer_is_set(const struct timer *t);
/* Call the functions of all timers due at now_ms.  They may set, move and
 * cancel any timer. */
void wheel_run(struct wheel *w, uint64_t now_ms);
/* Milliseconds until something may be due: 0.., or -1 when no timer is set.
 * May be too early (a timer far away), never too late. */
int wheel_wait_ms(const struct wheel *w, uint64_t now_ms);

#endif
