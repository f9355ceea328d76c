/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.c - a hierarchical timer wheel; see wheel.h.
 *
 * Level 0 has one slot a tick.  A slot of level n covers WHEEL_SLOTS^n ticks;
 * whenever the hand of the level below completes a turn, the next slot of the
 * level is emptied and its timers are sorted into the levels below
 * ("cascade").  A timer further away than the last level is put into that
 * level's furthest slot and sorted anew when it comes round.
 */
#include "base/wheel.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static uint64_t ticks_up(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ms / WHEEL_TICK_MS;
}

bool timer_is_set(const struct timer *t)
{
	return t->prev != NULL;
}

static void unlink_timer(struct timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

static void link_timer(struct wheel *w, struct timer *t)
{
	uint64_t due = t->due_tick > w->tick ? t->due_tick : w->tick + 1;
	uint64_t distance = due - w->tick;
	unsigned level = 0;
	struct timer **slot;

	while (level < WHEEL_LEVELS - 1 &&
	       distance >> (WHEEL_BITS * (level + 1)))
		level++;
	if (distance >> (WHEEL_BITS * WHEEL_LEVELS))
		due = w->tick + (1ull << (WHEEL_BITS * WHEEL_LEVELS)) - 1;
	slot = &w->slots[level][(due >> (WHEEL_BITS * level)) % WHEEL_SLOTS];
	t->next = *slot;
	if (t->next)
		t->next->prev = &t->next;
	*slot = t;
	t->prev = slot;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms)
{
	assert(t->fn);
	if (t->prev)
		unlink_timer(t);
	else
		w->count++;
	t->due_tick = ticks_up(due_ms);
	link_timer(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
	if (!t->prev)
		return;
	unlink_timer(t);
	w->count--;
}

/* Take a whole slot out, so that functions may link into it meanwhile. */
static struct timer *take_slot(struct wheel *w, unsigned level, unsigned i,
			       struct timer **head)
{
	*head = w->slots[level][i];
	w->slots[level][i] = NULL;
	if (*head)
		(*head)->prev = head;
	return *head;
}

static void cascade(struct wheel *w)
{
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		uint64_t turn = w->tick >> (WHEEL_BITS * level);
		struct timer *head;

		if (w->tick & ((1ull << (WHEEL_BITS * level)) - 1))
			return;
		take_slot(w, level, turn % WHEEL_SLOTS, &head);
		while (head) {
			struct timer *t = head;

			unlink_timer(t);
			/* Due in this very tick: the slot is run next. */
			if (t->due_tick <= w->tick) {
				w->tick--;
				link_timer(w, t);
				w->tick++;
			} else {
				link_timer(w, t);
			}
		}
	}
}

void wheel_run(struct wheel *w, uint64_t now_ms)
{
	uint64_t now_tick = now_ms / WHEEL_TICK_MS;

	while (w->tick < now_tick) {
		struct timer *head;

		if (!w->count) {
			w->tick = now_tick;
			return;
		}
		w->tick++;
		cascade(w);
		take_slot(w, 0, w->tick % WHEEL_SLOTS, &head);
		while (head) {
			struct timer *t = head;

			unlink_timer(t);
			w->count--;
			t->fn(t, now_ms);
		}
	}
}

/* The first filled slot of level 0, or the end of its turn if a higher level
 * holds something: a cascade is due there. */
int wheel_wait_ms(const struct wheel *w, uint64_t now_ms)
{
	uint64_t until;

	if (!w->count)
		return -1;
	for (until = w->tick + 1; until % WHEEL_SLOTS; until++)
		if (w->slots[0][until % WHEEL_SLOTS])
			break;
	until *= WHEEL_TICK_MS;
	return until > now_ms ? (int)(until - now_ms) : 0;
}
