/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_test.c - what is resolved, and which doubts are spoken out.
 */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ANY "intercept z { from z9; tcp any; udp any }\n"

/* Texts without errors, and the one warning they get (NULL: none). */
static const struct doubt {
	const char *name, *text, *says;
} doubts[] = {
	{ "all is well", ANY, NULL },
	{ "nothing to do", "engine nft", "t: warning: there is no intercept" },
	{ "a list nobody uses", ANY "list a { net ::/0 }",
	  "t:2:6: warning: list \"a\" is never used" },
	{ "an empty list", ANY "list a { }\nrules { list a -> drop }",
	  "t:2:6: warning: list \"a\" is empty" },
	{ "an upstream nobody uses", ANY "upstream u { via direct }",
	  "t:2:10: warning: upstream \"u\" is never used" },
	{ "no rules", ANY "rules { }",
	  "t:2:1: warning: no rule in this block" },
	{ "rules that all say direct",
	  ANY "upstream u { via direct }\n"
	      "rules {\nintercept b tcp -> u\ndst private -> direct\n}\n"
	      "intercept b { from b9; tcp any; udp 53 }",
	  "t:1:11: warning: intercept \"z\": every rule for it says direct, so "
	  "nothing is intercepted" },
	{ "a rule that says direct to all before others",
	  ANY "rules {\ntcp -> direct\nintercept z udp -> direct\n"
	      "dst private -> drop\n}",
	  "t:1:11: warning: intercept \"z\": every rule for it says direct" },
	{ "rules for the protocol that an intercept does not have",
	  "intercept a { from a; tcp 80 }\n"
	  "rules {\nudp -> drop\ndefault -> direct\n}",
	  "t:1:11: warning: intercept \"a\": every rule for it says direct" },
	{ "a rule that says direct to one protocol before others",
	  ANY "rules {\ntcp -> direct\ndst private -> drop\n}", NULL },
	{ "a direct rule that is logged", ANY "rules { default -> direct log }",
	  NULL },
	{ "an upstream that is direct",
	  ANY "upstream u { via direct }\nrules { default -> u }", NULL },
	{ "rules that say direct for what is delivered",
	  "intercept a { from a; tcp 80; deliver 127.0.0.1:1 }\n"
	  "rules { default -> direct }",
	  NULL },
	{ "an admin page", ANY "admin { http 127.0.0.1:1 }",
	  "t:2:9: warning: the admin page is not served yet" },
	{ "a rule behind a wider one",
	  ANY "rules {\ndst 10.0.0.0/8 -> drop\n"
	      "tcp dst 10.1.0.0/16 port 80 -> direct\n}",
	  "t:4:1: warning: this rule is never reached: the rule on line 3" },
	{ "a rule behind the same list",
	  ANY "list l { net ::/0, 10.0.0.0/8 }\nrules {\n"
	      "list l -> drop\nlist l udp -> direct\n}",
	  "t:5:1: warning: this rule is never reached: the rule on line 4" },
	{ "a rule behind a narrower one",
	  ANY "rules {\ndst 10.1.0.0/16 -> direct\n"
	      "dst 10.0.0.0/8 -> drop\n}",
	  NULL },
	{ "a rule behind one of another protocol",
	  ANY "rules {\ntcp port any -> direct\nudp port 80 -> drop\n}", NULL },
	{ "a rule for what is delivered",
	  "intercept a { from e; tcp 80; deliver 127.0.0.1:1 }\n"
	  "rules { intercept a -> drop }",
	  "t:2:9: warning: this rule is never used" },
	{ "an intercept behind a wider one",
	  "intercept a { from eth*; tcp any }\n"
	  "intercept b { from eth1; tcp 80; deliver 127.0.0.1:1 }",
	  "t:2:11: warning: intercept \"b\" on line 2 is never reached: \"a\" "
	  "on line 1" },
	{ "two intercepts for the same ports",
	  "intercept a { from eth1, eth2; tcp 80-90 }\n"
	  "intercept b { from eth2; tcp 85-443 }",
	  "t:2:11: warning: intercept \"b\" on line 2 and \"a\" on line 1 "
	  "select the same traffic, such as tcp port 85" },
	{ "a delivered port before all others",
	  "intercept a { from eth1; tcp 80; deliver 127.0.0.1:1 }\n"
	  "intercept b { from eth1; tcp any }",
	  NULL },
	{ "listeners of two families",
	  "intercept a { from eth1; tcp 80; deliver 127.0.0.1:1 }\n"
	  "intercept b { from eth1; tcp 80; deliver [::1]:1 }",
	  NULL },
	{ "a listener of both families before one of one",
	  "intercept a { from eth1; tcp 80; deliver *:1 }\n"
	  "intercept b { from eth1; tcp 80; deliver [::1]:1 }",
	  "t:2:11: warning: intercept \"b\" on line 2 is never reached" },
	{ "a listener of one family before one of both",
	  "intercept a { from eth1; tcp 80; deliver [::1]:1 }\n"
	  "intercept b { from eth1; tcp 80; deliver *:1 }",
	  NULL },
	{ "an intercept for the user that another excepts",
	  "intercept a { from host; tcp any; except user proxy }\n"
	  "intercept b { from host; tcp any; deliver 127.0.0.1:1 }",
	  NULL },
	{ "an intercept for the cgroup that another excepts",
	  "intercept a { from host; tcp any; except cgroup a/b }\n"
	  "intercept b { from host; tcp any; deliver 127.0.0.1:1 }",
	  NULL },
	{ "an intercept for what another excepts",
	  "intercept a { from eth1; tcp any; except dst private }\n"
	  "intercept b { from eth1; tcp any; deliver 127.0.0.1:1 }",
	  NULL },
	{ "an intercept for the port that another excepts",
	  "intercept a { from eth1; tcp any; except port 80 }\n"
	  "intercept b { from eth1; tcp 80 }",
	  NULL },
	{ "a group nobody uses",
	  ANY "upstream u { via socks5 a:1 }\ngroup g { members u }",
	  "t:3:7: warning: group \"g\" is never used" },
	{ "an upstream that is only a member",
	  ANY "upstream u { via socks5 a:1 }\ngroup g { members u }\n"
	      "rules { default -> g }",
	  NULL },
	{ "a group that is only a fallback",
	  ANY "upstream u { via socks5 a:1 }\n"
	      "group g { members u; fallback h }\ngroup h { members u }\n"
	      "rules { default -> g }",
	  NULL },
	{ "a list of names alone",
	  ANY "list a { domain x.y }\nrules { list a -> drop }", NULL },
	{ "a rule for a name behind one for all of its addresses",
	  ANY "rules {\ndst 10.0.0.0/8 -> drop\n"
	      "domain a.b dst 10.1.0.0/16 -> direct\n}",
	  "t:4:1: warning: this rule is never reached: the rule on line 3" },
	{ "a rule for a name behind one for its protocol",
	  ANY "rules {\ntcp -> drop\ntcp domain a.b -> direct\n}",
	  "t:4:1: warning: this rule is never reached: the rule on line 3" },
	{ "a rule for a name behind one for some addresses",
	  ANY "rules {\ndst 10.0.0.0/8 -> drop\ndomain a.b -> direct\n}",
	  NULL },
	{ "a rule behind one for a name",
	  ANY "rules {\ndomain a.b -> direct\ndst 10.0.0.0/8 -> drop\n}",
	  NULL },
	{ "a rule for QUIC behind one for some of it",
	  ANY "rules {\nquic domain a.b -> direct\nquic -> drop\n}", NULL },
	{ "a rule for UDP behind one for QUIC",
	  ANY "rules {\nquic -> drop\nudp -> reject\n}", NULL },
	{ "a rule for a list of both behind one for its networks",
	  ANY "list l { domain x; net 10.1.0.0/16 }\nrules {\n"
	      "dst 10.0.0.0/8 -> drop\nlist l -> reject\n}",
	  NULL },
	{ "a rule behind one for a list of both",
	  ANY "list l { domain x; net 10.0.0.0/8 }\nrules {\n"
	      "list l -> drop\ndst 10.1.0.0/16 -> reject\n}",
	  NULL },
	{ "a name that is asked for and not looked for",
	  ANY "sniff { quic }\nrules {\ntcp domain a.b -> drop\n}",
	  "t:4:1: warning: this rule asks for a name, and \"sniff\" (line 2) "
	  "leaves out all that could tell it" },
	{ "QUIC that is asked for and not looked for",
	  ANY "sniff { tls; http }\nrules {\nquic -> drop\n}",
	  "t:4:1: warning: this rule asks for QUIC" },
	{ "a list of both and no name looked for",
	  ANY "sniff { tls }\nlist l { domain x; net ::1 }\nrules {\n"
	      "udp list l -> drop\n}",
	  "t:5:1: warning: this rule asks for a name" },
	{ "a name that one protocol of two can tell",
	  ANY "sniff { tls }\nrules {\ndomain a.b -> drop\n}", NULL },
	{ "nothing that could be asked for",
	  ANY "sniff { tls }\nrules {\ntcp -> drop\n}", NULL },
	{ "names before direct",
	  ANY "rules {\ndomain a.b -> direct\ndefault -> direct\n}", NULL },
	{ "a proxy beside us, and all that this host opens",
	  "intercept h { from host; tcp any }\n"
	  "upstream u { via socks5 127.0.0.1:1080 }\nrules { default -> u }",
	  "t:2:10: warning: upstream \"u\" is on this host, and intercept "
	  "\"h\" (line 1) takes this host's traffic: its own connections would "
	  "come back to it" },
	{ "a proxy beside us, of IPv6",
	  "intercept h { from host; tcp any }\n"
	  "upstream u { via http-connect [::1]:80 }\nrules { default -> u }",
	  "t:2:10: warning: upstream \"u\" is on this host" },
	{ "a proxy beside us whose user is excepted",
	  "intercept h { from host; tcp any; except user proxy }\n"
	  "upstream u { via socks5 127.0.0.1:1080 }\nrules { default -> u }",
	  NULL },
	{ "a proxy beside us whose cgroup is excepted",
	  "intercept h { from host; tcp any; except cgroup a/b }\n"
	  "upstream u { via socks5 127.0.0.1:1080 }\nrules { default -> u }",
	  NULL },
	{ "a proxy beside us, and others' traffic",
	  ANY "upstream u { via socks5 127.0.0.1:1080 }\n"
	      "rules { default -> u }",
	  NULL },
	{ "a proxy beside us, and this host's UDP",
	  "intercept h { from host; udp any }\n"
	  "upstream u { via socks5 127.0.0.1:1080 }\nrules { default -> u }",
	  NULL },
	{ "a server beside us",
	  "intercept h { from host; tcp any }\n"
	  "upstream u { via direct; to 127.0.0.1 }\nrules { default -> u }",
	  NULL },
	{ "a listener whose rules all say direct",
	  "intercept a { listen 192.0.2.1:80; proxy-protocol from ::1 }\n"
	  "rules { default -> direct }",
	  NULL },
	{ "what NAT brings, once",
	  "intercept a { listen 192.0.2.1:80; redirected from ::1 }\n"
	  "intercept b { listen 192.0.2.2:80; redirected from ::1 }",
	  "t:1:11: warning: intercept \"a\": NAT may change a client's port, "
	  "or merge flows that share one, and UDP cannot come this way" },
	{ "a token", ANY "admin { token file:/t }",
	  "t:2:9: warning: the admin page is not served yet" },
	{ "a page and its token",
	  ANY "admin { token file:/t; http 127.0.0.1:1 }",
	  "t:2:24: warning: the admin page is not served yet" },
	{ "intercepts on other interfaces",
	  "intercept a { from eth1; tcp any }\n"
	  "intercept b { from host; tcp any }\n"
	  "intercept c { from veth*; tcp any }",
	  NULL },
};

static void test_doubts(void **state)
{
	size_t failures = 0;

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++) {
		const struct doubt *d = &doubts[i];
		struct messages m = { .errors = 0 };
		struct config *c =
			config_parse("t", d->text, strlen(d->text), &m);
		const char *text = str_get(&m.text);
		bool is_right = d->says ? m.warnings == 1 &&
						  strncmp(text, d->says,
							  strlen(d->says)) == 0
					: !m.warnings;

		if (!c || !is_right) {
			print_error("%s: expected %s\nand got:\n%s", d->name,
				    d->says ? d->says : "nothing", text);
			failures++;
		}
		config_free(c);
		messages_done(&m);
	}
	assert_int_equal(failures, 0);
}

static struct config *parse(const char *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", text, strlen(text), &m);

	if (!c)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	messages_done(&m);
	return c;
}

static void expect_set(const struct net_set *s, const char *expected)
{
	struct str text = { .len = 0 };
	char buf[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->count; i++)
		str_addf(&text, "%s%s", i ? " " : "",
			 prefix_format(&s->prefixes[i], buf));
	assert_string_equal(str_get(&text), expected);
	str_done(&text);
}

static void test_sets(void **state)
{
	struct config *c = parse(
		"list l { net 10.2.0.0/16, 10.2.3.0/24; net ::/0, 1.2.3.4 }\n"
		"intercept a { from e; tcp 5, 1-3, 4, 9; except dst l, private;"
		" except dst 9.9.9.9; except port 7; except port 6-8 }\n"
		"rules { list l -> drop; src l port 80 -> reject }");
	const struct intercept *a = &c->intercepts[0];

	(void)state; /* unused */
	expect_set(&a->except_dst.set,
		   "1.2.3.4 9.9.9.9 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 "
		   "169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 ::/0");
	assert_int_equal(a->except_dst.count, 3);
	expect_set(&c->rules[0].dst.set, "1.2.3.4 10.2.0.0/16 ::/0");
	assert_ptr_equal(c->rules[0].dst.set.prefixes,
			 c->rules[1].src.set.prefixes);
	assert_int_equal(a->ports[PROTO_TCP].count, 2);
	assert_int_equal(a->ports[PROTO_TCP].ranges[0].last, 5);
	assert_int_equal(a->except_port.count, 1);
	assert_int_equal(a->except_port.ranges[0].first, 6);
	config_free(c);
}

static void test_default(void **state)
{
	struct config *none = parse(ANY);
	struct config *some = parse(ANY "rules { tcp -> drop }");
	struct config *own = parse(ANY "rules { default -> reject }");
	struct config *direct = parse(ANY "rules { default -> direct }");
	struct config *said = parse(ANY "rules { tcp -> drop\n"
					"default -> direct }");

	(void)state; /* unused */
	assert_int_equal(none->rule_count, 1);
	assert_int_equal(some->rule_count, 2);
	assert_true(some->rules[1].is_default);
	assert_int_equal(some->rules[1].upstream, UPSTREAM_DIRECT);
	assert_int_equal(own->rule_count, 1);
	assert_int_equal(own->rules[0].upstream, UPSTREAM_REJECT);
	/* Alone it relays, behind others it says what it would say written. */
	assert_false(config_equal(none, direct));
	assert_true(config_equal(some, said));
	config_free(none);
	config_free(some);
	config_free(own);
	config_free(direct);
	config_free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
