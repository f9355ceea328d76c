/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_group_test.c - `group`: members, balance, health, and where fallbacks
 * lead.
 */
#include "policy/texts_test.h"

#define UPS                                                                    \
	"upstream a { via socks5 a:1 }\nupstream b { via http-connect b:2 }\n"
#define GROUP(body) UPS "group g { " body " }"

static const struct upstream *find_group(const struct config *c)
{
	const struct upstream *last = &c->upstreams[c->upstream_count - 1];

	assert_int_equal(last->kind, UPSTREAM_GROUP);
	assert_non_null(last->group);
	return last;
}

static void test_model(void **state)
{
	struct config *c = parse_right(
		GROUP("members b, direct, a; balance least-conn;"
		      "health connect 1.1.1.1:443 fall 4 every 10s rise 1"
		      " timeout 2s; fallback a"));
	const struct group *g = find_group(c)->group;

	(void)state; /* unused */
	assert_int_equal(g->member_count, 3);
	assert_string_equal(c->upstreams[g->members[0]].name, "b");
	assert_int_equal(g->members[1], UPSTREAM_DIRECT);
	assert_string_equal(c->upstreams[g->members[2]].name, "a");
	assert_int_equal(g->balance, BALANCE_LEAST_CONN);
	assert_string_equal(c->upstreams[g->fallback].name, "a");
	assert_true(g->health.is_on);
	assert_int_equal(g->health.to.port, 443);
	assert_null(g->health.to_name);
	assert_int_equal(g->health.every_ms, 10 * 1000);
	assert_int_equal(g->health.timeout_ms, 2 * 1000);
	assert_int_equal(g->health.rise, 1);
	assert_int_equal(g->health.fall, 4);
	config_free(c);
}

static void test_defaults(void **state)
{
	struct config *c = parse_right(GROUP("members a"));
	const struct group *g = find_group(c)->group;

	(void)state; /* unused */
	assert_int_equal(g->balance, BALANCE_FIRST);
	assert_int_equal(g->fallback, UPSTREAM_REJECT);
	assert_false(g->health.is_on);
	assert_int_equal(g->health.every_ms, 10 * 1000);
	assert_int_equal(g->health.timeout_ms, 3 * 1000);
	assert_int_equal(g->health.rise, 2);
	assert_int_equal(g->health.fall, 3);
	config_free(c);
}

/* --- what is printed ----------------------------------------------------- */

static const struct kept {
	const char *name, *body, *printed;
} kepts[] = {
	{ "what is default is left out",
	  "members a; balance first; fallback reject", "    members a\n" },
	{ "a check as it is when nothing more is said",
	  "members a; health connect x.example:1 timeout 3s rise 2 fall 3"
	  " every 10s",
	  "    members a\n    health  connect x.example:1\n" },
	{ "all of it",
	  "fallback drop; balance hash client; members b, a;"
	  "health connect [::1]:1 fall 1 rise 3 timeout 900ms every 1s",
	  "    members  b, a\n"
	  "    balance  hash client\n"
	  "    health   connect [::1]:1 every 1s timeout 900ms rise 3 fall 1\n"
	  "    fallback drop\n" },
	{ "the others' balance", "members a, b; balance round-robin",
	  "    members a, b\n    balance round-robin\n" },
	{ "by the time they take", "members a, b; balance least-latency",
	  "    members a, b\n    balance least-latency\n" },
};

static void test_kept(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(kepts); i++) {
		struct str text = { .len = 0 }, wanted = { .len = 0 };
		struct config *c;

		str_addf(&text, GROUP("%s"), kepts[i].body);
		str_addf(&wanted,
			 "upstream a {\n    via socks5 a:1\n}\n"
			 "\nupstream b {\n    via http-connect b:2\n}\n"
			 "\ngroup g {\n%s}\n",
			 kepts[i].printed);
		c = parse_right(str_get(&text));
		expect_printed(c, str_get(&wanted));
		config_free(c);
		str_done(&text);
		str_done(&wanted);
	}
}

/* --- texts that are wrong ------------------------------------------------ */

#define HEALTH(options) GROUP("members a; health connect x:1 " options)

static const struct wrong_text wrongs[] = {
	{ "nobody in it", GROUP("balance first"), "3:7",
	  "group \"g\" is empty: it needs \"members\"", NULL },
	{ "a name behind members", GROUP("members"), "3:18",
	  "\"members\" needs names of upstreams", NULL },
	{ "a member that is not defined", GROUP("members a, c"), "3:22",
	  "upstream \"c\" is not defined", NULL },
	{ "a member named twice", GROUP("members a, b, a"), "3:25",
	  "\"a\" is named twice", NULL },
	{ "a group in a group", GROUP("members a, h") "\ngroup h { members a }",
	  "3:22", "\"h\" is a group, and members are upstreams",
	  "another group can be the fallback" },
	{ "a group in itself", GROUP("members g"), "3:19", "\"g\" is a group",
	  NULL },
	{ "a member that carries nothing", GROUP("members reject"), "3:19",
	  "\"reject\" carries no flow", NULL },
	{ "a member of another name that carries nothing",
	  GROUP("members n") "\nupstream n { via drop }", "3:19",
	  "\"n\" carries no flow", NULL },
	{ "the name of an upstream", UPS "group a { members b }", "3:7",
	  "\"a\" is the name of the upstream on line 1 already", NULL },
	{ "the name of a group", GROUP("members a") "\nupstream g { via drop }",
	  "4:10", "\"g\" is the name of the group on line 3 already", NULL },
	{ "two groups of one name",
	  GROUP("members a") "\ngroup g { members b }", "4:7",
	  "group \"g\" is defined twice; first on line 3", NULL },
	{ "the name of what is built in", UPS "group drop { members a }", "3:7",
	  "upstream \"drop\" is built in", NULL },
	{ "an unknown balance", GROUP("members a; balance round"), "3:30",
	  "unknown balance \"round\"", "one of: first, round-robin" },
	{ "a hash of nothing", GROUP("members a; balance hash"), "3:34",
	  "\"hash\" needs one of: client", NULL },
	{ "a hash of something else", GROUP("members a; balance hash server"),
	  "3:35", "unknown hash \"server\"", NULL },
	{ "two balances", GROUP("members a; balance first client"), "3:36",
	  "unexpected \"client\"", NULL },
	{ "a fallback that is not defined", GROUP("members a; fallback drpo"),
	  "3:31", "upstream \"drpo\" is not defined",
	  "did you mean \"drop\"?" },
	{ "a check that is none", GROUP("members a; health http x:1"), "3:29",
	  "unknown health \"http\"", "one of: connect" },
	{ "a check of nowhere", GROUP("members a; health connect"), "3:36",
	  "\"connect\" needs a host and a port", NULL },
	{ "a check without a port", GROUP("members a; health connect 1.1.1.1"),
	  "3:37", "\"connect\" needs a host and a port, not \"1.1.1.1\"",
	  "did you mean \"1.1.1.1:PORT\"?" },
	{ "an unknown word of a check", HEALTH("evry 3s"), "3:41",
	  "unknown word of a check \"evry\"", "did you mean \"every\"?" },
	{ "a word of a check given twice", HEALTH("rise 1 rise 2"), "3:48",
	  "\"rise\" is given twice", NULL },
	{ "a time without a unit", HEALTH("every 3"), "3:47", "3 needs a unit",
	  NULL },
	{ "no time at all", HEALTH("timeout 0s"), "3:49", "is too short",
	  NULL },
	{ "no attempt", HEALTH("fall 0"), "3:46",
	  "0 is out of range: from 1 to 1000", NULL },
	{ "a check that is not over when the next begins",
	  HEALTH("every 5s timeout 5s"), "3:22",
	  "a check that may take 5s cannot be made every 5s",
	  "\"timeout\" must be less than \"every\"" },
	{ "a check more often than it may take unsaid", HEALTH("every 2s"),
	  "3:22", "a check that may take 3s cannot be made every 2s",
	  "3s and 10s when not said" },
	{ "a check by name through a member that looks up none",
	  GROUP("health connect x.example:1; members a, direct"), "3:11",
	  "this check calls \"x.example\" by its name, and member \"direct\" "
	  "cannot be told a name",
	  "write the address" },
	{ "a check by name through a member with the PROXY protocol",
	  GROUP("health connect x:1; members p") "\nupstream p { via "
						 "proxy-protocol-v2 p:1 }",
	  "3:11", "member \"p\" cannot be told a name", NULL },
	{ "a circle of one", GROUP("members a; fallback g"), "3:31",
	  "fallbacks go round in a circle: g -> g", NULL },
	{ "a circle of three, told once",
	  UPS "group x { members a; fallback y }\n"
	      "group y { members a; fallback z }\n"
	      "group z { members a; fallback x }\n"
	      "group w { members a; fallback y }\n",
	  "3:31", "fallbacks go round in a circle: x -> y -> z -> x", NULL },
	{ "a circle behind one that is not in it",
	  UPS "group w { members a; fallback x }\n"
	      "group x { members a; fallback y }\n"
	      "group y { members a; fallback x }\n",
	  "4:31", "fallbacks go round in a circle: x -> y -> x", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

/* A chain that ends is no circle, however long. */
static void test_chain(void **state)
{
	struct str text = { .len = 0 };
	struct config *c;

	(void)state; /* unused */
	str_add(&text, UPS "group g0 { members a; fallback direct }\n");
	for (size_t i = 1; i < 200; i++)
		str_addf(&text, "group g%zu { members b; fallback g%zu }\n", i,
			 i - 1);
	c = parse_right(str_get(&text));
	expect_printed(c, NULL);
	config_free(c);
	str_done(&text);
}

static void test_limits(void **state)
{
	(void)state; /* unused */
	for (size_t more = 0; more < 2; more++) {
		struct str text = { .len = 0 };

		for (size_t i = 0; i < GROUP_MEMBERS_MAX + more; i++)
			str_addf(&text, "upstream u%zu { via direct }\n", i);
		str_add(&text, "group g { members u0");
		for (size_t i = 1; i < GROUP_MEMBERS_MAX + more; i++)
			str_addf(&text, ", u%zu", i);
		str_add(&text, " }");
		expect_errors(&text, more);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_kept),  cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_chain), cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
