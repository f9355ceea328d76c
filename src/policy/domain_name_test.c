/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain_name_test.c - what is a name, and what a pattern.
 */
#include "policy/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define L10  "abcdefghij"
#define L63  L10 L10 L10 L10 L10 L10 "abc"
#define N252 L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10

static const struct {
	const char *name, *text;
	const char *normal; /* NULL: it is none */
} texts[] = {
	{ "a name", "www.example.org", "www.example.org" },
	{ "one label", "localhost", "localhost" },
	{ "capitals become small", "WwW.EXAMPLE.org", "www.example.org" },
	{ "a dot at the end goes away", "example.org.", "example.org" },
	{ "an underscore and a dash", "_a-.x-1", "_a-.x-1" },
	{ "digits in front of a name", "1.2.3.arpa", "1.2.3.arpa" },
	{ "a label of 63", L63 ".x", L63 ".x" },
	{ "a name of 253 bytes", N252 "z", N252 "z" },
	{ "254 bytes with the dot", N252 "z.", N252 "z" },
	{ "nothing", "", NULL },
	{ "a dot", ".", NULL },
	{ "two dots at the end", "example.org..", NULL },
	{ "a dot in front", ".example.org", NULL },
	{ "an empty label", "www..org", NULL },
	{ "a label of 64", L63 "d.x", NULL },
	{ "a name of 254 bytes", N252 "zz", NULL },
	{ "a space", "a b", NULL },
	{ "a star", "*.example.org", NULL },
	{ "a slash", "a/b", NULL },
	{ "a byte that is no ASCII", "b\xc3\xbc.example", NULL },
	{ "R-TLS-4: an IPv4 address", "192.0.2.1", NULL },
	{ "R-TLS-4: an IPv4 address with a dot", "192.0.2.1.", NULL },
	{ "R-TLS-4: an IPv4 address in hex", "0x7f.0x0A", NULL },
	{ "R-TLS-4: a number", "2130706433", NULL },
	{ "R-TLS-4: an IPv6 address", "2001:db8::1", NULL },
	{ "R-TLS-4: an IPv6 address in brackets", "[::1]", NULL },
	{ "a top level that only begins like hex", "a.0xg", "a.0xg" },
};

static void test_R_TLS_4_names(void **state)
{
	char out[HOST_TEXT_MAX];

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *text = texts[i].text, *normal = texts[i].normal;
		bool is_name;

		memcpy(out, "kept", 5);
		is_name = domain_normalise(text, strlen(text), out);
		if (is_name != !!normal)
			fail_msg("%s: is%s a name", texts[i].name,
				 is_name ? "" : " not");
		assert_string_equal(out, normal ? normal : "kept");
	}
	assert_false(domain_normalise("a\0b", 3, out));
	assert_true(domain_normalise("example.orgs", 11, out));
	assert_string_equal(out, "example.org");
}

/* Every part of a name is one, but those with a dot in front of nothing. */
static void test_cut_names(void **state)
{
	static const char name[] = "www.xn--bcher-kva.example.";
	char out[HOST_TEXT_MAX];

	(void)state; /* unused */
	for (size_t len = 0; len < sizeof(name); len++) {
		char *copy = malloc(len ? len : 1); /* for the sanitizer */

		assert_non_null(copy);
		memcpy(copy, name, len);
		assert_int_equal(domain_normalise(copy, len, out), len > 0);
		assert_int_equal(domain_pattern(copy, len, out), len > 0);
		free(copy);
	}
}

static void test_patterns(void **state)
{
	static const struct {
		const char *name, *text, *normal;
	} rows[] = {
		{ "a name", "Example.org.", "example.org" },
		{ "below a name", "*.Example.org", "*.example.org" },
		{ "both", ".Example.org.", ".example.org" },
		{ "a star alone", "*", NULL },
		{ "a star and a dot", "*.", NULL },
		{ "a dot", ".", NULL },
		{ "two dots", "..", NULL },
		{ "two stars", "*.*.org", NULL },
		{ "a star in a label", "a*.org", NULL },
		{ "a star behind a label", "a.*.org", NULL },
		{ "two dots in front", "..org", NULL },
		{ "below an address", "*.192.0.2.1", NULL },
		{ "251 bytes and a star",
		  "*." L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 "abcdefghi",
		  "*." L63 "." L63 "." L63 "." L10 L10 L10 L10 L10
		  "abcdefghi" },
		{ "252 bytes and a star", "*." N252, NULL },
		{ "252 bytes and a dot", "." N252, "." N252 },
		{ "253 bytes and a dot", "." N252 "z", NULL },
	};
	char out[HOST_TEXT_MAX];

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool is_one;

		memcpy(out, "kept", 5);
		is_one =
			domain_pattern(rows[i].text, strlen(rows[i].text), out);
		if (is_one != !!rows[i].normal)
			fail_msg("%s: is%s a pattern", rows[i].name,
				 is_one ? "" : " not");
		assert_string_equal(out,
				    rows[i].normal ? rows[i].normal : "kept");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_TLS_4_names),
		cmocka_unit_test(test_cut_names),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
