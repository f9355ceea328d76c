/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_balance_test.c - what each `balance` makes of members that are well.
 */
#include "relay/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/group_scene_test.h"

static void test_first(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_FIRST, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(first_of(&s), 'a');
	board_free(s.board);
}

static void expect_firsts(struct scene *s, const char *word)
{
	for (; *word; word++)
		assert_int_equal(first_of(s), *word);
}

static void test_round_robin(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_ROUND_ROBIN, true);
	expect_firsts(&s, "abcdabcd");
	member(&s, 'b')->health = BOARD_DOWN;
	/* nobody gets the share of the one who is down alone */
	expect_firsts(&s, "dacdacdac");
	board_free(s.board);
}

/* A flow that is given all of them moves the turn by one. */
static void test_round_robin_and_retries(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_ROUND_ROBIN, true);
	for (int i = 0; i < 4; i++) {
		const char *word = walk(&s);

		assert_int_equal(word[0], 'a' + i);
		assert_int_equal(strlen(word), MEMBERS + 1);
		for (char c = 'a'; c <= 'd'; c++)
			assert_non_null(strchr(word, c));
	}
	board_free(s.board);
}

static void test_least_conn(void **state)
{
	struct scene s;
	char word[13] = "";

	(void)state;
	scene_begin(&s, BALANCE_LEAST_CONN, true);
	s.flows[s.members[0]] = 5;
	s.flows[s.members[1]] = 3;
	s.flows[s.members[2]] = 9;
	s.flows[s.members[3]] = 4;
	assert_string_equal(walk(&s), "bdac-");
	/* among equals by turns */
	s.flows[s.members[2]] = 3;
	for (int i = 0; i < 12; i++)
		word[i] = first_of(&s);
	assert_null(strpbrk(word, "ad"));
	assert_non_null(strchr(word, 'b'));
	assert_non_null(strchr(word, 'c'));
	board_free(s.board);
}

static void test_least_latency(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_LEAST_LATENCY, true);
	member(&s, 'a')->latency_us = 300;
	member(&s, 'c')->latency_us = 100;
	member(&s, 'd')->latency_us = 100;
	/* equals by order; who is not known comes last */
	assert_string_equal(walk(&s), "cdab-");
	assert_string_equal(walk(&s), "cdab-");
	board_free(s.board);
}

static void test_least_latency_measures_who_is_not_checked(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_LEAST_LATENCY, false);
	expect_firsts(&s, "abcd");
	member(&s, 'b')->latency_us = 100;
	member(&s, 'c')->latency_us = 200;
	expect_firsts(&s, "bbb");
	s.ask.now_ms += GROUP_PROBE_MS - 1;
	expect_firsts(&s, "bbb");
	s.ask.now_ms++;
	expect_firsts(&s, "abcdbbb");
	board_free(s.board);
}

/* --- hash client --------------------------------------------------------- */

enum { CLIENTS = 4000 };

static char member_of(struct scene *s, uint32_t client)
{
	memcpy(s->client.ip, &client, sizeof(client));
	return first_of(s);
}

static void assign(struct scene *s, char out[CLIENTS])
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		out[i] = member_of(s, i);
}

static void test_hash_client(void **state)
{
	char before[CLIENTS], after[CLIENTS];
	unsigned shares[256] = { 0 };
	struct scene s;

	(void)state;
	scene_begin(&s, BALANCE_HASH_CLIENT, true);
	assign(&s, before);
	for (int i = 0; i < CLIENTS; i++)
		shares[(uint8_t)before[i]]++;
	for (char c = 'a'; c <= 'd'; c++)
		assert_in_range(shares[(uint8_t)c], CLIENTS / 5, CLIENTS / 3);
	/* the port does not matter */
	s.client.port++;
	assign(&s, after);
	assert_memory_equal(before, after, CLIENTS);
	/* one that goes away moves its own clients, and to all others */
	member(&s, 'c')->health = BOARD_DOWN;
	assign(&s, after);
	memset(shares, 0, sizeof(shares));
	for (int i = 0; i < CLIENTS; i++) {
		if (before[i] != 'c')
			assert_int_equal(before[i], after[i]);
		else
			shares[(uint8_t)after[i]]++;
	}
	for (const char *c = "abd"; *c; c++)
		assert_in_range(shares[(uint8_t)*c], CLIENTS / 20, CLIENTS);
	assert_int_equal(shares['c'], 0);
	/* and has them back afterwards */
	member(&s, 'c')->health = BOARD_UP;
	assign(&s, after);
	assert_memory_equal(before, after, CLIENTS);
	s.ask.seed++;
	assign(&s, after);
	assert_memory_not_equal(before, after, CLIENTS);
	board_free(s.board);
}

/* The order of the file, and so a reload, moves nobody. */
static void test_hash_client_by_name(void **state)
{
	char before[CLIENTS], after[CLIENTS];
	struct scene s;
	size_t *members;

	(void)state;
	scene_begin(&s, BALANCE_HASH_CLIENT, true);
	assign(&s, before);
	members = s.w.groups[s.group].members;
	for (size_t i = 0; i < MEMBERS; i++)
		members[i] = s.members[MEMBERS - 1 - i];
	assign(&s, after);
	assert_memory_equal(before, after, CLIENTS);
	board_free(s.board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_round_robin_and_retries),
		cmocka_unit_test(test_least_conn),
		cmocka_unit_test(test_least_latency),
		cmocka_unit_test(
			test_least_latency_measures_who_is_not_checked),
		cmocka_unit_test(test_hash_client),
		cmocka_unit_test(test_hash_client_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
