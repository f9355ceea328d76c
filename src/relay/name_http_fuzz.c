/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_http_fuzz.c - any bytes as an HTTP client's first ones (libFuzzer).
 *
 * More fields change no name, a second Host takes it away (R-HTTP-1).
 */
#include "relay/name_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OTHER_HOST "Host: other.example\r\n"

/* What is read when `field` stands behind the request line. */
static enum name_result read_with(const uint8_t *data, size_t size,
				  const char *field, char out[HOST_TEXT_MAX])
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t len = strlen(field), line;
	uint8_t *longer = malloc(size + len);
	enum name_result r;

	if (!newline || !longer)
		abort();
	line = (size_t)(newline + 1 - data);
	memcpy(longer, data, line);
	memcpy(longer + line, field, len);
	memcpy(longer + line + len, data + line, size - line);
	r = fuzz_read(name_http, longer, size + len, out);
	free(longer);
	return r;
}

static void expect_fields(const uint8_t *data, size_t size, const char *name)
{
	char with[HOST_TEXT_MAX];

	if (read_with(data, size, "Via:\ta b\r\n", with) != NAME_FOUND ||
	    strcmp(with, name) != 0)
		abort();
	/* there was none before if the authority is in the target */
	if (read_with(data, size, OTHER_HOST, with) == NAME_FOUND &&
	    strcmp(with, name) != 0)
		abort();
	if (read_with(data, size, OTHER_HOST OTHER_HOST, with) != NAME_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[HOST_TEXT_MAX];

	if (fuzz_read_steady(name_http, data, size, name) == NAME_FOUND)
		expect_fields(data, size, name);
	return 0;
}
