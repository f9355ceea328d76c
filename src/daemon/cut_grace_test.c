/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_grace_test.c - tickets, and when they are through.
 */
#include "daemon/cut_grace.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { WAIT_MS = 10000 };

static struct cut_grace *open_grace(void)
{
	struct cut_grace *g = NULL;

	if (cut_grace_new(&g) < 0) {
		print_message("skipped: no membarrier\n");
		skip();
	}
	return g;
}

static int wait_for_news(const struct cut_grace *g, int wait_ms)
{
	struct pollfd p = { .fd = cut_grace_fd(g), .events = POLLIN };

	return poll(&p, 1, wait_ms);
}

/* Read news until the ticket is through; the last one that is. */
static uint64_t await(struct cut_grace *g, uint64_t ticket)
{
	uint64_t passed = cut_grace_passed(g);

	while (passed < ticket) {
		assert_int_equal(wait_for_news(g, WAIT_MS), 1);
		passed = cut_grace_passed(g);
	}
	return passed;
}

static void nothing_is_through_that_was_not_asked(void **state)
{
	struct cut_grace *g = open_grace();

	(void)state;
	assert_int_equal(wait_for_news(g, 0), 0);
	assert_int_equal(cut_grace_passed(g), 0);
	cut_grace_free(g);
}

static void each_ticket_gets_through(void **state)
{
	struct cut_grace *g = open_grace();
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		uint64_t ticket = cut_grace_ask(g);

		assert_true(ticket > last);
		assert_int_equal(await(g, ticket), ticket);
		last = ticket;
	}
	cut_grace_free(g);
}

static void many_tickets_share_a_grace_period(void **state)
{
	struct cut_grace *g = open_grace();
	uint64_t ticket = 0, passed, before = 0;
	int news = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		ticket = cut_grace_ask(g);
	do {
		assert_int_equal(wait_for_news(g, WAIT_MS), 1);
		passed = cut_grace_passed(g);
		assert_true(passed >= before && passed <= ticket);
		before = passed;
		news++;
	} while (passed < ticket);
	assert_true(news < 1000);
	cut_grace_free(g);
}

static void it_ends_with_tickets_open(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct cut_grace *g = open_grace();

		if (i % 2)
			(void)cut_grace_ask(g);
		cut_grace_free(g);
	}
	cut_grace_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_through_that_was_not_asked),
		cmocka_unit_test(each_ticket_gets_through),
		cmocka_unit_test(many_tickets_share_a_grace_period),
		cmocka_unit_test(it_ends_with_tickets_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
