/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * packet_rows_test.h - packets, and what they are.
 *
 * Packets are hexadecimal text, put together from headers; so is what the
 * cursor has to say of them, which packet_test.c puts into words.
 */
#ifndef WL_BPF_PACKET_ROWS_TEST_H
#define WL_BPF_PACKET_ROWS_TEST_H

#include <stddef.h>
#include <stdint.h>

/* --- headers ------------------------------------------------------------- */

#define SRC4 "0a000001" /* 10.0.0.1 */
#define DST4 "c6336407" /* 198.51.100.7 */
#define SRC6 "20010db8 00000000 00000000 00000001"
#define DST6 "20010db8 00020000 00000000 00000007"
/* version and header length, flags and offset, protocol */
#define IP4(first, fragment, proto)                                            \
	first "000040 1234" fragment "40" proto "0000" SRC4 DST4
#define IP6(next) "60000000 0040" next "40" SRC6 DST6
/* from port 1024 to port 80 */
#define TCP(flags)   "0400 0050 00000001 00000000 50" flags "2000 00000000"
#define UDP	     "0400 0050 0008 0000"
#define UNREACHABLE4 "0303 0000 00000000"
#define UNREACHABLE6 "0104 0000 00000000"

/* IPv6 extension headers; each begins with the number of the next one. */
#define HOP(next)		next "00 0502 0000 0100" /* router alert */
#define ROUTING(next)		next "02 0401 00000000" DST6
#define OPTIONS(next)		next "01 00 0a 00000000 00000000 00000000"
#define AUTH(next)		next "04 0000 00000001 00000002 00000003 00000004 00000005"
#define FRAGMENT6(next, offset) next "00" offset "89abcdef"

/* --- the table ----------------------------------------------------------- */

struct row {
	const char *name, *hex;
	enum frame { FRAME4, FRAME6 } frame; /* what the frame says it is */
	const char *is;
};

static const struct row rows[] = {
	{ "a SYN", IP4("45", "4000", "06") TCP("02"), FRAME4,
	  "tcp at 20, 1024 to 80, flags 02" },
	{ "a datagram", IP4("45", "0000", "11") UDP, FRAME4,
	  "udp at 20, 1024 to 80" },
	{ "one word of options", IP4("46", "0000", "06") "94040000" TCP("10"),
	  FRAME4, "tcp at 24, 1024 to 80, flags 10" },
	{ "an option of no length", IP4("46", "0000", "11") "83000000" UDP,
	  FRAME4, "udp at 24, 1024 to 80" },
	{ "an option longer than its header",
	  IP4("46", "0000", "11") "83ff0000" UDP, FRAME4,
	  "udp at 24, 1024 to 80" },
	{ "a header length below 5", IP4("44", "0000", "11") UDP, FRAME4,
	  "malformed" },
	{ "version 6 in an IPv4 frame", IP4("65", "0000", "11") UDP, FRAME4,
	  "malformed" },
	{ "a first fragment", IP4("45", "2000", "11") UDP, FRAME4,
	  "udp at 20, 1024 to 80, fragment 0" },
	{ "a first fragment of TCP", IP4("45", "2000", "06") TCP("02"), FRAME4,
	  "tcp at 20, 1024 to 80, flags 02, fragment 0" },
	{ "a later fragment", IP4("45", "2003", "11") UDP, FRAME4,
	  "udp at 20, fragment 3" },
	{ "a last fragment", IP4("45", "1fff", "06") "00", FRAME4,
	  "tcp at 20, fragment 8191" },
	{ "a later fragment of nothing", IP4("45", "0001", "11"), FRAME4,
	  "udp at 20, fragment 1" },
	{ "the reserved flag is no fragment", IP4("45", "8000", "11") UDP,
	  FRAME4, "udp at 20, 1024 to 80" },
	{ "an echo", IP4("45", "0000", "01") "0800 0000 00010001", FRAME4,
	  "other" },
	{ "a later fragment of ICMP", IP4("45", "0001", "01") UNREACHABLE4,
	  FRAME4, "other" },
	{ "port unreachable",
	  IP4("45", "0000", "01") UNREACHABLE4 IP4("45", "0000", "11") UDP,
	  FRAME4, "error at 20" },
	{ "an error behind options",
	  IP4("47", "0000", "01") "94040000 00000000" UNREACHABLE4 IP4(
		  "46", "0000", "06") "94040000" TCP("02"),
	  FRAME4, "error at 28" },
	{ "a later fragment of AH over IPv4", IP4("45", "0001", "33") "00",
	  FRAME4, "other" },
	{ "ICMPv6 in IPv4", IP4("45", "0000", "3a") UNREACHABLE6, FRAME4,
	  "other" },
	{ "GRE", IP4("45", "0000", "2f") "00000800", FRAME4, "other" },
	{ "a land packet",
	  "45000028 00000000 40060000" SRC4 SRC4
	  "0050 0050 00000001 00000000 5002 2000 00000000",
	  FRAME4, "tcp at 20, 80 to 80, flags 02" },
	{ "an IPv6 SYN", IP6("06") TCP("02"), FRAME6,
	  "tcp at 40, 1024 to 80, flags 02" },
	{ "an IPv6 datagram", IP6("11") UDP, FRAME6, "udp at 40, 1024 to 80" },
	{ "version 4 in an IPv6 frame", "40000000 0008 11 40" SRC6 DST6 UDP,
	  FRAME6, "malformed" },
	{ "hop-by-hop options", IP6("00") HOP("06") TCP("12"), FRAME6,
	  "tcp at 48, 1024 to 80, flags 12" },
	{ "a routing header", IP6("2b") ROUTING("11") UDP, FRAME6,
	  "udp at 64, 1024 to 80" },
	{ "destination options", IP6("3c") OPTIONS("11") UDP, FRAME6,
	  "udp at 56, 1024 to 80" },
	{ "an authentication header", IP6("33") AUTH("06") TCP("14"), FRAME6,
	  "tcp at 64, 1024 to 80, flags 14" },
	{ "all of them, in the recommended order",
	  IP6("00") HOP("3c") OPTIONS("2b") ROUTING("2c")
		  FRAGMENT6("33", "0000") AUTH("3c") OPTIONS("06") TCP("02"),
	  FRAME6, "tcp at 136, 1024 to 80, flags 02" },
	{ "a first IPv6 fragment", IP6("2c") FRAGMENT6("11", "0001") UDP,
	  FRAME6, "udp at 48, 1024 to 80, fragment 0" },
	{ "an atomic fragment", IP6("2c") FRAGMENT6("11", "0000") UDP, FRAME6,
	  "udp at 48, 1024 to 80" },
	{ "reserved bits are no offset", IP6("2c") FRAGMENT6("11", "0006") UDP,
	  FRAME6, "udp at 48, 1024 to 80" },
	{ "a later IPv6 fragment", IP6("2c") FRAGMENT6("06", "0019") TCP("02"),
	  FRAME6, "tcp at 48, fragment 3" },
	{ "a later fragment of ICMPv6",
	  IP6("2c") FRAGMENT6("3a", "0008") UNREACHABLE6, FRAME6, "other" },
	{ "a first fragment with destination options",
	  IP6("2c") FRAGMENT6("3c", "0001") OPTIONS("11") UDP, FRAME6,
	  "udp at 64, 1024 to 80, fragment 0" },
	{ "a later fragment of a datagram with destination options",
	  IP6("2c") FRAGMENT6("3c", "0008") "00", FRAME6,
	  "60 at 48, fragment 1" },
	{ "a later fragment of what was a fragment",
	  IP6("2c") FRAGMENT6("2c", "0008") "00", FRAME6,
	  "44 at 48, fragment 1" },
	{ "an IPv6 echo", IP6("3a") "8000 0000 00010001", FRAME6, "other" },
	{ "a neighbour solicitation", IP6("3a") "8700 0000 00000000" DST6,
	  FRAME6, "other" },
	{ "IPv6 port unreachable", IP6("3a") UNREACHABLE6 IP6("11") UDP, FRAME6,
	  "error at 40" },
	{ "an error behind destination options",
	  IP6("3c") OPTIONS("3a") UNREACHABLE6 IP6("06") TCP("02"), FRAME6,
	  "error at 56" },
	{ "ICMP in IPv6", IP6("01") UNREACHABLE4, FRAME6, "other" },
	{ "no next header", IP6("3b") "00", FRAME6, "other" },
	{ "ESP", IP6("32") "00000001 00000001", FRAME6, "other" },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* --- bytes --------------------------------------------------------------- */

enum { PACKET_BYTES_MAX = 4096 };

struct buffer {
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t len;
};

static inline int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
}

static inline void put_hex(struct buffer *b, const char *hex)
{
	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		b->bytes[b->len++] =
			(uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		hex++;
	}
}

#endif
