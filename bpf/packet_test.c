// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * packet_test.c - the packet cursor, compiled natively.
 *
 * Packets stand in a table as hexadecimal text.  Each is read whole, cut at
 * every byte, and as the quote of an ICMP error; packet_naive.h says what has
 * to come out, and the table what that means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "packet_naive.h"
#include "packet_rows_test.h"

enum {
	IP4_HEAD = 20,
	IP6_HEAD = 40,
	RANDOM_PACKETS = 200000,
};

/* --- reading ------------------------------------------------------------- */

static __u16 ethertype(enum frame frame)
{
	return packet_be16(frame == FRAME6 ? ETH_P_IPV6 : ETH_P_IP);
}

/* In memory of that very size, for who watches memory; the caller frees. */
static struct bytes copy_of(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return (struct bytes){ copy, len };
}

/* What an ICMP error quotes; the naive reader agrees. */
static enum packet_kind read_quote(const uint8_t *bytes, size_t len,
				   enum frame frame, struct packet *error,
				   struct packet *quoted)
{
	struct bytes b = copy_of(bytes, len);
	struct packet naive;
	enum packet_kind kind;

	assert_int_equal(packet_parse(&b, ethertype(frame), error),
			 PACKET_ICMP_ERROR);
	memset(quoted, 0x5a, sizeof(*quoted)); /* what was there is gone */
	kind = packet_parse_quote(&b, error, quoted);
	assert_int_equal(kind, naive_quote(&b, error, &naive));
	assert_true(naive_is_same(kind, quoted, &naive));
	free((void *)b.of);
	return kind;
}

static enum packet_kind expect_naive(const uint8_t *bytes, size_t len,
				     enum frame frame, struct packet *p)
{
	struct bytes b = copy_of(bytes, len);
	struct packet naive, quoted, error;
	enum packet_kind kind;

	memset(p, 0x5a, sizeof(*p));
	kind = packet_parse(&b, ethertype(frame), p);
	assert_int_equal(kind, naive_parse(&b, frame == FRAME6, &naive));
	assert_true(naive_is_same(kind, p, &naive));
	if (kind == PACKET_ICMP_ERROR)
		(void)read_quote(bytes, len, frame, &error, &quoted);
	free((void *)b.of);
	return kind;
}

/* The words of the table. */
static const char *describe_flow(const struct packet *p, char *out, size_t size)
{
	int len = p->proto == 6	   ? snprintf(out, size, "tcp")
		  : p->proto == 17 ? snprintf(out, size, "udp")
				   : snprintf(out, size, "%u", p->proto);

	len += snprintf(out + len, size - len, " at %u", p->transport);
	if (!packet_is_later_fragment(p))
		len += snprintf(out + len, size - len, ", %u to %u",
				packet_be16(p->sport), packet_be16(p->dport));
	if (!packet_is_later_fragment(p) && p->proto == 6)
		len += snprintf(out + len, size - len, ", flags %02x",
				p->tcp_flags);
	if (p->is_fragment)
		(void)snprintf(out + len, size - len, ", fragment %u",
			       p->fragment_at);
	return out;
}

static const char *describe(enum packet_kind kind, const struct packet *p,
			    char *out, size_t size)
{
	switch (kind) {
	case PACKET_OTHER:
		return "other";
	case PACKET_MALFORMED:
		return "malformed";
	case PACKET_LONG_HEADERS:
		return "too many headers";
	case PACKET_ICMP_ERROR:
		assert_int_equal(p->quote, p->transport + 8);
		(void)snprintf(out, size, "error at %u", p->transport);
		return out;
	case PACKET_FLOW:
		break;
	}
	return describe_flow(p, out, size);
}

static void test_row(void **state)
{
	const struct row *r = *state;
	struct buffer b = { .len = 0 };
	enum packet_kind kind;
	struct packet p;
	char is[128];

	put_hex(&b, r->hex);
	kind = expect_naive(b.bytes, b.len, r->frame, &p);
	assert_string_equal(describe(kind, &p, is, sizeof(is)), r->is);
}

/* A segment with other flags begins no connection. */
static void test_syn(void **state)
{
	(void)state; /* unused */
	for (unsigned flags = 0; flags < 256; flags++) {
		struct buffer b = { .len = 0 };
		struct packet p;

		put_hex(&b, IP4("45", "0000", "06") TCP("00"));
		b.bytes[IP4_HEAD + 13] = (uint8_t)flags;
		(void)expect_naive(b.bytes, b.len, FRAME4, &p);
		/* SYN, and neither FIN, RST nor ACK */
		assert_int_equal(packet_is_syn(&p), (flags & 0x17) == 0x02);
	}
}

/* Cut at every byte it is malformed, or what it was; the flags of a fragment
 * may be behind the cut. */
static void test_truncated(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < ROWS; i++) {
		size_t head = rows[i].frame == FRAME6 ? IP6_HEAD : IP4_HEAD;
		struct buffer b = { .len = 0 };
		struct packet whole, p;
		enum packet_kind kind;

		put_hex(&b, rows[i].hex);
		kind = expect_naive(b.bytes, b.len, rows[i].frame, &whole);
		for (size_t len = 0; len < b.len; len++) {
			enum packet_kind cut =
				expect_naive(b.bytes, len, rows[i].frame, &p);

			if (cut == PACKET_MALFORMED)
				continue;
			assert_true(len >= head);
			assert_int_equal(cut, kind);
			if (p.is_fragment && !p.tcp_flags)
				p.tcp_flags = whole.tcp_flags;
			assert_memory_equal(&p, &whole, sizeof(p));
		}
	}
}

/* Neither IPv4 nor IPv6 is nothing of ours, whatever the bytes look like. */
static void test_other_protocols(void **state)
{
	struct buffer b = { .len = 0 };
	struct bytes all = { b.bytes, 0 };
	struct packet p;

	(void)state; /* unused */
	put_hex(&b, rows[0].hex);
	all.len = b.len;
	assert_int_equal(packet_parse(&all, packet_be16(ETH_P_ARP), &p),
			 PACKET_OTHER);
	assert_int_equal(packet_parse(&all, packet_be16(ETH_P_8021Q), &p),
			 PACKET_OTHER);
	assert_int_equal(packet_parse(&all, ETH_P_IP, &p), PACKET_OTHER);
}

/* --- all values of one field --------------------------------------------- */

static void test_ipv4_header_lengths(void **state)
{
	(void)state; /* unused */
	for (unsigned first = 0; first < 256; first++) {
		bool is_valid = first >> 4 == 4 && (first & 15) >= 5;
		struct buffer b = { .len = 0 };
		struct packet p;

		put_hex(&b, IP4("45", "0000", "11"));
		b.bytes[0] = (uint8_t)first;
		b.len += is_valid ? 4 * ((first & 15) - 5) : 0;
		put_hex(&b, UDP);
		assert_int_equal(expect_naive(b.bytes, b.len, FRAME4, &p),
				 is_valid ? PACKET_FLOW : PACKET_MALFORMED);
		if (is_valid)
			assert_int_equal(p.dport, packet_be16(80));
	}
}

static void test_ipv6_versions(void **state)
{
	(void)state; /* unused */
	for (unsigned first = 0; first < 256; first++) {
		struct buffer b = { .len = 0 };
		struct packet p;

		put_hex(&b, IP6("11") UDP);
		b.bytes[0] = (uint8_t)first;
		assert_int_equal(expect_naive(b.bytes, b.len, FRAME6, &p),
				 first >> 4 == 6 ? PACKET_FLOW
						 : PACKET_MALFORMED);
	}
}

/* Of 0 to 12 headers of a kind in front of a datagram. */
static void expect_chain(const char *first, const char *again, const char *last)
{
	for (int count = 1; count <= 12; count++) {
		struct buffer b = { .len = 0 };
		struct packet p;
		size_t transport;

		put_hex(&b, first);
		for (int i = 1; i < count; i++)
			put_hex(&b, again);
		put_hex(&b, last);
		transport = b.len;
		put_hex(&b, UDP);
		assert_int_equal(expect_naive(b.bytes, b.len, FRAME6, &p),
				 count <= PACKET_EXTENSIONS_MAX
					 ? PACKET_FLOW
					 : PACKET_LONG_HEADERS);
		if (count <= PACKET_EXTENSIONS_MAX)
			assert_int_equal(p.transport, transport);
	}
}

static void test_chains(void **state)
{
	(void)state; /* unused */
	expect_chain(IP6("00"), HOP("00"), HOP("11"));
	expect_chain(IP6("2b"), ROUTING("2b"), ROUTING("11"));
	expect_chain(IP6("3c"), OPTIONS("3c"), OPTIONS("11"));
	expect_chain(IP6("33"), AUTH("33"), AUTH("11"));
	expect_chain(IP6("2c"), FRAGMENT6("2c", "0000"),
		     FRAGMENT6("11", "0001"));
}

/* RFC 4302, 2.2, and RFC 8200, 4.3. */
static void test_extension_lengths(void **state)
{
	(void)state; /* unused */
	for (unsigned length = 0; length < 256; length++) {
		struct buffer auth = { .len = 0 }, hop = { .len = 0 };
		struct packet p;

		put_hex(&auth, IP6("33") "11");
		auth.bytes[auth.len] = (uint8_t)length;
		auth.len = IP6_HEAD + (length + 2) * 4;
		put_hex(&auth, UDP);
		assert_int_equal(expect_naive(auth.bytes, auth.len, FRAME6, &p),
				 PACKET_FLOW);
		assert_int_equal(p.transport, auth.len - 8);
		put_hex(&hop, IP6("00") "11");
		hop.bytes[hop.len] = (uint8_t)length;
		hop.len = IP6_HEAD + (length + 1) * 8;
		put_hex(&hop, UDP);
		assert_int_equal(expect_naive(hop.bytes, hop.len, FRAME6, &p),
				 PACKET_FLOW);
		assert_int_equal(p.transport, hop.len - 8);
	}
}

/* --- ICMP errors --------------------------------------------------------- */

static void test_icmp_types(void **state)
{
	(void)state; /* unused */
	for (unsigned type = 0; type < 256; type++) {
		struct buffer v4 = { .len = 0 }, v6 = { .len = 0 };
		bool is_error4 = type == 3 || type == 11 || type == 12;
		bool is_error6 = type >= 1 && type <= 4;
		struct packet p;

		put_hex(&v4, IP4("45", "0000", "01") UNREACHABLE4);
		v4.bytes[IP4_HEAD] = (uint8_t)type;
		assert_int_equal(expect_naive(v4.bytes, v4.len, FRAME4, &p),
				 is_error4 ? PACKET_ICMP_ERROR : PACKET_OTHER);
		put_hex(&v6, IP6("3a") UNREACHABLE6);
		v6.bytes[IP6_HEAD] = (uint8_t)type;
		assert_int_equal(expect_naive(v6.bytes, v6.len, FRAME6, &p),
				 is_error6 ? PACKET_ICMP_ERROR : PACKET_OTHER);
	}
}

static void put_error(struct buffer *b, enum frame frame)
{
	put_hex(b, frame == FRAME6 ? IP6("3a") UNREACHABLE6
				   : IP4("45", "0000", "01") UNREACHABLE4);
}

/* The quote says what the packet itself says, turned round. */
static void expect_turned(const struct row *r, const struct packet *quoted,
			  size_t at)
{
	struct buffer b = { .len = 0 };
	struct packet direct;

	put_hex(&b, r->hex);
	(void)expect_naive(b.bytes, b.len, r->frame, &direct);
	assert_memory_equal(quoted->src, direct.dst, 16);
	assert_memory_equal(quoted->dst, direct.src, 16);
	assert_int_equal(quoted->sport, direct.dport);
	assert_int_equal(quoted->dport, direct.sport);
	assert_int_equal(quoted->transport, at + direct.transport);
}

/* Each packet of the table as a quote, whole and cut at every byte; an error
 * that is quoted is nothing. */
static void test_quotes(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < ROWS; i++) {
		enum packet_kind kind = PACKET_MALFORMED;
		struct packet error, quoted, direct;
		struct buffer b = { .len = 0 };
		size_t at;

		put_error(&b, rows[i].frame);
		at = b.len;
		put_hex(&b, rows[i].hex);
		for (size_t len = at; len <= b.len; len++)
			kind = read_quote(b.bytes, len, rows[i].frame, &error,
					  &quoted);
		if (kind == PACKET_FLOW)
			expect_turned(&rows[i], &quoted, at);
		b.len = 0;
		put_hex(&b, rows[i].hex);
		if (expect_naive(b.bytes, b.len, rows[i].frame, &direct) ==
		    PACKET_ICMP_ERROR)
			assert_int_equal(kind, PACKET_OTHER);
	}
}

/* Eight bytes of transport are what routers quote at least (RFC 792). */
static void test_short_quote(void **state)
{
	struct packet error, quoted;
	struct buffer b = { .len = 0 };

	(void)state; /* unused */
	put_hex(&b, IP4("45", "0000", "01") UNREACHABLE4 IP4(
			    "45", "0000", "06") "0400 0050 00000001");
	assert_int_equal(read_quote(b.bytes, b.len, FRAME4, &error, &quoted),
			 PACKET_FLOW);
	assert_int_equal(quoted.sport, packet_be16(80));
	assert_int_equal(quoted.dport, packet_be16(1024));
}

/* --- random -------------------------------------------------------------- */

/* A packet of the table, some of whose bytes have become others. */
static void test_random(void **state)
{
	(void)state; /* unused */
	native_seed();
	for (int i = 0; i < RANDOM_PACKETS; i++) {
		const struct row *r = &rows[native_draw(ROWS)];
		struct buffer b = { .len = 0 };
		struct packet p;

		put_hex(&b, r->hex);
		for (uint32_t n = native_draw(6); n > 0; n--)
			b.bytes[native_draw((uint32_t)b.len)] =
				(uint8_t)native_draw(native_draw(2) ? 256 : 64);
		if (!native_draw(4))
			b.len = native_draw((uint32_t)b.len + 1);
		(void)expect_naive(b.bytes, b.len, r->frame, &p);
	}
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_ipv4_header_lengths),
		cmocka_unit_test(test_ipv6_versions),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_extension_lengths),
		cmocka_unit_test(test_icmp_types),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_short_quote),
		cmocka_unit_test(test_random),
	};
	struct CMUnitTest tests[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests_name("a packet", tests, NULL, NULL) +
	       cmocka_run_group_tests(others, NULL, NULL);
}
