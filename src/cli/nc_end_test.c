/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_end_test.c - connections that end in peace, and others.
 */
#include "cli/nc_end.h"

#include "cli/nc_place_test.h"

static void an_orderly_end_waits_until_all_is_acknowledged(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	assert_int_equal(nc_end_guarded(p.pump.net), 0);
	put(p.pump.net, "last");
	assert_int_equal(nc_end_orderly(&p.watch, p.pump.net, &e), 0);
	p.pump.net = -1;
	assert_string_equal(get(p.peer), "last");
	assert_true(has_ended(p.peer));
	close_place(&p);
}

static void an_end_that_the_peer_resets_is_told(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	put(p.pump.net, "last");
	reset_by_peer(&p);
	assert_int_equal(nc_end_orderly(&p.watch, p.pump.net, &e), -ECONNRESET);
	p.pump.net = -1;
	assert_non_null(strstr(e.text, "has not acknowledged"));
	close_place(&p);
}

static void a_guarded_connection_resets_when_it_is_closed(void **state)
{
	struct place p;
	char byte;

	(void)state;
	open_place(&p);
	assert_int_equal(nc_end_guarded(p.pump.net), 0);
	close_one(&p.pump.net);
	assert_int_equal(read(p.peer, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_orderly_end_waits_until_all_is_acknowledged),
		cmocka_unit_test(an_end_that_the_peer_resets_is_told),
		cmocka_unit_test(a_guarded_connection_resets_when_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
