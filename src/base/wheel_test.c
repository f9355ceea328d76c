/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel_test.c - the timer wheel against a list that is searched.
 *
 * The model says for each timer in which tick it has to fire: the first that
 * begins at or after its due time, and never the tick of the hand or one
 * before.  That is both promises, never early and at most one tick late.
 */
#include "base/wheel.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { TIMERS = 60, STEPS = 4000, START_MS = 123456789 };

struct model {
	struct wheel wheel;
	struct rnd rnd;
	bool acts; /* timers change timers when they fire */
	unsigned fired;
	struct one {
		struct timer timer;
		struct model *model;
		uint64_t due_ms, due_tick;
		bool is_set;
	} timers[TIMERS];
};

static void set(struct one *o, uint64_t due_ms)
{
	struct wheel *w = &o->model->wheel;
	uint64_t tick = (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

	wheel_set(w, &o->timer, due_ms);
	o->due_ms = due_ms;
	o->due_tick = tick > w->tick ? tick : w->tick + 1;
	o->is_set = true;
}

static void cancel(struct one *o)
{
	wheel_cancel(&o->model->wheel, &o->timer);
	o->is_set = false;
}

/* Near, on both sides of each level's end, far, and in the past. */
static uint64_t draw_due(struct rnd *r, uint64_t now_ms)
{
	unsigned level = rnd_draw(r, WHEEL_LEVELS);
	uint64_t edge_ms = (uint64_t)WHEEL_TICK_MS << WHEEL_BITS * level;

	switch (rnd_draw(r, 4)) {
	case 0:
		return now_ms - rnd_draw(r, 1000);
	case 1:
		return now_ms + rnd_draw(r, 200);
	case 2:
		return now_ms + edge_ms - 40 + rnd_draw(r, 80);
	}
	return now_ms + rnd_draw(r, 1u << rnd_draw(r, 31));
}

static void act(struct model *m, uint64_t now_ms)
{
	struct one *o = &m->timers[rnd_draw(&m->rnd, TIMERS)];

	if (rnd_draw(&m->rnd, 3))
		set(o, draw_due(&m->rnd, now_ms));
	else
		cancel(o);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct one *o = (struct one *)((char *)t - offsetof(struct one, timer));
	struct model *m = o->model;

	assert_true(o->is_set);
	assert_false(timer_is_set(t));
	assert_int_equal(o->due_tick, m->wheel.tick);
	assert_true(now_ms >= o->due_ms);
	o->is_set = false;
	m->fired++;
	for (unsigned i = m->acts ? rnd_draw(&m->rnd, 3) : 0; i; i--)
		act(m, now_ms);
}

static void begin(struct model *m, bool acts)
{
	memset(m, 0, sizeof(*m));
	rnd_begin(&m->rnd);
	m->acts = acts;
	wheel_init(&m->wheel, START_MS);
	for (unsigned i = 0; i < TIMERS; i++) {
		m->timers[i].timer.fn = on_timer;
		m->timers[i].model = m;
	}
}

/* What is set agrees, nothing is overdue; the earliest tick or 0. */
static uint64_t compare(const struct model *m, uint64_t now_ms)
{
	uint64_t first = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		const struct one *o = &m->timers[i];

		assert_int_equal(timer_is_set(&o->timer), o->is_set);
		if (!o->is_set)
			continue;
		count++;
		assert_true(o->due_tick > now_ms / WHEEL_TICK_MS);
		if (!first || o->due_tick < first)
			first = o->due_tick;
	}
	assert_int_equal(m->wheel.count, count);
	return first;
}

static void expect_wait(const struct model *m, uint64_t now_ms, uint64_t first)
{
	int wait_ms = wheel_wait_ms(&m->wheel, now_ms);

	if (!first) {
		assert_int_equal(wait_ms, -1);
		return;
	}
	assert_true(wait_ms > 0); /* nothing is due: no busy loop */
	assert_true(now_ms + (unsigned)wait_ms <= first * WHEEL_TICK_MS);
}

static void run_random(bool acts)
{
	static struct model m;
	uint64_t now_ms = START_MS, first;

	begin(&m, acts);
	for (unsigned step = 0; step < STEPS; step++) {
		act(&m, now_ms);
		now_ms += rnd_draw(&m.rnd, 1u << rnd_draw(&m.rnd, 21));
		wheel_run(&m.wheel, now_ms);
		first = compare(&m, now_ms);
		expect_wait(&m, now_ms, first);
	}
	assert_true(m.fired > STEPS / 10);
}

static void test_random(void **state)
{
	(void)state; /* unused */
	run_random(false);
}

static void test_random_in_functions(void **state)
{
	(void)state; /* unused */
	run_random(true);
}

/* A loop that sleeps as it is told meets every timer in its own tick. */
static void test_sleeping_as_told(void **state)
{
	static struct model m;
	uint64_t now_ms = START_MS;
	unsigned turns = 0;

	(void)state; /* unused */
	begin(&m, false);
	for (unsigned i = 0; i < TIMERS; i++)
		set(&m.timers[i], now_ms + rnd_draw(&m.rnd, 5000000));
	while (m.wheel.count) {
		now_ms += (unsigned)wheel_wait_ms(&m.wheel, now_ms);
		wheel_run(&m.wheel, now_ms);
		(void)compare(&m, now_ms);
		turns++;
	}
	assert_int_equal(m.fired, TIMERS);
	/* once a timer and once a turn of the first hand */
	assert_true(turns < 2 * TIMERS + 5000000 / 1024 + 2);
}

/* With one timer only, the hand can be put where it would come round. */
static void test_beyond_the_last_level(void **state)
{
	enum { TOP = WHEEL_BITS * (WHEEL_LEVELS - 1) };
	static struct model m;
	uint64_t due_tick = ((uint64_t)WHEEL_SLOTS << TOP) + 100;

	(void)state; /* unused */
	begin(&m, false);
	wheel_init(&m.wheel, 0);
	set(&m.timers[0], due_tick * WHEEL_TICK_MS);
	for (uint64_t turn = WHEEL_SLOTS - 1; turn <= WHEEL_SLOTS; turn++) {
		m.wheel.tick = (turn << TOP) - 1;
		wheel_run(&m.wheel, (turn << TOP) * WHEEL_TICK_MS);
		assert_int_equal(m.fired, 0);
		assert_true(timer_is_set(&m.timers[0].timer));
	}
	wheel_run(&m.wheel, due_tick * WHEEL_TICK_MS - 1);
	assert_int_equal(m.fired, 0);
	wheel_run(&m.wheel, due_tick * WHEEL_TICK_MS);
	assert_int_equal(m.fired, 1);
}

static void test_nothing_set(void **state)
{
	static struct model m;

	(void)state; /* unused */
	begin(&m, false);
	assert_int_equal(wheel_wait_ms(&m.wheel, START_MS), -1);
	wheel_cancel(&m.wheel, &m.timers[0].timer);
	assert_int_equal(m.wheel.count, 0);
	wheel_run(&m.wheel, (uint64_t)START_MS << 20); /* at once */
	set(&m.timers[0], ((uint64_t)START_MS << 20) + 1);
	wheel_run(&m.wheel, ((uint64_t)START_MS << 20) + WHEEL_TICK_MS);
	assert_int_equal(m.fired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_in_functions),
		cmocka_unit_test(test_sleeping_as_told),
		cmocka_unit_test(test_beyond_the_last_level),
		cmocka_unit_test(test_nothing_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
