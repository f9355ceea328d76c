/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_watch_test.c - every way in which a file becomes another one.
 *
 * Each change is an event in a directory that is watched.  It is waited for by
 * turning the loop; "nothing is told" means that the watch has seen it and has
 * no look planned any more.
 */
#include "daemon/list_watch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct loop loop;
	struct file_watch watch;
	char dir[64];
	int told;
	bool begins_anew; /* from within the call */
};

static struct world world;

/* --- the world ----------------------------------------------------------- */

static void sh(const char *script)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "cd '%s' && { %s; }", world.dir,
		       script);
	if (system(line))
		fail_msg("failed: %s", script);
}

/* Later than every change so far: the clock of files is a coarse one. */
static void later(struct timespec *out)
{
	struct timespec first;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &first);
	do
		(void)clock_gettime(CLOCK_REALTIME_COARSE, out);
	while (out->tv_nsec == first.tv_nsec && out->tv_sec == first.tv_sec);
}

static void watch_both(const struct timespec *since)
{
	char a[128], link[128];
	const char *paths[] = { a, link };
	struct file_watch_set s = { .paths = paths, .count = 2 };

	(void)snprintf(a, sizeof(a), "%s/a", world.dir);
	(void)snprintf(link, sizeof(link), "%s/link", world.dir);
	s.since = *since;
	file_watch_begin(&world.watch, &s);
}

static void on_change(void *ctx)
{
	struct world *w = ctx;
	struct timespec now;

	w->told++;
	if (!w->begins_anew)
		return;
	later(&now);
	watch_both(&now);
}

static int begin(void **state)
{
	struct timespec since;

	(void)state;
	world = (struct world){ .dir = "/tmp/waylay-watch-XXXXXX" };
	if (!mkdtemp(world.dir) || loop_open(&world.loop))
		return -1;
	file_watch_init(&world.watch, &world.loop, on_change, &world);
	sh("echo one >a; mkdir real other; echo x >real/b; echo y >other/b;"
	   "ln -s real now; ln -s now/b link");
	later(&since);
	watch_both(&since);
	return 0;
}

static int end(void **state)
{
	(void)state;
	file_watch_close(&world.watch);
	file_watch_close(&world.watch);
	loop_close(&world.loop);
	sh("rm -rf \"$PWD\"");
	return 0;
}

static void on_guard(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	fail_msg("no event came");
}

/* What happened is in the queue of inotify already: one turn takes it.  Then
 * until no look is planned any more. */
static void settle(void)
{
	struct timer guard = { .fn = on_guard };

	wheel_set(&world.loop.wheel, &guard, clock_ms() + 10000);
	do
		loop_turn(&world.loop);
	while (timer_is_set(&world.watch.timer));
	wheel_cancel(&world.loop.wheel, &guard);
}

/* --- changes ------------------------------------------------------------- */

static const struct {
	const char *what, *script;
	int told;
} changes[] = {
	{ "written anew", "echo two >a", 1 },
	{ "written anew, of the same length", "echo two >a", 1 },
	{ "one renamed over it", "echo 3 >.new; mv .new a", 1 },
	{ "appended to", "echo more >>a", 1 },
	{ "removed", "rm a", 1 },
	{ "made again", "echo four >a", 1 },
	{ "removed and made again at once", "rm a; echo four >a", 1 },
	{ "the file behind a link is written", "echo z >real/b", 1 },
	{ "a link on the way leads elsewhere",
	  "ln -s other .now; mv -T .now now", 1 },
	{ "the file behind it now is written", "echo q >other/b", 1 },
	{ "the file behind it before is written", "echo q >real/b", 0 },
	{ "something else in the directory", "echo q >c", 0 },
	{ "something else is removed", "rm c", 0 },
	{ "opened and closed", ": >>a", 0 },
};

static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		world.told = 0;
		sh(changes[i].script);
		settle();
		if (world.told != changes[i].told)
			fail_msg("%s: told %d times", changes[i].what,
				 world.told);
	}
}

/* --- moments ------------------------------------------------------------- */

/* Between the reading of a file and the beginning of the watch. */
static void test_changed_before_it_begins(void **state)
{
	struct timespec since;

	(void)state;
	later(&since);
	watch_both(&since);
	assert_false(timer_is_set(&world.watch.timer));
	sh("echo five >a");
	watch_both(&since);
	assert_true(timer_is_set(&world.watch.timer));
	settle();
	assert_int_equal(world.told, 1);
}

/* What a reload does: it begins a watch from within the call. */
static void test_begun_anew_by_the_call(void **state)
{
	(void)state;
	world.begins_anew = true;
	for (int told = 1; told < 4; told++) {
		sh("echo $$ >a");
		settle();
		assert_int_equal(world.told, told);
	}
}

static void test_directory_goes_and_comes(void **state)
{
	(void)state;
	sh("rm -r real");
	loop_turn(&world.loop);
	/* a look every few seconds from now on; not waited for here */
	for (int looks = 0; looks < 2; looks++)
		world.watch.timer.fn(&world.watch.timer, clock_ms());
	assert_int_equal(world.told, 1);
	sh("mkdir real; echo z >real/b");
	world.watch.timer.fn(&world.watch.timer, clock_ms());
	settle();
	assert_int_equal(world.told, 2);
	sh("echo again >real/b"); /* seen by an event again */
	settle();
	assert_int_equal(world.told, 3);
}

/* --- lists --------------------------------------------------------------- */

/* Only the files of lists that say `reload on-change`. */
static void test_lists(void **state)
{
	struct list_file files[2][2] = {
		{ { .path = "/nowhere/1" }, { .path = "/nowhere/2" } },
		{ { .path = "/nowhere/3" }, { .path = "/nowhere/4" } }
	};
	struct list lists[] = {
		{ .files = files[0], .file_count = 2 },
		{ .files = files[1], .file_count = 2, .is_reloaded = true },
		{ .is_reloaded = true },
	};
	struct config c = { .lists = lists, .list_count = 3 };
	struct timespec since = { 0 };

	(void)state;
	assert_int_equal(list_watch_begin(&world.watch, &c, &since), 0);
	assert_int_equal(world.watch.count, 2);
	assert_string_equal(world.watch.files[0].path, "/nowhere/3");
	assert_string_equal(world.watch.files[1].path, "/nowhere/4");
	lists[1].is_reloaded = false;
	assert_int_equal(list_watch_begin(&world.watch, &c, &since), 0);
	assert_int_equal(world.watch.fd, -1);
	assert_int_equal(list_watch_begin(&world.watch, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, begin, end),
		cmocka_unit_test_setup_teardown(test_changed_before_it_begins,
						begin, end),
		cmocka_unit_test_setup_teardown(test_begun_anew_by_the_call,
						begin, end),
		cmocka_unit_test_setup_teardown(test_directory_goes_and_comes,
						begin, end),
		cmocka_unit_test_setup_teardown(test_lists, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
