/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_test.c - descriptors, timers and deferred ends in their order.
 */
#include "base/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What happened, one letter each: d, e descriptors; t timer; x, y deferred. */
struct story {
	struct loop loop;
	char text[64];
	int pipe[2][2];
	struct watched {
		struct watch watch;
		struct story *story;
		char letter;
		int closes; /* descriptor to close when called, or -1 */
	} watched[2];
	struct timed {
		struct timer timer;
		struct story *story;
	} timed;
	struct late {
		struct deferred deferred;
		struct story *story;
		char letter;
		unsigned again;
	} late[2];
};

static void tell(struct story *s, char letter)
{
	size_t len = strlen(s->text);

	assert_true(len + 1 < sizeof(s->text));
	s->text[len] = letter;
}

static void on_late(struct deferred *d)
{
	struct late *late = (struct late *)d;

	tell(late->story, late->letter);
	if (late->again) {
		late->again--;
		loop_defer(&late->story->loop, d, on_late);
	}
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct timed *timed = (struct timed *)t;

	assert_true(now_ms == timed->story->loop.now_ms);
	tell(timed->story, 't');
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct watched *watched = (struct watched *)w;
	int i = watched->letter - 'd';
	char byte;

	(void)events; /* only EPOLLIN was asked */
	tell(watched->story, watched->letter);
	if (read(watched->story->pipe[i][0], &byte, 1) != 1)
		assert_int_equal(errno, EBADF); /* closed by the other */
	if (watched->closes >= 0) {
		loop_del(l, watched->closes);
		close(watched->closes);
		watched->closes = -1;
		loop_defer(l, &watched->story->late[i].deferred, on_late);
	}
}

static int begin(void **state)
{
	static struct story s;

	memset(&s, 0, sizeof(s));
	if (loop_open(&s.loop))
		return -1;
	s.timed = (struct timed){ { .fn = on_timer }, &s };
	for (int i = 0; i < 2; i++) {
		s.watched[i] = (struct watched){
			{ on_event }, &s, (char)('d' + i), -1
		};
		s.late[i] =
			(struct late){ .story = &s, .letter = (char)('x' + i) };
		if (pipe(s.pipe[i]) || loop_add(&s.loop, s.pipe[i][0], EPOLLIN,
						&s.watched[i].watch))
			return -1;
	}
	*state = &s;
	return 0;
}

static int end(void **state)
{
	struct story *s = *state;

	for (int i = 0; i < 4; i++)
		(void)close(s->pipe[i / 2][i % 2]); /* may be closed */
	loop_close(&s->loop);
	loop_close(&s->loop);
	return 0;
}

static void poke(const struct story *s, int i)
{
	assert_int_equal(write(s->pipe[i][1], "!", 1), 1);
}

/* After a pause the socket is read before the timer gives up on it. */
static void test_order(void **state)
{
	struct story *s = *state;

	loop_defer(&s->loop, &s->late[0].deferred, on_late);
	wheel_init(&s->loop.wheel, s->loop.now_ms - 1000);
	wheel_set(&s->loop.wheel, &s->timed.timer, s->loop.now_ms - 500);
	poke(s, 0);
	loop_turn(&s->loop);
	assert_string_equal(s->text, "dtx");
}

static void test_timer_ends_the_wait(void **state)
{
	struct story *s = *state;
	uint64_t due_ms = clock_ms() + 20;

	wheel_set(&s->loop.wheel, &s->timed.timer, due_ms);
	while (!*s->text)
		loop_turn(&s->loop);
	assert_string_equal(s->text, "t");
	assert_true(s->loop.now_ms >= due_ms);
}

/* What defers itself again waits for the next batch: descriptors are looked
 * at in between, and the batch does not wait. */
static void test_defer_again(void **state)
{
	struct story *s = *state;

	s->late[0].again = 3;
	loop_defer(&s->loop, &s->late[0].deferred, on_late);
	for (int i = 0; i < 3; i++) {
		poke(s, 0);
		loop_turn(&s->loop);
	}
	loop_turn(&s->loop);
	assert_string_equal(s->text, "dxdxdxx");
	assert_null(s->loop.deferred);
}

static void test_defer_from_defer(void **state)
{
	struct story *s = *state;

	s->late[0].again = 1;
	s->late[1].again = 1;
	loop_defer(&s->loop, &s->late[0].deferred, on_late);
	loop_defer(&s->loop, &s->late[1].deferred, on_late);
	loop_turn(&s->loop);
	assert_int_equal(strlen(s->text), 2);
	loop_turn(&s->loop);
	assert_int_equal(strlen(s->text), 4);
	assert_null(s->loop.deferred);
}

/* Each handler closes the other's descriptor: the second is still called, and
 * the deferred ends come after both. */
static void test_close_in_batch(void **state)
{
	struct story *s = *state;

	s->watched[0].closes = s->pipe[1][0];
	s->watched[1].closes = s->pipe[0][0];
	poke(s, 0);
	poke(s, 1);
	loop_turn(&s->loop);
	assert_int_equal(strlen(s->text), 4);
	assert_int_equal(strspn(s->text, "de"), 2);
	assert_int_equal(strspn(s->text + 2, "xy"), 2);
}

static void test_modify_and_delete(void **state)
{
	struct story *s = *state;

	assert_int_equal(
		loop_mod(&s->loop, s->pipe[0][0], 0, &s->watched[0].watch), 0);
	loop_del(&s->loop, s->pipe[1][0]);
	loop_del(&s->loop, s->pipe[1][0]); /* twice is no harm */
	poke(s, 0);
	poke(s, 1);
	loop_defer(&s->loop, &s->late[0].deferred, on_late);
	loop_turn(&s->loop);
	assert_string_equal(s->text, "x");
	assert_int_equal(loop_mod(&s->loop, s->pipe[0][0], EPOLLIN,
				  &s->watched[0].watch),
			 0);
	loop_turn(&s->loop);
	assert_string_equal(s->text, "xd");
	assert_int_equal(loop_add(&s->loop, s->pipe[0][0], EPOLLIN,
				  &s->watched[0].watch),
			 -EEXIST);
	assert_int_equal(loop_add(&s->loop, -1, EPOLLIN, &s->watched[0].watch),
			 -EBADF);
}

static void stop(struct deferred *d)
{
	loop_stop(&((struct late *)d)->story->loop);
}

static void test_run_until_stopped(void **state)
{
	struct story *s = *state;

	poke(s, 0);
	loop_defer(&s->loop, &s->late[0].deferred, stop);
	loop_run(&s->loop);
	assert_string_equal(s->text, "d");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, begin, end),
		cmocka_unit_test_setup_teardown(test_timer_ends_the_wait, begin,
						end),
		cmocka_unit_test_setup_teardown(test_defer_again, begin, end),
		cmocka_unit_test_setup_teardown(test_defer_from_defer, begin,
						end),
		cmocka_unit_test_setup_teardown(test_close_in_batch, begin,
						end),
		cmocka_unit_test_setup_teardown(test_modify_and_delete, begin,
						end),
		cmocka_unit_test_setup_teardown(test_run_until_stopped, begin,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
