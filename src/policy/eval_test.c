/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval_test.c - packets and what becomes of them, by one configuration.
 *
 * random_test.c compares the same functions with a naive evaluator.
 */
#include "policy/eval.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
	"list ads { net 198.51.100.0/24, 2001:db8:ad::/48 }\n"
	"intercept web { from eth1; tcp 80; deliver 127.0.0.1:3129 }\n" /* 0 */
	"intercept lan { from eth1, veth*; tcp any; udp 53, 443;\n"	/* 1 */
	"  except dst private; except src 10.0.0.9; except port 22 }\n"
	"intercept corp { from eth1; tcp any; except port 25 }\n" /* 2 */
	"intercept self { from host; tcp 443 }\n"		  /* 3 */
	"upstream up { via proxy-protocol-v2 10.0.0.5:80 }\n"	  /* 3 */
	"rules {\n"
	"  list ads -> reject\n"		       /* 0 */
	"  intercept corp -> up\n"		       /* 1 */
	"  udp port 53 src 10.0.0.0/24 -> drop log\n"  /* 2 */
	"  tcp dst 203.0.113.7 port 1000-2000 -> up\n" /* 3 */
	"}\n";					       /* 4: default */

/* clang-format off */
static const struct packet {
	const char *name, *ifname;
	enum proto proto;
	const char *src, *dst;
	bool is_dst_local;
	struct verdict verdict;
} packets[] = {
	{ "a web server's packet goes to the listener", "eth1", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.1:80", false,
	  { VERDICT_DELIVER, PASS_NONE, 0, -1, -1 } },
	{ "an IPv4 listener takes no IPv6", "eth1", PROTO_TCP,
	  "[2001:db8::1]:999", "[2001:db8::2]:80", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 4, UPSTREAM_DIRECT } },
	{ "what no rule names goes direct", "eth1", PROTO_TCP, "10.0.0.1:999",
	  "203.0.113.1:443", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 4, UPSTREAM_DIRECT } },
	{ "a pattern matches the interface", "veth12", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.7:1500", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 3, 3 } },
	{ "a name without a star matches only itself", "eth11", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.1:443", false,
	  { VERDICT_PASS, PASS_NO_INTERCEPT, -1, -1, -1 } },
	{ "an excepted destination goes on to a later intercept", "eth1",
	  PROTO_TCP, "10.0.0.1:999", "10.1.1.1:443", false,
	  { VERDICT_RELAY, PASS_NONE, 2, 1, 3 } },
	{ "an excepted destination that nobody else wants passes", "veth1",
	  PROTO_TCP, "10.0.0.1:999", "10.1.1.1:443", false,
	  { VERDICT_PASS, PASS_EXCEPT, -1, -1, -1 } },
	{ "an excepted source passes", "veth1", PROTO_TCP, "10.0.0.9:999",
	  "203.0.113.1:443", false,
	  { VERDICT_PASS, PASS_EXCEPT, -1, -1, -1 } },
	{ "a port that two intercepts except passes", "veth1", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.1:22", false,
	  { VERDICT_PASS, PASS_EXCEPT, -1, -1, -1 } },
	{ "a protocol that is off passes", "eth1", PROTO_UDP, "10.0.0.1:999",
	  "203.0.113.1:80", false,
	  { VERDICT_PASS, PASS_NO_INTERCEPT, -1, -1, -1 } },
	{ "a list rejects IPv4", "eth1", PROTO_TCP, "10.0.0.1:999",
	  "198.51.100.9:443", false,
	  { VERDICT_REJECT, PASS_NONE, 1, 0, UPSTREAM_REJECT } },
	{ "a list rejects IPv6", "eth1", PROTO_UDP, "[2001:db8::1]:999",
	  "[2001:db8:ad::5]:443", false,
	  { VERDICT_REJECT, PASS_NONE, 1, 0, UPSTREAM_REJECT } },
	{ "a rule drops", "eth1", PROTO_UDP, "10.0.0.1:999", "9.9.9.9:53",
	  false, { VERDICT_DROP, PASS_NONE, 1, 2, UPSTREAM_DROP } },
	{ "all conditions must hold", "eth1", PROTO_UDP, "10.0.1.1:999",
	  "9.9.9.9:53", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 4, UPSTREAM_DIRECT } },
	{ "this host's own traffic", NULL, PROTO_TCP, "10.0.0.1:999",
	  "203.0.113.1:443", false,
	  { VERDICT_RELAY, PASS_NONE, 3, 4, UPSTREAM_DIRECT } },
	{ "what is for this host passes", "eth1", PROTO_TCP, "10.0.0.1:999",
	  "203.0.113.1:80", true,
	  { VERDICT_PASS, PASS_DST_LOCAL, -1, -1, -1 } },
#define SPECIAL(what, dst)                                                   \
	{ what, "eth1", PROTO_TCP, "10.0.0.1:999", dst, false,               \
	  { VERDICT_PASS, PASS_DST_SPECIAL, -1, -1, -1 } }
	SPECIAL("multicast passes", "224.0.0.251:80"),
	SPECIAL("the last multicast address passes", "239.255.255.255:80"),
	SPECIAL("broadcast passes", "255.255.255.255:80"),
	SPECIAL("the unspecified address passes", "0.0.0.0:80"),
	SPECIAL("this network passes", "0.1.2.3:80"),
	SPECIAL("loopback passes", "127.3.2.1:80"),
	SPECIAL("link-local passes", "169.254.169.254:80"),
	SPECIAL("IPv6 multicast passes", "[ff02::fb]:80"),
	SPECIAL("IPv6 unspecified passes", "[::]:80"),
	SPECIAL("IPv6 loopback passes", "[::1]:80"),
	SPECIAL("IPv6 link-local passes", "[fe80::1]:80"),
	SPECIAL("a mapped address passes", "[::ffff:203.0.113.1]:80"),
#undef SPECIAL
	{ "the address before broadcast is one like others", "veth1",
	  PROTO_TCP, "10.0.0.1:999", "255.255.255.254:80", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 4, UPSTREAM_DIRECT } },
};
/* clang-format on */

static void test_packets(void **state)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", text, strlen(text), &m);

	(void)state; /* unused */
	assert_non_null(c);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		const struct packet *p = &packets[i];
		struct facts f = { .ifname = p->ifname,
				   .proto = p->proto,
				   .is_dst_local = p->is_dst_local };
		struct verdict v;

		assert_int_equal(addr_parse(p->src, &f.src), 0);
		assert_int_equal(addr_parse(p->dst, &f.dst), 0);
		eval_packet(c, &f, &v);
		if (memcmp(&v, &p->verdict, sizeof(v)) != 0)
			fail_msg("%s: got %s (%s), intercept %d, rule %d, "
				 "upstream %d",
				 p->name, verdict_name(v.kind),
				 pass_reason_name(v.reason), v.intercept,
				 v.rule, v.upstream);
	}
	config_free(c);
	messages_done(&m);
}

static void test_ifnames(void **state)
{
	static const struct {
		const char *pattern, *ifname;
		bool is_match;
	} rows[] = {
		{ "eth1", "eth1", true },   { "eth1", "eth10", false },
		{ "eth1", "eth", false },   { "eth*", "eth1", true },
		{ "eth*", "eth", true },    { "eth*", "et", false },
		{ "eth*", "xeth1", false }, { "*", "anything", true },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			ifname_matches(rows[i].pattern, rows[i].ifname),
			rows[i].is_match);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_ifnames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
