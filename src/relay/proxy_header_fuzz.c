/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header_fuzz.c - any bytes as a PROXY header (libFuzzer).
 *
 * No part of a header is a header.  What is read can be written, and is read
 * as the same again.
 */
#include "relay/proxy_header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_parts(const uint8_t *data, size_t used)
{
	struct addr client, server;
	size_t untouched = 0;

	if (used > PROXY_HEADER_READ_MAX)
		abort();
	for (size_t len = 0; len < used; len++)
		if (proxy_header_read(data, len, &untouched, &client,
				      &server) != PROXY_HEADER_MORE)
			abort();
	if (untouched)
		abort();
}

static void expect_same(enum upstream_kind kind, const struct addr *client,
			const struct addr *server)
{
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	size_t len = proxy_header_write(kind, PROTO_TCP, client, server, out);
	struct addr c, s;
	size_t used;

	if (proxy_header_read(out, len, &used, &c, &s) != PROXY_HEADER_DONE)
		abort();
	if (used != len || !addr_equal(client, &c) || !addr_equal(server, &s))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr client, server;
	size_t used = 0;

	switch (proxy_header_read(data, size, &used, &client, &server)) {
	case PROXY_HEADER_DONE:
		expect_same(UPSTREAM_PROXY_V1, &client, &server);
		expect_same(UPSTREAM_PROXY_V2, &client, &server);
		expect_parts(data, used);
		break;
	case PROXY_HEADER_LOCAL:
		expect_parts(data, used);
		break;
	case PROXY_HEADER_MORE:
		if (size >= PROXY_HEADER_READ_MAX)
			abort();
		break;
	case PROXY_HEADER_BAD:
		break;
	}
	return 0;
}
