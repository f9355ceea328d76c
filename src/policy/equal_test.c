/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal_test.c - one word changed is another configuration.
 *
 * That equal ones are found equal is what random_test.c asks.
 */
#include "policy/texts_test.h"

#define IN(body)	 "intercept a { " body " }"
#define HOST(body)	 IN("from host; tcp any; " body)
#define LISTEN(at, from) IN("listen " at "; proxy-protocol from " from)
#define UP(body)	 "upstream u { " body " }"
#define LOGIN(user, password)                                                  \
	UP("via socks5 a:1; user " user "; password " password)
#define GROUP(body)                                                            \
	"upstream a { via socks5 a:1 }\nupstream b { via socks5 b:1 }\n"       \
	"group g { " body " }"
#define CHECK(what) GROUP("members a; health connect " what)

/* clang-format off */
static const struct pair {
	const char *name, *one, *other;
} pairs[] = {
	{ "the engine", "engine nft", "engine ebpf" },
	{ "a timeout", "timeouts { dns 1s }", "timeouts { dns 2s }" },
	{ "a limit", "limits { tcp-flows 1 }", "limits { tcp-flows 2 }" },
	{ "a list's name", "list a { net ::/0 }", "list b { net ::/0 }" },
	{ "a network", "list a { net ::/0 }", "list a { net ::/1 }" },
	{ "an interface", IN("from e; tcp 1"), IN("from f; tcp 1") },
	{ "one interface more", IN("from e; tcp 1"), IN("from e, f; tcp 1") },
	{ "this host", IN("from e; tcp 1"), IN("from host; tcp 1") },
	{ "the protocol", IN("from e; tcp 1"), IN("from e; udp 1") },
	{ "a port", IN("from e; tcp 1"), IN("from e; tcp 2") },
	{ "which side is excepted", HOST("except src ::1"),
	  HOST("except dst ::1") },
	{ "how an exception is written", HOST("except src ::/0, ::1"),
	  HOST("except src ::/0") },
	{ "a port excepted", HOST("except port 1"), HOST("") },
	{ "a user", HOST("except user a"), HOST("except user b") },
	{ "one user more", HOST("except user a"), HOST("except user a, b") },
	{ "a cgroup", HOST("except cgroup a"), HOST("except cgroup a/b") },
	{ "one cgroup more", HOST(""), HOST("except cgroup a") },
	{ "a user or a cgroup", HOST("except user a"),
	  HOST("except cgroup a") },
	{ "whether it is delivered", HOST(""), HOST("deliver *:80") },
	{ "where it is delivered", HOST("deliver 127.0.0.1:80"),
	  HOST("deliver *:80") },
	{ "the port where it is delivered", HOST("deliver *:81"),
	  HOST("deliver *:80") },
	{ "an upstream", "upstream u { via direct }", "upstream u { via drop }" },
	{ "the source", "upstream u { via direct }",
	  "upstream u { via direct; source self }" },
	{ "where a rule leads", "rules { tcp -> drop }",
	  "rules { tcp -> reject }" },
	{ "a record", "rules { tcp -> drop }", "rules { tcp -> drop log }" },
	{ "a rule's cut-through", "rules { tcp -> direct }",
	  "rules { tcp -> direct cut-through off }" },
	{ "a file's cut-through", "cut-through on", "cut-through auto" },
	{ "how many are cut through", "limits { cut-flows 9 }",
	  "limits { cut-flows 10 }" },
	{ "the order of rules", "rules { tcp -> drop; udp -> reject }",
	  "rules { udp -> reject; tcp -> drop }" },
	{ "a default that is the only rule", "", "rules { default -> direct }" },
	{ "a name in a list", "list a { domain x }", "list a { domain y }" },
	{ "the form of a name", "list a { domain *.x }", "list a { domain .x }" },
	{ "one name more", "list a { domain x }", "list a { domain x, y }" },
	{ "how often a name is written", "list a { domain x }",
	  "list a { domain x, x }" },
	{ "a file", "list a { file /x }", "list a { file /y }" },
	{ "one file more", "list a { file /x }", "list a { file /x, /y }" },
	{ "whether a file is watched", "list a { file /x }",
	  "list a { file /x; reload on-change }" },
	{ "a listener's address", LISTEN("[::1]:80", "::1"),
	  LISTEN("[::2]:80", "::1") },
	{ "who is trusted there", LISTEN("[::1]:80", "::1"),
	  LISTEN("[::1]:80", "::2") },
	{ "whom NAT may bring", IN("listen [::1]:80; redirected from ::1"),
	  IN("listen [::1]:80; redirected from ::2") },
	{ "how a destination is told", LISTEN("[::1]:80", "::1"),
	  IN("listen [::1]:80; redirected from ::1") },
	{ "a listener or an interface", LISTEN("[::1]:80", "::1"),
	  IN("from e; tcp 80") },
	{ "a proxy's kind", UP("via socks5 a:1"), UP("via http-connect a:1") },
	{ "a proxy's name", UP("via socks5 a:1"), UP("via socks5 b:1") },
	{ "a proxy's port", UP("via socks5 a:1"), UP("via socks5 a:2") },
	{ "a proxy's address", UP("via socks5 [::1]:1"),
	  UP("via socks5 [::2]:1") },
	{ "a user", LOGIN("a", "file:/x"), LOGIN("b", "file:/x") },
	{ "whether there is a user", LOGIN("a", "file:/x"),
	  UP("via socks5 a:1") },
	{ "where a password is", LOGIN("a", "file:/x"), LOGIN("a", "file:/y") },
	{ "who keeps a password", LOGIN("a", "file:/x"),
	  LOGIN("a", "credential:x") },
	{ "UDP", UP("via socks5 a:1"), UP("via socks5 a:1; udp on") },
	{ "who looks names up", UP("via socks5 a:1"),
	  UP("via socks5 a:1; resolve on") },
	{ "all words at once", UP("via socks5 a:1; pipeline off"),
	  UP("via socks5 a:1; pipeline on") },
	{ "an IPv4 source", UP("via direct; source 192.0.2.1, ::1"),
	  UP("via direct; source 192.0.2.2, ::1") },
	{ "an IPv6 source", UP("via direct; source 192.0.2.1, ::1"),
	  UP("via direct; source 192.0.2.1") },
	{ "a member", GROUP("members a"), GROUP("members b") },
	{ "the order of members", GROUP("members a, b"),
	  GROUP("members b, a") },
	{ "one member more", GROUP("members a"), GROUP("members a, b") },
	{ "the balance", GROUP("members a"),
	  GROUP("members a; balance hash client") },
	{ "whether members are checked", GROUP("members a"),
	  GROUP("members a; health connect x:1") },
	{ "what a check calls", CHECK("x:1"), CHECK("y:1") },
	{ "an address that a check calls", CHECK("[::1]:1"),
	  CHECK("[::2]:1") },
	{ "how often a check is made", CHECK("x:1"), CHECK("x:1 every 9s") },
	{ "how long a check may take", CHECK("x:1"), CHECK("x:1 timeout 2s") },
	{ "how many make it up", CHECK("x:1"), CHECK("x:1 rise 1") },
	{ "how many make it down", CHECK("x:1"), CHECK("x:1 fall 1") },
	{ "a fallback", GROUP("members a"), GROUP("members a; fallback drop") },
	{ "a name in a rule", "rules { domain x -> drop }",
	  "rules { domain y -> drop }" },
	{ "a name or none", "rules { udp domain x -> drop }",
	  "rules { udp -> drop }" },
	{ "QUIC or any UDP", "rules { quic -> drop }", "rules { udp -> drop }" },
	{ "QUIC or any UDP to a name", "rules { quic domain x -> drop }",
	  "rules { udp domain x -> drop }" },
	{ "the time for a proxy", "timeouts { upstream 1s }", "" },
	{ "what is looked for", "sniff { tls; http }", "" },
	{ "whether QUIC alone is looked for", "sniff { quic }",
	  "sniff { http }" },
	{ "patience", "sniff { tls; http; quic; wait 1s }", "" },
	{ "a token", "admin { token file:/x }", "admin { token file:/y }" },
};
/* clang-format on */

static void test_pairs(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct config *one = parse_right(pairs[i].one);
		struct config *other = parse_right(pairs[i].other);
		struct config *same = parse_right(pairs[i].one);

		if (config_equal(one, other) || config_equal(other, one))
			fail_msg("not seen: %s", pairs[i].name);
		assert_true(config_equal(one, same));
		config_free(one);
		config_free(other);
		config_free(same);
	}
}

/* Said in full, and not at all. */
static const struct pair sames[] = {
	{ "sniff", "sniff { quic; tls; http; wait 300ms }", "" },
	{ "a group", GROUP("members a"),
	  GROUP("fallback reject; balance first; members a") },
	{ "a check", CHECK("x:1"),
	  CHECK("x:1 fall 3 rise 2 timeout 3s every 10s") },
	{ "an upstream", UP("via socks5 a:1"),
	  UP("udp off; resolve off; pipeline auto; source self; "
	     "via socks5 A.:1") },
	{ "QUIC is UDP", "rules { quic -> drop }",
	  "rules { udp quic -> drop }" },
	{ "a list is its networks",
	  "list l { net ::1 }\nrules { dst l -> drop }",
	  "list l { net ::1 }\nrules { list l -> drop }" },
};

static void test_sames(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(sames) / sizeof(sames[0]); i++) {
		struct config *one = parse_right(sames[i].one);
		struct config *other = parse_right(sames[i].other);

		if (!config_equal(one, other) || !config_equal(other, one))
			fail_msg("seen: %s", sames[i].name);
		config_free(one);
		config_free(other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_sames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
