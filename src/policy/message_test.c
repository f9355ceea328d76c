/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_test.c - how messages look, to the byte.
 */
#include "policy/message.h"
#include "policy/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A text, and all that is said about it. */
static const struct picture {
	const char *name, *text, *says;
} pictures[] = {
	{ "the line, the caret and the suggestion", "engine nftt\n",
	  "w.conf:1:8: error: unknown engine \"nftt\"\n"
	  "    engine nftt\n"
	  "           ^~~~\n"
	  "    did you mean \"nft\"?\n" },
	{ "indentation is cut and tabs become blanks",
	  "log {\n\t\tlevel\tloud # x\n}",
	  "w.conf:2:9: error: unknown level \"loud\"\n"
	  "    level   loud # x\n"
	  "            ^~~~\n"
	  "    one of: error, warning, info, debug\n" },
	{ "UTF-8 letters take one column, other bytes are escaped",
	  "# \xc3\xa4\nfoo\xc3\xa4\xff \x1b b\n",
	  "w.conf:2:8: error: control bytes cannot stand here; is this a "
	  "text file?\n"
	  "    foo\xc3\xa4\\xff \\x1b b\n"
	  "             ^~~~\n" },
	{ "letters that turn the direction of writing are escaped",
	  "a\xe2\x80\xae"
	  "b {}\n",
	  "w.conf:1:1: error: unknown statement \"a\\xe2\\x80\\xaeb\"\n"
	  "    a\\xe2\\x80\\xaeb {}\n"
	  "    ^~~~~~~~~~~~~~\n"
	  "    one of: engine, on-failure, cut-through, mark, table, workers, "
	  "port, log, "
	  "timeouts, limits, list, intercept, upstream, group, sniff, rules, "
	  "admin, cluster\n" },
	{ "what is missing at the end of a line is shown behind it",
	  "engine nft;table",
	  "w.conf:1:17: error: \"table\" needs the number of a routing "
	  "table\n"
	  "    engine nft;table\n"
	  "                    ^\n" },
	{ "a long line is cut around the caret",
	  "# \nlist a { net 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, "
	  "192.0.2.5, 192.0.2.600, 192.0.2.7, 192.0.2.8, 192.0.2.9 }\n",
	  "w.conf:2:69: error: wrong address or network \"192.0.2.600\"\n"
	  "    ...0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.600, "
	  "192.0.2.7, 192.0...\n"
	  "                                               ^~~~~~~~~~~\n" },
	{ "what concerns the whole file has no line", "engine nft",
	  "w.conf: warning: there is no intercept, so there is nothing to "
	  "do\n" },
	{ "messages come in the order of the text",
	  "rules { tcp -> x }\nprot\nlist a { net 1 }\n",
	  "w.conf:1:16: error: upstream \"x\" is not defined\n"
	  "    rules { tcp -> x }\n"
	  "                   ^\n"
	  "w.conf:2:1: error: unknown statement \"prot\"\n"
	  "    prot\n"
	  "    ^~~~\n"
	  "    did you mean \"port\"?\n"
	  "w.conf:3:14: error: an address or network is needed here, and "
	  "\"1\" is a number\n"
	  "    list a { net 1 }\n"
	  "                 ^\n" },
	{ "a line that may hold a secret is shown by no message",
	  "upstream u { via socks5 a; user b; password hunter2 }",
	  "w.conf:1:25: error: \"socks5\" needs a host and a port, not \"a\"\n"
	  "    did you mean \"a:PORT\"?\n"
	  "w.conf:1:45: error: \"password\" cannot be read like this: it does "
	  "not say where the secret is\n"
	  "    write file:/PATH or credential:NAME; a secret itself never "
	  "stands in this file\n" },
};

static void test_pictures(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
		const struct picture *p = &pictures[i];
		struct messages m = { .errors = 0 };

		config_free(
			config_parse("w.conf", p->text, strlen(p->text), &m));
		if (strcmp(str_get(&m.text), p->says) != 0)
			print_error("%s\n", p->name);
		assert_string_equal(str_get(&m.text), p->says);
		messages_done(&m);
	}
}

static size_t count_places(const char *text)
{
	size_t count = 0;

	for (; (text = strstr(text, "w.conf:")); text++)
		count++;
	return count;
}

static void test_many(void **state)
{
	struct str text = { .len = 0 };
	struct messages m = { .errors = 0 };

	(void)state; /* unused */
	for (size_t i = 0; i < MESSAGES_MAX + 7; i++)
		str_addf(&text, "wrong%zu\n", i);
	config_free(config_parse("w.conf", str_get(&text), text.len, &m));
	assert_int_equal(m.errors, MESSAGES_MAX + 7);
	assert_int_equal(count_places(str_get(&m.text)), MESSAGES_MAX);
	assert_non_null(strstr(str_get(&m.text), "\n... and 7 more errors\n"));
	assert_non_null(strstr(str_get(&m.text), "wrong0"));
	assert_null(strstr(str_get(&m.text), "\"wrong50\""));
	messages_done(&m);
	str_done(&text);
}

/* Errors that come late push out warnings, and later errors. */
static void test_room(void **state)
{
	struct report *r = calloc(1, sizeof(*r));
	struct messages m = { .errors = 0 };

	(void)state; /* unused */
	assert_non_null(r);
	for (uint32_t i = 0; i < MESSAGES_MAX; i++)
		(void)report_warning(r, (struct place){ 2, i + 1, 1 }, "w");
	assert_null(report_warning(r, (struct place){ 3, 1, 1 }, "w"));
	for (uint32_t i = 0; i < MESSAGES_MAX; i++)
		assert_non_null(
			report_error(r, (struct place){ 5, i + 1, 1 }, "late"));
	assert_null(report_error(r, (struct place){ 6, 1, 1 }, "later"));
	assert_non_null(report_error(r, (struct place){ 4, 1, 1 }, "early"));
	report_render(r, "f", "1\n2\n3\n4\n5\n6", 11, &m);
	assert_int_equal(strncmp(str_get(&m.text), "f:4:1: error: early", 19),
			 0);
	assert_non_null(strstr(str_get(&m.text), "... and 2 more errors\n"));
	assert_non_null(strstr(str_get(&m.text), "... and 51 more warnings\n"));
	messages_done(&m);
	free(r);
}

static void test_distance(void **state)
{
	static const struct {
		const char *name, *a, *b;
		size_t distance;
	} rows[] = {
		{ "equal words are not apart", "nft", "nft", 0 },
		{ "a letter too many", "nftt", "nft", 1 },
		{ "a letter too few", "nf", "nft", 1 },
		{ "another letter", "nfc", "nft", 1 },
		{ "neighbours swapped", "ntf", "nft", 1 },
		{ "the empty word", "", "nft", 3 },
		{ "several at once", "kitten", "sitting", 3 },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (suggest_distance(rows[i].a, rows[i].b) != rows[i].distance)
			fail_msg("%s", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pictures),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
