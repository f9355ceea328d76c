/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output_test.c - safe text, human numbers, tables.
 */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	const char *in;
	const char *lines;
	const char *text;
} texts[] = {
	{ "nothing", "", "", "" },
	{ "plain words", "ab c", "ab c\n", "ab c" },
	{ "lines", "a\nb\n", "a\nb\n", "a\\x0ab\\x0a" },
	{ "an empty line inside", "a\n\nb", "a\n\nb\n", "a\\x0a\\x0ab" },
	{ "tabs", "\ta\t", "\ta\t\n", "\\x09a\\x09" },
	{ "an escape sequence", "\033[2J", "\\x1b[2J\n", "\\x1b[2J" },
	{ "a carriage return", "a\rb", "a\\x0db\n", "a\\x0db" },
	{ "UTF-8", "\xc3\xa4", "\xc3\xa4\n", "\xc3\xa4" },
	{ "half of a character", "\xc3", "\\xc3\n", "\\xc3" },
	{ "a C1 control", "\xc2\x9b", "\\xc2\\x9b\n", "\\xc2\\x9b" },
};

/* What `print` writes for in; the caller frees it. */
static char *written(void (*print)(FILE *, const char *), const char *in)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	print(f, in);
	assert_int_equal(fclose(f), 0);
	return out;
}

static void text_from_outside_is_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char *lines = written(output_lines, texts[i].in);
		char *text = written(output_text, texts[i].in);

		if (strcmp(lines, texts[i].lines) != 0 ||
		    strcmp(text, texts[i].text) != 0)
			fail_msg("%s: '%s' '%s'", texts[i].name, lines, text);
		free(lines);
		free(text);
	}
}

struct number {
	int64_t value;
	const char *text;
};

static const struct number sizes[] = {
	{ -1, "0" },	       { 0, "0" },	    { 999, "999" },
	{ 1000, "0.9K" },      { 1024, "1.0K" },    { 1030, "1.0K" },
	{ 10239, "9.9K" },     { 10240, "10K" },    { 1023487, "999K" },
	{ 1024000, "0.9M" },   { 1048576, "1.0M" }, { 123456789, "117M" },
	{ INT64_MAX, "7.9E" },
};

static const struct number times[] = {
	{ -5, "0ms" },
	{ 0, "0ms" },
	{ 999, "999ms" },
	{ 1000, "1s" },
	{ 59999, "59s" },
	{ 60000, "1m 0s" },
	{ 192000, "3m 12s" },
	{ 3600000, "1h 0m" },
	{ 86399999, "23h 59m" },
	{ 86400000, "1d 0h" },
	{ 8640000000, "100d 0h" },
};

static void check_numbers(void (*human)(struct str *, int64_t),
			  const struct number *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct str s = { 0 };

		human(&s, rows[i].value);
		assert_string_equal(str_get(&s), rows[i].text);
		str_done(&s);
	}
}

static void sizes_are_short(void **state)
{
	(void)state;
	check_numbers(human_bytes, sizes, COUNT(sizes));
}

static void times_have_two_units(void **state)
{
	(void)state;
	check_numbers(human_time, times, COUNT(times));
}

static const struct column columns[] = {
	{ "NAME", false },
	{ "N", true },
	{ "LAST", false },
};

static char *printed(struct table *t)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	table_print(t, f);
	assert_int_equal(fclose(f), 0);
	return out;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct table t = { .columns = columns, .count = COUNT(columns) };
	char *out;

	(void)state;
	table_cell(&t, "a\nb");
	table_bytes(&t, 123);
	table_cell(&t, "x");
	table_cell(&t, "\xc3\xa4");
	table_cellf(&t, "%d", 7);
	table_cell(&t, "");
	out = printed(&t);
	assert_string_equal(out, "NAME      N  LAST\n"
				 "a\\x0ab  123  x\n"
				 "\xc3\xa4         7  -\n");
	free(out);
}

static void a_table_without_rows_prints_nothing(void **state)
{
	struct table t = { .columns = columns, .count = COUNT(columns) };
	char *out = printed(&t);

	(void)state;
	assert_string_equal(out, "");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_from_outside_is_escaped),
		cmocka_unit_test(sizes_are_short),
		cmocka_unit_test(times_have_two_units),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(a_table_without_rows_prints_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
