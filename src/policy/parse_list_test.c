/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_list_test.c - `list`: networks, names, and where files are named.
 * What files hold is check_files_test.c's.
 */
#include "policy/domains.h"
#include "policy/texts_test.h"

#define LIST(body) "list a { " body " }"

static const struct kept {
	const char *name, *body, *printed;
} kepts[] = {
	{ "names in lower case, without a dot at the end",
	  "domain Example.ORG, *.Example.org., .b.C, _dmarc.x-1",
	  "    domain example.org, *.example.org, .b.c, _dmarc.x-1\n" },
	{ "statements add up, networks first",
	  "domain a.b; net ::1; domain c.d; net 10.0.0.0/8",
	  "    net    ::1, 10.0.0.0/8\n    domain a.b, c.d\n" },
	{ "files, one a line", "reload on-change; file /b/c, \"/d e\"; file /f",
	  "    file   /b/c\n    file   \"/d e\"\n    file   /f\n"
	  "    reload on-change\n" },
	{ "a word alone is a name", "domain localhost",
	  "    domain localhost\n" },
};

static void test_kept(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(kepts); i++) {
		struct str text = { .len = 0 }, wanted = { .len = 0 };
		struct config *c;

		str_addf(&text, LIST("%s"), kepts[i].body);
		str_addf(&wanted, "list a {\n%s}\n", kepts[i].printed);
		c = parse_right(str_get(&text));
		expect_printed(c, str_get(&wanted));
		config_free(c);
		str_done(&text);
		str_done(&wanted);
	}
}

static void test_sets(void **state)
{
	struct config *c =
		parse_right("list a { domain x.y, *.z; net ::1; file /f;"
			    " reload on-change }\n"
			    "list b { net ::2 }\nlist c { domain x.y, *.z }");
	const struct list *a = &c->lists[0];

	(void)state; /* unused */
	assert_int_equal(a->set.count, 1);
	assert_true(a->is_reloaded);
	assert_string_equal(a->files[0].path, "/f");
	assert_true(domain_set_has(a->names, "x.y"));
	assert_true(domain_set_has(a->names, "u.z"));
	assert_false(domain_set_has(a->names, "z"));
	assert_null(c->lists[1].names);
	assert_int_equal(c->lists[2].set.count, 0);
	config_free(c);
}

static const struct wrong_text wrongs[] = {
	{ "a network among names", LIST("domain a.b, 10.0.0.0/8"), "1:22",
	  "\"domain\" takes names, and \"10.0.0.0/8\" is a network",
	  "behind \"net\" in a list" },
	{ "an address among names", LIST("domain 2001:db8::1"), "1:17",
	  "\"2001:db8::1\" is an address", NULL },
	{ "a name among networks", LIST("net *.example.org"), "1:14",
	  "an address or network is needed here, and \"*.example.org\" is a "
	  "domain name",
	  NULL },
	{ "a slip in an address", LIST("domain 10.0.0.256"), "1:17",
	  "wrong domain name \"10.0.0.256\"", NULL },
	{ "a star alone", LIST("domain *"), "1:17", "wrong domain name \"*\"",
	  "*.example.org for all names below it" },
	{ "a star in a part", LIST("domain a*.org"), "1:17",
	  "wrong domain name", NULL },
	{ "a star in the middle", LIST("domain a.*.org"), "1:17",
	  "wrong domain name", NULL },
	{ "two dots", LIST("domain a..org"), "1:17", "wrong domain name",
	  NULL },
	{ "another script",
	  LIST("domain b\xc3\xbc"
	       "cher.example"),
	  "1:17",
	  "wrong domain name \"b\xc3\xbc"
	  "cher.example\"",
	  "other scripts as xn--" },
	{ "a port behind a name", LIST("domain a.org:443"), "1:17",
	  "wrong domain name", NULL },
	{ "a part of 64 bytes",
	  LIST("domain aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
	       "ccccccccccccccccdddddddddddddddd.org"),
	  "1:17", "wrong domain name", NULL },
	{ "an empty name", LIST("domain \"\""), "1:17", "wrong domain name",
	  NULL },
	{ "no name at all", LIST("domain"), "1:16",
	  "\"domain\" needs domain names", NULL },
	{ "a file by a relative path", LIST("file ads"), "1:15",
	  "wrong file \"ads\": it does not begin with /", NULL },
	{ "a directory", LIST("file /etc/"), "1:15", "it names a directory",
	  NULL },
	{ "a tabulator in a path", LIST("file \"/a\tb\""), "1:15",
	  "no control byte can stand in it", NULL },
	{ "a file named twice", LIST("file /a; file /b, /a"), "1:28",
	  "wrong file \"/a\": it is named twice", NULL },
	{ "no file at all", LIST("file"), "1:14",
	  "\"file\" needs paths of files", NULL },
	{ "a change of nothing", LIST("net ::/0; reload on-change"), "1:20",
	  "list \"a\" has no file that could change", NULL },
	{ "another moment to reload", LIST("file /a; reload daily"), "1:26",
	  "unknown reload \"daily\"", "one of: on-change" },
	{ "files more than are allowed",
	  LIST("file /1,/2,/3,/4,/5,/6,/7,/8,/9,/10,/11,/12,/13,/14,/15,/16,"
	       "/17"),
	  "1:70", "16 of them are allowed", NULL },
	{ "names where networks are asked for: dst",
	  LIST("domain a.b; net ::1") "\nrules { dst ::2, a -> drop }", "2:18",
	  "list \"a\" (line 1) has names in it, and only networks can "
	  "stand here",
	  "the condition \"list\" of a rule takes both" },
	{ "names where networks are asked for: src",
	  LIST("domain a.b") "\nrules { src a -> drop }", "2:13",
	  "only networks can stand here", NULL },
	{ "names where networks are asked for: dst beside domain",
	  LIST("domain a.b") "\nrules { domain c dst a -> drop }", "2:22",
	  "only networks can stand here", NULL },
	{ "names where networks are asked for: except",
	  LIST("domain a.b") "\nintercept i { from e; tcp 1; except dst "
			     "private, a }",
	  "2:50", "only networks can stand here", NULL },
	{ "names where networks are asked for: other proxies",
	  LIST("domain a.b") "\nintercept i { listen [::]:1; proxy-protocol "
			     "from a }",
	  "2:50", "only networks can stand here", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

/* 253 bytes are a name, 254 are none. */
static void test_longest(void **state)
{
	(void)state; /* unused */
	for (size_t more = 0; more < 2; more++) {
		struct str text = { .len = 0 };

		str_add(&text, "list a { domain ");
		for (size_t i = 0; i < 126; i++)
			str_add(&text, "a.");
		str_add(&text, more ? "bc }" : "b }");
		expect_errors(&text, more);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
