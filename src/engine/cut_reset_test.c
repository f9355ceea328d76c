/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_reset_test.c - flows without a socket are ended: both ends hear it.
 */
#include "engine/cut.h"

#include "engine/cut_joined_test.h"

/* --- what ends hear ------------------------------------------------------ */

static void note_error(struct joined *j, int i, int error)
{
	if (error && error != EAGAIN && !j->heard[i])
		j->heard[i] = error;
}

/* Has it ended?  Then by RST. */
static bool has_ended(struct joined *j, int i, int timeout_ms)
{
	struct pollfd p = { .fd = j->fd[i], .events = 0 };
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, timeout_ms) == 0)
		return false;
	assert_true(p.revents & POLLHUP);
	assert_int_equal(
		getsockopt(j->fd[i], SOL_SOCKET, SO_ERROR, &error, &len), 0);
	note_error(j, i, error);
	assert_int_equal(j->heard[i], ECONNRESET);
	return true;
}

static void expect_reset(struct joined *j)
{
	for (int i = 0; i < ENDS; i++)
		assert_true(has_ended(j, i, WAIT_MS));
}

static void expect_alive(struct joined *j)
{
	for (int i = 0; i < ENDS; i++)
		assert_false(has_ended(j, i, 0));
}

static void expect_no_entries(const struct joined *j)
{
	struct wl_cut value;

	for (int i = 0; i < ENDS; i++)
		assert_int_equal(cut_table_get(j->table, &j->key[i], &value),
				 -ENOENT);
}

/* --- bytes --------------------------------------------------------------- */

static void say_unread(struct joined *j, int from, const char *text)
{
	struct pollfd p = { .fd = j->fd[!from], .events = POLLIN };
	size_t len = strlen(text);

	assert_int_equal(write(j->fd[from], text, len), len);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static void say(struct joined *j, int from, const char *text)
{
	char heard[64] = "";
	size_t len = strlen(text);

	say_unread(j, from, text);
	assert_int_equal(read(j->fd[!from], heard, sizeof(heard)), len);
	assert_string_equal(heard, text);
}

static void pump(struct joined *j, int from)
{
	static char bytes[65536];

	/* as much as goes */
	if (send(j->fd[from], bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
		note_error(j, from, errno);
	errno = 0;
	while (read(j->fd[!from], bytes, sizeof(bytes)) > 0)
		;
	note_error(j, !from, errno);
}

/* --- ending one ---------------------------------------------------------- */

/* Until it is over, doing something in between. */
static void end_flow(struct joined *j, int leg,
		     void (*meanwhile)(struct joined *j))
{
	int left;

	while ((left = cut_end_flow(j->table, j->raw_fd, &j->key[leg])) == 1) {
		struct pollfd ends[ENDS] = { { .fd = j->fd[0] },
					     { .fd = j->fd[1] } };

		(void)poll(ends, ENDS, CUT_END_AGAIN_MS);
		if (meanwhile)
			meanwhile(j);
	}
	assert_int_equal(left, 0);
	expect_no_entries(j);
}

typedef void (*joined_fn)(struct joined *j, int leg);

/* Whose entry is named is all the same. */
static void with_kind(size_t i, uint32_t quiet_s, enum wl_cut_state state,
		      joined_fn fn)
{
	struct joined j;

	print_message("%s\n", kinds[i].name);
	begin_joined(&j, &kinds[i], quiet_s, state);
	fn(&j, i % ENDS);
	end_joined(&j);
}

static void with_each(uint32_t quiet_s, enum wl_cut_state state, joined_fn fn)
{
	for (size_t i = 0; i < KINDS; i++)
		with_kind(i, quiet_s, state, fn);
}

/* A call is enough, since nothing can be on its way. */
static void end_quiet(struct joined *j, int leg)
{
	assert_int_equal(cut_end_flow(j->table, j->raw_fd, &j->key[leg]), 0);
	expect_no_entries(j);
	expect_reset(j);
	assert_int_equal(cut_end_flow(j->table, j->raw_fd, &j->key[leg]),
			 -ENOENT);
}

static void end_quiet_by_the_other(struct joined *j, int leg)
{
	end_quiet(j, !leg);
}

static void a_quiet_flow_is_ended_at_once(void **state)
{
	(void)state; /* unused */
	with_each(10, WL_CUT_ON, end_quiet);
	with_each(10, WL_CUT_ON, end_quiet_by_the_other);
}

static void end_after_talk(struct joined *j, int leg)
{
	say(j, 0, "hello");
	say(j, 1, "hello, who is there?");
	say(j, 0, "the client");
	expect_alive(j);
	stop_forwarding();
	end_flow(j, leg, NULL);
	expect_reset(j);
}

static void a_flow_that_has_just_spoken_is_ended(void **state)
{
	(void)state; /* unused */
	with_each(0, WL_CUT_ON, end_after_talk);
}

/* An end that is in no hurry to acknowledge: the first RST is not exact. */
static void end_unacknowledged(struct joined *j, int to)
{
	say(j, !to, "hello");
	say(j, to, "hello");
	set_tcp(j->fd[to], TCP_QUICKACK, 0);
	say_unread(j, !to, "x");
	stop_forwarding();
	assert_int_equal(cut_end_flow(j->table, j->raw_fd, &j->key[0]), 1);
	end_flow(j, 0, NULL);
	expect_reset(j);
}

static void what_is_not_acknowledged_yet_is_asked_for(void **state)
{
	(void)state; /* unused */
	with_each(0, WL_CUT_ON, end_unacknowledged);
}

static void pump_up(struct joined *j)
{
	pump(j, 0);
}

static void pump_down(struct joined *j)
{
	pump(j, 1);
}

static void pump_both(struct joined *j)
{
	pump(j, 0);
	pump(j, 1);
}

static void end_under_load(struct joined *j, int leg,
			   void (*load)(struct joined *j))
{
	for (int i = 0; i < 50; i++)
		load(j);
	expect_alive(j);
	stop_forwarding();
	end_flow(j, leg, load);
	expect_reset(j);
}

static void end_under_load_up(struct joined *j, int leg)
{
	end_under_load(j, leg, pump_up);
}

static void end_under_load_down(struct joined *j, int leg)
{
	end_under_load(j, leg, pump_down);
}

static void end_under_load_both(struct joined *j, int leg)
{
	end_under_load(j, leg, pump_both);
}

static void a_flow_under_load_is_ended(void **state)
{
	(void)state; /* unused */
	with_kind(0, 0, WL_CUT_ON, end_under_load_up);
	with_kind(3, 0, WL_CUT_ON, end_under_load_up);
	with_kind(1, 0, WL_CUT_ON, end_under_load_down);
	with_kind(2, 0, WL_CUT_ON, end_under_load_down);
	with_each(0, WL_CUT_ON, end_under_load_both);
}

/* Its sockets are somebody's, who ends them. */
static void end_watched(struct joined *j, int leg)
{
	assert_int_equal(cut_end_flow(j->table, j->raw_fd, &j->key[leg]), 0);
	expect_no_entries(j);
	expect_alive(j);
}

static void a_flow_that_is_only_watched_is_forgotten(void **state)
{
	(void)state; /* unused */
	with_each(10, WL_CUT_WATCH, end_watched);
}

/* --- ending all ---------------------------------------------------------- */

static void all_are_ended_and_counted(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < KINDS; i++) {
		struct err e = { .code = 0 };
		uint32_t count = 99;
		struct joined j;

		begin_joined(&j, &kinds[i], 10, WL_CUT_ON);
		if (cut_end_all(j.table, OWN_MARK, &count, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(count, 1);
		expect_no_entries(&j);
		expect_reset(&j);
		end_joined(&j);
	}
}

/* As after the death of a daemon: nobody has anything but the pins. */
static void what_is_pinned_is_ended_and_removed(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < KINDS; i += 3) {
		struct err e = { .code = 0 };
		uint32_t count = 99;
		struct joined j;

		begin_joined(&j, &kinds[i], 0, WL_CUT_ON);
		cut_close(j.cut);
		j.cut = NULL;
		say(&j, 0, "goes on without a daemon");
		if (cut_remove(OWN_MARK, &count, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(count, 1);
		expect_reset(&j);
		expect_none("c0");
		assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
		end_joined(&j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_flow_is_ended_at_once),
		cmocka_unit_test(a_flow_that_has_just_spoken_is_ended),
		cmocka_unit_test(what_is_not_acknowledged_yet_is_asked_for),
		cmocka_unit_test(a_flow_under_load_is_ended),
		cmocka_unit_test(a_flow_that_is_only_watched_is_forgotten),
		cmocka_unit_test(all_are_ended_and_counted),
		cmocka_unit_test(what_is_pinned_is_ended_and_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
