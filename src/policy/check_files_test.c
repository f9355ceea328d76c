/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_files_test.c - what the text names and does not hold: lists' files,
 * and secrets.
 */
#include "policy/texts_test.h"
#include "policy/domains.h"
#include "policy/files_test.h"

#define ANY "intercept z { from z9; tcp any; udp any }\n"

static struct file_row rows[] = {
	{ "/names", "# names\nads.example\n*.b.example\n" },
	{ "/nets", "10.0.0.0/8\n2001:db8::/32 # here\n10.1.0.0/16\n" },
	{ "/both", "0.0.0.0 ads.example\n192.0.2.1\n" },
	{ "/empty", "# nothing yet\n" },
	{ "/bad", "good.example\n\nnot a name or net!\n" },
	{ "file:/pass", "open sesame" },
	{ "credential:c", "hunter2" },
	{ NULL, NULL },
};

static const struct policy_files files = { rows, read_list, read_secret };

/* --- lists --------------------------------------------------------------- */

static void test_lists(void **state)
{
	struct config *c = parse_right_with(
		ANY "list n { file /names; domain own.example }\n"
		    "list p { file /nets, /empty; net 192.0.2.0/24 }\n"
		    "list b { file /both; file /nets }\n"
		    "rules { list n -> drop; list p -> drop; list b -> drop;"
		    " src p -> drop }",
		&files);
	const struct list *l = c->lists;

	(void)state; /* unused */
	assert_int_equal(domain_set_count(l[0].names), 3);
	assert_true(domain_set_has(l[0].names, "ads.example"));
	assert_true(domain_set_has(l[0].names, "own.example"));
	assert_true(domain_set_has(l[0].names, "a.b.example"));
	assert_false(domain_set_has(l[0].names, "b.example"));
	assert_int_equal(l[0].set.count, 0);
	assert_null(l[1].names);
	assert_int_equal(l[1].set.count, 3); /* 10.1/16 is in 10/8 */
	assert_int_equal(l[1].count, 1);     /* as written */
	assert_int_equal(l[2].set.count, 3);
	assert_true(c->rules[0].is_dst_or_domain);
	assert_false(c->rules[1].is_dst_or_domain);
	assert_ptr_equal(c->rules[1].dst.set.prefixes, l[1].set.prefixes);
	assert_true(c->rules[2].is_dst_or_domain);
	assert_ptr_equal(c->rules[2].domains.set, l[2].names);
	config_free(c);
}

/* What the files hold is part of what a configuration says. */
static void test_other_contents(void **state)
{
	static struct file_row other[] = { { "/names", "ads.example\n" },
					   { "/nets", "10.0.0.0/8\n" },
					   { NULL, NULL } };
	const struct policy_files others = { other, read_list, NULL };
	static const char *const texts[] = {
		ANY "list n { file /names }\nrules { list n -> drop }",
		ANY "list p { file /nets }\nrules { list p -> drop }",
	};

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct config *one = parse_right_with(texts[i], &files);
		struct config *same = parse_right_with(texts[i], &files);
		struct config *two = parse_right_with(texts[i], &others);

		assert_true(config_equal(one, same));
		assert_false(config_equal(one, two));
		config_free(one);
		config_free(same);
		config_free(two);
	}
}

/* --- secrets ------------------------------------------------------------- */

#define UP(name, body)                                                         \
	"upstream " name " { via socks5 a:1; user u; " body " }\n"

static void test_secrets(void **state)
{
	struct policy_files none = files;
	static const char text[] = ANY UP("a", "password file:/pass")
		UP("b", "password credential:c") "rules { tcp -> a; udp -> b }";
	struct config *c = parse_right_with(text, &files);
	const struct upstream *u = c->upstreams + UPSTREAM_BUILTIN_COUNT;

	(void)state; /* unused */
	assert_string_equal(u[0].password.secret->bytes, "open sesame");
	assert_int_equal(u[1].password.secret->len, 7);
	config_free(c);
	none.secret = NULL; /* nobody asks, so nothing can be missing */
	none.ctx = &rows[COUNT_OF(rows) - 1];
	c = parse_right_with(text, &none);
	u = c->upstreams + UPSTREAM_BUILTIN_COUNT;
	assert_null(u[0].password.secret);
	config_free(c);
}

static void test_T22_a_secret_is_never_printed(void **state)
{
	struct config *c = parse_right_with(
		ANY UP("a", "password file:/pass") "rules { default -> a }",
		&files);
	struct str out = { .len = 0 };

	(void)state; /* unused */
	config_print(c, &out);
	assert_null(strstr(str_get(&out), "sesame"));
	assert_non_null(strstr(str_get(&out), "password file:/pass\n"));
	config_free(c);
	str_done(&out);
}

/* --- what is wrong ------------------------------------------------------- */

static const struct wrong_file {
	const char *name, *text, *says;
	size_t errors;
} wrongs[] = {
	{ "a file that is not there", ANY "list a { net ::1; file /x }",
	  "t:2:24: error: cannot read /x: it is not there\n", 1 },
	{ "a line that is nothing", ANY "list a {\n file /names, /bad\n}",
	  "t:3:15: error: /bad: line 3: ", 1 },
	{ "all files are told of", ANY "list a { file /x }\nlist b { file /y }",
	  "t:3:15: error: cannot read /y", 2 },
	{ "a secret that nobody may read", ANY UP("a", "password file:/nope"),
	  "t:2:47: error: nobody may read /nope\n", 1 },
	{ "names from a file where networks are asked for",
	  ANY "list a { file /names }\nrules { src a -> drop }",
	  "t:3:13: error: list \"a\" (line 2) has names in it", 1 },
	{ "nothing is read for a text that is wrong",
	  ANY "list a { file /x }\nengine nftt", "t:3:8: error: unknown engine",
	  1 },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
		const struct wrong_file *w = &wrongs[i];
		struct messages m = { .errors = 0 };

		assert_null(config_parse_with("t", w->text, strlen(w->text),
					      &files, &m));
		if (m.errors != w->errors || !strstr(str_get(&m.text), w->says))
			fail_msg("%s: expected %s\nand got:\n%s", w->name,
				 w->says, str_get(&m.text));
		messages_done(&m);
	}
}

/* --- what is hardly meant ------------------------------------------------ */

static const struct doubt {
	const char *name, *text;
	const char *read, *unread; /* with and without files; "": nothing */
} doubts[] = {
	{ "a file with nothing in it",
	  ANY "list a { file /empty }\n"
	      "rules { list a -> drop }",
	  "t:2:6: warning: list \"a\" is empty\n", "" },
	{ "a list behind a rule for its networks",
	  ANY "list a { file /nets }\nrules {\n"
	      "dst 10.0.0.0/8, 2001:db8::/32 -> drop\nlist a -> drop\n}",
	  "t:5:1: warning: this rule is never reached", "" },
	{ "a list with names behind a rule for its networks",
	  ANY "list a { file /both }\nrules {\n"
	      "dst 192.0.2.1 -> drop\nlist a -> drop\n}",
	  "", "" },
};

static void expect_said(const struct doubt *d, const struct policy_files *with)
{
	const char *said = with ? d->read : d->unread;
	struct messages m = { .errors = 0 };
	struct config *c =
		config_parse_with("t", d->text, strlen(d->text), with, &m);
	const char *text = str_get(&m.text);

	if (!c || m.warnings != !!*said || strncmp(text, said, strlen(said)))
		fail_msg("%s: expected %s\nand got:\n%s", d->name, said, text);
	config_free(c);
	messages_done(&m);
}

static void test_doubts(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(doubts); i++) {
		expect_said(&doubts[i], &files);
		expect_said(&doubts[i], NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_other_contents),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_T22_a_secret_is_never_printed),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_doubts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
