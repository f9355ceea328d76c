/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_stream_fuzz.c - any bytes as the first ones of a stream (libFuzzer).
 *
 * The first byte says what is looked for.  It is what one of the readers says,
 * and of a stream that goes on for ever it is told at the limit.
 */
#include "relay/name_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_TLS = 1, IS_HTTP = 2 };

static enum name_result read_stream(const struct sniff *what,
				    const uint8_t *bytes, size_t len,
				    char out[HOST_TEXT_MAX],
				    enum name_kind *kind)
{
	uint8_t *copy = fuzz_copy(bytes, len);
	enum name_result r;

	out[0] = '\0';
	*kind = NAME_KIND_NONE;
	r = name_of_stream(what, copy, len, out, kind);
	free(copy);
	if ((r == NAME_FOUND) != (*kind != NAME_KIND_NONE) ||
	    (r == NAME_FOUND) != (out[0] != '\0'))
		abort();
	return r;
}

static void expect_as_reader(const struct sniff *what, const uint8_t *bytes,
			     size_t len)
{
	char out[HOST_TEXT_MAX], tls[HOST_TEXT_MAX], http[HOST_TEXT_MAX];
	enum name_kind kind;
	enum name_result r = read_stream(what, bytes, len, out, &kind);
	bool has_tls = fuzz_read(name_tls, bytes, len, tls) == NAME_FOUND;
	bool has_http = fuzz_read(name_http, bytes, len, http) == NAME_FOUND;

	if (has_tls && has_http)
		abort();
	if ((r == NAME_FOUND) !=
	    ((has_tls && what->is_tls) || (has_http && what->is_http)))
		abort();
	if (r == NAME_FOUND &&
	    (strcmp(out, has_tls ? tls : http) != 0 ||
	     kind != (has_tls ? NAME_KIND_TLS : NAME_KIND_HTTP)))
		abort();
}

/* The same bytes over and over, up to the limit. */
static void expect_end(const struct sniff *what, const uint8_t *bytes,
		       size_t len)
{
	uint8_t *stream = malloc(NAME_STREAM_MAX);
	char out[HOST_TEXT_MAX];
	enum name_kind kind;

	if (!stream)
		abort();
	for (size_t i = 0; i < NAME_STREAM_MAX; i++)
		stream[i] = bytes[i % len];
	if (read_stream(what, stream, NAME_STREAM_MAX, out, &kind) == NAME_MORE)
		abort();
	free(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sniff what = { .is_tls = false };

	if (size < 2 || size > NAME_STREAM_MAX)
		return 0;
	what.is_tls = data[0] & IS_TLS;
	what.is_http = data[0] & IS_HTTP;
	expect_as_reader(&what, data + 1, size - 1);
	expect_end(&what, data + 1, size - 1);
	return 0;
}
