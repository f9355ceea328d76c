/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_rule_test.c - words of --allow and --deny as conditions.
 */
#include "cli/exec_rule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
static const struct {
	const char *name, *word, *conditions;
} good[] = {
	{ "an address", "192.0.2.1", "dst 192.0.2.1" },
	{ "an address and a port", "192.0.2.1:443", "dst 192.0.2.1 port 443" },
	{ "a network", "10.0.0.0/8", "dst 10.0.0.0/8" },
	{ "a network and a port", "10.0.0.0/8:53", "dst 10.0.0.0/8 port 53" },
	{ "everything", "0.0.0.0/0", "dst 0.0.0.0/0" },
	{ "IPv6 has no port here", "2001:db8::1:443", "dst 2001:db8::1:443" },
	{ "IPv6 and a port", "[2001:db8::1]:443", "dst 2001:db8::1 port 443" },
	{ "a network of IPv6 and a port", "[2001:db8::/32]:443", "dst 2001:db8::/32 port 443" },
	{ "IPv4 in brackets", "[192.0.2.1]:80", "dst 192.0.2.1 port 80" },
	{ "private", "private", "dst private" },
	{ "private and a port", "private:22", "dst private port 22" },
	{ "a name", "www.Example.ORG", "domain www.example.org" },
	{ "a name and a port", "example.org:8443", "domain example.org port 8443" },
	{ "all names below", "*.example.org", "domain *.example.org" },
	{ "both", ".example.org:443", "domain .example.org port 443" },
	{ "a name of one part", "intranet", "domain intranet" },
};

static const struct {
	const char *name, *word, *sentence;
} bad[] = {
	{ "nothing", "", "neither a name" },
	{ "no address and no name", "10.0.0.256", "neither a name" },
	{ "bits behind the length", "10.0.0.1/8", "bits set" },
	{ "bits behind it, with a port", "10.0.0.1/8:80", "bits set" },
	{ "a length too large", "10.0.0.0/33", "neither a name" },
	{ "port 0", "192.0.2.1:0", "neither a name" },
	{ "a port too large", "192.0.2.1:65536", "neither a name" },
	{ "an empty port", "192.0.2.1:", "neither a name" },
	{ "a port alone", ":443", "neither a name" },
	{ "a range of ports", "192.0.2.1:80-90", "neither a name" },
	{ "IPv6 in brackets, no port", "[2001:db8::1]", "neither a name" },
	{ "a network of IPv6 and a port, no brackets", "2001:db8::/32:443", "neither a name" },
	{ "all groups of IPv6 and a port, no brackets", "1:2:3:4:5:6:7:8:443", "neither a name" },
	{ "empty brackets", "[]:80", "neither a name" },
	{ "a bracket that stays open", "[::1:80", "neither a name" },
	{ "a scope", "fe80::1%eth0", "neither a name" },
	{ "another statement", "192.0.2.1;", "neither a name" },
	{ "another rule", "example.org -> drop", "neither a name" },
	{ "a second line", "example.org\ndefault -> out", "neither a name" },
	{ "a quote", "\"example.org\"", "neither a name" },
	{ "a list", "192.0.2.1,192.0.2.2", "neither a name" },
	{ "a URL", "https://example.org/", "neither a name" },
	{ "a star elsewhere", "www.*.org", "neither a name" },
};
/* clang-format on */

static void test_good_words(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(good); i++) {
		struct str out = { 0 };
		struct err e = { 0 };

		if (exec_rule_write(good[i].word, &out, &e) < 0)
			fail_msg("%s: %s", good[i].name, e.text);
		if (strcmp(str_get(&out), good[i].conditions) != 0)
			fail_msg("%s: %s", good[i].name, str_get(&out));
		str_done(&out);
	}
}

static void test_bad_words(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct str out = { 0 };
		struct err e = { 0 };

		if (exec_rule_write(bad[i].word, &out, &e) != -EINVAL)
			fail_msg("%s: %s", bad[i].name, str_get(&out));
		if (!strstr(e.text, bad[i].sentence))
			fail_msg("%s: %s", bad[i].name, e.text);
		assert_int_equal(out.len, 0);
		str_done(&out);
	}
}

/* Of any length, and cut at every byte: one line at most, or a sentence. */
static void test_long_and_cut_words(void **state)
{
	char word[600];

	(void)state; /* unused */
	for (size_t len = 0; len < sizeof(word); len++) {
		struct str out = { 0 };
		struct err e = { 0 };

		memset(word, 'a', sizeof(word));
		for (size_t i = 60; i < len; i += 60)
			word[i] = '.';
		word[len] = '\0';
		if (exec_rule_write(word, &out, &e) == 0)
			assert_true(len <= 253);
		else
			assert_int_equal(out.len, 0);
		str_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_words),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_long_and_cut_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
