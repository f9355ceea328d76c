/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header_test.h - PROXY headers as the tests write and read them.
 */
#ifndef WL_RELAY_PROXY_HEADER_TEST_H
#define WL_RELAY_PROXY_HEADER_TEST_H

#include "relay/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
/* clang-format off */
#define IPV4_ENDS "\xc0\0\2\1" "\xc6\x33\x64\7" "\xdc\4" "\1\xbb"
/* clang-format on */
#define MAPPED	"\0\0\0\0\0\0\0\0\0\0\xff\xff"
#define IP6_MAX "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static inline struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* In memory of just that size: a byte too far is seen by the sanitizer. */
static inline enum proxy_header_result read_exact(const uint8_t *bytes,
						  size_t len, size_t *used,
						  struct addr *client,
						  struct addr *server)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum proxy_header_result result;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	result = proxy_header_read(copy, len, used, client, server);
	free(copy);
	return result;
}

static inline enum proxy_header_result read_only(const uint8_t *bytes,
						 size_t len)
{
	struct addr client, server;
	size_t used;

	return read_exact(bytes, len, &used, &client, &server);
}

#endif
