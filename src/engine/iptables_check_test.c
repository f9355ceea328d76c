/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_check_test.c - what the iptables engine refuses, and how it says so.
 */
#include "engine/iptables_test.h"

#include <errno.h>

static void put_nets(struct str *out, const char *front, int count)
{
	str_add(out, front);
	for (int i = 0; i < count; i++)
		str_addf(out, "%s10.%d.%d.0/24", i ? ", " : " ", i / 128,
			 2 * (i % 128));
}

static const struct {
	const char *name, *before, *front, *after;
	int nets;
	const char *sentence; /* NULL: it can */
} checks[] = {
	{ "64 exceptions", "intercept a { from lan0; tcp 1;", "except dst", "}",
	  64, NULL },
	{ "65 exceptions", "intercept a { from lan0; tcp 1;", "except dst", "}",
	  65, "intercept a of line 1 has 65 prefixes of one family" },
	{ "both sides count",
	  "intercept a { from lan0; tcp 1; except src 9.9.9.9;", "except dst",
	  "}", 64, "has 65 prefixes" },
	{ "each family has its own",
	  "intercept a { from lan0; tcp 1; except src ::1;", "except dst", "}",
	  64, NULL },
	{ "65 in a rule",
	  "intercept a { from lan0; tcp 1 }\nupstream o { via direct }\nrules "
	  "{",
	  "dst", "-> drop; default -> o }", 65,
	  "the rule of line 3 has 65 prefixes of one family, and iptables "
	  "needs a rule for each: 64 is the most; engines ebpf and nft have "
	  "sets" },
	{ "a rule that makes no difference",
	  "intercept a { from lan0; tcp 1 }\nupstream o { via direct }\nrules "
	  "{",
	  "dst", "-> o; default -> o }", 65, NULL },
	{ "a plus at the end", "intercept a { from lan+; tcp 1;", "except dst",
	  "}", 1, "takes the + at the end of `lan+` for a pattern" },
	{ "owners, and a later intercept of this host",
	  "intercept a { from host; tcp 1; except user 7 }\n"
	  "intercept b { from lan0; tcp 1 }\n"
	  "intercept c { from host; tcp 1;",
	  "except dst", "}", 1,
	  "intercept c: iptables cannot tell its packets from those that "
	  "intercept a excepts by user or cgroup" },
	{ "owners in the last intercept of this host",
	  "intercept c { from host; tcp 1 }\n"
	  "intercept a { from host; tcp 2; except cgroup x;",
	  "except dst", "}", 1, NULL },
};

static void test_check(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct host h = { .run = NULL };
		struct str text = { 0 };
		struct err e = { 0 };
		int error;

		str_add(&text, checks[i].before);
		put_nets(&text, checks[i].front, checks[i].nets);
		str_add(&text, checks[i].after);
		set_config(&h, str_get(&text));
		error = engine_iptables.check(h.config, &e);
		if (error != (checks[i].sentence ? -EOPNOTSUPP : 0) ||
		    (error && !strstr(e.text, checks[i].sentence)))
			fail_msg("%s: %d %s", checks[i].name, error, e.text);
		str_done(&text);
		config_free(h.config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
