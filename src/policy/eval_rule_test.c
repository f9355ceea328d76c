/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval_rule_test.c - rules by name: what matches, what waits for first bytes.
 */
#include "policy/eval.h"
#include "policy/texts_test.h"

static const char text[] =
	"intercept lan { from eth1; tcp any; udp any }\n"
	"intercept dmz { from eth2; tcp any }\n"
	"upstream out { via socks5 192.0.2.1:1080 }\n"
	"list names { domain ads.test, .bad.test }\n"
	"list both { domain *.corp.test; net 10.0.0.0/8 }\n"
	"rules {\n"
	"  udp port 53 -> out\n"			 /* 0 */
	"  list names -> reject\n"			 /* 1 */
	"  list both -> out\n"				 /* 2 */
	"  domain www.test dst 198.51.100.0/24 -> out\n" /* 3 */
	"  intercept lan quic src 192.0.2.7 -> drop\n"	 /* 4 */
	"  quic domain q.test -> direct\n"		 /* 5 */
	"  tcp port 25 -> direct\n"			 /* 6 */
	"}\n";						 /* 7: default */

/* --- one rule ------------------------------------------------------------ */

enum { OPEN = 1, QUIC = 2, DMZ = 4, SRC = 8 };

static const struct {
	const char *name;
	size_t rule;
	enum proto proto;
	const char *dst, *domain;
	unsigned flags;
	enum match match;
	enum mismatch why;
} answers[] = {
	{ "a rule without names is never open", 0, PROTO_UDP, "192.0.2.9:53",
	  NULL, OPEN, MATCH_YES, MISMATCH_NONE },
	{ "a port that is not in it decides at once", 0, PROTO_UDP,
	  "192.0.2.9:54", NULL, OPEN, MATCH_NO, MISMATCH_PORT },
	{ "names wait for first bytes", 1, PROTO_TCP, "10.0.0.1:80", NULL, OPEN,
	  MATCH_OPEN, MISMATCH_NONE },
	{ "first bytes that tell no name", 1, PROTO_TCP, "10.0.0.1:80", NULL, 0,
	  MATCH_NO, MISMATCH_DST_OR_DOMAIN },
	{ "a name that is in the list", 1, PROTO_TCP, "10.0.0.1:80",
	  "x.bad.test", 0, MATCH_YES, MISMATCH_NONE },
	{ "a name that is not in the list", 1, PROTO_TCP, "10.0.0.1:80",
	  "x.ads.test", 0, MATCH_NO, MISMATCH_DST_OR_DOMAIN },
	{ "a known name decides, whatever may come", 1, PROTO_TCP,
	  "10.0.0.1:80", "x.ads.test", OPEN, MATCH_NO, MISMATCH_DST_OR_DOMAIN },
	{ "a destination in a list with names waits for nothing", 2, PROTO_TCP,
	  "10.0.0.1:80", NULL, OPEN, MATCH_YES, MISMATCH_NONE },
	{ "a destination in it, another name", 2, PROTO_TCP, "10.0.0.1:80",
	  "corp.test", 0, MATCH_YES, MISMATCH_NONE },
	{ "another destination may be there by name", 2, PROTO_TCP,
	  "11.0.0.1:80", NULL, OPEN, MATCH_OPEN, MISMATCH_NONE },
	{ "another destination, a name in the list", 2, PROTO_TCP,
	  "11.0.0.1:80", "a.corp.test", 0, MATCH_YES, MISMATCH_NONE },
	{ "neither of them", 2, PROTO_TCP, "11.0.0.1:80", "a.test", 0, MATCH_NO,
	  MISMATCH_DST_OR_DOMAIN },
	{ "dst and domain: another destination decides at once", 3, PROTO_TCP,
	  "192.0.2.9:80", NULL, OPEN, MATCH_NO, MISMATCH_DST },
	{ "dst and domain: the destination alone is not enough", 3, PROTO_TCP,
	  "198.51.100.9:80", NULL, OPEN, MATCH_OPEN, MISMATCH_NONE },
	{ "dst and domain: both", 3, PROTO_TCP, "198.51.100.9:80", "www.test",
	  0, MATCH_YES, MISMATCH_NONE },
	{ "dst and domain: no name", 3, PROTO_TCP, "198.51.100.9:80", NULL, 0,
	  MATCH_NO, MISMATCH_DOMAIN },
	{ "TCP is never QUIC", 4, PROTO_TCP, "192.0.2.9:443", NULL, OPEN | SRC,
	  MATCH_NO, MISMATCH_PROTO },
	{ "UDP may be QUIC", 4, PROTO_UDP, "192.0.2.9:443", NULL, OPEN | SRC,
	  MATCH_OPEN, MISMATCH_NONE },
	{ "UDP that is QUIC", 4, PROTO_UDP, "192.0.2.9:443", NULL,
	  OPEN | SRC | QUIC, MATCH_YES, MISMATCH_NONE },
	{ "UDP that is not", 4, PROTO_UDP, "192.0.2.9:443", NULL, SRC, MATCH_NO,
	  MISMATCH_QUIC },
	{ "QUIC of another source", 4, PROTO_UDP, "192.0.2.9:443", NULL,
	  OPEN | QUIC, MATCH_NO, MISMATCH_SRC },
	{ "QUIC behind another intercept", 4, PROTO_UDP, "192.0.2.9:443", NULL,
	  OPEN | QUIC | SRC | DMZ, MATCH_NO, MISMATCH_INTERCEPT },
	{ "QUIC whose name is not known yet", 5, PROTO_UDP, "192.0.2.9:443",
	  NULL, OPEN | QUIC, MATCH_OPEN, MISMATCH_NONE },
	{ "QUIC that tells no name", 5, PROTO_UDP, "192.0.2.9:443", NULL, QUIC,
	  MATCH_NO, MISMATCH_DOMAIN },
	{ "QUIC with the name", 5, PROTO_UDP, "192.0.2.9:443", "q.test", QUIC,
	  MATCH_YES, MISMATCH_NONE },
	{ "the default", 7, PROTO_TCP, "192.0.2.9:443", NULL, OPEN, MATCH_YES,
	  MISMATCH_NONE },
};

static void test_answers(void **state)
{
	struct config *c = parse_right(text);

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		unsigned flags = answers[i].flags;
		enum mismatch why;
		struct addr src, dst;
		struct flow_facts f = {
			.intercept = !!(flags & DMZ),
			.proto = answers[i].proto,
			.src = &src,
			.dst = &dst,
			.is_open = flags & OPEN,
			.name = answers[i].domain,
			.is_quic = flags & QUIC,
		};
		enum match match;

		assert_int_equal(
			addr_parse(flags & SRC ? "192.0.2.7:9" : "192.0.2.8:9",
				   &src),
			0);
		assert_int_equal(addr_parse(answers[i].dst, &dst), 0);
		match = eval_rule(c, answers[i].rule, &f, &why);
		if (match != answers[i].match || why != answers[i].why)
			fail_msg("%s: match %d, %s", answers[i].name, match,
				 mismatch_name(why));
	}
	config_free(c);
}

/* --- a flow -------------------------------------------------------------- */

static const struct {
	const char *name;
	enum proto proto;
	const char *dst, *domain;
	unsigned flags;
	size_t rule;
	bool is_open;
} flows[] = {
	{ "what no name can change is decided", PROTO_UDP, "192.0.2.9:53", NULL,
	  OPEN, 0, false },
	{ "the first open rule stops the search", PROTO_TCP, "192.0.2.9:25",
	  NULL, OPEN, 1, true },
	{ "also before one that matches", PROTO_TCP, "10.0.0.1:80", NULL, OPEN,
	  1, true },
	{ "without a name a later rule matches", PROTO_TCP, "192.0.2.9:25",
	  NULL, 0, 6, false },
	{ "with one an earlier rule does", PROTO_TCP, "192.0.2.9:25",
	  "ads.test", 0, 1, false },
	{ "nothing matches but the default", PROTO_TCP, "192.0.2.9:80", "a.b",
	  0, 7, false },
};

static void test_flows(void **state)
{
	struct config *c = parse_right(text);

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(flows); i++) {
		struct addr src = { .family = AF_INET }, dst;
		struct flow_facts f = {
			.proto = flows[i].proto,
			.src = &src,
			.dst = &dst,
			.is_open = flows[i].flags & OPEN,
			.name = flows[i].domain,
		};
		bool is_open;
		size_t rule;

		assert_int_equal(addr_parse(flows[i].dst, &dst), 0);
		rule = eval_flow(c, &f, &is_open);
		if (rule != flows[i].rule || is_open != flows[i].is_open)
			fail_msg("%s: rule %zu, open %d", flows[i].name, rule,
				 is_open);
		f.is_open = true;
		f.name = NULL;
		assert_int_equal(eval_rules(c, 0, f.proto, &src, &dst),
				 eval_flow(c, &f, &is_open));
	}
	config_free(c);
}

/* --- what engines ask ---------------------------------------------------- */

static void test_kinds(void **state)
{
	static const struct {
		const char *name;
		enum verdict_kind kind;
		bool is_open, has_dst;
	} rules[] = {
		{ "a proxy", VERDICT_RELAY, false, false },
		{ "a list of names that rejects", VERDICT_RELAY, true, false },
		{ "a list with networks", VERDICT_RELAY, true, false },
		{ "a name and a destination", VERDICT_RELAY, true, true },
		{ "QUIC that drops", VERDICT_RELAY, true, false },
		{ "QUIC that goes direct", VERDICT_RELAY, true, false },
		{ "a port that goes direct", VERDICT_PASS, false, false },
		{ "the default", VERDICT_PASS, false, false },
	};
	struct config *c = parse_right(text);

	(void)state; /* unused */
	assert_int_equal(c->rule_count, COUNT_OF(rules));
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		if (eval_rule_kind(c, i) != rules[i].kind ||
		    eval_rule_is_open(&c->rules[i]) != rules[i].is_open ||
		    !!eval_rule_dst(&c->rules[i]) != rules[i].has_dst)
			fail_msg("%s", rules[i].name);
	}
	config_free(c);
}

/* A list without names is a condition on the destination like others. */
static void test_plain_list(void **state)
{
	struct config *c =
		parse_right("list l { net 10.0.0.0/8 }\n"
			    "list none { }\n"
			    "rules { list l -> drop; list none -> drop }");

	(void)state; /* unused */
	for (size_t i = 0; i < 2; i++) {
		assert_false(eval_rule_is_open(&c->rules[i]));
		assert_ptr_equal(eval_rule_dst(&c->rules[i]), &c->rules[i].dst);
		assert_int_equal(eval_rule_kind(c, i), VERDICT_DROP);
	}
	config_free(c);
}

static void test_upstreams(void **state)
{
	static const struct {
		const char *name;
		enum verdict_kind kind;
		bool has_udp;
	} rows[] = {
		{ "direct", VERDICT_RELAY, true },
		{ "reject", VERDICT_REJECT, true },
		{ "drop", VERDICT_DROP, true },
		{ "self", VERDICT_RELAY, true },
		{ "no", VERDICT_REJECT, true },
		{ "socks", VERDICT_RELAY, false },
		{ "socks-udp", VERDICT_RELAY, true },
		{ "http", VERDICT_RELAY, false },
		{ "one", VERDICT_RELAY, false },
		{ "two", VERDICT_RELAY, true },
		{ "all", VERDICT_RELAY, true },
	};
	struct config *c = parse_right(
		"upstream self { source self; via direct }\n"
		"upstream no { via reject }\n"
		"upstream socks { via socks5 192.0.2.1:1 }\n"
		"upstream socks-udp { via socks5 192.0.2.1:2; udp on }\n"
		"upstream http { via http-connect 192.0.2.1:3 }\n"
		"upstream one { via proxy-protocol-v1 192.0.2.1:4 }\n"
		"upstream two { via proxy-protocol-v2 192.0.2.1:5 }\n"
		"group all { members socks, http }\n");

	(void)state; /* unused */
	assert_int_equal(c->upstream_count, COUNT_OF(rows));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_string_equal(c->upstreams[i].name, rows[i].name);
		if (eval_upstream_kind(&c->upstreams[i]) != rows[i].kind ||
		    eval_upstream_has_udp(&c->upstreams[i]) != rows[i].has_udp)
			fail_msg("%s", rows[i].name);
	}
	config_free(c);
}

static void test_sniff(void **state)
{
	static const struct {
		const char *name, *text;
		bool can_tcp, can_udp;
	} rows[] = {
		{ "all of it, if nothing is said", "", true, true },
		{ "TLS", "sniff { tls }", true, false },
		{ "HTTP", "sniff { http }", true, false },
		{ "QUIC", "sniff { quic }", false, true },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct config *c = parse_right(rows[i].text);

		if (eval_can_sniff(c, PROTO_TCP) != rows[i].can_tcp ||
		    eval_can_sniff(c, PROTO_UDP) != rows[i].can_udp)
			fail_msg("%s", rows[i].name);
		config_free(c);
	}
}

/* --- why an intercept does not take a packet ----------------------------- */

static void test_misses(void **state)
{
	static const struct {
		const char *name, *intercept, *src, *dst;
		enum miss miss;
	} rows[] = {
		{ "it takes it", "from eth1; tcp any", "192.0.2.1:9",
		  "198.51.100.1:80", MISS_NONE },
		{ "a listener for proxies",
		  "listen 192.0.2.9:80; proxy-protocol from 192.0.2.1",
		  "192.0.2.1:9", "198.51.100.1:80", MISS_LISTEN },
		{ "another interface", "from eth2; tcp any", "192.0.2.1:9",
		  "198.51.100.1:80", MISS_FROM },
		{ "a listener of the other family",
		  "from eth1; tcp any; deliver 127.0.0.1:80", "[2001:db8::1]:9",
		  "[2001:db8::2]:80", MISS_FAMILY },
		{ "another port", "from eth1; tcp 81; except dst 198.51.100.1",
		  "192.0.2.1:9", "198.51.100.1:80", MISS_PORT },
		{ "an excepted source",
		  "from eth1; tcp any; except src 192.0.2.1; except port 80",
		  "192.0.2.1:9", "198.51.100.1:80", MISS_EXCEPT_SRC },
		{ "an excepted destination",
		  "from eth1; tcp any; except dst 198.51.100.1", "192.0.2.1:9",
		  "198.51.100.1:80", MISS_EXCEPT_DST },
		{ "an excepted port", "from eth1; tcp any; except port 80",
		  "192.0.2.1:9", "198.51.100.1:80", MISS_EXCEPT_PORT },
	};
	struct str words = { 0 };

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct facts f = { .ifname = "eth1" };
		struct config *c;
		struct verdict v;

		str_reset(&words);
		str_addf(&words, "intercept i { %s }", rows[i].intercept);
		c = parse_right(str_get(&words));
		assert_int_equal(addr_parse(rows[i].src, &f.src), 0);
		assert_int_equal(addr_parse(rows[i].dst, &f.dst), 0);
		if (eval_intercept(c, 0, &f) != rows[i].miss)
			fail_msg("%s: %s", rows[i].name,
				 miss_name(eval_intercept(c, 0, &f)));
		eval_packet(c, &f, &v);
		assert_int_equal(v.intercept,
				 rows[i].miss == MISS_NONE ? 0 : -1);
		assert_int_equal(v.reason == PASS_EXCEPT,
				 rows[i].miss >= MISS_EXCEPT_SRC);
		config_free(c);
	}
	str_done(&words);
}

static void test_owners_miss(void **state)
{
	struct config *c = parse_right("intercept i { from host; tcp any\n"
				       "except user u; except cgroup a/b }");
	struct facts f = { .user = "u", .cgroup = "a/b/c" };

	(void)state; /* unused */
	assert_int_equal(addr_parse("192.0.2.1:9", &f.src), 0);
	assert_int_equal(addr_parse("198.51.100.1:80", &f.dst), 0);
	assert_int_equal(eval_intercept(c, 0, &f), MISS_EXCEPT_USER);
	f.user = NULL;
	assert_int_equal(eval_intercept(c, 0, &f), MISS_EXCEPT_CGROUP);
	f.cgroup = "a";
	assert_int_equal(eval_intercept(c, 0, &f), MISS_NONE);
	config_free(c);
}

static void test_names(void **state)
{
	(void)state; /* unused */
	for (int a = 0; a <= MISMATCH_DST_OR_DOMAIN; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(
				mismatch_name((enum mismatch)a),
				mismatch_name((enum mismatch)b));
	}
	for (int a = 0; a <= MISS_EXCEPT_CGROUP; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(miss_name((enum miss)a),
						miss_name((enum miss)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_plain_list),
		cmocka_unit_test(test_upstreams),
		cmocka_unit_test(test_sniff),
		cmocka_unit_test(test_misses),
		cmocka_unit_test(test_owners_miss),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
