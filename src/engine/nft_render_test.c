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

enum { LINES_MAX = 24 };

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
	  { "meta nfproto ipv4 meta l4proto tcp notrack tproxy ip to 127.0.0.1:10000 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "meta nfproto ipv6 meta l4proto tcp notrack tproxy ip6 to [::1]:10001 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "meta nfproto ipv4 meta l4proto udp notrack tproxy ip to 127.0.0.1:10002 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "meta nfproto ipv6 meta l4proto udp notrack tproxy ip6 to [::1]:10003 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "counter accept comment \"nobody listens\"" } },
	{ "closed: while nobody listens, nothing passes",
	  "on-failure closed; intercept lan { from lan0; tcp any }", "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp notrack tproxy ip to 127.0.0.1:10000 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "meta nfproto ipv6 meta l4proto tcp notrack tproxy ip6 to [::1]:10001 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "counter drop comment \"nobody listens\"" } },
	{ "another program's listener has one family",
	  "intercept web { from lan0; tcp 80; deliver 127.0.0.1:3129 }",
	  "take_0",
	  { "meta nfproto ipv4 meta l4proto tcp notrack tproxy ip to 127.0.0.1:3129 "
	    "meta mark set meta mark & 0xffffcfff | 0x1000 counter accept",
	    "counter accept comment \"nobody listens\"" } },
	{ "some ports of each protocol",
	  "intercept lan { from lan0; tcp 80, 443; udp 53, 1000-2000 }",
	  "intercept_0",
	  { "jump known_client", "jump left_alone",
	    "meta l4proto tcp tcp dport { 80, 443 } goto select_0",
	    "meta l4proto udp udp dport { 53, 1000-2000 } goto select_0" } },
	{ "refusals are carried out in their order, before the listener",
	  "intercept lan { from lan0; tcp any; udp any }\n"
	  "rules { tcp port 80 -> direct; dst 9.9.9.0/24 -> reject;"
	  " udp port 53 src 192.0.2.0/24 -> drop; tcp port 25 -> direct }",
	  "select_0",
	  { "meta l4proto tcp th dport { 80 } goto take_0",
	    "ip daddr { 9.9.9.0/24 } meta l4proto tcp counter reject with tcp "
	    "reset",
	    "ip daddr { 9.9.9.0/24 } meta l4proto udp counter reject with "
	    "icmpx port-unreachable",
	    "ip saddr { 192.0.2.0/24 } meta l4proto udp th dport { 53 } "
	    "counter drop",
	    "goto take_0" } },
	{ "a rule of IPv6 prefixes has no IPv4 line",
	  "intercept lan { from lan0; tcp any }\n"
	  "rules { tcp dst 2001:db8::/32 -> drop }", "select_0",
	  { "ip6 daddr { 2001:db8::/32 } meta l4proto tcp counter drop",
	    "goto take_0" } },
	{ "a rule for both families has a line for each",
	  "list ads { net 198.51.100.0/24, 2001:db8:ad::/48 }\n"
	  "intercept lan { from lan0; tcp any }\n"
	  "rules { tcp list ads -> drop }", "select_0",
	  { "ip daddr { 198.51.100.0/24 } meta l4proto tcp counter drop",
	    "ip6 daddr { 2001:db8:ad::/48 } meta l4proto tcp counter drop",
	    "goto take_0" } },
	{ "a rule of another intercept is left out",
	  "intercept a { from a0; tcp any }\n"
	  "intercept b { from b0; tcp any }\n"
	  "rules { intercept a tcp -> reject; tcp port 9 -> drop }",
	  "select_1",
	  { "meta l4proto tcp th dport { 9 } counter drop", "goto take_1" } },
	{ "a default that refuses needs no listener",
	  "intercept lan { from lan0; tcp any }\nrules { default -> drop }",
	  "select_0",
	  { "meta l4proto tcp counter drop", "meta l4proto udp counter drop",
	    "goto take_0" } },
	{ "marks are those of the configuration",
	  "mark 0x40/0xc0; intercept lan { from lan0; tcp any }", "divert",
	  { "meta mark set meta mark & 0xffffff3f | 0x40 counter accept" } },
};
/* clang-format on */

static void chain_lines(const struct rendered *r, const char *name,
			char lines[LINES_MAX][256])
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
		assert_true(len > 2 && len < 256);
		memcpy(lines[i], at + 2, len - 2); /* without the tabs */
		at += len + 1;
	}
}

static void test_chains(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		char lines[LINES_MAX][256] = { "" };
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
		"chain left_alone {",
		"fib daddr type",
		"127.0.0.0/8",
		"chain client_side {",
		"hook prerouting priority raw",
		"iifname \"lo\" accept",
		"meta mark & 0x3000 != 0 accept",
		"iifname { \"lan0\", \"veth*\" } jump intercept_0",
		"iifname { \"b0\" } jump intercept_1",
		"chain prerouting {",
		"hook prerouting priority mangle",
		"meta mark & 0x3000 != 0 accept",
		"socket transparent 1 goto divert",
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

static void test_host_only(void **state)
{
	struct rendered r;

	(void)state; /* unused */
	begin(&r, "intercept self { from host; tcp 443 }");
	assert_false(has(&r, "jump intercept_0"));
	end(&r);
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
		cmocka_unit_test(test_host_only),
		cmocka_unit_test(test_one_family),
		cmocka_unit_test(test_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
