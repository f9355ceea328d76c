/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_judge_test.c - what ends a flow that is cut through, and when.
 */
#include "daemon/cut_judge.h"

#include "daemon/cut_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum {
	NOW = 100000,
	IDLE = 7500,
	HALF = 900,
	C_FIN = 1000, /* number behind the client's FIN, on its leg */
	S_FIN = 5000,
	C_ADD = 77,	     /* what is added to the client's numbers */
	S_ADD = 0xfffffff0u, /* to the server's: less, around zero */
};

static const struct judge_case {
	const char *name;
	uint8_t marks[2];
	uint32_t acked[2]; /* by leg: bytes that the FIN is behind its ack */
	uint32_t silence_s;
	enum cut_fate fate;
	enum flow_end why; /* unless it lives */
} cases[] = {
	{ "it moves", { 0, 0 }, { 0, 0 }, 0, CUT_LIVES, END_NONE },
	{ "silent, just not for too long (R-TCP-5)",
	  { 0, 0 },
	  { 0, 0 },
	  IDLE - 1,
	  CUT_LIVES,
	  END_NONE },
	{ "silent for too long (R-TCP-5)",
	  { 0, 0 },
	  { 0, 0 },
	  IDLE,
	  CUT_OVER,
	  END_IDLE_TIMEOUT },
	{ "one FIN: half-closed for long",
	  { WL_CUT_FIN, 0 },
	  { 0, 0 },
	  HALF - 1,
	  CUT_LIVES,
	  END_NONE },
	{ "one FIN: half-closed for too long",
	  { 0, WL_CUT_FIN },
	  { 0, 0 },
	  HALF,
	  CUT_OVER,
	  END_IDLE_TIMEOUT },
	{ "both FIN, that of the client not acknowledged",
	  { WL_CUT_FIN, WL_CUT_FIN },
	  { 0, 1 },
	  0,
	  CUT_LIVES,
	  END_NONE },
	{ "both FIN, that of the server not acknowledged",
	  { WL_CUT_FIN, WL_CUT_FIN },
	  { 1, 0 },
	  0,
	  CUT_LIVES,
	  END_NONE },
	{ "both FIN are acknowledged: told, and kept for what comes late",
	  { WL_CUT_FIN, WL_CUT_FIN },
	  { 0, 0 },
	  CUT_LINGER_S - 1,
	  CUT_FINISHED,
	  END_FINISHED },
	{ "both FIN are acknowledged, and nothing comes any more",
	  { WL_CUT_FIN, WL_CUT_FIN },
	  { 0, 0 },
	  CUT_LINGER_S,
	  CUT_OVER,
	  END_FINISHED },
	{ "a RST alone ends nothing (R-TCP-4)",
	  { WL_CUT_RESET, 0 },
	  { 0, 0 },
	  CUT_RESET_LINGER_S - 1,
	  CUT_LIVES,
	  END_NONE },
	{ "a RST of the client, and nobody objects",
	  { WL_CUT_RESET, 0 },
	  { 0, 0 },
	  CUT_RESET_LINGER_S,
	  CUT_OVER,
	  END_CLIENT_RESET },
	{ "a RST of the server, after FIN",
	  { WL_CUT_FIN, WL_CUT_RESET },
	  { 0, 0 },
	  CUT_RESET_LINGER_S,
	  CUT_OVER,
	  END_SERVER_RESET },
	{ "a RST behind both FIN is no other end",
	  { WL_CUT_FIN, WL_CUT_FIN | WL_CUT_RESET },
	  { 0, 0 },
	  CUT_LINGER_S,
	  CUT_OVER,
	  END_FINISHED },
};

static struct cut_sight sight_of(const struct judge_case *c)
{
	struct cut_sight s = { .begun_s = NOW - 2 * IDLE };
	struct wl_cut_way *client = &s.way[0], *server = &s.way[1];

	client->marks = c->marks[0] | WL_CUT_SEEN;
	server->marks = c->marks[1] | WL_CUT_SEEN;
	client->fin = C_FIN;
	server->fin = S_FIN;
	/* acknowledgements of one way lose what numbers of the other gain */
	server->ack_add = 0u - C_ADD;
	client->ack_add = 0u - S_ADD;
	server->ack = C_FIN + C_ADD - c->acked[1];
	client->ack = S_FIN + S_ADD - c->acked[0];
	client->seen_s = NOW - c->silence_s;
	server->seen_s = NOW - 2 * IDLE + 1;
	return s;
}

static void test_fates(void **state)
{
	const struct cut_limits limits = { IDLE, HALF };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cut_sight s = sight_of(&cases[i]);
		enum flow_end why = END_NONE;
		enum cut_fate fate = cut_judge(&s, &limits, NOW, &why);

		print_message("%s\n", cases[i].name);
		assert_int_equal(fate, cases[i].fate);
		if (fate != CUT_LIVES)
			assert_int_equal(why, cases[i].why);
		assert_int_equal(cut_last_s(&s), NOW - cases[i].silence_s);
	}
}

/* The program reads its clock after we have read ours. */
static void test_a_packet_of_the_next_second_is_no_silence(void **state)
{
	const struct cut_limits limits = { 1, 1 };
	struct cut_sight s = { .begun_s = NOW };
	enum flow_end why;

	(void)state;
	s.way[0].marks = WL_CUT_SEEN;
	s.way[0].seen_s = NOW + 1;
	assert_int_equal(cut_judge(&s, &limits, NOW, &why), CUT_LIVES);
}

static void test_without_packets_it_counts_from_its_beginning(void **state)
{
	const struct cut_limits limits = { IDLE, HALF };
	struct cut_sight s = { .begun_s = NOW - IDLE };
	enum flow_end why;

	(void)state;
	assert_int_equal(cut_judge(&s, &limits, NOW - 1, &why), CUT_LIVES);
	assert_int_equal(cut_judge(&s, &limits, NOW, &why), CUT_OVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fates),
		cmocka_unit_test(
			test_a_packet_of_the_next_second_is_no_silence),
		cmocka_unit_test(
			test_without_packets_it_counts_from_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
