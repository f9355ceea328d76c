/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_upstream_test.c - `upstream`: how the far side is reached, and which
 * words fit together.
 */
#include "policy/texts_test.h"

#define UP(body) "upstream u { " body " }"

/* --- texts that are right: what they print as ---------------------------- */

static const struct kept {
	const char *name, *text, *printed;
} kepts[] = {
	{ "a SOCKS5 proxy with all it can have",
	  UP("via socks5 198.51.100.10:1080; user alice; password file:/p/w;"
	     "udp on; resolve on; pipeline on; source client"),
	  "upstream u {\n"
	  "    via      socks5 198.51.100.10:1080\n"
	  "    source   client\n"
	  "    user     alice\n"
	  "    password file:/p/w\n"
	  "    udp      on\n"
	  "    resolve  on\n"
	  "    pipeline on\n"
	  "}\n" },
	{ "what is default is left out",
	  UP("pipeline auto; udp off; resolve off; source self;"
	     "via socks5 [2001:db8::10]:1080"),
	  "upstream u {\n    via socks5 [2001:db8::10]:1080\n}\n" },
	{ "an HTTP proxy by name, in lower case and without a dot at its end",
	  UP("via http-connect Proxy.CORP.example.:3128; resolve on;"
	     "user \"s v\"; password credential:corp-proxy"),
	  "upstream u {\n"
	  "    via      http-connect proxy.corp.example:3128\n"
	  "    user     \"s v\"\n"
	  "    password credential:corp-proxy\n"
	  "    resolve  on\n"
	  "}\n" },
	{ "a name of one part", UP("via socks5 localhost:1080"),
	  "upstream u {\n    via socks5 localhost:1080\n}\n" },
	{ "the PROXY protocol to a name",
	  UP("via proxy-protocol-v1 app.example:80"),
	  "upstream u {\n    via proxy-protocol-v1 app.example:80\n}\n" },
	{ "an address of its own", UP("via direct; source 192.0.2.7"),
	  "upstream u {\n    via    direct\n    source 192.0.2.7\n}\n" },
	{ "an address of each family, IPv4 first",
	  UP("source 2001:db8::7, 192.0.2.7; via proxy-protocol-v2 [::1]:80"),
	  "upstream u {\n"
	  "    via    proxy-protocol-v2 [::1]:80\n"
	  "    source 192.0.2.7, 2001:db8::7\n"
	  "}\n" },
	{ "another server, as the client", UP("to 9.9.9.9; via direct"),
	  "upstream u {\n    via direct\n    to  9.9.9.9\n}\n" },
	{ "a path that needs quotes",
	  UP("via socks5 a:1; user b; password \"file:/a b/c\""),
	  "upstream u {\n"
	  "    via      socks5 a:1\n"
	  "    user     b\n"
	  "    password \"file:/a b/c\"\n"
	  "}\n" },
};

static void test_kept(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(kepts); i++) {
		struct config *c = parse_right(kepts[i].text);

		expect_printed(c, kepts[i].printed);
		config_free(c);
	}
}

static void test_model(void **state)
{
	struct config *c =
		parse_right(UP("via http-connect p.example:3128; source ::2;"
			       "user u; password file:/x"));
	const struct upstream *u = &c->upstreams[UPSTREAM_BUILTIN_COUNT];

	(void)state; /* unused */
	assert_int_equal(u->kind, UPSTREAM_HTTP_CONNECT);
	assert_true(u->has_to);
	assert_int_equal(u->to.family, 0);
	assert_int_equal(u->to.port, 3128);
	assert_string_equal(u->to_name, "p.example");
	assert_int_equal(u->source, SOURCE_ADDRESS);
	assert_int_equal(u->source_addr[0].family, 0);
	assert_int_equal(u->source_addr[1].family, AF_INET6);
	assert_int_equal(u->password.from, SECRET_FILE);
	assert_string_equal(u->password.name, "/x");
	assert_null(u->password.secret);
	config_free(c);
}

/* --- texts that are wrong ------------------------------------------------ */

#define SOCKS(body) UP("via socks5 a:1; " body)
#define HTTP(body)  UP("via http-connect a:1; " body)

static const struct wrong_text wrongs[] = {
	{ "no way", UP("source self"), "1:10", "it needs \"via\"",
	  "via direct" },
	{ "an unknown way", UP("via socks a:1"), "1:18",
	  "unknown via \"socks\"", "did you mean \"socks5\"?" },
	{ "a proxy without a place", UP("via socks5"), "1:24",
	  "\"socks5\" needs a host and a port", NULL },
	{ "an address without its port", UP("via socks5 192.0.2.1"), "1:25",
	  "\"socks5\" needs a host and a port, not \"192.0.2.1\"",
	  "did you mean \"192.0.2.1:PORT\"?" },
	{ "an IPv6 address without its port", UP("via socks5 ::1"), "1:25",
	  "not \"::1\"", "did you mean \"[::1]:PORT\"?" },
	{ "a name without its port", UP("via http-connect proxy.example"),
	  "1:31", "not \"proxy.example\"",
	  "did you mean \"proxy.example:PORT\"?" },
	{ "port 0", UP("via socks5 proxy:0"), "1:25", "not \"proxy:0\"",
	  "such as 192.0.2.1:1080" },
	{ "port 65536", UP("via socks5 proxy:65536"), "1:25",
	  "not \"proxy:65536\"", NULL },
	{ "a slip in an address is no name", UP("via socks5 10.0.0.256:1080"),
	  "1:25", "needs a host and a port", NULL },
	{ "a proxy anywhere", UP("via proxy-protocol-v1 *:80"), "1:36",
	  "needs a host and a port, not \"*:80\"", NULL },
	{ "a name that cannot be one", UP("via socks5 a..b:80"), "1:25",
	  "not \"a..b:80\"", NULL },
	{ "an interface in an address", UP("via socks5 [fe80::1%e]:80"), "1:25",
	  "needs a host and a port",
	  "an address with an interface cannot stand here" },
	{ "two proxies", UP("via socks5 a:1, b:2"), "1:30",
	  "only one value can stand here", NULL },
	{ "another server for reject", UP("via reject; to 1.2.3.4"), "1:26",
	  "\"to\" has no meaning for \"via reject\"",
	  "it has one for \"via direct\" only" },
	{ "another server for a proxy", SOCKS("to 1.2.3.4"), "1:30",
	  "\"to\" has no meaning for \"via socks5\"", NULL },
	{ "a name as another server", UP("via direct; to a.example:80"), "1:29",
	  "\"to\" needs an address and a port", "names are not looked up" },
	{ "a source for drop", UP("via drop; source self"), "1:24",
	  "\"source\" has no meaning for \"via drop\"", NULL },
	{ "a source for reject", UP("source client; via reject"), "1:14",
	  "\"source\" has no meaning for \"via reject\"", NULL },
	{ "a source that is nothing", UP("via direct; source me"), "1:33",
	  "\"source\" needs client, self or an address, not \"me\"", NULL },
	{ "a source with a port", UP("via direct; source 1.2.3.4:5"), "1:33",
	  "needs client, self or an address", NULL },
	{ "a word and an address", UP("via direct; source self, 1.2.3.4"),
	  "1:39", "only one value can stand here", NULL },
	{ "an address and a word", UP("via direct; source 1.2.3.4, self"),
	  "1:42", "needs client, self or an address, not \"self\"", NULL },
	{ "two sources of one family",
	  UP("via direct; source 192.0.2.1, ::1, ::2"), "1:49",
	  "wrong source \"::2\": one address of each family", NULL },
	{ "everybody as the source", UP("via direct; source 0.0.0.0"), "1:33",
	  "wrong source \"0.0.0.0\": no packet can come from it", NULL },
	{ "a group of receivers as the source",
	  UP("via direct; source ff02::1"), "1:33",
	  "no packet can come from it", NULL },
	{ "a user without a password", SOCKS("user a"), "1:30",
	  "\"user\" and \"password\" need each other", NULL },
	{ "a password without a user", HTTP("password file:/x"), "1:36",
	  "\"user\" and \"password\" need each other", NULL },
	{ "an empty user", SOCKS("user \"\"; password file:/x"), "1:35",
	  "wrong user \"\": it is empty", NULL },
	{ "a tabulator in a user", SOCKS("user \"a\tb\"; password file:/x"),
	  "1:35", "no control byte can stand in it", NULL },
	{ "a colon that RFC 7617 has no room for",
	  HTTP("user a:b; password file:/x"), "1:36",
	  "a user with a colon cannot be told to an HTTP proxy", NULL },
	{ "a user for the PROXY protocol",
	  UP("via proxy-protocol-v2 a:1; user b"), "1:41",
	  "\"user\" has no meaning for \"via proxy-protocol-v2\"", NULL },
	{ "UDP where it always works", UP("via proxy-protocol-v2 a:1; udp on"),
	  "1:41", "\"udp\" has no meaning for \"via proxy-protocol-v2\"",
	  "UDP always goes that way" },
	{ "UDP that an HTTP proxy does not know", HTTP("udp off"), "1:36",
	  "\"udp\" has no meaning for \"via http-connect\"", NULL },
	{ "UDP neither on nor off", SOCKS("udp yes"), "1:34",
	  "unknown udp \"yes\"", "one of: off, on" },
	{ "a name as the destination", UP("via direct; resolve on"), "1:26",
	  "\"resolve\" has no meaning for \"via direct\"",
	  "a name never becomes the destination of a direct flow" },
	{ "a name for the PROXY protocol",
	  UP("via proxy-protocol-v1 a:1; resolve on"), "1:41",
	  "\"resolve\" has no meaning for \"via proxy-protocol-v1\"", NULL },
	{ "words at once to an HTTP proxy", HTTP("pipeline on"), "1:36",
	  "\"pipeline\" has no meaning for \"via http-connect\"", NULL },
	{ "an unknown pipeline", SOCKS("pipeline yes"), "1:39",
	  "unknown pipeline \"yes\"", "one of: auto, off, on" },
	{ "a secret twice", SOCKS("user a; password file:/x; password file:/y"),
	  "1:56", "\"password\" is given twice", NULL },
	{ "a name that an upstream has", UP("via drop") "\n" UP("via drop"),
	  "2:10", "upstream \"u\" is defined twice; first on line 1", NULL },
	{ "a way that is built in", "upstream direct { via drop }", "1:10",
	  "upstream \"direct\" is built in", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

/* --- secrets are never shown --------------------------------------------- */

static const struct blunder {
	const char *name, *text, *says;
} blunders[] = {
	{ "the secret itself", "hunter2", "it does not say where" },
	{ "a word in front of it that is none", "pass:hunter2",
	  "it does not say where" },
	{ "two words", "file:/x hunter2", "one value stands here" },
	{ "a list", "file:/x, hunter2", "one value stands here" },
	{ "in quotes", "\"hunter2 hunter2\"", "it does not say where" },
	{ "a path that is none", "file:hunter2", "does not begin with /" },
	{ "a directory", "file:/hunter2/", "it names a directory" },
	{ "a credential that is a path", "credential:/hunter2", "no / or :" },
	{ "a credential that climbs", "credential:..", "cannot be named" },
	{ "a credential without a name", "credential:", "a name is missing" },
};

static void test_T22_no_message_shows_a_secret(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(blunders); i++) {
		struct messages m = { .errors = 0 };
		struct str text = { .len = 0 };

		str_addf(&text, SOCKS("user a; password %s") "\n",
			 blunders[i].text);
		str_addf(&text, "admin { token %s }\n", blunders[i].text);
		assert_null(config_parse("t", str_get(&text), text.len, &m));
		if (m.errors != 2 || strstr(str_get(&m.text), "hunter2") ||
		    !strstr(str_get(&m.text), blunders[i].says))
			fail_msg("%s:\n%s", blunders[i].name, str_get(&m.text));
		messages_done(&m);
		str_done(&text);
	}
}

static void test_limits(void **state)
{
	(void)state; /* unused */
	for (size_t more = 0; more < 2; more++) {
		size_t count = UPSTREAMS_MAX - UPSTREAM_BUILTIN_COUNT + more;
		struct str text = { .len = 0 };

		str_add(&text, "group g { members u1 }\n");
		for (size_t i = 1; i < count; i++)
			str_addf(&text, "upstream u%zu { via direct }\n", i);
		expect_errors(&text, more);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_T22_no_message_shows_a_secret),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
