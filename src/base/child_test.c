/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_test.c - commands that answer, refuse, die or do not read.
 */
#include "base/child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LARGE = 1 << 20 }; /* more than a pipe holds */

/* clang-format off */
static const struct {
	const char *name, *script, *input;
	int result;
	const char *out, *complaint, *error;
} rows[] = {
	{ "output is returned", "echo yes", NULL, 0, "yes\n", "", "" },
	{ "the exit status is returned", "exit 7", NULL, 7, "", "", "" },
	{ "the last exit status is one too", "exit 255", NULL, 255, "", "",
	  "" },
	{ "complaints are kept apart", "echo no >&2; echo yes; exit 1", NULL, 1,
	  "yes\n", "no\n", "" },
	{ "input is given", "cat", "words", 0, "words", "", "" },
	{ "no input is an empty one", "cat", NULL, 0, "", "", "" },
	{ "who does not read its input may end", "exit 3", "words", 3, "", "",
	  "" },
	{ "the environment is empty", "/usr/bin/env | /bin/grep -v ^PWD= |"
	  "/bin/grep -v ^_= | /bin/grep -v ^SHLVL= | /bin/grep -v ^OLDPWD=",
	  NULL, 1, "", "", "" },
	{ "who kills itself is named", "kill -9 $$", NULL, -EINTR, "", "",
	  "`sh` was killed by signal 9" },
};
/* clang-format on */

static void test_scripts(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *const argv[] = { "sh", "-c", rows[i].script, NULL };
		struct str out = { 0 }, complaint = { 0 };
		struct err e = { 0 };
		int result =
			child_run(argv, rows[i].input, &out, &complaint, &e);

		if (result != rows[i].result ||
		    strcmp(str_get(&out), rows[i].out) != 0 ||
		    strcmp(str_get(&complaint), rows[i].complaint) != 0 ||
		    strcmp(e.text, rows[i].error) != 0)
			fail_msg("%s: %d, \"%s\", \"%s\", \"%s\"", rows[i].name,
				 result, str_get(&out), str_get(&complaint),
				 e.text);
		str_done(&out);
		str_done(&complaint);
	}
}

/* clang-format off */
static const char *const unknown[] = {
	"waylay-no-such-program",
	"",			/* a directory is no program */
	"../../bin/no-such-program",
};
/* clang-format on */

static void test_not_found(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		const char *const argv[] = { unknown[i], NULL };
		struct err e = { 0 };
		int result = child_run(argv, NULL, NULL, NULL, &e);

		if (i != 1) {
			assert_int_equal(result, -ENOENT);
			assert_int_equal(e.code, ENOENT);
			assert_non_null(strstr(e.text, unknown[i]));
		}
		assert_int_not_equal(result, 0);
	}
}

static char *large_text(void)
{
	char *text = malloc(LARGE + 1);

	assert_non_null(text);
	for (size_t i = 0; i < LARGE; i++)
		text[i] = (char)('a' + i % 23);
	text[LARGE] = '\0';
	return text;
}

/* Both directions at once and more than the pipes hold: no deadlock. */
static void test_large(void **state)
{
	const char *const argv[] = { "sh", "-c", "cat; cat >&2", NULL };
	const char *const both[] = { "tee", "/dev/stderr", NULL };
	struct str out = { 0 }, complaint = { 0 };
	char *text = large_text();

	(void)state; /* unused */
	str_add(&out, "before ");
	assert_int_equal(child_run(argv, text, &out, &complaint, NULL), 0);
	assert_int_equal(out.len, LARGE + 7);
	assert_memory_equal(str_get(&out), "before ", 7);
	assert_string_equal(str_get(&out) + 7, text);
	str_reset(&out);
	assert_int_equal(child_run(both, text, &out, &complaint, NULL), 0);
	assert_string_equal(str_get(&out), text);
	assert_string_equal(str_get(&complaint), text);
	str_done(&out);
	str_done(&complaint);
	free(text);
}

/* It ends while we still write: its status counts, not our broken pipe. */
static void test_large_unread(void **state)
{
	const char *const argv[] = { "sh", "-c", "exit 4", NULL };
	char *text = large_text();

	(void)state;		     /* unused */
	for (int i = 0; i < 50; i++) /* either may be first */
		assert_int_equal(child_run(argv, text, NULL, NULL, NULL), 4);
	free(text);
}

static void test_too_much_output(void **state)
{
	const char *const argv[] = { "sh", "-c", "exec cat /dev/zero", NULL };
	struct str out = { 0 };
	struct err e = { 0 };

	(void)state; /* unused */
	assert_int_equal(child_run(argv, NULL, &out, NULL, &e), -EFBIG);
	assert_non_null(strstr(e.text, "`sh` was ended"));
	assert_true(out.len <= CHILD_OUTPUT_MAX);
	str_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_large_unread),
		cmocka_unit_test(test_too_much_output),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as every program of waylay does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
