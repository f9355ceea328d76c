/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header_bad_test.c - what is no PROXY header.
 */
#include "relay/proxy_header_test.h"

/* --- refused ------------------------------------------------------------- */

#define V1(text) BYTES("PROXY " text "\r\n")

/* clang-format off */
static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
} bad[] = {
	{ "R-PP-2: no header", BYTES("GET / HTTP/1.1\r\n") },
	{ "R-PP-2: the first byte", BYTES("\x16") },
	{ "R-PP-2: nearly v1", BYTES("PROXX") },
	{ "R-PP-2: nearly v2", BYTES("\r\n\r\n\0\r\nQUIS") },
	{ "v1: lower case", BYTES("proxy TCP4") },
	{ "v1: a tab", BYTES("PROXY\tTCP4") },
	{ "v1: nothing more", V1("") },
	{ "v1: another protocol", V1("UDP4 192.0.2.1 198.51.100.7 1 2") },
	{ "v1: another UNKNOWN", V1("UNKNOWNS 192.0.2.1") },
	{ "v1: a protocol alone", V1("TCP4") },
	{ "v1: a protocol and a space", V1("TCP4 ") },
	{ "R-PP-1: v1, two spaces before the protocol",
	  V1(" TCP4 192.0.2.1 198.51.100.7 1 2") },
	{ "R-PP-1: v1, two spaces before the client",
	  V1("TCP4  192.0.2.1 198.51.100.7 1 2") },
	{ "R-PP-1: v1, two spaces before the server",
	  V1("TCP4 192.0.2.1  198.51.100.7 1 2") },
	{ "R-PP-1: v1, two spaces before a port",
	  V1("TCP4 192.0.2.1 198.51.100.7  1 2") },
	{ "R-PP-1: v1, two spaces between the ports",
	  V1("TCP4 192.0.2.1 198.51.100.7 1  2") },
	{ "R-PP-1: v1, a space at the end",
	  V1("TCP4 192.0.2.1 198.51.100.7 1 2 ") },
	{ "v1: a tab between", V1("TCP4 192.0.2.1\t198.51.100.7 1 2") },
	{ "v1: a word more", V1("TCP4 192.0.2.1 198.51.100.7 1 2 3") },
	{ "v1: a word less", V1("TCP4 192.0.2.1 198.51.100.7 1") },
	{ "v1: no ports", V1("TCP4 192.0.2.1 198.51.100.7") },
	{ "v1: NUL at the end", V1("TCP4 192.0.2.1 198.51.100.7 1 2\0") },
	{ "v1: NUL and more", V1("TCP4 192.0.2.1 198.51.100.7 1 2\0 3") },
	{ "R-PP-1: v1, a leading zero of a client's port",
	  V1("TCP4 192.0.2.1 198.51.100.7 01 2") },
	{ "R-PP-1: v1, a leading zero of a server's port",
	  V1("TCP4 192.0.2.1 198.51.100.7 1 00") },
	{ "R-PP-1: v1, a leading zero of an address",
	  V1("TCP4 192.0.02.1 198.51.100.7 1 2") },
	{ "v1: port 65536", V1("TCP4 192.0.2.1 198.51.100.7 65536 2") },
	{ "v1: port 99999", V1("TCP4 192.0.2.1 198.51.100.7 1 99999") },
	{ "v1: port of six digits", V1("TCP4 192.0.2.1 198.51.100.7 100000 2") },
	{ "v1: port 2^32 + 1", V1("TCP4 192.0.2.1 198.51.100.7 4294967297 2") },
	{ "v1: a sign", V1("TCP4 192.0.2.1 198.51.100.7 +1 2") },
	{ "v1: hexadecimal", V1("TCP4 192.0.2.1 198.51.100.7 0x1 2") },
	{ "v1: an octet too large", V1("TCP4 192.0.2.256 198.51.100.7 1 2") },
	{ "v1: an octet less", V1("TCP4 192.0.2 198.51.100.7 1 2") },
	{ "v1: a name", V1("TCP4 localhost 198.51.100.7 1 2") },
	{ "v1: TCP4 with IPv6", V1("TCP4 2001:db8::1 2001:db8::7 1 2") },
	{ "v1: TCP4 with one IPv6", V1("TCP4 192.0.2.1 2001:db8::7 1 2") },
	{ "v1: TCP6 with IPv4", V1("TCP6 192.0.2.1 198.51.100.7 1 2") },
	{ "v1: one mapped address",
	  V1("TCP6 ::ffff:192.0.2.1 2001:db8::7 1 2") },
	{ "v1: a zone", V1("TCP6 fe80::1%1 fe80::2%1 1 2") },
	{ "v1: brackets", V1("TCP6 [2001:db8::1] [2001:db8::7] 1 2") },
	{ "R-PP-3: v1, LF alone",
	  BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n") },
	{ "R-PP-3: v1, CR alone",
	  BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\rGET") },
	{ "R-PP-3: v1, CR twice",
	  BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n") },
	{ "R-PP-3: v1, LF of UNKNOWN", BYTES("PROXY UNKNOWN\n") },
	{ "R-PP-3: v1, CR in UNKNOWN", BYTES("PROXY UNKNOWN a\rb\r\n") },
	{ "R-PP-1: v1, 108 bytes",
	  BYTES("PROXY UNKNOWN  " IP6_MAX " " IP6_MAX " 65535 65535\r\n") },
	{ "R-PP-3: v1, the CRLF does not come",
	  BYTES("PROXY UNKNOWN  " IP6_MAX " " IP6_MAX " 65535 65535") },
	{ "R-PP-5: v2, shorter than its addresses",
	  BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4_ENDS) },
	{ "R-PP-5: v2, IPv6 as short as IPv4",
	  BYTES(SIGNATURE "\x21\x21\0\x0c" IPV4_ENDS) },
	{ "R-PP-5: v2, no addresses", BYTES(SIGNATURE "\x21\x11\0\0") },
	{ "v2: one mapped address",
	  BYTES(SIGNATURE "\x21\x21\0\x24" MAPPED "\xc0\0\2\1"
		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\1" "\xff\xff") },
	{ "R-PP-5: v2, a TLV of one byte",
	  BYTES(SIGNATURE "\x21\x11\0\x0d" IPV4_ENDS "\4") },
	{ "R-PP-5: v2, a TLV of two bytes",
	  BYTES(SIGNATURE "\x21\x11\0\x0e" IPV4_ENDS "\4\0") },
	{ "R-PP-5: v2, a TLV longer than the header",
	  BYTES(SIGNATURE "\x21\x11\0\x10" IPV4_ENDS "\4\0\2x") },
	{ "R-PP-5: v2, a TLV that ends in the data",
	  BYTES(SIGNATURE "\x21\x11\0\x10" IPV4_ENDS "\4\0\2xx") },
	{ "R-PP-6: v2, a wrong checksum",
	  BYTES(SIGNATURE "\x21\x11\0\x13" IPV4_ENDS
		"\3\0\4\xd4\x5a\x11\xb8") },
	{ "R-PP-6: v2, the checksum of another header",
	  BYTES(SIGNATURE "\x21\x11\0\x13" "\xc0\0\2\2" "\xc6\x33\x64\7"
		"\xdc\4" "\1\xbb" "\3\0\4\xd4\x5a\x11\xb9") },
	{ "R-PP-6: v2, a short checksum",
	  BYTES(SIGNATURE "\x21\x11\0\x12" IPV4_ENDS "\3\0\3\xd4\x5a\x11") },
	{ "R-PP-6: v2, two checksums, of which one is right",
	  BYTES(SIGNATURE "\x21\x11\0\x1a" IPV4_ENDS "\3\0\4" "abcd"
		"\3\0\4\x87\x37\xa1\x4c") },
};
/* clang-format on */

static void test_refused(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (read_only(bad[i].bytes, bad[i].len) != PROXY_HEADER_BAD)
			fail_msg("%s: not refused", bad[i].name);
}

/* Wrong bytes are seen when they come, not when all have come. */
static void test_R_PP_2_refused_at_once(void **state)
{
	static const char begin[] = SIGNATURE "\x21\x11";

	(void)state; /* unused */
	for (size_t at_byte = 0; at_byte < 12; at_byte++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t bytes[12];
			bool is_right = value == (uint8_t)begin[at_byte] ||
					(at_byte == 0 && value == 'P');

			memcpy(bytes, begin, sizeof(bytes));
			bytes[at_byte] = (uint8_t)value;
			assert_int_equal(read_only(bytes, at_byte + 1),
					 is_right ? PROXY_HEADER_MORE
						  : PROXY_HEADER_BAD);
		}
	}
}

/* --- fields of version 2 ------------------------------------------------- */

/* Room for any address; no TLV is cut (the rest is of type 0, length 0). */
static enum proxy_header_result read_fields(unsigned command, unsigned family)
{
	static const char begin[] = SIGNATURE;
	uint8_t bytes[16 + 216] = { 0 };

	memcpy(bytes, begin, 12);
	bytes[12] = (uint8_t)command;
	bytes[13] = (uint8_t)family;
	bytes[15] = family == 0x11 ? 12 : family == 0x21 ? 36 : 216;
	return read_only(bytes, 16 + bytes[15]);
}

static void test_R_PP_4_every_command(void **state)
{
	(void)state; /* unused */
	for (unsigned command = 0; command < 256; command++)
		assert_int_equal(read_fields(command, 0x11),
				 command == 0x21   ? PROXY_HEADER_DONE
				 : command == 0x20 ? PROXY_HEADER_LOCAL
						   : PROXY_HEADER_BAD);
}

static void test_R_PP_4_every_family(void **state)
{
	(void)state; /* unused */
	for (unsigned family = 0; family < 256; family++) {
		bool has_ends = family == 0x11 || family == 0x21;

		assert_int_equal(read_fields(0x21, family),
				 has_ends      ? PROXY_HEADER_DONE
				 : family == 0 ? PROXY_HEADER_LOCAL
					       : PROXY_HEADER_BAD);
		assert_int_equal(read_fields(0x20, family), PROXY_HEADER_LOCAL);
	}
}

/* --- the longest line ---------------------------------------------------- */

static void test_R_PP_3_v1_waits_for_107_bytes(void **state)
{
	uint8_t bytes[108];

	(void)state; /* unused */
	memset(bytes, ' ', sizeof(bytes));
	memcpy(bytes, "PROXY UNKNOWN", 13);
	assert_int_equal(read_only(bytes, 105), PROXY_HEADER_MORE);
	assert_int_equal(read_only(bytes, 106), PROXY_HEADER_BAD);
	bytes[105] = '\r';
	assert_int_equal(read_only(bytes, 106), PROXY_HEADER_MORE);
	bytes[106] = '\n';
	assert_int_equal(read_only(bytes, 107), PROXY_HEADER_LOCAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_R_PP_2_refused_at_once),
		cmocka_unit_test(test_R_PP_4_every_command),
		cmocka_unit_test(test_R_PP_4_every_family),
		cmocka_unit_test(test_R_PP_3_v1_waits_for_107_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
