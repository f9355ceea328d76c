/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example_test.c - the examples: ours are valid, and all can be told apart.
 *
 * That they work is tried in lab/: test_squid.py, test_mitmproxy.py,
 * test_handoff.py; not those of Envoy and sing-box, which Debian does not have.
 */
#include "cli/example.h"

#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What is meant: NAT has its limits, and the configuration says so. */
static const char allowed[] = "warning: intercept \"nat\": NAT may";

static void test_ours_is_valid(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
		const char *text = examples[i].halves[EXAMPLE_OURS].text;
		struct messages m = { .errors = 0 };
		struct config *c = config_parse("t", text, strlen(text), &m);

		if (!c || (m.warnings && (m.warnings > 1 ||
					  !strstr(str_get(&m.text), allowed))))
			fail_msg("%s:\n%s", examples[i].name, str_get(&m.text));
		config_free(c);
		messages_done(&m);
	}
}

/* Whoever cuts the printed text at its titles gets the files again. */
static void test_no_text_has_a_title(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
		for (size_t n = 0; n < EXAMPLE_HALVES; n++) {
			const struct example_half *h = &examples[i].halves[n];
			size_t len = strlen(h->text);

			assert_null(strstr(h->text, "# --- "));
			assert_null(strchr(h->text, '\t'));
			assert_true(len > 2 && h->text[len - 1] == '\n' &&
				    h->text[len - 2] != '\n');
			assert_non_null(strpbrk(h->file, "/~"));
		}
		assert_string_equal(examples[i].halves[EXAMPLE_OURS].file,
				    "/etc/waylay/waylay.conf");
	}
}

static void test_names_are_sorted(void **state)
{
	(void)state; /* unused */
	for (size_t i = 1; i < EXAMPLE_COUNT; i++)
		assert_true(strcmp(examples[i - 1].name, examples[i].name) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours_is_valid),
		cmocka_unit_test(test_no_text_has_a_title),
		cmocka_unit_test(test_names_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
