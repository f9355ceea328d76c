/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error_test.c - errors and options of every length.
 */
#include "lib/error.h"

#include "lib/args.h"
#include "lib/face_test.h"

enum { CANARY = 0x55 };

static const struct err cause = { ENOENT, "there is no such thing" };

/* --- errors -------------------------------------------------------------- */

static void expect_untouched(const struct waylay_error *e, size_t from)
{
	const unsigned char *bytes = (const unsigned char *)e;

	for (size_t i = from; i < sizeof(*e); i++)
		assert_int_equal(bytes[i], CANARY);
}

static void test_an_error_is_filled_as_far_as_it_goes(void **state)
{
	const size_t code_end = offsetof(struct waylay_error, code) + 4;

	(void)state; /* unused */
	for (size_t size = 0; size <= sizeof(struct waylay_error); size++) {
		struct waylay_error e;
		size_t room = size > code_end ? size - code_end : 0;

		memset(&e, CANARY, sizeof(e));
		e.size = size;
		assert_int_equal(error_tell(&e, &cause), -ENOENT);
		expect_untouched(&e, size > sizeof(size) ? size : sizeof(size));
		if (size >= code_end)
			assert_int_equal(e.code, ENOENT);
		else
			expect_untouched(&e, sizeof(size));
		if (room) {
			assert_true(strlen(e.text) < room);
			assert_memory_equal(e.text, cause.text, strlen(e.text));
		}
		if (room > sizeof("there is no such thing"))
			assert_string_equal(e.text, cause.text);
	}
}

static void test_an_error_of_a_newer_header_is_filled(void **state)
{
	struct {
		struct waylay_error e;
		char more[64];
	} newer;

	(void)state; /* unused */
	memset(&newer, CANARY, sizeof(newer));
	newer.e.size = sizeof(newer);
	assert_int_equal(error_tell(&newer.e, &cause), -ENOENT);
	assert_string_equal(newer.e.text, cause.text);
	assert_int_equal(newer.more[0], CANARY);
}

static void test_a_sentence_that_is_too_long_is_cut(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct err long_one = { EINVAL, "" };

	(void)state; /* unused */
	memset(long_one.text, 'x', sizeof(long_one.text) - 1);
	assert_int_equal(error_tell(&e, &long_one), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void test_no_error_is_told_to_null_or_on_success(void **state)
{
	struct waylay_error e;

	(void)state; /* unused */
	assert_int_equal(error_tell(NULL, &cause), -ENOENT);
	memset(&e, CANARY, sizeof(e));
	e.size = sizeof(e);
	assert_int_equal(error_pass(&e, &cause, 7), 7);
	expect_untouched(&e, sizeof(e.size));
	assert_int_equal(error_pass(&e, &cause, -ENOENT), -ENOENT);
	assert_string_equal(e.text, cause.text);
}

/* --- options ------------------------------------------------------------- */

static void test_options_may_have_every_size(void **state)
{
	(void)state; /* unused */
	for (size_t size = 0; size <= sizeof(struct waylay_options); size++) {
		struct waylay_options in = { size, 1, WAYLAY_NONBLOCK, 2, 3 };
		struct waylay_options out;
		struct err e = { 0 };
		int error = args_options(&in, &out, &e);

		if (size < sizeof(size)) {
			assert_int_equal(error, -EINVAL);
			continue;
		}
		assert_int_equal(error, 0);
		if (size <= offsetof(struct waylay_options, mark))
			assert_int_equal(out.mark, WAYLAY_MARK);
		if (size <= offsetof(struct waylay_options, backlog))
			assert_int_equal(out.backlog, WAYLAY_BACKLOG);
		if (size == sizeof(in)) {
			assert_int_equal(out.mark, 1);
			assert_int_equal(out.flags, WAYLAY_NONBLOCK);
			assert_int_equal(out.backlog, 2);
			assert_int_equal(out.timeout_ms, 3);
		}
	}
}

static void test_what_a_newer_program_leaves_at_zero_is_taken(void **state)
{
	struct {
		struct waylay_options o;
		char more[8];
	} newer = { .o = { .size = sizeof(newer) } };
	struct waylay_options out;
	struct err e = { 0 };

	(void)state; /* unused */
	assert_int_equal(args_options(&newer.o, &out, &e), 0);
	newer.more[7] = 1;
	assert_int_equal(args_options(&newer.o, &out, &e), -E2BIG);
	assert_non_null(strstr(e.text, WAYLAY_VERSION));
}

struct options_case {
	const char *name;
	struct waylay_options in;
};

static const struct options_case wrong_options[] = {
	{ "an unknown flag", { sizeof(struct waylay_options), 0, 4, 0, 0 } },
	{ "a backlog below zero",
	  { sizeof(struct waylay_options), 0, 0, -1, 0 } },
	{ "a timeout below zero",
	  { sizeof(struct waylay_options), 0, 0, 0, -1 } },
};

static void test_wrong_options_are_refused(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(wrong_options) / sizeof(*wrong_options);
	     i++) {
		struct waylay_options out;
		struct err e = { 0 };

		print_message("%s\n", wrong_options[i].name);
		assert_int_equal(args_options(&wrong_options[i].in, &out, &e),
				 -EINVAL);
		assert_true(e.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_error_is_filled_as_far_as_it_goes),
		cmocka_unit_test(test_an_error_of_a_newer_header_is_filled),
		cmocka_unit_test(test_a_sentence_that_is_too_long_is_cut),
		cmocka_unit_test(test_no_error_is_told_to_null_or_on_success),
		cmocka_unit_test(test_options_may_have_every_size),
		cmocka_unit_test(
			test_what_a_newer_program_leaves_at_zero_is_taken),
		cmocka_unit_test(test_wrong_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
