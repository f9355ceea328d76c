/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_test.c - which answers are taken, and which bytes are no message.
 *
 * Every message is read from memory of exactly its length, so that a read
 * behind the end is one that a sanitizer sees.
 */
#include "relay/dns.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* id 0x1234, one question */
#define QUERY		     "\x12\x34\x01\x00\0\1\0\0\0\0\0\0"
#define ANSWER		     "\x12\x34\x81\x80\0\1\0\0\0\0\0\0"
#define ANSWER_WITH(records) "\x12\x34\x81\x80\0\1\0" records "\0\0\0\0"
#define CUT_WITH(records)    "\x12\x34\x83\x80\0\1\0" records "\0\0\0\0"
#define NAME		     "\3www\7example\3org\0"
#define QUESTION	     NAME "\0\1\0\1"
#define RECORD		     "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define EDNS		     "\0\0\x29\x10\0\0\0\0\0\0\0"
#define X15		     "xxxxxxxxxxxxxxx"
#define X63		     X15 X15 X15 X15 "xxx"
#define X64		     X63 "x"

typedef bool (*read_fn)(const uint8_t *bytes, size_t len,
			struct dns_query *out);

static bool read_exact(read_fn read, const uint8_t *bytes, size_t len,
		       struct dns_query *out)
{
	uint8_t *copy = malloc(len + !len);
	bool is_read;

	assert_non_null(copy);
	if (len)
		memcpy(copy, bytes, len);
	is_read = read(copy, len, out);
	free(copy);
	return is_read;
}

struct row {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	bool is_query, is_answer;
};

static const struct row rows[] = {
	{ "a query", BYTES(QUERY QUESTION), true, false },
	{ "a query for the root", BYTES(QUERY "\0\0\2\0\1"), true, false },
	{ "a query with EDNS",
	  BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\1" QUESTION EDNS), true, false },
	{ "an answer without records", BYTES(ANSWER QUESTION), false, true },
	{ "an answer with one", BYTES(ANSWER_WITH("\1") QUESTION RECORD), false,
	  true },
	{ "an answer with two", BYTES(ANSWER_WITH("\2") QUESTION RECORD RECORD),
	  false, true },
	{ "bytes behind the records",
	  BYTES(ANSWER_WITH("\1") QUESTION RECORD "more"), false, true },
	{ "a name that ends in a pointer",
	  BYTES(ANSWER_WITH("\1") QUESTION "\3ftp\xc0\x10\0\1\0\1\0\0\0\0\0\0"),
	  false, true },
	{ "a pointer to a name with a pointer",
	  BYTES(ANSWER_WITH("\2") QUESTION "\3ftp\xc0\x10\0\1\0\1\0\0\0\0\0\0"
					   "\1a\xc0\x21\0\1\0\1\0\0\0\0\0\0"),
	  false, true },
	{ "records are fewer than their count, and TC says so",
	  BYTES(CUT_WITH("\2") QUESTION RECORD), false, true },
	{ "a record is cut, and TC says so",
	  BYTES(CUT_WITH("\1") QUESTION "\xc0\x0c\0\1"), false, true },
	{ "a label of 63 bytes", BYTES(QUERY "\x3f" X63 "\0\0\1\0\1"), true,
	  false },
	{ "a name of 255 bytes",
	  BYTES(QUERY "\x3f" X63 "\x3f" X63 "\x3f" X63 "\x3d" X15 X15 X15 X15
		      "x"
		      "\0\0\1\0\1"),
	  true, false },

	{ "nothing", BYTES(""), false, false },
	{ "no question", BYTES("\x12\x34\1\0\0\0\0\0\0\0\0\0"), false, false },
	{ "no question, but an error",
	  BYTES("\x12\x34\x81\x81\0\0\0\0\0\0\0\0"), false, false },
	{ "two questions",
	  BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0" QUESTION QUESTION), false,
	  false },
	{ "256 questions", BYTES("\x12\x34\1\0\1\0\0\0\0\0\0\0" QUESTION),
	  false, false },
	{ "a label of 64 bytes", BYTES(QUERY "\x40" X64 "\0\0\1\0\1"), false,
	  false },
	{ "a name of 256 bytes",
	  BYTES(QUERY "\x3f" X63 "\x3f" X63 "\x3f" X63 "\x3e" X15 X15 X15 X15
		      "xx"
		      "\0\0\1\0\1"),
	  false, false },
	{ "a question that points into the header",
	  BYTES(QUERY "\xc0\x04\0\1\0\1"), false, false },
	{ "a question that points to itself", BYTES(QUERY "\xc0\x0c\0\1\0\1"),
	  false, false },
	{ "records are fewer than their count",
	  BYTES(ANSWER_WITH("\2") QUESTION RECORD), false, false },
	{ "an owner's name that points to itself",
	  BYTES(ANSWER_WITH("\1") QUESTION "\xc0\x21\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "an owner's name that points forwards",
	  BYTES(ANSWER_WITH("\1") QUESTION "\xc0\x23\0\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "an owner's name that points behind the end",
	  BYTES(ANSWER_WITH("\1") QUESTION "\xff\xff\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "an owner's name that points into the header",
	  BYTES(ANSWER_WITH("\1") QUESTION "\xc0\x04\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "two names that point to each other",
	  BYTES(ANSWER_WITH("\2") QUESTION "\1a\xc0\x2f\0\1\0\1\0\0\0\0\0\0"
					   "\1b\xc0\x21\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "a name that its pointer leads around and grows",
	  BYTES(ANSWER_WITH("\1") QUESTION "\1a\xc0\x21\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "an owner's label of a kind that nobody uses",
	  BYTES(ANSWER_WITH("\1") QUESTION "\x41" X64 "x"
					   "\0\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "pointers to each other in the data of the record before",
	  BYTES(ANSWER_WITH("\2") QUESTION
		"\0\0\1\0\1\0\0\0\0\0\4\xc0\x2e\xc0\x2c"
		"\xc0\x2c\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "an owner's name of 256 bytes",
	  BYTES(ANSWER_WITH("\1") QUESTION "\x3f" X63 "\x3f" X63 "\x3f" X63
					   "\x3e" X15 X15 X15 X15 "xx"
					   "\0\0\1\0\1\0\0\0\0\0\0"),
	  false, false },
	{ "data longer than the message",
	  BYTES(ANSWER_WITH("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\0\0\1"),
	  false, false },
};

static void test_R_DNS_2_3_what_is_a_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		struct dns_query q;

		print_message("  %s\n", r->name);
		assert_int_equal(
			read_exact(dns_read_query, r->bytes, r->len, &q),
			r->is_query);
		assert_int_equal(
			read_exact(dns_read_answer, r->bytes, r->len, &q),
			r->is_answer);
	}
}

static bool is_cut(const struct row *r)
{
	return strstr(r->name, "TC") != NULL;
}

/* How long is the message without what is behind its records? */
static size_t real_len(const struct row *r)
{
	return strstr(r->name, "bytes behind") ? r->len - 4 : r->len;
}

static void test_R_DNS_3_cut_at_every_byte(void **state)
{
	const struct dns_query untouched = { 77, 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		struct dns_query q = untouched;

		if (is_cut(r))
			continue;
		for (size_t len = 0; len < real_len(r); len++) {
			assert_false(
				read_exact(dns_read_query, r->bytes, len, &q));
			assert_false(
				read_exact(dns_read_answer, r->bytes, len, &q));
		}
		assert_memory_equal(&q, &untouched, sizeof(q));
	}
}

/* --- answers to what was asked ------------------------------------------- */

static struct dns_query query_of(const uint8_t *bytes, size_t len)
{
	struct dns_query q;

	assert_true(read_exact(dns_read_query, bytes, len, &q));
	return q;
}

static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	bool is_taken;
} answers[] = {
	{ "the answer", BYTES(ANSWER_WITH("\1") QUESTION RECORD), true },
	{ "in other letters", BYTES(ANSWER "\3wWw\7eXAMple\3ORG\0\0\1\0\1"),
	  true },
	{ "cut, with TC", BYTES(CUT_WITH("\7") QUESTION RECORD), true },
	{ "another id", BYTES("\x12\x35\x81\x80\0\1\0\0\0\0\0\0" QUESTION),
	  false },
	{ "the id turned around",
	  BYTES("\x34\x12\x81\x80\0\1\0\0\0\0\0\0" QUESTION), false },
	{ "another name", BYTES(ANSWER "\3www\7example\3net\0\0\1\0\1"),
	  false },
	{ "a shorter name", BYTES(ANSWER "\7example\3org\0\0\1\0\1"), false },
	{ "the same letters, other labels",
	  BYTES(ANSWER "\13www\7example\3org\0\0\1\0\1"), false },
	{ "another type", BYTES(ANSWER NAME "\0\x1c\0\1"), false },
	{ "another class", BYTES(ANSWER NAME "\0\1\0\3"), false },
};

static void test_R_DNS_1_answers_match_id_and_question(void **state)
{
	struct dns_query asked = query_of(BYTES(QUERY QUESTION));

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct dns_asked a = { .is_open = 0 };
		struct dns_query answer;

		print_message("  %s\n", answers[i].name);
		dns_asked_add(&a, &asked);
		if (!read_exact(dns_read_answer, answers[i].bytes,
				answers[i].len, &answer)) {
			assert_false(answers[i].is_taken);
			continue;
		}
		assert_int_equal(dns_asked_take(&a, &answer),
				 answers[i].is_taken);
	}
}

static void test_R_DNS_1_an_answer_is_taken_once(void **state)
{
	struct dns_query q = query_of(BYTES(QUERY QUESTION));
	struct dns_asked a = { .is_open = 0 };

	(void)state;
	assert_false(dns_asked_take(&a, &q));
	assert_false(dns_asked_take(&a, &(struct dns_query){ 0 }));
	dns_asked_add(&a, &q);
	assert_true(dns_asked_take(&a, &q));
	assert_false(dns_asked_take(&a, &q));
	dns_asked_add(&a, &q);
	dns_asked_add(&a, &q); /* the client was impatient */
	assert_true(dns_asked_take(&a, &q));
	assert_true(dns_asked_take(&a, &q));
	assert_false(dns_asked_take(&a, &q));
}

static void test_only_the_last_queries_are_remembered(void **state)
{
	struct dns_asked a = { .is_open = 0 };

	(void)state;
	for (uint16_t id = 0; id < DNS_ASKED_MAX + 3; id++)
		dns_asked_add(&a, &(struct dns_query){ .id = id });
	for (uint16_t id = 0; id < DNS_ASKED_MAX + 3; id++)
		assert_int_equal(
			dns_asked_take(&a, &(struct dns_query){ .id = id }),
			id >= 3);
}

/* --- random bytes -------------------------------------------------------- */

static void test_changed_messages_do_no_harm(void **state)
{
	enum { ROUNDS = 20000 };
	struct rnd rnd;

	(void)state;
	rnd_begin(&rnd);
	for (int round = 0; round < ROUNDS; round++) {
		const struct row *r =
			&rows[rnd_draw(&rnd, sizeof(rows) / sizeof(*rows))];
		uint8_t bytes[512];
		struct dns_query q;

		if (!r->len || r->len > sizeof(bytes))
			continue;
		memcpy(bytes, r->bytes, r->len);
		for (unsigned n = 1 + rnd_draw(&rnd, 3); n; n--)
			bytes[rnd_draw(&rnd, (unsigned)r->len)] =
				(uint8_t)rnd_draw(&rnd, 256);
		assert_false(read_exact(dns_read_query, bytes, r->len, &q) &&
			     read_exact(dns_read_answer, bytes, r->len, &q));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_DNS_2_3_what_is_a_message),
		cmocka_unit_test(test_R_DNS_3_cut_at_every_byte),
		cmocka_unit_test(test_R_DNS_1_answers_match_id_and_question),
		cmocka_unit_test(test_R_DNS_1_an_answer_is_taken_once),
		cmocka_unit_test(test_only_the_last_queries_are_remembered),
		cmocka_unit_test(test_changed_messages_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
