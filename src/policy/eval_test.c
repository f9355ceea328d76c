/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval_test.c - packets and what becomes of them, by one configuration.
 *
 * random_test.c compares the same functions with a naive evaluator.
 */
#include "policy/eval.h"
#include "policy/texts_test.h"

static const char text[] =
	"list ads { net 198.51.100.0/24, 2001:db8:ad::/48 }\n"
	"intercept web { from eth1; tcp 80; deliver 127.0.0.1:3129 }\n" /* 0 */
	"intercept lan { from eth1, veth*; tcp any; udp 53, 443;\n"	/* 1 */
	"  except dst private; except src 10.0.0.9; except port 22 }\n"
	"intercept corp { from eth1; tcp any; except port 25 }\n"	 /* 2 */
	"intercept self { from host; tcp 443; except user proxy, 107;\n" /* 3 */
	"  except cgroup system.slice/vpn.service, a/b }\n"
	"intercept both { from eth2; tcp any; deliver *:3130 }\n" /* 4 */
	"upstream up { via proxy-protocol-v2 10.0.0.5:80 }\n"	  /* 3 */
	"upstream out { via direct }\n"				  /* 4 */
	"rules {\n"
	"  list ads -> reject\n"		       /* 0 */
	"  intercept corp -> up\n"		       /* 1 */
	"  udp port 53 src 10.0.0.0/24 -> drop log\n"  /* 2 */
	"  tcp dst 203.0.113.7 port 1000-2000 -> up\n" /* 3 */
	"  tcp dst 203.0.113.8 -> direct log\n"	       /* 4 */
	"  tcp dst 203.0.113.9 -> out\n"	       /* 5 */
	"}\n";					       /* 6: default */

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
	  { VERDICT_PASS, PASS_DIRECT, 1, 6, UPSTREAM_DIRECT } },
	{ "a listener of any family takes IPv4", "eth2", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.1:80", false,
	  { VERDICT_DELIVER, PASS_NONE, 4, -1, -1 } },
	{ "a listener of any family takes IPv6", "eth2", PROTO_TCP,
	  "[2001:db8::1]:999", "[2001:db8::2]:80", false,
	  { VERDICT_DELIVER, PASS_NONE, 4, -1, -1 } },
	{ "what no rule names goes direct", "eth1", PROTO_TCP, "10.0.0.1:999",
	  "203.0.113.1:443", false,
	  { VERDICT_PASS, PASS_DIRECT, 1, 6, UPSTREAM_DIRECT } },
	{ "what goes direct and is logged is relayed", "eth1", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.8:443", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 4, UPSTREAM_DIRECT } },
	{ "an upstream that is direct relays", "eth1", PROTO_TCP,
	  "10.0.0.1:999", "203.0.113.9:443", false,
	  { VERDICT_RELAY, PASS_NONE, 1, 5, 4 } },
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
	  { VERDICT_PASS, PASS_DIRECT, 1, 6, UPSTREAM_DIRECT } },
	{ "this host's own traffic", NULL, PROTO_TCP, "10.0.0.1:999",
	  "203.0.113.1:443", false,
	  { VERDICT_PASS, PASS_DIRECT, 3, 6, UPSTREAM_DIRECT } },
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
	  { VERDICT_PASS, PASS_DIRECT, 1, 6, UPSTREAM_DIRECT } },
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

/* --- what passes whatever the configuration says ------------------------- */

enum { DST_LOCAL = 1, SRC_LOCAL = 2 };

/* An intercept takes all of these, were it not for their addresses. */
static const struct always {
	const char *name, *ifname, *src, *dst;
	unsigned locals;
	enum pass_reason reason; /* PASS_NONE: it is relayed */
} always[] = {
	{ "ordinary addresses are relayed", "e", "192.0.2.1:9",
	  "203.0.113.1:80", 0, PASS_NONE },
	{ "our own address as the source", "e", "192.0.2.1:9", "203.0.113.1:80",
	  SRC_LOCAL, PASS_SRC_LOCAL },
	{ "what this host sends has its address", NULL, "192.0.2.1:9",
	  "203.0.113.1:80", SRC_LOCAL, PASS_NONE },
	{ "this host to itself", NULL, "192.0.2.1:9", "192.0.2.1:80",
	  SRC_LOCAL | DST_LOCAL, PASS_DST_LOCAL },
	{ "a source on the link is one like others", "e", "169.254.7.7:9",
	  "203.0.113.1:80", 0, PASS_NONE },
	{ "an IPv6 source on the link, too", "e", "[fe80::7]:9",
	  "[2001:db8::1]:80", 0, PASS_NONE },
	{ "a multicast source", "e", "224.0.0.1:9", "203.0.113.1:80", 0,
	  PASS_SRC_SPECIAL },
	{ "the last multicast source", "e", "239.255.255.255:9",
	  "203.0.113.1:80", 0, PASS_SRC_SPECIAL },
	{ "a broadcast source", "e", "255.255.255.255:9", "203.0.113.1:80", 0,
	  PASS_SRC_SPECIAL },
	{ "a source before broadcast", "e", "255.255.255.254:9",
	  "203.0.113.1:80", 0, PASS_NONE },
	{ "a source of 0/8", "e", "0.9.9.9:9", "203.0.113.1:80", 0,
	  PASS_SRC_SPECIAL },
	{ "a loopback source", "e", "127.9.9.9:9", "203.0.113.1:80", 0,
	  PASS_SRC_SPECIAL },
	{ "an IPv6 multicast source", "e", "[ff02::1]:9", "[2001:db8::1]:80", 0,
	  PASS_SRC_SPECIAL },
	{ "an unspecified IPv6 source", "e", "[::]:9", "[2001:db8::1]:80", 0,
	  PASS_SRC_SPECIAL },
	{ "an IPv6 loopback source", "e", "[::1]:9", "[2001:db8::1]:80", 0,
	  PASS_SRC_SPECIAL },
	{ "a mapped source", "e", "[::ffff:192.0.2.1]:9", "[2001:db8::1]:80", 0,
	  PASS_SRC_SPECIAL },
	{ "this host's special sources are its own business", NULL,
	  "127.0.0.1:9", "203.0.113.1:80", 0, PASS_NONE },
	{ "this host's special destinations are not", NULL, "192.0.2.1:9",
	  "224.0.0.1:80", 0, PASS_DST_SPECIAL },
	{ "a local destination comes before a special one", "e", "127.0.0.1:9",
	  "224.0.0.1:80", SRC_LOCAL | DST_LOCAL, PASS_DST_LOCAL },
	{ "a special destination comes before a local source", "e",
	  "127.0.0.1:9", "224.0.0.1:80", SRC_LOCAL, PASS_DST_SPECIAL },
	{ "a local source comes before a special one", "e", "127.0.0.1:9",
	  "203.0.113.1:80", SRC_LOCAL, PASS_SRC_LOCAL },
};

static void test_always(void **state)
{
	struct config *c = parse_right("intercept a { from e; tcp any }\n"
				       "intercept b { from host; tcp any }");

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		const struct always *a = &always[i];
		struct facts f = { .ifname = a->ifname,
				   .is_src_local = a->locals & SRC_LOCAL,
				   .is_dst_local = a->locals & DST_LOCAL };
		struct verdict v;

		assert_int_equal(addr_parse(a->src, &f.src), 0);
		assert_int_equal(addr_parse(a->dst, &f.dst), 0);
		eval_packet(c, &f, &v);
		if (v.reason != a->reason ||
		    v.kind != (a->reason ? VERDICT_PASS : VERDICT_RELAY) ||
		    (a->reason && v.intercept != -1))
			fail_msg("%s: got %s (%s)", a->name,
				 verdict_name(v.kind),
				 pass_reason_name(v.reason));
	}
	config_free(c);
}

/* --- whose packets ------------------------------------------------------- */

/* By the configuration above; a packet that is excepted finds no other. */
static const struct owner {
	const char *name, *user, *cgroup;
	bool is_excepted;
} owners[] = {
	{ "what is not known is not excepted", NULL, NULL, false },
	{ "a user by name", "proxy", NULL, true },
	{ "a user by number", "107", NULL, true },
	{ "another user", "prox", "user.slice", false },
	{ "a longer name", "proxy2", NULL, false },
	{ "a cgroup", NULL, "system.slice/vpn.service", true },
	{ "a cgroup below it", "x", "system.slice/vpn.service/init", true },
	{ "a cgroup far below it", NULL, "a/b/c/d", true },
	{ "a cgroup above it", NULL, "system.slice", false },
	{ "a cgroup with a longer name", NULL, "system.slice/vpn.service2",
	  false },
	{ "a cgroup of that name elsewhere", NULL, "x/a/b", false },
	{ "the root", NULL, "", false },
};

static void test_owners(void **state)
{
	struct config *c = parse_right(text);

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct facts f = { .user = owners[i].user,
				   .cgroup = owners[i].cgroup };
		struct verdict v;

		assert_int_equal(addr_parse("192.0.2.1:9", &f.src), 0);
		assert_int_equal(addr_parse("203.0.113.9:443", &f.dst), 0);
		eval_packet(c, &f, &v);
		if ((v.reason == PASS_EXCEPT) != owners[i].is_excepted ||
		    (v.kind == VERDICT_RELAY) == owners[i].is_excepted)
			fail_msg("%s: got %s (%s)", owners[i].name,
				 verdict_name(v.kind),
				 pass_reason_name(v.reason));
		f.ifname = "eth1"; /* of another host: users mean nothing */
		eval_packet(c, &f, &v);
		assert_int_equal(v.kind, VERDICT_RELAY);
	}
	config_free(c);
}

/* --- rules as engines see them ------------------------------------------- */

static void test_rule_kinds(void **state)
{
	static const struct {
		const char *name, *text;
		size_t rule;
		enum verdict_kind kind;
	} rows[] = {
		{ "no rules at all", "", 0, VERDICT_RELAY },
		{ "an empty block", "rules { }", 0, VERDICT_RELAY },
		{ "a default that is written", "rules { default -> direct }", 0,
		  VERDICT_PASS },
		{ "a default behind others", "rules { tcp -> drop }", 1,
		  VERDICT_PASS },
		{ "direct with a record", "rules { tcp -> direct log }", 0,
		  VERDICT_RELAY },
		{ "direct by another name",
		  "upstream u { via direct }\nrules { tcp -> u }", 0,
		  VERDICT_RELAY },
		{ "reject", "rules { tcp -> reject log }", 0, VERDICT_REJECT },
		{ "drop by another name",
		  "upstream u { via drop }\nrules { tcp -> u }", 0,
		  VERDICT_DROP },
		{ "a proxy",
		  "upstream u { via proxy-protocol-v1 192.0.2.1:1 }\n"
		  "rules { tcp -> u }",
		  0, VERDICT_RELAY },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *c = parse_right(rows[i].text);
		enum verdict_kind kind = eval_rule_kind(c, rows[i].rule);

		if (kind != rows[i].kind)
			fail_msg("%s: got %s", rows[i].name,
				 verdict_name(kind));
		config_free(c);
	}
}

static void test_names(void **state)
{
	(void)state; /* unused */
	for (int a = PASS_NONE; a <= PASS_DIRECT; a++) {
		assert_non_null(pass_reason_name((enum pass_reason)a));
		for (int b = PASS_NONE; b < a; b++)
			assert_string_not_equal(
				pass_reason_name((enum pass_reason)a),
				pass_reason_name((enum pass_reason)b));
	}
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
		cmocka_unit_test(test_always),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_rule_kinds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ifnames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
