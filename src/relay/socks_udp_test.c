/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_udp_test.c - addresses and datagram headers of SOCKS5.
 */
#include "relay/socks_udp.h"

#include "relay/socks_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* In memory of just that size: a byte too far is seen by the sanitizer. */
static size_t read_exact(const uint8_t *bytes, size_t len, struct addr *out)
{
	uint8_t *copy = malloc(len ? len : 1);
	size_t head;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	head = socks_udp_read(copy, len, out);
	free(copy);
	return head;
}

/* --- headers that are written -------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name, *server, *host;
	const uint8_t *bytes;
	size_t len;
} headers[] = {
	{ "IPv4", "198.51.100.7:443", NULL,
	  BYTES("\0\0\0\1\306\63\144\7\1\273") },
	{ "IPv6", "[2001:db8::7]:53", NULL,
	  BYTES("\0\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7\0\65") },
	{ "a name", "198.51.100.7:65535", "a.example",
	  BYTES("\0\0\0\3\11a.example\377\377") },
	{ "the scope is of this host", "[fe80::1%2]:1", NULL,
	  BYTES("\0\0\0\4\376\200\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1") },
};
/* clang-format on */

static void test_R_SOCKS_2_written(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		struct addr server = at(headers[i].server);
		uint8_t out[SOCKS_UDP_HEADER_MAX];
		size_t len;

		memset(out, 0xa5, sizeof(out));
		len = socks_udp_write(&server, headers[i].host, out);
		if (len != headers[i].len ||
		    memcmp(out, headers[i].bytes, len) != 0)
			fail_msg("%s: other bytes", headers[i].name);
	}
}

static void test_R_SOCKS_3_long_names(void **state)
{
	uint8_t out[SOCKS_UDP_HEADER_MAX], untouched[SOCKS_UDP_HEADER_MAX];
	struct addr server = at("198.51.100.7:443");
	char host[SOCKS_NAME_MAX + 2];

	(void)state; /* unused */
	memset(host, 'h', sizeof(host));
	host[SOCKS_NAME_MAX] = '\0';
	assert_int_equal(socks_udp_write(&server, host, out), sizeof(out));
	assert_int_equal(out[4], SOCKS_NAME_MAX);
	host[SOCKS_NAME_MAX] = 'h';
	host[SOCKS_NAME_MAX + 1] = '\0';
	memset(out, 0xa5, sizeof(out));
	memcpy(untouched, out, sizeof(out));
	assert_int_equal(socks_udp_write(&server, host, out), 0);
	assert_int_equal(socks_udp_write(&server, "", out), 0);
	assert_memory_equal(out, untouched, sizeof(out));
}

/* --- headers that are read ----------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	const char *server; /* NULL: a name, port 443 */
} datagrams[] = {
	{ "IPv4", BYTES("\0\0\0\1\306\63\144\7\1\273"), "198.51.100.7:443" },
	{ "IPv6",
	  BYTES("\0\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7\1\273"),
	  "[2001:db8::7]:443" },
	{ "IPv4 of a socket for both",
	  BYTES("\0\0\0\4\0\0\0\0\0\0\0\0\0\0\377\377\306\63\144\7\1\273"),
	  "198.51.100.7:443" },
	{ "nearly mapped",
	  BYTES("\0\0\0\4\0\0\0\0\0\0\0\0\0\1\377\377\306\63\144\7\1\273"),
	  "[::1:ffff:c633:6407]:443" },
	{ "a name", BYTES("\0\0\0\3\4here\1\273"), NULL },
	{ "a name of no bytes", BYTES("\0\0\0\3\0\1\273"), NULL },
	{ "R-SOCKS-2: RSV is not looked at",
	  BYTES("\377\1\0\1\306\63\144\7\1\273"), "198.51.100.7:443" },
};
/* clang-format on */

enum { DATAGRAMS = sizeof(datagrams) / sizeof(*datagrams) };

static void test_read(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < DATAGRAMS; i++) {
		struct addr want = { .port = 443 }, server;
		uint8_t bytes[64];
		size_t len = datagrams[i].len;

		if (datagrams[i].server)
			want = at(datagrams[i].server);
		memset(bytes, 1, sizeof(bytes));
		memcpy(bytes, datagrams[i].bytes, len);
		/* without payload, and with some */
		for (size_t more = 0; more < 3; more++) {
			memset(&server, 0xa5, sizeof(server));
			if (read_exact(bytes, len + more, &server) != len ||
			    !addr_equal(&server, &want))
				fail_msg("%s: read as something else",
					 datagrams[i].name);
		}
	}
}

static void test_T19_cut_short(void **state)
{
	struct addr server, untouched;

	(void)state; /* unused */
	memset(&untouched, 0xa5, sizeof(untouched));
	server = untouched;
	for (size_t i = 0; i < DATAGRAMS; i++)
		for (size_t len = 0; len < datagrams[i].len; len++)
			if (read_exact(datagrams[i].bytes, len, &server))
				fail_msg("%s: %zu bytes are enough",
					 datagrams[i].name, len);
	assert_memory_equal(&server, &untouched, sizeof(server));
}

static void test_R_SOCKS_8_fragments(void **state)
{
	uint8_t bytes[] = "\0\0\0\1\306\63\144\7\1\273payload";
	struct addr server;

	(void)state; /* unused */
	for (unsigned frag = 0; frag < 256; frag++) {
		bytes[2] = (uint8_t)frag;
		assert_int_equal(read_exact(bytes, sizeof(bytes), &server),
				 frag ? 0 : 10);
	}
}

static void test_T19_every_atyp(void **state)
{
	static const size_t lengths[5] = { [1] = 10, [3] = 7 + 2, [4] = 22 };
	uint8_t bytes[64] = { [4] = 2 };
	struct addr server;

	(void)state; /* unused */
	for (unsigned atyp = 0; atyp < 256; atyp++) {
		bytes[3] = (uint8_t)atyp;
		assert_int_equal(read_exact(bytes, sizeof(bytes), &server),
				 atyp < 5 ? lengths[atyp] : 0);
	}
}

/* What SOCKS5's replies need to know of an address that is not all there. */
static void test_R_SOCKS_4_more_or_bad(void **state)
{
	struct addr a;

	(void)state; /* unused */
	assert_int_equal(socks_address_read(BYTES(""), &a), SOCKS_ADDRESS_MORE);
	for (unsigned atyp = 0; atyp < 256; atyp++) {
		bool is_known = atyp == 1 || atyp == 3 || atyp == 4;
		uint8_t byte = (uint8_t)atyp;

		assert_int_equal(socks_address_read(&byte, 1, &a),
				 is_known ? SOCKS_ADDRESS_MORE
					  : SOCKS_ADDRESS_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_SOCKS_2_written),
		cmocka_unit_test(test_R_SOCKS_3_long_names),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_T19_cut_short),
		cmocka_unit_test(test_R_SOCKS_8_fragments),
		cmocka_unit_test(test_T19_every_atyp),
		cmocka_unit_test(test_R_SOCKS_4_more_or_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
