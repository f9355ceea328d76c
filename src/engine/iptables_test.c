/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_test.c - install, look, remove: the host is as it was before.
 *
 * Each test has a network of its own and runs for both variants of iptables,
 * with other people's rules beside ours.  iptables-save(8) is the witness.
 */
#include "engine/iptables_test.h"

#include "engine/iptables_rules.h"

#include <errno.h>

static const char text_a[] =
	"intercept lan { from lan0, veth*; tcp any; udp 53, 1-9;"
	" except dst private; except port 22 }\n"
	"intercept web { from lan1; tcp 80; deliver *:3129 }\n"
	"intercept self { from host; tcp 443; except user 65534 }\n"
	"upstream out { via direct }\n"
	"rules { dst 198.51.100.0/24, 2001:db8::/32 src 10.0.0.0/8, fd00::/8,"
	" 192.0.2.0/24 -> reject; tcp port 9 -> drop; default -> out }\n";
static const char text_b[] = "mark 0x40/0xc0; on-failure closed\n"
			     "intercept lan { from lan0; tcp any }\n";

/* Rules of other people, some of which look like ours. */
static const char theirs[] =
	"for i in iptables ip6tables; do\n"
	"for t in raw mangle filter; do $i -t $t -N theirs; done\n"
	"$i -t mangle -A PREROUTING -j MARK --set-xmark 0x7/0x7\n"
	"$i -t mangle -A PREROUTING -m comment --comment waylay -j theirs\n"
	"$i -t raw -A OUTPUT -p udp --dport 9 -j CT --notrack\n"
	"$i -t filter -A FORWARD -i lan0 -m comment"
	" --comment 'a \" -j waylay-in' -j theirs\n"
	"$i -t filter -A theirs -j LOG --log-prefix ' -g waylay-x '\n"
	"$i -t filter -P FORWARD DROP\n"
	"done\n";

/* Comments and counters change by themselves. */
static const char listing[] = "for i in iptables ip6tables; do $i-save; done |"
			      " sed '/^#/d; s/ \\[[0-9:]*\\]$//'";

static void list(struct str *out)
{
	str_reset(out);
	shell(listing, out);
	assert_true(out->len > 0);
}

static void expect_listing(const struct str *before)
{
	struct str now = { 0 };

	list(&now);
	assert_string_equal(str_get(&now), str_get(before));
	str_done(&now);
}

/* --- life ---------------------------------------------------------------- */

static void test_life(void **state)
{
	struct str before = { 0 }, first = { 0 };
	struct host h;

	begin_variant(*state);
	begin_host(&h, text_a);
	shell(theirs, NULL);
	list(&before);
	remove_all(); /* it is not there: no error */
	expect_listing(&before);
	for (int again = 0; again < 2; again++) {
		set_config(&h, text_a);
		install(&h);
		assert_true(is_intact(&h));
		list(&first);
		install(&h); /* nothing is there twice */
		expect_listing(&first);
		set_config(&h, text_b); /* fewer chains, none in filter */
		install(&h);
		assert_true(is_intact(&h));
		set_config(&h, text_a);
		install(&h);
		expect_listing(&first);
		remove_all();
		expect_listing(&before);
		assert_false(is_intact(&h));
		remove_all();
		expect_listing(&before);
	}
	str_done(&before);
	str_done(&first);
	end_host(&h);
}

/* In front of what others have. */
static void test_first(void **state)
{
	struct str out = { 0 };
	struct host h;

	begin_variant(*state);
	begin_host(&h, text_a);
	shell(theirs, NULL);
	install(&h);
	shell("iptables -t mangle -S PREROUTING 1;"
	      "ip6tables -t raw -S OUTPUT 1;"
	      "ip6tables -t filter -S FORWARD 1",
	      &out);
	assert_string_equal(
		str_get(&out),
		"-A PREROUTING -m comment --comment waylay -j waylay-in\n"
		"-A OUTPUT -m comment --comment waylay -j waylay-answer\n"
		"-A FORWARD -m comment --comment waylay -j waylay-forward\n");
	str_done(&out);
	end_host(&h);
}

/* --- foreign hands ------------------------------------------------------- */

static const struct {
	const char *name, *script;
	bool is_seen;
} hands[] = {
	{ "a flushed chain", "iptables -t mangle -F waylay-in", true },
	{ "a flushed table", "ip6tables -t raw -F", true },
	{ "everything of a table", "iptables -t raw -F; iptables -t raw -X",
	  true },
	{ "a deleted jump",
	  "iptables -t mangle -D PREROUTING -m comment --comment waylay"
	  " -j waylay-in",
	  true },
	{ "a jump more", "ip6tables -t raw -A PREROUTING -j waylay-in", true },
	{ "a rule more", "iptables -t raw -A waylay-take -j RETURN", true },
	{ "one rule less", "ip6tables -t filter -D waylay-reject 1", true },
	{ "a chain more", "iptables -t filter -N waylay-more", true },
	{ "somebody else's rules",
	  "iptables -t mangle -N more; iptables -t mangle -A more -j DROP;"
	  "ip6tables -t raw -I PREROUTING -j ACCEPT",
	  false },
	{ "counters set to zero", "iptables -t mangle -Z", false },
	{ "nothing", "true", false },
};

static void test_foreign_hand(void **state)
{
	struct str before = { 0 };
	struct host h;

	begin_variant(*state);
	begin_host(&h, text_a);
	shell("for i in iptables ip6tables; do for t in raw mangle filter;"
	      " do $i -t $t -S; done; done",
	      NULL);
	for (size_t i = 0; i < sizeof(hands) / sizeof(*hands); i++) {
		install(&h);
		list(&before);
		assert_true(is_intact(&h));
		shell(hands[i].script, NULL);
		if (is_intact(&h) == hands[i].is_seen)
			fail_msg("%s: not as expected", hands[i].name);
		install(&h);
		if (hands[i].is_seen)
			expect_listing(&before);
		assert_true(is_intact(&h));
	}
	str_done(&before);
	end_host(&h);
}

/* Lines that are ours, in both families. */
static unsigned long count_left(const char *variant)
{
	struct str script = { 0 }, out = { 0 };
	unsigned long count;

	str_addf(&script,
		 "{ iptables-%s-save; ip6tables-%s-save; } |"
		 " { grep -c waylay- || true; }",
		 variant, variant);
	shell(str_get(&script), &out);
	count = strtoul(str_get(&out), NULL, 10);
	str_done(&script);
	str_done(&out);
	return count;
}

/* What somebody left before the variant was switched. */
static void test_other_variant(void **state)
{
	const char *first = *state;
	const char *second = variants[first == variants[0]];
	struct host h;

	begin_variant(second);
	begin_variant(first);
	begin_host(&h, text_a);
	install(&h);
	assert_true(count_left(first) > 0);
	use_variant(second);
	install(&h); /* takes the other one's away */
	assert_int_equal(count_left(first), 0);
	assert_true(count_left(second) > 0);
	assert_true(is_intact(&h));
	use_variant(first);
	assert_false(is_intact(&h));
	remove_all(); /* takes both away */
	assert_int_equal(count_left(second), 0);
	end_host(&h);
}

/* --- failures ------------------------------------------------------------ */

/* filter is loaded already when mangle fails: what held before, holds. */
static void test_failure(void **state)
{
	static const char wrong[] =
		"intercept self { from host; tcp 80; except user 1 }";
	struct str before = { 0 };
	struct err e = { 0 };
	struct host h;

	begin_variant(*state);
	begin_host(&h, text_a);
	shell(theirs, NULL);
	install(&h);
	list(&before);
	set_config(&h, wrong);
	h.config->intercepts[0].except_users[0] = "4294967295"; /* no user */
	assert_int_equal(engine_iptables.install(h.run, &h.plan, &e), -EPROTO);
	assert_non_null(strstr(e.text, "iptables-restore says: "));
	expect_listing(&before);
	set_config(&h, "intercept self { from host; tcp 80; except user nix }");
	assert_int_equal(engine_iptables.install(h.run, &h.plan, &e), -ENOENT);
	assert_non_null(strstr(e.text, "excepts user nix"));
	expect_listing(&before);
	assert_true(is_intact(&h));
	str_done(&before);
	end_host(&h);
}

/* IPv4 is loaded already when IPv6 fails. */
static void test_no_second_family(void **state)
{
	struct str before = { 0 };
	struct err e = { 0 };
	struct host h;

	begin_variant(*state);
	if (!netns_has_v6())
		skip();
	begin_host(&h, text_a);
	shell(theirs, NULL);
	list(&before);
	assert_int_equal(unlink("/etc/alternatives/ip6tables-restore"), 0);
	assert_int_equal(engine_iptables.install(h.run, &h.plan, &e), -ENOENT);
	assert_non_null(strstr(e.text, "ip6tables-restore"));
	expect_listing(&before);
	h.plan.has_family[FAMILY_V6] = false;
	install(&h); /* nothing of IPv6 is wanted: nothing is missing */
	assert_true(is_intact(&h));
	str_done(&before);
	end_host(&h);
}

/* --- probe and counters -------------------------------------------------- */

static void test_probe(void **state)
{
	struct err e = { 0 };

	begin_variant(*state);
	if (engine_iptables.probe(&e))
		fail_msg("%s", e.text);
}

static void send_udp(const char *ip, uint16_t port)
{
	struct sockaddr_storage to;
	struct addr dst;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(addr_parse_ip(ip, &dst), 0);
	dst.port = port;
	len = addr_to_sockaddr(&dst, &to);
	/* dropped on the way out, which the sender is told */
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len),
			 -1);
	close(fd);
}

static void test_counters(void **state)
{
	struct str out = { 0 };
	struct err e = { 0 };
	struct host h;

	begin_variant(*state);
	begin_host(&h, "intercept self { from host; tcp any; udp any }\n"
		       "upstream out { via direct }\n"
		       "rules { udp port 9 -> drop; default -> out }");
	install(&h);
	shell("ip addr add 192.0.2.1/32 dev lo; ip route add default dev lo\n"
	      "iptables -t raw -A OUTPUT -m comment --comment dropped_rule -j "
	      "RETURN",
	      NULL);
	for (int i = 0; i < 3; i++)
		send_udp("198.51.100.1", 9);
	assert_int_equal(engine_iptables.counters(&out, &e), 0);
	assert_non_null(
		strstr(str_get(&out), "3\tdropped_rule\ta rule drops it\n"));
	assert_non_null(strstr(str_get(&out), "0\ttaken_tcp\t"));
	str_done(&out);
	end_host(&h);
}

/* --- reading ------------------------------------------------------------- */

static void test_read_truncated(void **state)
{
	static const char whole[] =
		"# x\n*nat\n:waylay-no - [0:0]\n*mangle\n"
		":PREROUTING ACCEPT [1:2]\n:waylay-in - [0:0]\n"
		"[12:34] -A PREROUTING -m comment --comment \"a\\\" -j "
		"waylay-in\" -j waylay-in\n-A waylay-in -j RETURN\n"
		"-A PREROUTING -m comment --comment \" -j waylay-in\" -j x\n"
		"COMMIT\n";
	struct str text = { 0 };

	(void)state; /* unused */
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct iptables_rules r = { 0 };
		char *part = strndup(whole, len); /* no byte behind it */

		assert_non_null(part);
		iptables_rules_read(part, &r);
		str_reset(&text);
		iptables_rules_print(&r, &text);
		iptables_rules_done(&r);
		free(part);
	}
	assert_string_equal(
		str_get(&text),
		"*filter\n*mangle\n:waylay-in - [0:0]\n"
		"-A waylay-in -j RETURN\n"
		"PREROUTING -m comment --comment \"a\\\" -j waylay-in\" -j "
		"waylay-in\n*raw\n");
	str_done(&text);
}

static const struct {
	const char *name;
	CMUnitTestFunction test;
} tests[] = {
	{ "life", test_life },
	{ "first", test_first },
	{ "foreign hand", test_foreign_hand },
	{ "other variant", test_other_variant },
	{ "failure", test_failure },
	{ "no second family", test_no_second_family },
	{ "probe", test_probe },
	{ "counters", test_counters },
};

enum { TESTS = sizeof(tests) / sizeof(*tests) };

int main(void)
{
	struct CMUnitTest all[2 * TESTS + 1];

	for (size_t i = 0; i < 2 * TESTS; i++)
		all[i] = (struct CMUnitTest){
			.name = tests[i / 2].name,
			.test_func = tests[i / 2].test,
			.initial_state = (void *)variants[i % 2],
		};
	all[2 * TESTS] =
		(struct CMUnitTest)cmocka_unit_test(test_read_truncated);
	return _cmocka_run_group_tests("iptables", all, 2 * TESTS + 1, NULL,
				       NULL);
}
