/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_file_test.c - what a list's file says, and what is wrong with it.
 */
#include "policy/list_file.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define L50	     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"

/* --- what was read, a word for each entry -------------------------------- */

static int note_name(void *ctx, const char *pattern)
{
	str_addf(ctx, "%s ", pattern);
	return 0;
}

static int note_net(void *ctx, const struct prefix *net)
{
	char text[ADDR_TEXT_MAX];

	str_addf(ctx, "%s ", prefix_format(net, text));
	return 0;
}

/* The text is copied without a NUL, so that a sanitizer guards its end. */
static int parse(const char *text, size_t len, struct str *out, struct err *e)
{
	struct list_sink sink = { .ctx = out,
				  .name = note_name,
				  .net = note_net };
	char *copy = malloc(len ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = list_file_parse(copy, len, &sink, e);
	free(copy);
	return rc;
}

static const struct {
	const char *name, *text, *entries;
} files[] = {
	{ "nothing", "", "" },
	{ "blank lines and comments", "\n \t\n# a # b\n   # c\n#\n", "" },
	{ "a name without a newline", "example.org", "example.org " },
	{ "names in each form", "a.x\n*.b.x\n.c.x\n", "a.x *.b.x .c.x " },
	{ "names become normal", "  ADS.Example. \n", "ads.example " },
	{ "lines of another system", "a.x\r\n\r\nb.x\r\n", "a.x b.x " },
	{ "a comment behind an entry", "a.x # why\nb.x# why", "a.x b.x " },
	{ "networks", "192.0.2.0/24\n2001:db8::/32\n",
	  "192.0.2.0/24 2001:db8::/32 " },
	{ "addresses", "192.0.2.1\n::1\n0.0.0.0 # any\n",
	  "192.0.2.1 ::1 0.0.0.0 " },
	{ "a hosts file",
	  "127.0.0.1 localhost loop.local # ours\n"
	  "::1\tip6-localhost\n0.0.0.0 ads.Example.\n",
	  "localhost loop.local ip6-localhost ads.example " },
	{ "a hosts line of an interface", "fe80::1%lo0 localhost\n",
	  "localhost " },
	{ "a hosts line that names an address", "0.0.0.0 0.0.0.0\n", "" },
	{ "an address among hosts", "0.0.0.0 a.x 0.0.0.0 b.x\n", "a.x b.x " },
	{ "a name that begins with a digit", "1.example\n4chan.example\n",
	  "1.example 4chan.example " },
	{ "a top level", "zip", "zip " },
};

static void test_files(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(files); i++) {
		struct str out = { .len = 0 };
		struct err e = { .code = 0 };

		if (parse(files[i].text, strlen(files[i].text), &out, &e) != 0)
			fail_msg("%s: %s", files[i].name, e.text);
		if (strcmp(str_get(&out), files[i].entries) != 0)
			fail_msg("%s: read %s", files[i].name, str_get(&out));
		str_done(&out);
	}
}

static const struct {
	const char *name, *text, *says;
} wrong[] = {
	{ "no name", "a.x\n\nfoo/bar\n",
	  "line 3: \"foo/bar\" is neither a name nor a network" },
	{ "a star alone", "*",
	  "line 1: \"*\" is neither a name nor a network" },
	{ "bits behind the length", "192.0.2.1/24",
	  "line 1: \"192.0.2.1/24\" has bits set behind its length" },
	{ "a number", "1234\n",
	  "line 1: \"1234\" is neither a name nor a network" },
	{ "an address with too much", "192.0.2.300\n",
	  "line 1: \"192.0.2.300\" is neither a name nor a network" },
	{ "two names", "a.x\nb.x c.x\n",
	  "line 2: \"c.x\" is one word too many; a line holds one entry" },
	{ "a network in front of a name", "10.0.0.0/8 a.x",
	  "line 1: \"a.x\" is one word too many; a line holds one entry" },
	{ "a wrong host", "0.0.0.0 a.x b/x", "line 1: \"b/x\" is not a name" },
	{ "a pattern as host", "0.0.0.0 *.x", "line 1: \"*.x\" is not a name" },
	{ "what a terminal must not see", "a\033[2Jb\177\200",
	  "line 1: \"a?[2Jb??\" is neither a name nor a network" },
	{ "a long word is cut", L50 L50 ".x",
	  "line 1: \"" L50 "abcdefghijklm\" is neither a name nor a network" },
	{ "an address longer than any", "1:" L50 L50 L50 L50 L50 L50,
	  "line 1: \"1:" L50 "abcdefghijk\" is neither a name nor a network" },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct str out = { .len = 0 };
		struct err e = { .code = 0 };

		if (parse(wrong[i].text, strlen(wrong[i].text), &out, &e) !=
		    -EINVAL)
			fail_msg("%s: it was read", wrong[i].name);
		assert_string_equal(e.text, wrong[i].says);
		assert_int_equal(e.code, EINVAL);
		str_done(&out);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "a.x\nb\0.x";
	struct str out = { .len = 0 };
	struct err e;

	(void)state; /* unused */
	assert_int_equal(parse(text, sizeof(text) - 1, &out, &e), -EINVAL);
	assert_string_equal(e.text,
			    "line 2: \"b?.x\" is neither a name nor a network");
	assert_int_equal(parse("1.2.3.4\0", 8, &out, &e), -EINVAL);
	str_done(&out);
}

/* Cut anywhere, what was whole before the cut is read as before. */
static void test_cut_files(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(files); i++) {
		size_t len = strlen(files[i].text);

		for (size_t cut = 0; cut < len; cut++) {
			struct str out = { .len = 0 };
			const char *text = files[i].text;
			struct err e;

			(void)parse(text, cut, &out, &e); /* may be wrong */
			if (cut && text[cut - 1] == '\n')
				assert_memory_equal(str_get(&out),
						    files[i].entries, out.len);
			str_done(&out);
		}
	}
}

/* --- a sink that has enough ---------------------------------------------- */

static int refuse_name(void *ctx, const char *pattern)
{
	(void)pattern; /* none is wanted */
	++*(int *)ctx;
	return -ENOMEM;
}

static int refuse_net(void *ctx, const struct prefix *net)
{
	(void)net; /* none is wanted */
	++*(int *)ctx;
	return -ENOSPC;
}

static void test_sink_stops(void **state)
{
	int calls = 0;
	struct list_sink sink = { &calls, refuse_name, refuse_net };
	struct err e = { .code = 0 };

	(void)state; /* unused */
	assert_int_equal(list_file_parse("a.x\nb.x", 7, &sink, &e), -ENOMEM);
	assert_int_equal(list_file_parse("::1\n::2", 7, &sink, &e), -ENOSPC);
	assert_int_equal(list_file_parse("::1 a b", 7, &sink, &e), -ENOMEM);
	assert_int_equal(calls, 3);
	assert_int_equal(e.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_cut_files),
		cmocka_unit_test(test_sink_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
