/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_listen_test.c - an intercept with a listener that others can see.
 */
#include "policy/texts_test.h"

#define IN(body)	 "intercept a { " body " }"
#define LISTEN(body)	 IN("listen 192.0.2.1:80; proxy-protocol from ::1; " body)
#define REDIRECTED(body) IN("listen 192.0.2.1:80; redirected from ::1; " body)

static void test_kept(void **state)
{
	struct config *c = parse_right("list l { net 198.51.100.0/24 }\n" IN(
		"proxy-protocol from private, l, 192.0.2.2;"
		"listen [2001:db8::1]:8080"));
	const struct intercept *i = &c->intercepts[0];

	(void)state; /* unused */
	assert_true(i->has_listen);
	assert_int_equal(i->listen.port, 8080);
	assert_int_equal(i->proxy_from.count, 3);
	assert_int_equal(i->proxy_from.set.count, 9 + 2);
	assert_int_equal(i->ifname_count, 0);
	assert_false(i->from_host);
	expect_printed(c, "list l {\n    net 198.51.100.0/24\n}\n\n"
			  "intercept a {\n"
			  "    listen         [2001:db8::1]:8080\n"
			  "    proxy-protocol from private, l, 192.0.2.2\n"
			  "}\n");
	config_free(c);
}

static void test_redirected(void **state)
{
	struct config *c = parse_right("list l { net 198.51.100.0/24 }\n" IN(
		"redirected from private, l, ::2; listen 0.0.0.0:8080"));
	const struct intercept *i = &c->intercepts[0];

	(void)state; /* unused */
	assert_true(i->has_listen);
	assert_int_equal(i->proxy_from.count, 0);
	assert_int_equal(i->redirected_from.count, 3);
	assert_int_equal(i->redirected_from.set.count, 9 + 2);
	expect_printed(c, "list l {\n    net 198.51.100.0/24\n}\n\n"
			  "intercept a {\n"
			  "    listen     0.0.0.0:8080\n"
			  "    redirected from private, l, ::2\n"
			  "}\n");
	config_free(c);
}

static const struct wrong_text wrongs[] = {
	{ "a listener that trusts nobody", IN("listen 192.0.2.1:80"), "1:15",
	  "\"listen\" needs \"proxy-protocol from\", who may say whose "
	  "connections they are, or \"redirected from\"",
	  NULL },
	{ "NAT without a listener", IN("from e; tcp 1; redirected from ::1"),
	  "1:30", "\"redirected from\" needs \"listen\"", NULL },
	{ "two ways to tell a destination", LISTEN("redirected from ::1"),
	  "1:61", "\"redirected\" cannot stand beside \"proxy-protocol\"",
	  NULL },
	{ "NAT and interfaces", REDIRECTED("from e"), "1:57",
	  "\"from\" cannot stand beside \"listen\"", NULL },
	{ "NAT and datagrams", REDIRECTED("udp 53"), "1:57",
	  "\"udp\" cannot stand beside \"listen\"", NULL },
	{ "NAT from nobody", IN("listen [::]:80; redirected from"), "1:46",
	  "\"from\" needs addresses, networks or lists", NULL },
	{ "NAT without from", IN("listen [::]:80; redirected ::1"), "1:42",
	  "unknown redirected \"::1\"", "one of: from" },
	{ "NAT from a list that is not defined",
	  IN("listen [::]:80; redirected from l"), "1:47",
	  "list \"l\" is not defined", NULL },
	{ "NAT and a proxy at one place",
	  LISTEN("") "\nintercept b { listen 192.0.2.1:80;"
		     " redirected from ::2 }",
	  "2:11", "intercept \"b\" listens where \"a\" (line 1) does", NULL },
	{ "trust without a listener",
	  IN("from e; tcp 1; proxy-protocol from ::1"), "1:30",
	  "\"proxy-protocol from\" needs \"listen\"", NULL },
	{ "interfaces", LISTEN("from e"), "1:61",
	  "\"from\" cannot stand beside \"listen\": connections come there "
	  "by themselves",
	  NULL },
	{ "this host", LISTEN("from host"), "1:61",
	  "\"from\" cannot stand beside \"listen\"", NULL },
	{ "ports", LISTEN("tcp 80"), "1:61",
	  "\"tcp\" cannot stand beside \"listen\"", NULL },
	{ "no ports", LISTEN("udp off"), "1:61",
	  "\"udp\" cannot stand beside \"listen\"", NULL },
	{ "an exception", LISTEN("except port 1; except port 2"), "1:61",
	  "\"except\" cannot stand beside \"listen\"", NULL },
	{ "another program", LISTEN("deliver *:1"), "1:61",
	  "\"deliver\" cannot stand beside \"listen\"", NULL },
	{ "a listener of another program", LISTEN("require-listener no"),
	  "1:61", "\"require-listener\" cannot stand beside \"listen\"", NULL },
	{ "a listener without a port",
	  IN("listen 192.0.2.1; proxy-protocol from ::1"), "1:22",
	  "\"listen\" needs an address and a port", NULL },
	{ "a listener anywhere", IN("listen *:80; proxy-protocol from ::1"),
	  "1:22", "\"listen\" needs an address and a port, not \"*:80\"",
	  NULL },
	{ "trust in nobody", IN("listen [::]:80; proxy-protocol from"), "1:50",
	  "\"from\" needs addresses, networks or lists", NULL },
	{ "trust without from", IN("listen [::]:80; proxy-protocol ::1"),
	  "1:46", "unknown proxy-protocol \"::1\"", "one of: from" },
	{ "a list that is not defined",
	  IN("listen [::]:80; proxy-protocol from l"), "1:51",
	  "list \"l\" is not defined", NULL },
	{ "two listeners at one place",
	  LISTEN("") "\nintercept b { listen 192.0.2.1:80;"
		     " proxy-protocol from ::2 }",
	  "2:11", "intercept \"b\" listens where \"a\" (line 1) does", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
