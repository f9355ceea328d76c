/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_test.c - install, look, remove: the host is as it was before.
 *
 * Each test has a network of its own.  ip(8) and nft(8) are the witnesses.
 */
#include "engine/nft.h"
#include "engine/routing.h"

#include "base/child.h"
#include "net/netns_test.h"
#include "policy/policy.h"

#include <errno.h>

static const char text_a[] =
	"intercept lan { from lan0; tcp any; udp 53; except dst private }\n"
	"intercept web { from lan1; tcp 80; deliver 127.0.0.1:3129 }\n"
	"rules { dst 198.51.100.0/24 -> reject }\n";
static const char text_own[] = "intercept own { from host; tcp any; udp 53 }\n";
/* Servers on this host's loopback that are shown the client's address. */
static const char text_near[] =
	"intercept lan { from lan0; tcp any }\n"
	"upstream a { via direct; source client; to 127.0.0.1:80 }\n"
	"upstream b { via direct; source client; to 127.0.0.1:81 }\n"
	"upstream c { via direct; source client; to 127.0.0.2:80 }\n"
	"upstream d { via direct; source client; to [::1]:80 }\n"
	"upstream e { via direct; source self; to 127.0.0.3:80 }\n"
	"upstream f { via direct; source client; to 192.0.2.1:80 }\n";
static const char text_b[] = "mark 0x40/0xc0; table 999\n"
			     "intercept lan { from lan0; tcp any }\n";

struct host {
	struct nl nl;
	struct config *config;
	struct plan plan;
	struct str routing_before;
};

static void run(const char *const argv[], const char *input, struct str *out)
{
	struct str complaint = { 0 };
	struct err e = { 0 };

	if (child_run(argv, input, out, &complaint, &e))
		fail_msg("%s: %s%s", argv[0], e.text, str_get(&complaint));
	str_done(&complaint);
}

/* One line of words for the shell. */
static void shell(const char *script, struct str *out)
{
	const char *const argv[] = { "sh", "-ec", script, NULL };

	run(argv, NULL, out);
}

static void look_at_routing(struct str *out)
{
	str_reset(out);
	shell("PATH=/usr/sbin:/sbin:/usr/bin:/bin; ip rule; ip -6 rule;"
	      "ip route show table all; ip -6 route show table all",
	      out);
}

static void set_plan(struct host *g, const char *text)
{
	struct messages m = { .errors = 0 };

	config_free(g->config);
	g->config = config_parse("t", text, strlen(text), &m);
	if (!g->config)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	g->plan = (struct plan){ .config = g->config,
				 .has_family = { true, netns_has_v6() } };
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		for (int f = 0; f < FAMILY_COUNT; f++)
			g->plan.ports[0][proto][f] =
				(uint16_t)(10000 + proto * 2 + f);
}

static void begin(struct host *g, const char *text)
{
	*g = (struct host){ .config = NULL };
	netns_begin();
	assert_int_equal(nl_open(&g->nl, NETLINK_ROUTE, 0), 0);
	look_at_routing(&g->routing_before);
	set_plan(g, text);
}

static void end(struct host *g)
{
	nl_close(&g->nl);
	config_free(g->config);
	str_done(&g->routing_before);
}

static void expect_routing_as_before(const struct host *g)
{
	struct str now = { 0 };

	look_at_routing(&now);
	assert_string_equal(str_get(&now), str_get(&g->routing_before));
	str_done(&now);
}

/* --- routing ------------------------------------------------------------- */

static unsigned install_routing(struct host *g)
{
	unsigned added = 0;
	struct err e = { 0 };

	if (routing_check(&g->nl, &g->plan, &e) ||
	    routing_install(&g->nl, &g->plan, &added, &e))
		fail_msg("%s", e.text);
	return added;
}

static void test_routing(void **state)
{
	static const struct {
		const char *text;
		unsigned added[FAMILY_COUNT];
	} rows[] = {
		{ text_a, { 4, 4 } },	 /* a route and three rules */
		{ text_own, { 5, 5 } },	 /* one for this host's own traffic */
		{ text_near, { 6, 5 } }, /* one for each server nearby */
	};
	struct host g;
	struct err e = { 0 };

	(void)state; /* unused */
	begin(&g, text_a);
	for (int again = 0; again < 6; again++) {
		const unsigned *added = rows[again % 3].added;

		set_plan(&g, rows[again % 3].text);
		assert_int_equal(install_routing(&g),
				 added[FAMILY_V4] + (netns_has_v6()
							     ? added[FAMILY_V6]
							     : 0));
		assert_int_equal(install_routing(&g), 0);
		assert_int_equal(routing_remove(&g.nl, &e), 0);
		expect_routing_as_before(&g);
		assert_int_equal(routing_remove(&g.nl, &e), 0);
	}
	end(&g);
}

/* Typed by a person, the commands leave nothing for us to add. */
static void test_routing_render(void **state)
{
	static const char *const texts[] = { text_a, text_own, text_near };
	struct err e = { 0 };
	struct host g;

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct str commands = { 0 };

		begin(&g, texts[i]);
		str_add(&commands, "PATH=/usr/sbin:/sbin:/usr/bin:/bin\n");
		routing_render(&g.plan, &commands);
		shell(str_get(&commands), NULL);
		assert_int_equal(install_routing(&g), 0);
		assert_int_equal(routing_remove(&g.nl, &e), 0);
		expect_routing_as_before(&g);
		str_done(&commands);
		end(&g);
	}
}

/* A foreign hand takes one rule: one is missing, one is added. */
static void test_routing_repair(void **state)
{
	struct host g;

	(void)state; /* unused */
	begin(&g, text_a);
	(void)install_routing(&g);
	shell("/sbin/ip rule del pref 7701", NULL);
	assert_int_equal(install_routing(&g), 1);
	shell("/sbin/ip route flush table 7700", NULL);
	assert_int_equal(install_routing(&g), 1);
	assert_int_equal(install_routing(&g), 0);
	end(&g);
}

/* Another configuration's rules are removed, this one's stay. */
static void test_routing_prune(void **state)
{
	struct str alone = { 0 }, pruned = { 0 };
	struct err e = { 0 };
	struct host g;

	(void)state; /* unused */
	begin(&g, text_b);
	(void)install_routing(&g);
	look_at_routing(&alone);
	assert_int_equal(routing_remove(&g.nl, &e), 0);
	set_plan(&g, text_a);
	(void)install_routing(&g);
	set_plan(&g, text_own);
	(void)install_routing(&g);
	set_plan(&g, text_near);
	(void)install_routing(&g);
	set_plan(&g, text_b);
	assert_int_equal(routing_prune(&g.nl, &g.plan, &e), 0);
	(void)install_routing(&g);
	look_at_routing(&pruned);
	assert_string_equal(str_get(&pruned), str_get(&alone));
	assert_int_equal(routing_remove(&g.nl, &e), 0);
	expect_routing_as_before(&g);
	str_done(&alone);
	str_done(&pruned);
	end(&g);
}

static void test_routing_clash(void **state)
{
	static const char *const theirs[] = {
		"/sbin/ip rule add pref 7700 lookup 5",
		"/sbin/ip rule add pref 7702 nop",
		"/sbin/ip rule add pref 100 lookup 7700",
	};
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(theirs) / sizeof(*theirs); i++) {
		struct err e = { 0 };
		struct host g;

		begin(&g, text_a);
		shell(theirs[i], NULL);
		assert_int_equal(routing_check(&g.nl, &g.plan, &e), -EEXIST);
		assert_non_null(strstr(e.text, "already used"));
		end(&g);
	}
}

/* --- nft ----------------------------------------------------------------- */

static void begin_nft(struct host *g)
{
	static const char *const probe[] = { "nft", "list", "tables", NULL };

	begin(g, text_a);
	if (child_run(probe, NULL, NULL, NULL, NULL)) {
		end(g);
		print_message("skipped: nft does not work here\n");
		skip();
	}
}

static void install(struct host *g, struct str *snapshot)
{
	struct err e = { 0 };

	if (nft_install(&g->plan, &e))
		fail_msg("%s", e.text);
	str_reset(snapshot);
	assert_int_equal(nft_snapshot(snapshot, &e), 0);
	assert_true(snapshot->len > 0);
}

static bool is_same_now(const struct str *snapshot)
{
	struct str now = { 0 };
	struct err e = { 0 };
	bool is_same;

	assert_int_equal(nft_snapshot(&now, &e), 0);
	is_same = !strcmp(str_get(&now), str_get(snapshot));
	str_done(&now);
	return is_same;
}

static void test_nft_life(void **state)
{
	struct str first = { 0 }, second = { 0 }, other = { 0 };
	struct str ruleset = { 0 };
	struct err e = { 0 };
	struct host g;

	(void)state; /* unused */
	begin_nft(&g);
	assert_int_equal(nft_snapshot(&first, &e), 0);
	assert_int_equal(first.len, 0);
	assert_int_equal(nft_remove(&e), 0); /* it is not there: no error */
	install(&g, &first);
	install(&g, &second);
	assert_string_equal(str_get(&first), str_get(&second));
	set_plan(&g, text_b); /* fewer intercepts: old chains go */
	install(&g, &other);
	assert_string_not_equal(str_get(&first), str_get(&other));
	set_plan(&g, text_a);
	install(&g, &first);
	install(&g, &second);
	assert_string_equal(str_get(&first), str_get(&second));
	assert_int_equal(nft_remove(&e), 0);
	str_reset(&second);
	assert_int_equal(nft_snapshot(&second, &e), 0);
	assert_int_equal(second.len, 0);
	shell("/usr/sbin/nft list ruleset", &ruleset);
	assert_string_equal(str_get(&ruleset), "");
	str_done(&first);
	str_done(&second);
	str_done(&other);
	str_done(&ruleset);
	end(&g);
}

static const struct {
	const char *name, *script;
	bool is_seen;
} hands[] = {
	{ "a flushed chain", "nft flush chain inet waylay prerouting", true },
	{ "a rule more", "nft insert rule inet waylay prerouting accept",
	  true },
	{ "one rule less",
	  "h=$(nft -a list chain inet waylay take_0 | "
	  "sed -n 's/.*passed_no_listener.*handle //p');"
	  "nft delete rule inet waylay take_0 handle $h",
	  true },
	{ "another order of the same rules",
	  "nft insert rule inet waylay select_0 goto take_0", true },
	{ "the table deleted", "nft delete table inet waylay", true },
	{ "everything flushed", "nft flush ruleset", true },
	{ "somebody else's table",
	  "nft add table inet theirs; nft add chain inet theirs c", false },
	{ "counters set to zero", "nft reset counters", false },
};

static void test_nft_foreign_hand(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(hands) / sizeof(*hands); i++) {
		struct str before = { 0 }, script = { 0 };
		struct host g;

		begin_nft(&g);
		install(&g, &before);
		assert_true(is_same_now(&before));
		str_addf(&script, "PATH=/usr/sbin:/usr/bin:/bin; %s",
			 hands[i].script);
		shell(str_get(&script), NULL);
		if (is_same_now(&before) == hands[i].is_seen)
			fail_msg("%s: not as expected", hands[i].name);
		install(&g, &before);
		assert_true(is_same_now(&before));
		str_done(&before);
		str_done(&script);
		end(&g);
	}
}

/* What stands in another table is never touched. */
static void test_nft_others(void **state)
{
	struct str before = { 0 }, after = { 0 }, snapshot = { 0 };
	struct err e = { 0 };
	struct host g;

	(void)state; /* unused */
	begin_nft(&g);
	shell("/usr/sbin/nft add table inet theirs;"
	      "/usr/sbin/nft add chain inet theirs take_0;"
	      "/usr/sbin/nft add rule inet theirs take_0 accept",
	      NULL);
	shell("/usr/sbin/nft list ruleset", &before);
	install(&g, &snapshot);
	assert_int_equal(nft_remove(&e), 0);
	shell("/usr/sbin/nft list ruleset", &after);
	assert_string_equal(str_get(&after), str_get(&before));
	str_done(&before);
	str_done(&after);
	str_done(&snapshot);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routing),
		cmocka_unit_test(test_routing_render),
		cmocka_unit_test(test_routing_repair),
		cmocka_unit_test(test_routing_prune),
		cmocka_unit_test(test_routing_clash),
		cmocka_unit_test(test_nft_life),
		cmocka_unit_test(test_nft_foreign_hand),
		cmocka_unit_test(test_nft_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
