/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_via_test.c - URLs of proxies, good ones and bad ones.
 */
#include "cli/exec_via.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X64	     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255	     X64 X64 X64 X64 + 1 /* the last 255 of 256 */

/* clang-format off */
static const struct {
	const char *name, *url;
	enum exec_via_kind kind;
	const char *host;
	uint16_t port;
	const char *user, *password; /* NULL: none */
} good[] = {
	{ "direct", "direct", EXEC_VIA_DIRECT, "", 0, NULL, NULL },
	{ "an address", "socks5://192.0.2.1:1080", EXEC_VIA_SOCKS5, "192.0.2.1", 1080, NULL, NULL },
	{ "IPv6 keeps its brackets", "socks5://[2001:db8::1]:1", EXEC_VIA_SOCKS5, "[2001:db8::1]", 1, NULL, NULL },
	{ "a name, normalised", "http://Proxy.Example.:65535", EXEC_VIA_HTTP, "proxy.example", 65535, NULL, NULL },
	{ "a slash at the end", "http://proxy:3128/", EXEC_VIA_HTTP, "proxy", 3128, NULL, NULL },
	{ "a scheme in capitals", "SOCKS5://h:2", EXEC_VIA_SOCKS5, "h", 2, NULL, NULL },
	{ "user and password", "socks5://al:ice@h:2", EXEC_VIA_SOCKS5, "h", 2, "al", "ice" },
	{ "a password with colon, at and slash", "http://al:i:c@/e@h:2", EXEC_VIA_HTTP, "h", 2, "al", "i:c@/e" },
	{ "percents are decoded, both cases", "socks5://%61%3aL:%2F%40%25%ff@h:2", EXEC_VIA_SOCKS5, "h", 2, "a:L", "/@%\xff" },
	{ "a percent at the very end", "socks5://a:b%43@h:2", EXEC_VIA_SOCKS5, "h", 2, "a", "bC" },
	{ "a user before IPv6", "socks5://a:b@[::1]:2", EXEC_VIA_SOCKS5, "[::1]", 2, "a", "b" },
};

static const struct {
	const char *name, *url, *sentence;
} bad[] = {
	{ "nothing", "", "it is direct" },
	{ "another scheme", "socks4://h:1", "it is direct" },
	{ "no scheme", "h:1080", "it is direct" },
	{ "more than direct", "directly", "it is direct" },
	{ "no host", "socks5://:1080", "a host and a port" },
	{ "no port", "socks5://h", "a host and a port" },
	{ "an empty port", "socks5://h:", "a host and a port" },
	{ "port 0", "socks5://h:0", "a host and a port" },
	{ "a port too large", "socks5://h:65536", "a host and a port" },
	{ "a port with a sign", "socks5://h:+80", "a host and a port" },
	{ "a path", "http://h:80/x", "a host and a port" },
	{ "IPv6 without brackets", "http://2001:db8::1:80", "a host and a port" },
	{ "IPv4 in brackets", "http://[192.0.2.1]:80", "a host and a port" },
	{ "a name in brackets", "http://[h]:80", "a host and a port" },
	{ "a scope", "http://[fe80::1%1]:80", "a host and a port" },
	{ "no address and no name", "http://10.0.0.256:80", "a host and a port" },
	{ "a bracket that stays open", "http://[::1:80", "a host and a port" },
	{ "another statement in the host", "http://h;via drop:80", "a host and a port" },
	{ "a user alone", "http://al@h:80", "both a user and a password" },
	{ "an empty password", "http://al:@h:80", "both a user and a password" },
	{ "an empty user", "http://:sesame@h:80", "both a user and a password" },
	{ "no user at all", "http://@h:80", "both a user and a password" },
	{ "half a percent", "http://al:sesame%4@h:80", "two hexadecimal" },
	{ "a bare percent", "http://al:sesame%@h:80", "two hexadecimal" },
	{ "percent and no digits", "http://al:sesame%zz@h:80", "two hexadecimal" },
	{ "percent and one digit", "http://al:sesame%4g@h:80", "two hexadecimal" },
	{ "a NUL", "http://al:sesame%00@h:80", "control bytes" },
	{ "a newline", "http://al:sesame%0A@h:80", "control bytes" },
	{ "a newline as it is", "http://al\n:sesame@h:80", "control bytes" },
	{ "a colon in the user of HTTP", "http://a%3al:sesame@h:80", "colon" },
	{ "a user of 256 bytes", "http://" X64 X64 X64 X64 ":sesame@h:80", "255" },
	{ "a password of 256 bytes", "http://al:" X64 X64 X64 X64 "@h:80", "255" },
	{ "a host of 640 bytes", "http://" X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 ":80", "host" },
};
/* clang-format on */

static void test_good_urls(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(good); i++) {
		struct exec_via v;
		struct err e = { 0 };

		if (exec_via_parse(good[i].url, &v, &e) < 0)
			fail_msg("%s: %s", good[i].name, e.text);
		assert_int_equal(v.is_name,
				 strchr("hp", v.host[0]) != NULL && v.host[0]);
		if (v.kind != good[i].kind || strcmp(v.host, good[i].host) ||
		    v.port != good[i].port || v.has_user != !!good[i].user)
			fail_msg("%s: %s %u", good[i].name, v.host, v.port);
		if (v.has_user && (strcmp(v.user, good[i].user) ||
				   strcmp(v.password, good[i].password)))
			fail_msg("%s: \"%s\" \"%s\"", good[i].name, v.user,
				 v.password);
	}
}

static void test_bad_urls_are_told_and_not_repeated(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct exec_via v = { .port = 4711 };
		struct err e = { 0 };

		if (exec_via_parse(bad[i].url, &v, &e) != -EINVAL)
			fail_msg("%s: taken", bad[i].name);
		if (!strstr(e.text, bad[i].sentence) ||
		    strstr(e.text, "sesame"))
			fail_msg("%s: %s", bad[i].name, e.text);
		assert_int_equal(v.port, 4711); /* untouched */
	}
}

static void test_the_longest_words(void **state)
{
	struct exec_via v;
	char url[1024];
	struct err e;

	(void)state; /* unused */
	(void)snprintf(url, sizeof(url), "socks5://%s:%s@h:1", X255, X255);
	assert_int_equal(exec_via_parse(url, &v, &e), 0);
	assert_int_equal(strlen(v.user), 255);
	assert_int_equal(strlen(v.password), 255);
	exec_via_wipe(&v);
	for (size_t i = 0; i < sizeof(v.password); i++)
		assert_int_equal(v.password[i], 0);
}

/* Whatever is left is taken or refused, and read no further than it goes (by
 * the sanitizers). */
static void test_good_urls_cut_at_every_byte(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(good); i++)
		for (size_t len = 0; len < strlen(good[i].url); len++) {
			char *cut = strndup(good[i].url, len);
			struct exec_via v;
			struct err e = { 0 };
			int error = exec_via_parse(cut, &v, &e);

			assert_true(error ? error == -EINVAL && e.text[0]
					  : v.port > 0);
			free(cut);
		}
}

static void test_covering(void **state)
{
	static const char *const rows[][2] = {
		{ "direct", "direct" },
		{ "socks5://h:1080", "socks5://h:1080" },
		{ "socks5://al:ice@h:1080", "socks5://al:***@h:1080" },
		{ "http://al:i:c@e@[::1]:80", "http://al:*****@[::1]:80" },
		{ "http://al@h:80", "http://al@h:80" },
		{ "al:ice@h", "al:ice@h" },
		{ "x@y://z", "x@y://z" },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		char url[64];

		(void)strcpy(url, rows[i][0]);
		exec_via_cover(url);
		assert_string_equal(url, rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),
		cmocka_unit_test(test_bad_urls_are_told_and_not_repeated),
		cmocka_unit_test(test_the_longest_words),
		cmocka_unit_test(test_good_urls_cut_at_every_byte),
		cmocka_unit_test(test_covering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
