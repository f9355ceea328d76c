/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_guard_test.c - which flow is one too many.
 */
#include "relay/loop_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct addr server(unsigned last)
{
	struct addr a;

	assert_int_equal(addr_parse("198.51.100.0:443", &a), 0);
	a.ip[3] = (uint8_t)last;
	return a;
}

/* T04, T05: a circle ends at the limit, and at each further try. */
static void test_T04_one_too_many(void **state)
{
	struct addr round = server(1), other = server(2), port = server(1);
	struct loop_guard g = { 0 };
	int row = 0;

	(void)state; /* unused */
	for (int i = 0; i < LOOP_GUARD_MAX; i++) {
		row = loop_guard_enter(&g, &round);
		assert_true(row > 0);
	}
	assert_int_equal(loop_guard_enter(&g, &round), -ELOOP);
	assert_int_equal(loop_guard_enter(&g, &round), -ELOOP);
	port.port++;
	assert_true(loop_guard_enter(&g, &other) > 0);
	assert_true(loop_guard_enter(&g, &port) > 0);
	loop_guard_leave(&g, row);
	assert_int_equal(loop_guard_enter(&g, &round), row);
	assert_int_equal(loop_guard_enter(&g, &round), -ELOOP);
}

/* More servers than rows: the rest is not counted, and none is forgotten. */
static void test_more_servers_than_rows(void **state)
{
	struct addr first = server(0), late = server(LOOP_GUARD_SERVERS);
	struct loop_guard g = { 0 };
	int rows[LOOP_GUARD_SERVERS];

	(void)state; /* unused */
	for (unsigned i = 0; i < LOOP_GUARD_SERVERS; i++) {
		struct addr s = server(i);

		rows[i] = loop_guard_enter(&g, &s);
		assert_true(rows[i] > 0);
		for (unsigned n = 0; n < i; n++)
			assert_int_not_equal(rows[n], rows[i]);
	}
	assert_int_equal(loop_guard_enter(&g, &late), 0);
	loop_guard_leave(&g, 0);
	assert_int_equal(loop_guard_enter(&g, &first), rows[0]);
	loop_guard_leave(&g, rows[0]);
	loop_guard_leave(&g, rows[0]);
	assert_int_equal(loop_guard_enter(&g, &late), rows[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T04_one_too_many),
		cmocka_unit_test(test_more_servers_than_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
