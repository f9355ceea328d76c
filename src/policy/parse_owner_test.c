/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_owner_test.c - `except user` and `except cgroup`: what is kept of
 * the words, and what is said about those that cannot be meant.
 */
#include "policy/texts_test.h"

#define HOST(body) "intercept a { from host; tcp any\n" body " }"
#define TEN(x)	   x x x x x x x x x x

static const struct kept {
	const char *name, *text, *users, *cgroups;
} kepts[] = {
	{ "nothing is excepted by itself", HOST(""), "", "" },
	{ "names and numbers", HOST("except user proxy, 0, 4294967294, a.b_-c"),
	  "proxy 0 4294967294 a.b_-c ", "" },
	{ "a machine's account", HOST("except user svc$"), "svc$ ", "" },
	{ "a name may begin with a digit", HOST("except user 7zip, _apt"),
	  "7zip _apt ", "" },
	{ "zeros in front of a number mean nothing",
	  HOST("except user 007, 000"), "7 0 ", "" },
	{ "a name of 31 bytes", HOST("except user a" TEN("bcd")),
	  "a" TEN("bcd") " ", "" },
	{ "statements add up",
	  HOST("except user a; except cgroup x; except user b, c;"
	       "except cgroup y, z"),
	  "a b c ", "x y z " },
	{ "slashes at the ends are not kept",
	  HOST("except cgroup /system.slice/a.service/, ///b///, c"), "",
	  "system.slice/a.service b c " },
	{ "bytes that a unit's name can have",
	  HOST("except cgroup \"a b\", c@1:2.slice/d\\x2de, f..g, ...h"), "",
	  "a b c@1:2.slice/d\\x2de f..g ...h " },
	{ "what is delivered can have exceptions",
	  HOST("deliver *:80; except user proxy"), "proxy ", "" },
};

static void join(const char *const *texts, size_t count, struct str *out)
{
	for (size_t i = 0; i < count; i++) {
		str_add(out, texts[i]);
		str_add(out, " ");
	}
}

static void test_kept(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(kepts) / sizeof(kepts[0]); i++) {
		const struct kept *k = &kepts[i];
		struct str users = { .len = 0 }, cgroups = { .len = 0 };
		struct messages m = { .errors = 0 };
		struct config *c =
			config_parse("t", k->text, strlen(k->text), &m);

		if (!c)
			print_error("%s:\n%s", k->name, str_get(&m.text));
		assert_non_null(c);
		join(c->intercepts[0].except_users,
		     c->intercepts[0].except_user_count, &users);
		join(c->intercepts[0].except_cgroups,
		     c->intercepts[0].except_cgroup_count, &cgroups);
		assert_string_equal(str_get(&users), k->users);
		assert_string_equal(str_get(&cgroups), k->cgroups);
		config_free(c);
		messages_done(&m);
		str_done(&users);
		str_done(&cgroups);
	}
}

static const struct wrong_text wrongs[] = {
	{ "a user without this host",
	  "intercept a { from eth0; tcp any; except user root }", "1:42",
	  "\"except user\" needs \"from host\": what arrives from an interface "
	  "has no user here",
	  "except src" },
	{ "a cgroup without this host",
	  "intercept a { except cgroup x; from eth0; tcp any }", "1:22",
	  "\"except cgroup\" needs \"from host\"", "except src" },
	{ "no user at all", HOST("except user"), "2:12", "\"user\" needs users",
	  NULL },
	{ "an empty user", HOST("except user \"\""), "2:13",
	  "wrong user \"\": it is empty", NULL },
	{ "a name of 32 bytes", HOST("except user ab" TEN("cde")), "2:13",
	  "it is longer than 31 bytes", NULL },
	{ "a blank in a name", HOST("except user \"a b\""), "2:13",
	  "letters, digits, . _ and - can stand in it", NULL },
	{ "a dollar inside of a name", HOST("except user a$b"), "2:13",
	  "$ at its end", NULL },
	{ "two dollars", HOST("except user a$$"), "2:13", "$ at its end",
	  NULL },
	{ "a dollar alone", HOST("except user $"), "2:13",
	  "it is neither a name nor a number", NULL },
	{ "what an engine would read as an option", HOST("except user -x"),
	  "2:13", "it is neither a name nor a number", NULL },
	{ "what an engine would read as a range", HOST("except user 1000-2000"),
	  "2:13", "it is neither a name nor a number", NULL },
	{ "a number too large", HOST("except user 4294967295"), "2:13",
	  "a number goes from 0 to 4294967294", NULL },
	{ "a number far too large",
	  HOST("except user 99999999999999999999999999"), "2:13",
	  "a number goes from 0 to 4294967294", NULL },
	{ "a user named twice", HOST("except user a; except user b, a"), "2:31",
	  "wrong user \"a\": it is named twice", NULL },
	{ "a number written in two ways", HOST("except user 7, 07"), "2:16",
	  "wrong user \"07\": it is named twice", NULL },
	{ "no cgroup at all", HOST("except cgroup\n"), "2:14",
	  "\"cgroup\" needs paths of cgroups", NULL },
	{ "an empty path", HOST("except cgroup \"\""), "2:15",
	  "a path below the root is needed", NULL },
	{ "the root", HOST("except cgroup //"), "2:15",
	  "a path below the root is needed", NULL },
	{ "a path that climbs", HOST("except cgroup a/../b"), "2:15",
	  "no part of it can be . or ..", NULL },
	{ "a path that ends with a climb", HOST("except cgroup a/.."), "2:15",
	  "no part of it can be . or ..", NULL },
	{ "a path with a part of nothing", HOST("except cgroup a//b"), "2:15",
	  "two slashes stand in a row", NULL },
	{ "a path with a step on the spot", HOST("except cgroup ./a"), "2:15",
	  "no part of it can be . or ..", NULL },
	{ "a tabulator in a path", HOST("except cgroup \"a\tb\""), "2:15",
	  "no control byte and no quote can stand in it", NULL },
	{ "a control byte in a path", HOST("except cgroup \"a\x7f\""), "2:15",
	  "control bytes cannot stand in a word", NULL },
	{ "a quote in a path", HOST("except cgroup \"a\\\"b\""), "2:15",
	  "no control byte and no quote can stand in it", NULL },
	{ "a path as the file system has it",
	  HOST("except cgroup /sys/fs/cgroup/system.slice"), "2:15",
	  "leave out /sys/fs/cgroup, paths begin below it", NULL },
	{ "a cgroup named twice", HOST("except cgroup a, /a"), "2:18",
	  "wrong cgroup \"/a\": it is named twice", NULL },
	{ "a misspelt exception", HOST("except cgruop a"), "2:8",
	  "unknown exception \"cgruop\"", "did you mean \"cgroup\"?" },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

static size_t count_errors(const char *keyword, size_t count)
{
	struct messages m = { .errors = 0 };
	struct str text = { .len = 0 };
	size_t errors;

	str_add(&text, "intercept a { from host; tcp any\n");
	for (size_t i = 0; i < count; i++)
		str_addf(&text, "except %s n%zu\n", keyword, i);
	str_add(&text, "}");
	config_free(config_parse("t", str_get(&text), text.len, &m));
	errors = m.errors;
	messages_done(&m);
	str_done(&text);
	return errors;
}

static void test_limits(void **state)
{
	(void)state; /* unused */
	assert_int_equal(count_errors("user", USERS_MAX), 0);
	assert_int_equal(count_errors("user", USERS_MAX + 1), 1);
	assert_int_equal(count_errors("cgroup", CGROUPS_MAX), 0);
	assert_int_equal(count_errors("cgroup", CGROUPS_MAX + 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
