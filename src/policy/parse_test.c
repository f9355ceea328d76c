/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_test.c - what is read, and what is said about what cannot be read.
 *
 * Rows of mistakes: a text, and the message that must be the first one.
 */
#include "policy/texts_test.h"

/* --- texts that are right ------------------------------------------------ */

static const struct right {
	const char *name, *text;
} rights[] = {
	{ "an empty file is allowed", "" },
	{ "comments and blank lines are nothing", "# one\n\n \t# two\r\n" },
	{ "a byte order mark is skipped", "\xef\xbb\xbf"
					  "engine nft\n" },
	{ "a block fits on one line", "log { level debug; flows off }" },
	{ "a block follows another without a separator",
	  "list a { net ::/0 } list b { net 1.2.3.4; }" },
	{ "empty statements are nothing", ";;log { ; level info;; } ;" },
	{ "a list goes on behind a comma",
	  "intercept a { from eth0, # first\n\n  eth1; tcp 80,\n443 }" },
	{ "every setting can be said",
	  "engine iptables; on-failure closed; mark 16/0x30; table 7\n"
	  "cut-through off\n"
	  "workers auto; port 9000\n"
	  "log { level debug; format journal; flows sampled 10 }\n"
	  "timeouts { connect 3s; idle 2h5m; half-closed 1m; udp 50ms\n"
	  "dns 1d; drain 0s }\n"
	  "limits { tcp-flows 0; udp-flows 20; udp-per-client 3;"
	  " cut-flows 9 }\n"
	  "admin { http 127.0.0.1:9095 }" },
	{ "a transparent gateway",
	  "engine auto\non-failure open\n"
	  "intercept clients {\n\tfrom eth1\n\ttcp any\n"
	  "\tudp 443, 3478-3481\n\texcept dst private, 198.51.100.0/24\n"
	  "\texcept src 192.168.1.2 # a store\n}\n"
	  "upstream out { via direct; source client }\n"
	  "rules { default -> out }\nadmin { http 127.0.0.1:9095 }\n" },
	{ "local proxies and one relayed server",
	  "intercept web { from eth1; tcp 80; deliver 127.0.0.1:3129;"
	  " require-listener yes }\n"
	  "intercept tls { from eth1; tcp 443; deliver [::1]:3143 }\n"
	  "intercept mesh { from veth-apps*; tcp any;"
	  " except port 22, 9095; deliver 127.0.0.1:15006 }\n"
	  "intercept old { from eth1; tcp 8080 }\n"
	  "upstream app { via proxy-protocol-v2 10.0.0.5:8080 }\n"
	  "rules {\n intercept old -> app\n default -> direct\n}\n" },
	{ "conditions come in any order",
	  "list l { net 10.0.0.0/8 }\nintercept a { from *; udp any }\n"
	  "rules { port 53 udp src l intercept a dst private -> drop log }" },
	{ "a rule has options behind its upstream, in any order",
	  "rules { tcp -> drop log cut-through off\n"
	  "udp -> direct cut-through on log\n"
	  "default -> direct cut-through on }" },
	{ "names may be used before they are defined",
	  "rules { list l -> u }\nupstream u { via drop }\n"
	  "list l { net ::/0 }" },
	{ "an interface name may need quotes",
	  "intercept a { from \"we\\\"i{rd#\", \"a,b\"; tcp 1 }" },
	{ "this host can be the source",
	  "intercept a { from host; tcp 80; except dst private }\n"
	  "intercept b { from host; udp 53; except user proxy, 0;"
	  " except cgroup /system.slice/dns.service; deliver 127.0.0.1:53 }" },
	{ "a listener can be anywhere",
	  "intercept a { from eth0; tcp 80; deliver *:3129;"
	  " require-listener no }" },
	{ "proxies, a group of them, and names",
	  "upstream a { via socks5 [2001:db8::1]:1080; user u;"
	  " password file:/etc/p; udp on; resolve on; pipeline off }\n"
	  "upstream b { source 192.0.2.1, ::2; via http-connect p.example:80;"
	  " password credential:c; user \"v w\" }\n"
	  "group g { members a, b; balance hash client;"
	  " health connect x.example:443 every 9s timeout 1s rise 1 fall 9;"
	  " fallback h }\ngroup h { members b; fallback direct }\n"
	  "list l { domain a.b, *.c; net ::/0; file /x, \"/y z\";"
	  " reload on-change }\n"
	  "sniff { tls; http; quic; wait 50ms }\n"
	  "intercept i { listen 0.0.0.0:80; proxy-protocol from l2, private }\n"
	  "intercept j { listen [::]:80; redirected from l2, private }\n"
	  "list l2 { net 10.0.0.0/8 }\n"
	  "rules { domain .x.y, z dst private -> g; udp quic -> reject;"
	  " list l -> h log }\n"
	  "timeouts { upstream 1s }\n"
	  "admin { token credential:t; http 127.0.0.1:1 }" },
	{ "a direct upstream may have another server",
	  "upstream u { via direct; to 2001:db8::1 }\n"
	  "upstream v { to [2001:db8::1]:53; via direct }\n"
	  "rules { tcp -> u; udp -> v }" },
};

static void test_right(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		struct messages m = { .errors = 0 };
		struct config *c = config_parse("t", rights[i].text,
						strlen(rights[i].text), &m);

		if (!c)
			print_error("%s:\n%s", rights[i].name,
				    str_get(&m.text));
		assert_non_null(c);
		config_free(c);
		messages_done(&m);
	}
}

/* --- texts that are wrong ------------------------------------------------ */

#define INTERCEPT(body) "intercept a { from eth0; tcp any; " body " }"
#define RULES(body)	"rules {\n" body "\n}"

static const struct wrong_text wrongs[] = {
	{ "a wrong value gets the nearest right one", "engine nftt", "1:8",
	  "unknown engine \"nftt\"", "did you mean \"nft\"?" },
	{ "a value far from all gets the list", "engine zebra", "1:8",
	  "unknown engine", "one of: auto, ebpf, nft, iptables" },
	{ "an unknown statement", "\n\n  intrecept a { }", "3:3",
	  "unknown statement \"intrecept\"", "did you mean \"intercept\"?" },
	{ "an unknown word in a block", "log { lvel info }", "1:7",
	  "unknown word \"lvel\" in \"log\"", "did you mean \"level\"?" },
	{ "a value is missing", "engine\n", "1:7",
	  "\"engine\" needs one of: auto, ebpf, nft, iptables", NULL },
	{ "a value too many", "engine auto nft", "1:13",
	  "unexpected \"nft\" behind \"auto\"", "commas" },
	{ "a list where one value stands", "engine auto, nft", "1:14",
	  "only one value can stand here", NULL },
	{ "a comma behind the keyword", "engine, auto", "1:1",
	  "no comma can stand behind \"engine\"", NULL },
	{ "a comma without a value", "list a { net 1.2.3.4, }", "1:21",
	  "no value stands behind this comma", NULL },
	{ "a comma that comes first", ", engine auto", "1:1",
	  "no value stands before this comma", NULL },
	{ "a statement given twice", "engine auto\nengine nft", "2:1",
	  "\"engine\" is given twice; first on line 1", NULL },
	{ "a block given twice", "log { }\nlog { }", "2:1",
	  "\"log\" is given twice", NULL },
	{ "a block that is missing", "log\n", "1:1", "\"log\" needs a block",
	  NULL },
	{ "a block that nobody wants", "engine auto { x }", "1:13",
	  "\"engine\" takes no block", NULL },
	{ "a block without a name", "\n{ x }", "2:1",
	  "this { has no name in front of it", NULL },
	{ "a brace that is never closed", "engine auto\nlog {\n level info\n",
	  "2:5", "this { is never closed", NULL },
	{ "a brace that closes nothing", "engine auto\n}\n", "2:1",
	  "this } closes no block", NULL },
	{ "a quote that is never closed", "engine \"auto\n", "1:8",
	  "this quote is never closed", NULL },
	{ "a NUL byte", "engine \x01 auto", "1:8", "control bytes", NULL },
	{ "a control byte in quotes", "engine \"a\x1b[31m\"", "1:8",
	  "control bytes", NULL },
	{ "a wrong address", "list a { net 10.0.0.256 }", "1:14",
	  "wrong address or network \"10.0.0.256\"", NULL },
	{ "bits behind the length", "list a { net 10.1.2.3/8 }", "1:14",
	  "has bits set behind its length",
	  "did you mean the network \"10.0.0.0/8\" or the address "
	  "\"10.1.2.3\"?" },
	{ "bits behind the length of IPv6", "list a { net 2001:db8::1/32 }",
	  "1:14", "has bits set", "network \"2001:db8::/32\"" },
	{ "a port where an address belongs", "list a { net 443 }", "1:14",
	  "an address or network is needed here, and \"443\" is a number",
	  NULL },
	{ "an interface in an address", "list a { net fe80::1%eth0 }", "1:14",
	  "names an interface", NULL },
	{ "an address where ports belong",
	  "intercept a { from e; tcp 2001:db8::1 }", "1:27",
	  "\"tcp\" takes ports, and \"2001:db8::1\" is an address",
	  "ports are written 443" },
	{ "port 0", "intercept a { from e; tcp 0 }", "1:27",
	  "port 0 is out of range: from 1 to 65535", NULL },
	{ "port 65536", "intercept a { from e; tcp 65536 }", "1:27",
	  "port 65536 is out of range", NULL },
	{ "a reversed range", "intercept a { from e; tcp 90-80 }", "1:27",
	  "the port range \"90-80\" is reversed", "did you mean \"80-90\"?" },
	{ "a range without an end", "intercept a { from e; tcp 90- }", "1:27",
	  "is not a port", NULL },
	{ "any among others", "intercept a { from e; tcp any, 80 }", "1:27",
	  "\"any\" stands alone", NULL },
	{ "a name defined twice", "list a { net ::/0 }\nlist a { net ::/0 }",
	  "2:6", "list \"a\" is defined twice; first on line 1", NULL },
	{ "an intercept defined twice", INTERCEPT("") "\n" INTERCEPT(""),
	  "2:11", "intercept \"a\" is defined twice; first on line 1", NULL },
	{ "a built-in upstream", "upstream drop { via direct }", "1:10",
	  "upstream \"drop\" is built in", NULL },
	{ "a list named like a word", "list private { net ::/0 }", "1:6",
	  "a list cannot be named \"private\"", NULL },
	{ "a name that cannot be one", "list 1a { net ::/0 }", "1:6",
	  "\"1a\" cannot be a name", "begins with a letter" },
	{ "a name that is too long",
	  "list aaaaaaaaaabbbbbbbbbbccccccccccdd { }", "1:6",
	  "cannot be a name", "at most 31 bytes" },
	{ "a block without its name", "list { net ::/0 }", "1:5",
	  "\"list\" needs a name", NULL },
	{ "an intercept from nowhere", "intercept a { tcp any }", "1:11",
	  "it needs \"from\"", NULL },
	{ "an intercept of nothing", "intercept a { from e; tcp off }", "1:11",
	  "it needs \"tcp\" or \"udp\"", NULL },
	{ "an interface name that is too long",
	  "intercept a { from abcdefghijklmnop; tcp 1 }", "1:20",
	  "it is longer than 15 bytes", NULL },
	{ "a star in the middle", "intercept a { from e*h; tcp 1 }", "1:20",
	  "* can stand only at its end", NULL },
	{ "a slash in an interface name", "intercept a { from a/b; tcp 1 }",
	  "1:20", "no / or : or blank", NULL },
	{ "this host among interfaces",
	  "intercept a { from eth0, host; tcp 1 }", "1:26",
	  "\"host\" stands alone", NULL },
	{ "an unknown exception", INTERCEPT("except dest ::/0"), "1:42",
	  "unknown exception \"dest\"", "did you mean \"dst\"?" },
	{ "a listener without a port", INTERCEPT("deliver ::1"), "1:43",
	  "\"deliver\" needs an address and a port, not \"::1\"",
	  "did you mean \"[::1]:PORT\"?" },
	{ "a listener anywhere without a port", INTERCEPT("deliver *"), "1:43",
	  "\"deliver\" needs a port behind *, not \"*\"", "such as *:8080" },
	{ "a listener anywhere on port 0", INTERCEPT("deliver *:0"), "1:43",
	  "needs a port behind *, not \"*:0\"", "from 1 to 65535" },
	{ "a listener anywhere on port 65536", INTERCEPT("deliver *:65536"),
	  "1:43", "needs a port behind *, not \"*:65536\"", NULL },
	{ "two listeners anywhere", INTERCEPT("deliver *:80, *:81"), "1:49",
	  "only one value can stand here", NULL },
	{ "a required listener that can be anywhere",
	  INTERCEPT("deliver *:80; require-listener yes"), "1:11",
	  "\"require-listener\" needs an address in \"deliver\": with * there "
	  "is no one listener to ask for",
	  NULL },
	{ "a required listener that is not named",
	  INTERCEPT("require-listener yes"), "1:11",
	  "\"require-listener\" needs \"deliver\"", NULL },
	{ "a host name for a listener", INTERCEPT("deliver www.example:80"),
	  "1:43", "needs an address and a port, not \"www.example:80\"",
	  "names are not looked up" },
	{ "clusters come later", "cluster { a { b } }", "1:1",
	  "\"cluster\": clusters are not supported yet", NULL },
	{ "a duration without a unit", "timeouts { idle 30 }", "1:17",
	  "30 needs a unit", "did you mean \"30s\"?" },
	{ "a wrong duration", "timeouts { idle 5m2h }", "1:17",
	  "wrong duration \"5m2h\"", "2h5m" },
	{ "a duration of nothing", "timeouts { idle 0s }", "1:17",
	  "is too short", NULL },
	{ "a duration of years", "timeouts { idle 31d }", "1:17",
	  "is too long: at most 30d", NULL },
	{ "a number out of range", "workers 65", "1:9",
	  "65 is out of range: from 1 to 64", NULL },
	{ "a number that is none", "limits { udp-flows many }", "1:20",
	  "\"many\" is not a number", NULL },
	{ "a mark of 0", "mark 0/1", "1:6", "cannot be 0", "0x1000/0x3000" },
	{ "a mark outside of its mask", "mark 0x10/0x0f", "1:6",
	  "bits outside of its mask", NULL },
	{ "a mask without a bit to spare", "mark 0x10/0x10", "1:6",
	  "mark waylay's own sockets", NULL },
	{ "a mark without its mask", "mark 7", "1:6", "wrong mark", NULL },
	{ "a table of the system", "table 254", "1:7",
	  "one of the system's own", NULL },
	{ "a rule without an arrow", RULES("src 10.0.0.1"), "2:5",
	  "a rule ends with -> and an upstream", NULL },
	{ "a rule without an upstream", RULES("tcp ->"), "2:7",
	  "\"->\" needs the name of an upstream", NULL },
	{ "a rule without conditions", RULES("-> direct"), "2:1",
	  "a condition is missing before ->", NULL },
	{ "a default with conditions", RULES("default tcp -> direct"), "2:9",
	  "\"default\" has no conditions", NULL },
	{ "a rule behind the default", RULES("default -> drop\ntcp -> direct"),
	  "3:1", "never reached: \"default\" stands before it, on line 2",
	  NULL },
	{ "a condition given twice", RULES("tcp udp -> direct"), "2:5",
	  "a rule can have only one tcp or udp", NULL },
	{ "two conditions for the destination",
	  RULES("dst private list l -> direct"), "2:13",
	  "a rule can have only one dst or list", NULL },
	{ "an unknown condition", RULES("prot 80 -> direct"), "2:1",
	  "unknown condition \"prot\"", "did you mean \"port\"?" },
	{ "an address without its condition", RULES("10.0.0.1 -> direct"),
	  "2:1", "\"10.0.0.1\" is an address; say of what", "src or dst" },
	{ "something behind the upstream", RULES("tcp -> direct logg"), "2:15",
	  "unexpected \"logg\"", NULL },
	{ "a comma behind log", RULES("tcp -> direct log, x"), "2:20",
	  "only one value can stand here", NULL },
	{ "a list that is not defined",
	  "list ads { net ::/0 }\n" RULES("list asd -> drop"), "3:6",
	  "list \"asd\" is not defined", "did you mean \"ads\"?" },
	{ "an upstream that is not defined", RULES("tcp -> dorp"), "2:8",
	  "upstream \"dorp\" is not defined", "did you mean \"drop\"?" },
	{ "an intercept that is not defined", RULES("intercept x -> drop"),
	  "2:11", "intercept \"x\" is not defined", NULL },
	{ "a value missing before the arrow", RULES("src -> direct"), "2:5",
	  "is missing before ->", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

static void test_all_at_once(void **state)
{
	static const char text[] = "engine nftt\n"
				   "intercept a {\n"
				   "\tfrom eth/0; tcp 0\n"
				   "\tudp 70000\n"
				   "}\n"
				   "foo { a { b } }\n"
				   "rules { tcp -> nobody }\n"
				   "workers 0\n"
				   "bar { a {\n";
	struct messages m = { .errors = 0 };

	(void)state; /* unused */
	assert_null(config_parse("t", text, strlen(text), &m));
	assert_int_equal(m.errors, 9); /* bar, and its brace */
	messages_done(&m);
}

static void test_names_with_nul_and_length(void **state)
{
	static const char nul[] = "engine auto\0\0 nft";
	char word[300] = "engine ";
	struct messages m = { .errors = 0 };

	(void)state; /* unused */
	assert_null(config_parse("t", nul, sizeof(nul) - 1, &m));
	assert_non_null(strstr(str_get(&m.text), "t:1:12: error: control"));
	assert_non_null(strstr(str_get(&m.text), "auto\\x00\\x00 nft"));
	messages_done(&m);
	memset(word + 7, 'x', 255);
	assert_null(config_parse("t", word, 7 + 255, &m));
	assert_non_null(strstr(str_get(&m.text), "unknown engine"));
	messages_done(&m);
	memset(word + 7, 'x', 256);
	assert_null(config_parse("t", word, 7 + 256, &m));
	assert_non_null(strstr(str_get(&m.text), "longer than 255 bytes"));
	messages_done(&m);
}

/* Each beginning of a text is read without harm. */
static void test_truncated(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		for (size_t n = 0; n < strlen(rights[i].text); n++) {
			struct messages m = { .errors = 0 };
			char *copy = malloc(n + 1); /* no NUL behind */
			struct config *c;

			assert_non_null(copy);
			memcpy(copy, rights[i].text, n);
			c = config_parse("t", copy, n, &m);
			assert_true(!c == (m.errors > 0));
			config_free(c);
			messages_done(&m);
			free(copy);
		}
	}
}

/* A mebibyte of one thing over and over is read in bounded time. */
static void test_large(void **state)
{
	static const char *const things[] = {
		"{", "}",    "a,",	     "a ",	"a\n",	  "\"",
		"x", "e{}",  "->",	     "list a{", "rules{", "\n",
		"#", "\xff", "engine auto;", "a{b;",
	};
	enum { BYTES = 1024 * 1024, SAID_MAX = 64 * 1024 };
	char *text = malloc(BYTES);

	(void)state; /* unused */
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
		struct messages m = { .errors = 0 };
		size_t len = strlen(things[i]);

		for (size_t at = 0; at < BYTES; at++)
			text[at] = things[i][at % len];
		config_free(config_parse("t", text, BYTES, &m));
		assert_true(m.text.len < SAID_MAX);
		messages_done(&m);
	}
	free(text);
}

static void test_defaults(void **state)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", "timeouts { idle 1h }", 20, &m);

	(void)state; /* unused */
	assert_non_null(c);
	assert_int_equal(c->engine, ENGINE_AUTO);
	assert_int_equal(c->on_failure, ON_FAILURE_OPEN);
	assert_int_equal(c->mark, 0x1000);
	assert_int_equal(c->mask, 0x3000);
	assert_int_equal(c->table, 7700);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	assert_int_equal(c->log.flows_every, 1);
	assert_int_equal(c->timeouts.connect_ms, 180 * 1000);
	assert_int_equal(c->timeouts.half_closed_ms, 3600 * 1000);
	assert_int_equal(c->timeouts.upstream_ms, 10 * 1000);
	assert_true(c->sniff.is_tls && c->sniff.is_http && c->sniff.is_quic);
	assert_int_equal(c->sniff.wait_ms, 300);
	assert_int_equal(c->limits.udp_flows, 4096);
	assert_int_equal(c->upstream_count, UPSTREAM_BUILTIN_COUNT);
	assert_string_equal(c->upstreams[UPSTREAM_DROP].name, "drop");
	assert_int_equal(c->rule_count, 1);
	assert_true(c->rules[0].is_default);
	assert_int_equal(c->rules[0].at.line, 0);
	config_free(c);
	messages_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_names_with_nul_and_length),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
