/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_file_fuzz.c - any bytes as a list's file (libFuzzer).
 *
 * What is read, written one entry a line, reads as the same again; what is
 * wrong is said with a line.
 */
#include "policy/list_file.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note_name(void *ctx, const char *pattern)
{
	char again[HOST_TEXT_MAX];

	if (!domain_pattern(pattern, strlen(pattern), again) ||
	    strcmp(again, pattern) != 0)
		abort();
	str_addf(ctx, "%s\n", pattern);
	return 0;
}

static int note_net(void *ctx, const struct prefix *net)
{
	char text[ADDR_TEXT_MAX];

	str_addf(ctx, "%s\n", prefix_format(net, text));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str first = { .len = 0 }, second = { .len = 0 };
	struct list_sink sink = { &first, note_name, note_net };
	struct err e = { .code = 0 };
	int rc = list_file_parse((const char *)data, size, &sink, &e);

	if (rc && (rc != -EINVAL || strncmp(e.text, "line ", 5) != 0))
		abort();
	sink.ctx = &second;
	if (list_file_parse(str_get(&first), first.len, &sink, &e) < 0 ||
	    strcmp(str_get(&first), str_get(&second)) != 0)
		abort();
	str_done(&first);
	str_done(&second);
	return 0;
}
