/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts_test.h - texts that are right, and texts that are wrong.
 *
 * A wrong text is a row: where its one error is, what is said, and the help
 * below the caret.
 */
#ifndef WL_POLICY_TEXTS_TEST_H
#define WL_POLICY_TEXTS_TEST_H

#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

struct wrong_text {
	const char *name, *text, *place, *says, *help; /* help may be NULL */
};

static inline bool is_as_told(const struct wrong_text *w,
			      const struct messages *m)
{
	const char *text = str_get(&m->text);
	char place[64];

	(void)snprintf(place, sizeof(place),
		       "t:%s: error: ", w->place); /* fits */
	return m->errors == 1 && strncmp(text, place, strlen(place)) == 0 &&
	       strstr(text, w->says) && (!w->help || strstr(text, w->help));
}

static inline void expect_wrong(const struct wrong_text *rows, size_t count)
{
	size_t failures = 0;

	for (size_t i = 0; i < count; i++) {
		const struct wrong_text *w = &rows[i];
		struct messages m = { .errors = 0 };
		struct config *c =
			config_parse("t", w->text, strlen(w->text), &m);

		if (c || !is_as_told(w, &m)) {
			print_error("%s: expected t:%s: %s\nand got:\n%s",
				    w->name, w->place, w->says,
				    str_get(&m.text));
			failures++;
		}
		config_free(c);
		messages_done(&m);
	}
	assert_int_equal(failures, 0);
}

/* A text with so many errors; ends it. */
static inline void expect_errors(struct str *text, size_t errors)
{
	struct messages m = { .errors = 0 };

	config_free(config_parse("t", str_get(text), text->len, &m));
	assert_int_equal(m.errors, errors);
	messages_done(&m);
	str_done(text);
}

/* The configuration, with what `files` gives (NULL: nothing is fetched). */
static inline struct config *parse_right_with(const char *text,
					      const struct policy_files *files)
{
	struct messages m = { .errors = 0 };
	struct config *c =
		config_parse_with("t", text, strlen(text), files, &m);

	if (!c)
		print_error("%s\n%s", text, str_get(&m.text));
	assert_non_null(c);
	messages_done(&m);
	return c;
}

static inline struct config *parse_right(const char *text)
{
	return parse_right_with(text, NULL);
}

/* What is printed reads as the same; NULL `expected`: whatever it is. */
static inline void expect_printed(const struct config *c, const char *expected)
{
	struct str out = { .len = 0 };
	struct config *again;

	config_print(c, &out);
	assert_true(str_ok(&out));
	if (expected)
		assert_string_equal(str_get(&out), expected);
	again = parse_right(str_get(&out));
	if (!config_equal(c, again))
		fail_msg("it reads as another:\n%s", str_get(&out));
	config_free(again);
	str_done(&out);
}

#endif
