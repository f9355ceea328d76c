/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header_test.c - the PROXY protocol, written and read.
 */
#include "relay/proxy_header_test.h"

/* --- written ------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name;
	enum upstream_kind kind;
	enum proto proto;
	const char *client, *server;
	const uint8_t *bytes;
	size_t len;
} written[] = {
	{ "no header is asked for", UPSTREAM_DIRECT, PROTO_TCP,
	  "192.0.2.1:1", "198.51.100.7:2", BYTES("") },
	{ "other proxies", UPSTREAM_SOCKS5, PROTO_TCP, "192.0.2.1:1",
	  "198.51.100.7:2", BYTES("") },
	{ "v1, IPv4", UPSTREAM_PROXY_V1, PROTO_TCP, "192.0.2.1:56324",
	  "198.51.100.7:443",
	  BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n") },
	{ "v1, the longest IPv4", UPSTREAM_PROXY_V1, PROTO_TCP,
	  "255.255.255.255:65535", "255.255.255.255:65535",
	  BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") },
	{ "v1, IPv6", UPSTREAM_PROXY_V1, PROTO_TCP, "[2001:db8::1]:56324",
	  "[2001:db8::7]:443",
	  BYTES("PROXY TCP6 2001:db8::1 2001:db8::7 56324 443\r\n") },
	{ "R-PP-1: v1, the longest", UPSTREAM_PROXY_V1, PROTO_TCP,
	  "[" IP6_MAX "]:65535", "[" IP6_MAX "]:65535",
	  BYTES("PROXY TCP6 " IP6_MAX " " IP6_MAX " 65535 65535\r\n") },
	{ "v1 knows no scope", UPSTREAM_PROXY_V1, PROTO_TCP, "[fe80::1%7]:1",
	  "[fe80::2%7]:2", BYTES("PROXY TCP6 fe80::1 fe80::2 1 2\r\n") },
	{ "v1 knows no UDP", UPSTREAM_PROXY_V1, PROTO_UDP, "192.0.2.1:1",
	  "198.51.100.7:2", BYTES("") },
	{ "v2, IPv4", UPSTREAM_PROXY_V2, PROTO_TCP, "192.0.2.1:256",
	  "198.51.100.7:443",
	  BYTES(SIGNATURE "\x21\x11\0\x0c" "\xc0\0\2\1" "\xc6\x33\x64\7"
		"\1\0" "\1\xbb") },
	{ "v2, IPv6", UPSTREAM_PROXY_V2, PROTO_TCP, "[2001:db8::1]:1",
	  "[2001:db8::7]:65535",
	  BYTES(SIGNATURE "\x21\x21\0\x24"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\1" "\xff\xff") },
	{ "R-PP-7: v2, a datagram of IPv4", UPSTREAM_PROXY_V2, PROTO_UDP,
	  "192.0.2.1:256", "198.51.100.7:443",
	  BYTES(SIGNATURE "\x21\x12\0\x0c" "\xc0\0\2\1" "\xc6\x33\x64\7"
		"\1\0" "\1\xbb") },
	{ "R-PP-7: v2, a datagram of IPv6", UPSTREAM_PROXY_V2, PROTO_UDP,
	  "[2001:db8::1]:1", "[2001:db8::7]:65535",
	  BYTES(SIGNATURE "\x21\x22\0\x24"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\1" "\xff\xff") },
};
/* clang-format on */

enum { WRITTEN = sizeof(written) / sizeof(*written) };

static void test_R_PP_1_written(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < WRITTEN; i++) {
		struct addr client = at(written[i].client);
		struct addr server = at(written[i].server);
		uint8_t out[PROXY_HEADER_WRITE_MAX];
		size_t len =
			proxy_header_write(written[i].kind, written[i].proto,
					   &client, &server, out);

		if (len != written[i].len ||
		    memcmp(out, written[i].bytes, len) != 0)
			fail_msg("%s: other bytes", written[i].name);
	}
}

/* --- read ---------------------------------------------------------------- */

#define V4_ENDS "192.0.2.1:56324", "198.51.100.7:443"

/* clang-format off */
static const struct header {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	const char *client, *server; /* NULL: the real ends are taken */
} headers[] = {
	{ "v1, IPv4", BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"),
	  V4_ENDS },
	{ "v1, IPv6",
	  BYTES("PROXY TCP6 2001:db8::1 2001:DB8:0:0::7 65535 1\r\n"),
	  "[2001:db8::1]:65535", "[2001:db8::7]:1" },
	{ "v1, the longest IPv6",
	  BYTES("PROXY TCP6 " IP6_MAX " " IP6_MAX " 65535 65535\r\n"),
	  "[" IP6_MAX "]:65535", "[" IP6_MAX "]:65535" },
	{ "v1, IPv4 of a socket for both",
	  BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 56324 443\r\n"),
	  V4_ENDS },
	{ "R-PP-3: v1, UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), NULL, NULL },
	{ "R-PP-3: v1, UNKNOWN with addresses",
	  BYTES("PROXY UNKNOWN 192.0.2.1 198.51.100.7 56324 443\r\n"),
	  NULL, NULL },
	{ "R-PP-3: v1, UNKNOWN with anything",
	  BYTES("PROXY UNKNOWN  \t\377 PROXY\r\n"), NULL, NULL },
	{ "R-PP-3: v1, the longest line",
	  BYTES("PROXY UNKNOWN " IP6_MAX " " IP6_MAX " 65535 65535\r\n"),
	  NULL, NULL },
	{ "v2, IPv4", BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4_ENDS), V4_ENDS },
	{ "v2, IPv6",
	  BYTES(SIGNATURE "\x21\x21\0\x24"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\1" "\xff\xff"),
	  "[2001:db8::1]:1", "[2001:db8::7]:65535" },
	{ "v2, IPv4 of a socket for both",
	  BYTES(SIGNATURE "\x21\x21\0\x24" MAPPED "\xc0\0\2\1"
		MAPPED "\xc6\x33\x64\7" "\xdc\4" "\1\xbb"), V4_ENDS },
	{ "R-PP-5: v2, TLVs of any type",
	  BYTES(SIGNATURE "\x21\x11\0\x1a" IPV4_ENDS
		"\x02\0\4a.bc" "\x04\0\0" "\xff\0\1x"), V4_ENDS },
	{ "R-PP-6: v2, a right checksum",
	  BYTES(SIGNATURE "\x21\x11\0\x13" IPV4_ENDS
		"\3\0\4\xd4\x5a\x11\xb9"), V4_ENDS },
	{ "R-PP-6: v2, a right checksum between others",
	  BYTES(SIGNATURE "\x21\x11\0\x21" IPV4_ENDS "\x02\0\4a.bc"
		"\3\0\4\xe2\x74\x7a\x64" "\x04\0\0" "\xee\0\1x"), V4_ENDS },
	{ "R-PP-4: v2, LOCAL", BYTES(SIGNATURE "\x20\0\0\0"), NULL, NULL },
	{ "R-PP-5: v2, LOCAL with bytes to skip",
	  BYTES(SIGNATURE "\x20\x11\0\5" "\3\0\4xy"), NULL, NULL },
	{ "R-PP-4: v2, LOCAL of any family",
	  BYTES(SIGNATURE "\x20\xf7\0\0"), NULL, NULL },
	{ "R-PP-4: v2, no family", BYTES(SIGNATURE "\x21\0\0\0"), NULL, NULL },
	{ "R-PP-5: v2, no family, with bytes to skip",
	  BYTES(SIGNATURE "\x21\0\0\3" "abc"), NULL, NULL },
};
/* clang-format on */

enum { HEADERS = sizeof(headers) / sizeof(*headers) };

static void expect_header(const struct header *h, const uint8_t *bytes,
			  size_t len)
{
	struct addr untouched, client, server;
	enum proxy_header_result result;
	size_t used = 0;

	memset(&untouched, 0xa5, sizeof(untouched));
	client = server = untouched;
	result = read_exact(bytes, len, &used, &client, &server);
	if (used != h->len)
		fail_msg("%s: %zu bytes are taken", h->name, used);
	if (h->client) {
		struct addr c = at(h->client), s = at(h->server);

		if (result != PROXY_HEADER_DONE || !addr_equal(&client, &c) ||
		    !addr_equal(&server, &s))
			fail_msg("%s: other ends", h->name);
		return;
	}
	if (result != PROXY_HEADER_LOCAL)
		fail_msg("%s: result %d", h->name, result);
	assert_true(addr_equal(&client, &untouched));
	assert_true(addr_equal(&server, &untouched));
}

/* Alone, and with data behind it that could be taken for more of it. */
static void test_R_PP_5_taken_exactly(void **state)
{
	static const char *const glued[] = { "x", "\r\n", "\n", "\r",
					     "PROXY " };
	uint8_t bytes[256];

	(void)state; /* unused */
	for (size_t i = 0; i < HEADERS; i++) {
		const struct header *h = &headers[i];

		expect_header(h, h->bytes, h->len);
		memcpy(bytes, h->bytes, h->len);
		for (size_t k = 0; k < sizeof(glued) / sizeof(*glued); k++) {
			memcpy(bytes + h->len, glued[k], strlen(glued[k]));
			expect_header(h, bytes, h->len + strlen(glued[k]));
		}
	}
}

static void test_R_PP_2_nothing_before_all_of_it(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < HEADERS; i++) {
		struct addr untouched, client, server;
		size_t used = 7;

		memset(&untouched, 0xa5, sizeof(untouched));
		client = server = untouched;
		for (size_t len = 0; len < headers[i].len; len++)
			if (read_exact(headers[i].bytes, len, &used, &client,
				       &server) != PROXY_HEADER_MORE)
				fail_msg("%s: decided at %zu bytes",
					 headers[i].name, len);
		assert_int_equal(used, 7);
		assert_true(addr_equal(&client, &untouched));
		assert_true(addr_equal(&server, &untouched));
	}
}

/* What we write for TCP, another of us reads. */
static void test_written_is_read(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < WRITTEN; i++) {
		struct header h = { written[i].name, written[i].bytes,
				    written[i].len, written[i].client,
				    written[i].server };

		if (!h.len || written[i].proto != PROTO_TCP ||
		    strchr(h.client, '%'))
			continue;
		expect_header(&h, h.bytes, h.len);
	}
}

/* A bit anywhere: a header with a checksum is not another header. */
static void test_R_PP_6_every_bit(void **state)
{
	static const char right[] =
		SIGNATURE "\x21\x11\0\x13" IPV4_ENDS "\3\0\4\xd4\x5a\x11\xb9";
	enum { LEN = sizeof(right) - 1, TLV_AT = LEN - 7 };
	uint8_t bytes[LEN];

	(void)state; /* unused */
	for (size_t bit = 16 * 8; bit < LEN * 8; bit++) {
		bool is_other_tlv = bit / 8 == TLV_AT;

		memcpy(bytes, right, LEN);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!is_other_tlv)
			assert_int_equal(read_only(bytes, LEN),
					 PROXY_HEADER_BAD);
	}
}

/* --- limits -------------------------------------------------------------- */

/* One TLV that fills the header. */
static void test_R_PP_5_the_longest(void **state)
{
	static const char begin[] = SIGNATURE "\x21\x11";
	static uint8_t bytes[PROXY_HEADER_READ_MAX + 1];
	struct addr client, server;
	size_t used = 0;

	(void)state; /* unused */
	for (size_t len = PROXY_HEADER_READ_MAX; len <= sizeof(bytes); len++) {
		bool is_too_long = len > PROXY_HEADER_READ_MAX;
		size_t value_len = len - 16 - 12 - 3;

		memcpy(bytes, begin, 14);
		bytes[14] = (uint8_t)((len - 16) >> 8);
		bytes[15] = (uint8_t)(len - 16);
		bytes[28] = 4;
		bytes[29] = (uint8_t)(value_len >> 8);
		bytes[30] = (uint8_t)value_len;
		/* refused when the length is known */
		assert_int_equal(read_only(bytes, 16),
				 is_too_long ? PROXY_HEADER_BAD
					     : PROXY_HEADER_MORE);
		if (is_too_long)
			continue;
		assert_int_equal(
			read_exact(bytes, len, &used, &client, &server),
			PROXY_HEADER_DONE);
		assert_int_equal(used, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_PP_1_written),
		cmocka_unit_test(test_R_PP_5_taken_exactly),
		cmocka_unit_test(test_R_PP_2_nothing_before_all_of_it),
		cmocka_unit_test(test_written_is_read),
		cmocka_unit_test(test_R_PP_6_every_bit),
		cmocka_unit_test(test_R_PP_5_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
