/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_test.c - rules and routes, and those of others that must stay.
 *
 * What is installed is looked at with ip(8), so that route.c is not its own
 * witness.
 */
#include "net/route.h"

#include "base/child.h"
#include "net/addr.h"
#include "net/link.h"
#include "net/netns_test.h"
#include "net/rule.h"

#include <errno.h>
#include <stdlib.h>

enum { OURS = 119, THEIRS = 99, PREF = 7700, TABLE = 7700 };

static const int families[] = { AF_INET, AF_INET6 };

struct look {
	struct nl nl;
	struct str before; /* what ip(8) said at the beginning */
};

static void ip(const char *const argv[], struct str *out)
{
	struct str complaint = { 0 };
	struct err e = { 0 };
	int status = child_run(argv, NULL, out, &complaint, &e);

	if (status)
		fail_msg("ip: %s%s", e.text, str_get(&complaint));
	str_done(&complaint);
}

static void look(struct str *out)
{
	static const char *const what[][3] = {
		{ "-4", "rule", NULL },
		{ "-6", "rule", NULL },
		{ "-4", "route", "all" },
		{ "-6", "route", "all" },
	};

	str_reset(out);
	for (size_t i = 0; i < sizeof(what) / sizeof(*what); i++) {
		const char *const argv[] = { "ip",
					     what[i][0],
					     what[i][1],
					     "show",
					     what[i][2] ? "table" : NULL,
					     what[i][2],
					     NULL };

		ip(argv, out);
	}
}

static void begin(struct look *l)
{
	*l = (struct look){ 0 };
	netns_begin();
	assert_int_equal(nl_open(&l->nl, NETLINK_ROUTE, 0), 0);
	look(&l->before);
}

/* Everything is as it was at the beginning. */
static void expect_unchanged(const struct look *l)
{
	struct str now = { 0 };

	look(&now);
	assert_string_equal(str_get(&now), str_get(&l->before));
	str_done(&now);
}

static void end(struct look *l)
{
	nl_close(&l->nl);
	nl_close(&l->nl);
	str_done(&l->before);
}

static bool is_listed(const char *text)
{
	struct str now = { 0 };
	bool is_in;

	look(&now);
	is_in = strstr(str_get(&now), text) != NULL;
	str_done(&now);
	return is_in;
}

/* --- rules --------------------------------------------------------------- */

static const struct prefix loopback_v4 = {
	.net = { .ip = { 127, 0, 0, 3 }, .family = AF_INET },
	.len = 32,
};
static const struct prefix loopback_v6 = {
	.net = { .ip = { [15] = 1 }, .family = AF_INET6 },
	.len = 128,
};

static const struct {
	struct ip_rule rule; /* the family and its `from` are filled in */
	const char *listed;
} rules[] = {
	{ { .priority = PREF + 2, .action = RULE_NOP, .protocol = OURS },
	  "7702:\tfrom all nop proto 119" },
	{ { .priority = PREF + 1,
	    .action = RULE_LOOKUP,
	    .target = TABLE,
	    .mark = 0x1000,
	    .mask = 0x3000,
	    .protocol = OURS },
	  "7701:\tfrom all fwmark 0x1000/0x3000 lookup 7700 proto 119" },
	{ { .priority = PREF,
	    .action = RULE_GOTO,
	    .target = PREF + 2,
	    .mark = 0x1000,
	    .mask = 0x3000,
	    .is_from_loopback = true,
	    .protocol = OURS },
	  "7700:\tfrom all fwmark 0x1000/0x3000 iif lo goto 7702 proto 119" },
	{ { .priority = 5,
	    .action = RULE_LOOKUP,
	    .target = 200,
	    .protocol = OURS },
	  "5:\tfrom all lookup 200 proto 119" },
	{ { .priority = 6,
	    .action = RULE_LOOKUP,
	    .target = 70000,
	    .mark = 0,
	    .mask = 0xffffffff,
	    .protocol = OURS },
	  "6:\tfrom all fwmark 0 lookup 70000 proto 119" },
	{ { .priority = PREF + 4,
	    .action = RULE_LOOKUP,
	    .target = TABLE,
	    .is_from_loopback = true,
	    .from = { .len = 32 },
	    .protocol = OURS },
	  "7704:\tfrom 127.0.0.3 iif lo lookup 7700 proto 119" },
};
enum { RULES = sizeof(rules) / sizeof(*rules) };

static struct ip_rule rule_of(size_t i, int family)
{
	struct ip_rule r = rules[i].rule;

	r.family = family;
	if (r.from.len)
		r.from = family == AF_INET6 ? loopback_v6 : loopback_v4;
	return r;
}

static void add_all(struct look *l, int family)
{
	struct err e = { 0 };

	for (size_t i = 0; i < RULES; i++) {
		struct ip_rule r = rule_of(i, family);

		assert_int_equal(rule_has(&l->nl, &r, &e), 0);
		if (rule_add(&l->nl, &r, &e))
			fail_msg("%s: %s", rules[i].listed, e.text);
		assert_int_equal(rule_has(&l->nl, &r, &e), 1);
		assert_int_equal(rule_add(&l->nl, &r, &e), 0);
		if (family == AF_INET && strncmp(rules[i].listed, "6:", 2))
			assert_true(is_listed(rules[i].listed));
	}
}

static void test_rules(void **state)
{
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	for (int f = 0; f < 1 + netns_has_v6(); f++)
		add_all(&l, families[f]);
	assert_int_equal(rule_flush(&l.nl, OURS, NULL, 0, &e), 0);
	expect_unchanged(&l);
	assert_int_equal(rule_flush(&l.nl, OURS, NULL, 0, &e), 0);
	end(&l);
}

/* Each difference counts: what differs in one word is another rule. */
static void test_almost_the_same(void **state)
{
	struct ip_rule r = rule_of(1, AF_INET), other[8];
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	assert_int_equal(rule_add(&l.nl, &r, &e), 0);
	for (size_t i = 0; i < 8; i++)
		other[i] = r;
	other[0].priority++;
	other[1].target++;
	other[2].mark ^= 0x3000;
	other[3].mask |= 0x4000;
	other[4].is_from_loopback = true;
	other[5].protocol = THEIRS;
	other[6].action = RULE_NOP;
	other[7].from = loopback_v4;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(rule_has(&l.nl, &other[i], &e), 0);
	end(&l);
}

/* Two of one priority that differ in their source alone: one goes. */
static void test_sources(void **state)
{
	struct ip_rule keep = rule_of(RULES - 1, AF_INET), gone = keep;
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	gone.from.net.ip[3]++;
	assert_int_equal(rule_add(&l.nl, &keep, &e), 0);
	assert_int_equal(rule_has(&l.nl, &gone, &e), 0);
	assert_int_equal(rule_add(&l.nl, &gone, &e), 0);
	assert_int_equal(rule_has(&l.nl, &gone, &e), 1);
	assert_int_equal(rule_flush(&l.nl, OURS, &keep, 1, &e), 0);
	assert_int_equal(rule_has(&l.nl, &keep, &e), 1);
	assert_int_equal(rule_has(&l.nl, &gone, &e), 0);
	assert_int_equal(rule_flush(&l.nl, OURS, NULL, 0, &e), 0);
	expect_unchanged(&l);
	end(&l);
}

/* clang-format off */
static const struct {
	const char *name;
	struct ip_rule theirs;
	int clash;
	const char *said;
} clashes[] = {
	{ "an empty house", { .protocol = 0 }, 0, "" },
	{ "another priority and table",
	  { .priority = 7600, .target = 7600, .protocol = THEIRS }, 0, "" },
	{ "our own rule of another run",
	  { .priority = PREF + 1, .target = TABLE, .protocol = OURS }, 0, "" },
	{ "their rule at our priority",
	  { .priority = PREF + 1, .target = 7600, .protocol = THEIRS }, 1,
	  "priority 7701" },
	{ "their rule into our table",
	  { .priority = 7600, .target = TABLE, .protocol = THEIRS }, 1,
	  "table 7700 is already used by rule 7600" },
	{ "their goto to a number like our table",
	  { .priority = 7600, .action = RULE_GOTO, .target = TABLE,
	    .protocol = THEIRS }, 0, "" },
};
/* clang-format on */

static void test_clash(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(clashes) / sizeof(*clashes); i++) {
		struct ip_rule ours = rule_of(1, AF_INET);
		struct ip_rule theirs = clashes[i].theirs;
		struct err e = { 0 };
		struct look l;
		int clash;

		begin(&l);
		theirs.family = AF_INET;
		if (theirs.protocol)
			assert_int_equal(rule_add(&l.nl, &theirs, &e), 0);
		clash = rule_clash(&l.nl, &ours, &e);
		if (clash != clashes[i].clash ||
		    !strstr(e.text, clashes[i].said))
			fail_msg("%s: %d \"%s\"", clashes[i].name, clash,
				 e.text);
		end(&l);
	}
}

/* --- what belongs to others ---------------------------------------------- */

static const char *const foreign[][16] = {
	{ "ip", "rule", "add", "pref", "7702", "nop" },
	{ "ip", "rule", "add", "pref", "7701", "fwmark", "0x1000/0x3000",
	  "lookup", "7700" },
	{ "ip", "rule", "add", "pref", "100", "from", "10.0.0.0/8", "lookup",
	  "100" },
	{ "ip", "-6", "rule", "add", "pref", "7702", "nop" },
	{ "ip", "route", "add", "local", "10.1.0.0/16", "dev", "lo", "table",
	  "7700" },
	{ "ip", "route", "add", "local", "default", "dev", "lo", "table",
	  "7800" },
	{ "ip", "-6", "route", "add", "local", "default", "dev", "lo", "table",
	  "7800" },
};

static void add_foreign(void)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (netns_has_v6() || strcmp(foreign[i][1], "-6") != 0)
			ip(foreign[i], NULL);
}

/* Flushing takes ours, also when others have rules of the same shape. */
static void test_flush_keeps_others(void **state)
{
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	add_foreign();
	look(&l.before);
	for (int f = 0; f < 1 + netns_has_v6(); f++) {
		add_all(&l, families[f]);
		assert_int_equal(route_add_local_default(&l.nl, families[f],
							 TABLE, OURS, &e),
				 0);
	}
	assert_int_equal(rule_flush(&l.nl, OURS, NULL, 0, &e), 0);
	assert_int_equal(route_flush(&l.nl, OURS, 0, &e), 0);
	expect_unchanged(&l);
	end(&l);
}

static void test_prune(void **state)
{
	struct ip_rule keep[2] = { rule_of(0, AF_INET), rule_of(1, AF_INET) };
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	for (int f = 0; f < 1 + netns_has_v6(); f++)
		add_all(&l, families[f]);
	assert_int_equal(rule_flush(&l.nl, OURS, keep, 2, &e), 0);
	for (size_t i = 0; i < RULES; i++)
		for (int f = 0; f < 1 + netns_has_v6(); f++) {
			struct ip_rule r = rule_of(i, families[f]);

			assert_int_equal(rule_has(&l.nl, &r, &e),
					 i < 2 && f == 0);
		}
	assert_int_equal(rule_flush(&l.nl, OURS, NULL, 0, &e), 0);
	expect_unchanged(&l);
	end(&l);
}

/* --- routes -------------------------------------------------------------- */

static void test_local_default(void **state)
{
	struct err e = { 0 };
	struct look l;

	(void)state; /* unused */
	begin(&l);
	for (int f = 0; f < 1 + netns_has_v6(); f++) {
		int family = families[f];

		for (uint32_t table = 200; table < 80000; table += 70000) {
			assert_int_equal(route_has_local_default(&l.nl, family,
								 table, OURS,
								 &e),
					 0);
			for (int twice = 0; twice < 2; twice++)
				assert_int_equal(
					route_add_local_default(
						&l.nl, family, table, OURS, &e),
					0);
			assert_int_equal(route_has_local_default(&l.nl, family,
								 table, OURS,
								 &e),
					 1);
			assert_int_equal(route_has_local_default(&l.nl, family,
								 table, THEIRS,
								 &e),
					 0);
		}
	}
	assert_true(is_listed("local default dev lo table 200 proto 119"));
	assert_int_equal(route_flush(&l.nl, OURS, 70200, &e), 0);
	for (int f = 0; f < 1 + netns_has_v6(); f++) {
		assert_int_equal(route_has_local_default(&l.nl, families[f],
							 200, OURS, &e),
				 0);
		assert_int_equal(route_has_local_default(&l.nl, families[f],
							 70200, OURS, &e),
				 1);
	}
	assert_int_equal(route_flush(&l.nl, OURS, 0, &e), 0);
	expect_unchanged(&l);
	end(&l);
}

static void test_default(void **state)
{
	static const char *const own[] = { "192.0.2.2", "2001:db8::2" };
	static const char *const gateway[] = { "192.0.2.1", "2001:db8::1" };
	struct err e = { 0 };
	struct look l;
	struct addr a;
	int ns;

	(void)state; /* unused */
	begin(&l);
	ns = netns_open();
	assert_int_equal(link_add_veth(&l.nl, "wl0", "wl1", ns, &e), 0);
	assert_int_equal(link_set_up(&l.nl, "wl0", &e), 0);
	assert_int_equal(link_set_up(&l.nl, "wl1", &e), 0);
	for (int f = 0; f < 1 + netns_has_v6(); f++) {
		int ifindex = (int)if_nametoindex("wl0");

		assert_int_equal(route_reaches(&l.nl, families[f], &e), 0);
		assert_int_equal(addr_parse_ip(own[f], &a), 0);
		assert_int_equal(
			link_add_addr(&l.nl, "wl0", &a, f ? 64 : 24, &e), 0);
		assert_int_equal(route_reaches(&l.nl, families[f], &e), 1);
		assert_int_equal(addr_parse_ip(gateway[f], &a), 0);
		assert_int_equal(route_add_default(&l.nl, &a, ifindex, &e), 0);
		assert_int_equal(route_reaches(&l.nl, families[f], &e), 1);
	}
	assert_true(is_listed("default via 192.0.2.1 dev wl0"));
	assert_int_equal(addr_parse_ip("203.0.113.1", &a), 0);
	assert_true(route_add_default(&l.nl, &a, 1, &e) < 0);
	assert_non_null(strstr(e.text, "203.0.113.1"));
	close(ns);
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_almost_the_same),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_clash),
		cmocka_unit_test(test_flush_keeps_others),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_local_default),
		cmocka_unit_test(test_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
