/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complaints_test.c - what is said, how often, and about how many.
 */
#include "daemon/complaints.h"

#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* What was written to standard error meanwhile. */
static char said[8192];

static void look(struct complaints *c, const uint64_t *counters,
		 uint64_t now_ms)
{
	int old = dup(STDERR_FILENO), fd = memfd_create("log", MFD_CLOEXEC);
	ssize_t n;

	assert_true(old >= 0 && fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	complaints_look(c, counters, now_ms);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	n = pread(fd, said, sizeof(said) - 1, 0);
	assert_true(n >= 0);
	said[n] = '\0';
	close(fd);
}

static int count_lines(void)
{
	int lines = 0;

	for (const char *at = said; *at; at++)
		lines += *at == '\n';
	return lines;
}

/* clang-format off */
static const struct {
	const char *what;
	uint64_t now_ms, count;
	const char *said; /* NULL: nothing */
} rows[] = {
	{ "nothing has happened", 50, 0, NULL },
	{ "the first ones are told of at once", 1000, 3, " 3 flows that" },
	{ "no more of them", 2000, 3, NULL },
	{ "more, but too soon", 3000, 5, NULL },
	{ "still too soon", 10999, 9, NULL },
	{ "all since the last line", 11000, 10, " 7 flows that" },
	{ "no more, after a long time", 900000, 10, NULL },
	{ "one more", 900001, 11, " 1 flow that" },
};
/* clang-format on */

static void test_how_often(void **state)
{
	uint64_t counters[COUNTER_COUNT] = { 0 };
	struct complaints c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		counters[COUNTER_loop] = rows[i].count;
		look(&c, counters, rows[i].now_ms);
		if (count_lines() != (rows[i].said != NULL) ||
		    (rows[i].said && !strstr(said, rows[i].said)))
			fail_msg("%s: \"%s\"", rows[i].what, said);
	}
}

static void test_each_of_its_own(void **state)
{
	static const struct {
		enum counter counter;
		const char *remedy;
	} each[] = {
		{ COUNTER_loop, "`except dst`" },
		{ COUNTER_upstream_none, "`waylay upstream`" },
		{ COUNTER_header_stranger, "add the proxy there" },
		{ COUNTER_header_bad, "send-proxy-v2" },
	};
	uint64_t counters[COUNTER_COUNT] = { 0 };
	struct complaints c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++) {
		counters[each[i].counter] = 1;
		look(&c, counters, 1000);
		assert_int_equal(count_lines(), 1);
		assert_non_null(strstr(said, each[i].remedy));
	}
	for (int i = 0; i < COUNTER_COUNT; i++)
		counters[i] = 2;
	look(&c, counters, 20000);
	assert_int_equal(count_lines(), sizeof(each) / sizeof(*each));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_often),
		cmocka_unit_test(test_each_of_its_own),
	};

	log_setup(LOG_WARNING_LINE, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
