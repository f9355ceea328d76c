/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_render_test.c - what rules are made of a configuration.
 *
 * Looked at as text, line by line, and by nft(8) itself, which checks them in
 * a namespace of their own.  That they do what eval.c says is proved on real
 * packets in lab/test_engine.py.
 */
#include "engine/nft.h"

#include "base/child.h"
#include "net/netns_test.h"
#include "policy/policy.h"

#include <stdio.h>

enum { LINES_MAX = 24, LINE_BYTES = 320 };

struct rendered {
	struct config *config;
	struct str script;
};

/* A plan with a port for each listener that the configuration needs. */
static void begin(struct rendered *r, const char *text)
{
	struct messages m = { .errors = 0 };
	struct plan p = { .has_family = { true, true } };

	*r = (struct rendered){
		.config = config_parse("t", text, strlen(text), &m),
	};
	if (!r->config)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	p.config = r->config;
	for (size_t i = 0; i < r->config->intercept_count; i++)
		for (int proto = 0; proto < PROTO_COUNT; proto++)
			for (int f = 0; f < FAMILY_COUNT; f++)
				p.ports[i][proto][f] =
					(uint16_t)(10000 + i * 4 + proto * 2 +
						   f);
	nft_render(&p, &r->script);
	assert_true(str_ok(&r->script));
}

static void end(struct rendered *r)
{
	config_free(r->config);
	str_done(&r->script);
}

static bool has(const struct rendered *r, const char *words)
{
	return strstr(str_get(&r->script), words) != NULL;
}

/* --- lines of a chain ---------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name, *config, *chain;
	const char *lines[LINES_MAX]; /* all of them, in order */
} chains[] = {
	{ "a gateway takes every port of its interface",
	  "intercept lan { from lan0; tcp any; udp any; except dst private }",
	  "intercept_0",
	  { "jump known_client", "jump left_alone",
	    "meta l4proto tcp goto select_0",
	    "meta l4proto udp goto select_0" } },
	{ "exceptions come first, then everything is taken",
	  "intercept lan { from lan0; tcp any;"
	  " except dst 10.0.0.0/8, 2001:db8::/32, 203.0.113.7;"
	  " except src 192.0.2.9, 2001:db8::9; except port 22, 1000-2000 }",
	  "select_0",
	  { "ip saddr { 192.0.2.9 } return",
	    "ip6 saddr { 2001:db8::9 } return",
	    "ip daddr { 10.0.0.0/8, 203.0.113.7 } return",
	    "ip6 daddr { 2001:db8::/32 } return",
	    "meta l4proto { tcp, udp } th dport { 22, 1000-2000 } return",
	    "goto take_0" } },
	{ "both families of both protocols have their listener",
	  "intercept lan { from lan0; tcp any; udp 53 }", "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:10000 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:10001 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "meta nfproto ipv4 meta l4proto udp tproxy ip to 127.0.0.1:10002 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_udp accept",
	    "meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:10003 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_udp accept",
	    "counter name passed_no_listener accept" } },
	{ "closed: while nobody listens, nothing passes",
	  "on-failure closed; intercept lan { from lan0; tcp any }", "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:10000 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:10001 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "counter name dropped_no_listener drop" } },
	{ "another program's listener has one family",
	  "intercept web { from lan0; tcp 80; deliver 127.0.0.1:3129 }",
	  "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:3129 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "counter name passed_no_listener accept" } },
	{ "some ports of each protocol",
	  "intercept lan { from lan0; tcp 80, 443; udp 53, 1000-2000 }",
	  "intercept_0",
	  { "jump known_client", "jump left_alone",
	    "meta l4proto tcp tcp dport { 80, 443 } goto select_0",
	    "meta l4proto udp udp dport { 53, 1000-2000 } goto select_0" } },
	{ "what decides is carried out in its order, before the listener",
	  "intercept lan { from lan0; tcp any; udp any }\n"
	  "rules { tcp port 80 -> direct; dst 9.9.9.0/24 -> reject;"
	  " udp port 53 src 192.0.2.0/24 -> drop; tcp port 25 -> direct log;"
	  " tcp port 26 -> drop; default -> direct log }",
	  "select_0",
	  { "meta l4proto tcp th dport { 80 } counter name passed_direct accept",
	    "ip daddr { 9.9.9.0/24 } meta l4proto tcp counter name rejected_tcp "
	    "reject with tcp reset",
	    "ip daddr { 9.9.9.0/24 } meta l4proto udp counter name rejected_udp "
	    "reject with icmpx port-unreachable",
	    "ip saddr { 192.0.2.0/24 } meta l4proto udp th dport { 53 } "
	    "counter name dropped_rule drop",
	    "meta l4proto tcp th dport { 25 } goto take_0",
	    "meta l4proto tcp th dport { 26 } counter name dropped_rule drop",
	    "goto take_0" } },
	{ "a rule of IPv6 prefixes has no IPv4 line",
	  "intercept lan { from lan0; tcp any }\n"
	  "rules { tcp dst 2001:db8::/32 -> drop; default -> direct log }",
	  "select_0",
	  { "ip6 daddr { 2001:db8::/32 } meta l4proto tcp counter name "
	    "dropped_rule drop",
	    "goto take_0" } },
	{ "a rule for both families has a line for each",
	  "list ads { net 198.51.100.0/24, 2001:db8:ad::/48 }\n"
	  "intercept lan { from lan0; tcp any }\n"
	  "rules { tcp list ads -> drop; default -> direct log }",
	  "select_0",
	  { "ip daddr { 198.51.100.0/24 } meta l4proto tcp counter name "
	    "dropped_rule drop",
	    "ip6 daddr { 2001:db8:ad::/48 } meta l4proto tcp counter name "
	    "dropped_rule drop",
	    "goto take_0" } },
	{ "a rule of another intercept is left out",
	  "intercept a { from a0; tcp any }\n"
	  "intercept b { from b0; tcp any }\n"
	  "rules { intercept a tcp -> reject; tcp port 9 -> drop;"
	  " default -> direct log }",
	  "select_1",
	  { "meta l4proto tcp th dport { 9 } counter name dropped_rule drop",
	    "goto take_1" } },
	{ "a default that drops needs no listener",
	  "intercept lan { from lan0; tcp any }\nrules { default -> drop }",
	  "select_0", { "counter name dropped_rule drop" } },
	{ "a default that refuses says so in two ways",
	  "intercept lan { from lan0; tcp any }\nrules { default -> reject }",
	  "select_0",
	  { "meta l4proto tcp counter name rejected_tcp reject with tcp reset",
	    "counter name rejected_udp reject with icmpx port-unreachable" } },
	{ "a default that is direct passes",
	  "intercept lan { from lan0; tcp any }\nrules { default -> direct }",
	  "select_0", { "counter name passed_direct accept" } },
	{ "without rules everything is relayed",
	  "intercept lan { from lan0; tcp any }", "select_0",
	  { "goto take_0" } },
	{ "rules are not for what another program gets",
	  "intercept web { from lan0; tcp 80; deliver 127.0.0.1:3129 }\n"
	  "rules { default -> drop }",
	  "select_0", { "goto take_0" } },
	{ "a listener at the interface's own address has both families",
	  "intercept web { from lan0; tcp 80; deliver *:3129 }", "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp tproxy ip to :3129 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :3129 "
	    "notrack meta mark set meta mark & 0xffffcfff | 0x1000 "
	    "counter name taken_tcp accept",
	    "counter name passed_no_listener accept" } },
	{ "and its ports none",
	  "intercept web { from lan0; tcp 80; deliver *:3129 }", "intercept_0",
	  { "jump known_client", "jump left_alone",
	    "meta l4proto tcp tcp dport { 80 } goto select_0" } },
	{ "this host: owners first, then as for others",
	  "intercept own { from host; tcp any; except user daemon, 17;"
	  " except cgroup there/is/none; except dst 10.0.0.0/8 }\n"
	  "rules { port 25 -> reject; default -> direct log }",
	  "host_select_0",
	  { "meta skuid \"daemon\" return", "meta skuid 17 return",
	    "# left out until it is there: cgroup there/is/none",
	    "ip daddr { 10.0.0.0/8 } return",
	    "meta l4proto tcp th dport { 25 } counter name rejected_tcp "
	    "reject with tcp reset",
	    "meta l4proto udp th dport { 25 } counter name rejected_udp "
	    "reject with icmpx port-unreachable",
	    "goto host_take_0" } },
	{ "this host: TCP is noted, the number goes with the packet",
	  "intercept lan { from lan0; tcp any }\n"
	  "intercept own { from host; tcp any; udp any }", "host_take_1",
	  { "meta nfproto . meta l4proto @deaf_1 counter name "
	    "passed_no_listener accept",
	    "meta nfproto ipv4 meta l4proto tcp update @host4 { ip saddr . "
	    "tcp sport . ip daddr . tcp dport timeout 2h5m } "
	    "meta priority set 7700:2 goto host_divert",
	    "meta nfproto ipv6 meta l4proto tcp update @host6 { ip6 saddr . "
	    "tcp sport . ip6 daddr . tcp dport timeout 2h5m } "
	    "meta priority set 7700:2 goto host_divert",
	    "meta nfproto ipv4 meta l4proto udp meta priority set 7700:2 "
	    "goto host_divert",
	    "meta nfproto ipv6 meta l4proto udp meta priority set 7700:2 "
	    "goto host_divert",
	    "counter name passed_no_listener accept" } },
	{ "this host: what arrives goes to the listener of its number",
	  "intercept lan { from lan0; tcp any }\n"
	  "intercept own { from host; tcp any }\n"
	  "intercept web { from host; udp 80; deliver 127.0.0.1:3129 }",
	  "host_arrive",
	  { "tcp flags & (fin | syn | rst | ack) != syn goto host_running",
	    "meta priority vmap { 7700:2 : goto host_listener_1, "
	    "7700:3 : goto host_listener_2 }",
	    "counter name dropped_no_listener drop" } },
	{ "this host, closed: the listener, or nothing",
	  "on-failure closed; intercept own { from host; tcp any }",
	  "host_listener_0",
	  { "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:10000 "
	    "counter name taken_tcp accept",
	    "meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:10001 "
	    "counter name taken_tcp accept",
	    "counter name dropped_no_listener drop" } },
	{ "marks are those of the configuration",
	  "mark 0x40/0xc0; intercept lan { from lan0; tcp any }", "divert",
	  { "meta mark set meta mark & 0xffffff3f | 0x40 accept" } },
};
/* clang-format on */

static void chain_lines(const struct rendered *r, const char *name,
			char lines[LINES_MAX][LINE_BYTES])
{
	char head[64];
	const char *at;
	size_t len;

	(void)snprintf(head, sizeof(head), "\tchain %s {\n", name);
	at = strstr(str_get(&r->script), head);
	assert_non_null(at);
	at += strlen(head);
	for (size_t i = 0; i < LINES_MAX && strncmp(at, "\t}", 2); i++) {
		len = strcspn(at, "\n");
		assert_true(len > 2 && len < LINE_BYTES);
		memcpy(lines[i], at + 2, len - 2); /* without the tabs */
		at += len + 1;
	}
}

static void test_chains(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		char lines[LINES_MAX][LINE_BYTES] = { "" };
		struct rendered r;

		begin(&r, chains[i].config);
		chain_lines(&r, chains[i].chain, lines);
		for (size_t n = 0; n < LINES_MAX; n++) {
			const char *want = chains[i].lines[n];

			if (strcmp(lines[n], want ? want : "") != 0)
				fail_msg("%s: line %zu is \"%s\"",
					 chains[i].name, n, lines[n]);
		}
		end(&r);
	}
}

/* --- the base chain ------------------------------------------------------ */

/* What must stand before what in the whole script. */
static void test_order(void **state)
{
	static const char *const order[] = {
		"chain special_destination {",
		"fib daddr type",
		"127.0.0.0/8",
		"chain left_alone {",
		"jump special_destination",
		"fib saddr type local accept",
		"ip saddr { 0.0.0.0/8, 127.0.0.0/8",
		"@inbound4",
		"chain client_side {",
		"hook prerouting priority raw",
		"iifname \"lo\" accept",
		"meta mark & 0x3000 != 0 accept",
		"iifname { \"lan0\", \"veth*\" } jump intercept_0",
		"iifname { \"b0\" } jump intercept_1",
		"chain prerouting {",
		"hook prerouting priority mangle",
		"meta mark & 0x3000 != 0 accept",
		"socket transparent 1 counter name matched_tcp goto divert",
		"chain output {",
		"oifname { \"lan0\", \"veth*\" } jump to_client",
		"chain forward {",
		"oifname { \"b0\" } jump note_inbound",
	};
	struct rendered r;
	const char *at;

	(void)state; /* unused */
	begin(&r, "intercept a { from lan0, veth*; tcp any }\n"
		  "intercept b { from b0; tcp any }\n");
	at = str_get(&r.script);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		const char *next = strstr(at, order[i]);

		if (!next)
			fail_msg("\"%s\" is missing or too early", order[i]);
		at = next;
	}
	end(&r);
}

/* What comes from interfaces and what this host sends never mix. */
static void test_host(void **state)
{
	struct rendered r;

	(void)state; /* unused */
	begin(&r, "intercept self { from host; tcp 443 }");
	assert_false(has(&r, "chain intercept_0"));
	assert_false(has(&r, "oifname { "));
	assert_true(has(&r, "iifname \"lo\" meta mark & 0x3000 == 0x3000 goto "
			    "host_arrive\n\t\tiifname \"lo\" accept"));
	assert_true(has(&r, "jump host_intercept_0"));
	assert_false(has(&r, "ct direction")); /* conntrack stays off */
	end(&r);
	begin(&r, "intercept lan { from lan0; tcp 443 }");
	assert_false(has(&r, "host_"));
	end(&r);
}

/* nft knows no pattern of all names. */
static void test_all_interfaces(void **state)
{
	struct rendered r;

	(void)state; /* unused */
	begin(&r, "intercept all { from *; tcp 443 }");
	assert_true(has(&r, "\t\tiifname != \"lo\" jump intercept_0\n"));
	assert_false(has(&r, "\"*\""));
	end(&r);
}

/* Rules that ask for the same addresses share a set. */
static void test_shared_set(void **state)
{
	struct str text = { 0 };
	struct rendered r;
	size_t sets = 0;

	(void)state; /* unused */
	for (int list = 0; list < 2; list++) {
		str_addf(&text, "list l%d { net 10.0.0.0/24", list);
		for (int i = 1; i < 40; i++)
			str_addf(&text, ", 10.%d.0.0/24", i);
		str_add(&text, " }\n");
	}
	str_add(&text, "intercept lan { from lan0; tcp any; except dst l0 }\n"
		       "rules { list l0 -> drop; src l1 -> drop;"
		       " dst l1, 192.0.2.0/24 -> drop; default -> reject }\n");
	begin(&r, str_get(&text));
	for (const char *at = str_get(&r.script);
	     (at = strstr(at, "\tset nets4_")); at++)
		sets++;
	assert_int_equal(sets, 2);
	assert_true(has(&r, "\t\tip saddr @nets4_"));
	assert_true(has(&r, "\t\tip daddr @nets4_"));
	assert_false(has(&r, "daddr { 10."));
	end(&r);
	str_done(&text);
}

/* A family without a listener is not taken, and falls to the last line. */
static void test_one_family(void **state)
{
	static const char text[] = "intercept lan { from lan0; tcp any }";
	struct messages m = { .errors = 0 };
	struct plan p = { .has_family = { true, false } };
	struct rendered r = { .script = { 0 } };

	(void)state; /* unused */
	r.config = config_parse("t", text, strlen(text), &m);
	assert_non_null(r.config);
	messages_done(&m);
	p.config = r.config;
	p.ports[0][PROTO_TCP][FAMILY_V4] = 4711;
	nft_render(&p, &r.script);
	assert_true(has(&r, "tproxy ip to 127.0.0.1:4711"));
	assert_false(has(&r, "tproxy ip6"));
	end(&r);
}

/* --- accepted by nft ----------------------------------------------------- */

static const char *const accepted[] = {
	"intercept lan { from lan0; tcp any; udp any; except dst private }\n"
	"upstream out { via direct; source client }\n"
	"rules { udp port 123 -> direct; default -> out }\n",
	"on-failure closed; intercept a { from lan*; tcp 1-65535; udp 1 }",
	"intercept a { from veth*, lan0, veth-a; tcp 1, 3, 5-9, 65535 }",
	"intercept a { from lan0, lan1; udp any; except src 0.0.0.0/0, ::/0 }",
	"intercept a { from lan0; tcp 80; deliver [::1]:3129 }\n"
	"intercept b { from lan0; tcp any; deliver 127.0.0.1:3130 }\n"
	"intercept c { from host; udp 443 }\n",
	"intercept a { from lan0; tcp any; udp any }\n"
	"rules { src 10.0.0.0/8 dst 9.9.9.9 port 1, 5-7 -> reject; "
	"src ::/0 -> reject; tcp -> reject; udp -> drop; default -> reject }",
	"list l { net 10.0.0.0/9, 10.128.0.0/9, 2001:db8::1, ::/1 }\n"
	"intercept a { from lan0; tcp any; except dst l }\n"
	"rules { list l -> drop; src 10.0.0.0/8 dst 2001:db8::/32 -> drop }",
	"mark 0x1/0x80000001; intercept a { from lan0; tcp any }",
	"intercept a { from host; tcp any; udp any; except user root, 0, 65534;"
	" except cgroup there/is/none }\n"
	"intercept b { from host; tcp 1-5; deliver *:3129 }\n"
	"rules { src ::/0 -> reject; port 1 -> drop; default -> direct }",
	"on-failure closed; intercept a { from host; udp 53 }\n"
	"intercept b { from lan0; udp any; deliver *:1 }",
	"list l { net 0.0.0.0/32, 0.0.0.2/32, 0.0.0.4/32, 0.0.0.6/32,"
	" 0.0.0.8/29, 1.0.0.0/8, 3.0.0.0/8, 5.0.0.0/8, 7.0.0.0/8, 9.0.0.0/8,"
	" 11.0.0.0/8, 13.0.0.0/8, 15.0.0.0/8, 17.0.0.0/8, 19.0.0.0/8,"
	" 21.0.0.0/8, 128.0.0.0/2, 255.255.255.255, ::, ::2, ::4, ::6, ::8,"
	" ::a, ::c, ::e, ::10, ::12, ::14, ::16, ::18, ::1a, ::1c, ::1e,"
	" 8000::/1 }\n"
	"intercept a { from lan0; tcp any; except src l }\n"
	"rules { list l -> drop; src l -> reject; default -> direct log }",
};

static void test_accepted(void **state)
{
	static const char *const argv[] = { "nft", "-c", "-f", "-", NULL };
	static const char *const probe[] = { "nft", "list", "tables", NULL };

	(void)state; /* unused */
	netns_begin();
	if (child_run(probe, NULL, NULL, NULL, NULL)) {
		print_message("skipped: nft does not work here\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
		struct str complaint = { 0 };
		struct err e = { 0 };
		struct rendered r;

		begin(&r, accepted[i]);
		if (child_run(argv, str_get(&r.script), NULL, &complaint, &e))
			fail_msg("%s\n%s%s", accepted[i], e.text,
				 str_get(&complaint));
		str_done(&complaint);
		end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_all_interfaces),
		cmocka_unit_test(test_shared_set),
		cmocka_unit_test(test_one_family),
		cmocka_unit_test(test_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
