/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_fuzz.c - any bytes as rules (libFuzzer).
 *
 * What is written is always a configuration; each refusal has a reason, and
 * nothing else has one.
 */
#include "cli/import.h"
#include "policy/policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_reasons(const struct import *im)
{
	for (size_t i = 0; i < import_line_count(im); i++) {
		const struct import_line *l = import_line(im, i);

		if (!l->reason != (l->status != IMPORT_NOT_EXPRESSED))
			abort();
	}
}

static void expect_config(const struct str *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("fuzz", str_get(text), text->len, &m);

	if (!c)
		abort();
	config_free(c);
	messages_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct import *im = import_new();
	struct str text = { .len = 0 };

	if (!im || import_add(im, "fuzz", (const char *)data, size) < 0 ||
	    import_finish(im) < 0)
		abort();
	import_write(im, &text);
	expect_reasons(im);
	expect_config(&text);
	str_done(&text);
	import_free(im);
	return 0;
}
