/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_refusal_test.c - which frames are refusals, whole and cut.
 */
#include "cli/exec_refusal.h"

#include "base/random_test.h"

#include <linux/if_ether.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FRAME_MAX = 200, TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };
enum { SYN = 2, RST = 4, ACK = 16, PSH = 8, ECE = 64 };

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
};

static struct addr gateways[2], client[2], server[2];

static void set_up_addresses(void)
{
	(void)addr_parse_ip("192.0.0.1", &gateways[0]);
	(void)addr_parse_ip("fd77::1", &gateways[1]);
	(void)addr_parse_ip("192.0.0.2", &client[0]);
	(void)addr_parse_ip("fd77::2", &client[1]);
	(void)addr_parse_ip("198.51.100.7", &server[0]);
	(void)addr_parse_ip("2001:db8::7", &server[1]);
}

/* --- frames -------------------------------------------------------------- */

static uint8_t *add(struct frame *f, size_t len)
{
	uint8_t *at = f->bytes + f->len;

	memset(at, 0, len);
	f->len += len;
	return at;
}

static void add_ip(struct frame *f, uint8_t proto, const struct addr *src,
		   const struct addr *dst)
{
	size_t ip_len = addr_ip_len(src);
	uint8_t *at = add(f, src->family == AF_INET6 ? 40 : 20);

	at[0] = src->family == AF_INET6 ? 0x60 : 0x45;
	at[src->family == AF_INET6 ? 6 : 9] = proto;
	at += src->family == AF_INET6 ? 8 : 12;
	memcpy(at, src->ip, ip_len);
	memcpy(at + ip_len, dst->ip, ip_len);
}

static void add_ports(uint8_t *at, uint16_t from, uint16_t to)
{
	at[0] = (uint8_t)(from >> 8);
	at[1] = (uint8_t)from;
	at[2] = (uint8_t)(to >> 8);
	at[3] = (uint8_t)to;
}

static void begin_frame(struct frame *f, bool is_v6)
{
	uint8_t *at;

	f->len = 0;
	at = add(f, ETH_HLEN);
	at[12] = is_v6 ? 0x86 : 0x08;
	at[13] = is_v6 ? 0xdd : 0x00;
}

/* From the server to the client. */
static struct frame segment(bool is_v6, uint8_t flags, uint8_t seq)
{
	struct frame f;
	uint8_t *at;

	begin_frame(&f, is_v6);
	add_ip(&f, TCP, &server[is_v6], &client[is_v6]);
	at = add(&f, 20);
	add_ports(at, 443, 40000);
	at[7] = seq;
	at[12] = 0x50;
	at[13] = flags;
	return f;
}

/* From `offender`, about a datagram from the client to the server. */
static struct frame error_frame(bool is_v6, uint8_t type, uint8_t code,
				const struct addr *offender)
{
	struct frame f;
	uint8_t *at;

	begin_frame(&f, is_v6);
	add_ip(&f, is_v6 ? ICMP6 : ICMP, offender, &client[is_v6]);
	at = add(&f, 8);
	at[0] = type;
	at[1] = code;
	add_ip(&f, UDP, &client[is_v6], &server[is_v6]);
	add_ports(add(&f, 8), 40000, 443);
	return f;
}

static bool read_frame(const struct frame *f, struct exec_refusal *out)
{
	return exec_refusal_read(f->bytes, f->len, gateways, out);
}

/* --- cases --------------------------------------------------------------- */

static void check_ends(const struct exec_refusal *r, bool is_udp, bool is_v6)
{
	assert_int_equal(r->is_udp, is_udp);
	assert_true(addr_same_ip(&r->client, &client[is_v6]));
	assert_true(addr_same_ip(&r->server, &server[is_v6]));
	assert_int_equal(r->client.port, 40000);
	assert_int_equal(r->server.port, 443);
}

static void test_refusals_say_who_and_whom(void **state)
{
	(void)state; /* unused */
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame reset = segment(v6, RST | ACK, 0);
		struct frame error =
			error_frame(v6, v6 ? 1 : 3, v6 ? 4 : 3, &gateways[v6]);
		struct exec_refusal r;

		assert_true(read_frame(&reset, &r));
		check_ends(&r, false, v6);
		assert_true(read_frame(&error, &r));
		check_ends(&r, true, v6);
	}
}

static void test_flags_beside_reset_do_not_matter(void **state)
{
	struct frame f = segment(false, RST | ACK | ECE, 0);
	struct exec_refusal r;

	(void)state; /* unused */
	assert_true(read_frame(&f, &r));
}

static void test_other_segments_are_none(void **state)
{
	static const struct {
		const char *name;
		uint8_t flags, seq;
	} rows[] = {
		{ "a reset behind a handshake", RST | ACK, 1 },
		{ "a reset without acknowledgement", RST, 0 },
		{ "the second step of a handshake", SYN | ACK, 0 },
		{ "data", ACK | PSH, 0 },
		{ "nonsense", RST | ACK | SYN, 0 },
	};
	struct exec_refusal r;

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct frame f = segment(false, rows[i].flags, rows[i].seq);

		if (read_frame(&f, &r))
			fail_msg("%s", rows[i].name);
	}
}

static void test_other_errors_are_none(void **state)
{
	struct exec_refusal r;
	struct frame f;

	(void)state; /* unused */
	f = error_frame(false, 3, 3, &server[0]);
	assert_false(read_frame(&f, &r)); /* the server's own */
	f = error_frame(true, 1, 4, &server[1]);
	assert_false(read_frame(&f, &r));
	f = error_frame(false, 3, 1, &gateways[0]);
	assert_false(read_frame(&f, &r)); /* host unreachable */
	f = error_frame(false, 11, 3, &gateways[0]);
	assert_false(read_frame(&f, &r)); /* took too long */
	f = error_frame(true, 1, 0, &gateways[1]);
	assert_false(read_frame(&f, &r)); /* no route */
	f = error_frame(false, 3, 3, &gateways[0]);
	f.bytes[ETH_HLEN + 20 + 8 + 9] = TCP;
	assert_false(read_frame(&f, &r)); /* about something else */
	f = error_frame(false, 3, 3, &gateways[0]);
	f.bytes[ETH_HLEN + 20 + 8 + 15] ^= 1;
	assert_false(read_frame(&f, &r)); /* about somebody else's */
}

static void test_what_is_no_packet(void **state)
{
	struct frame f = segment(false, RST | ACK, 0);
	struct exec_refusal r;

	(void)state;	 /* unused */
	f.bytes[13] = 6; /* ARP */
	assert_false(read_frame(&f, &r));
	f = segment(false, RST | ACK, 0);
	f.bytes[ETH_HLEN] = 0x55; /* version 5 */
	assert_false(read_frame(&f, &r));
	f = segment(false, RST | ACK, 0);
	f.bytes[ETH_HLEN] = 0x44; /* a header of 16 bytes */
	assert_false(read_frame(&f, &r));
	f = segment(false, RST | ACK, 0);
	f.bytes[ETH_HLEN] = 0x4f; /* longer than the frame */
	assert_false(read_frame(&f, &r));
	f = segment(false, RST | ACK, 0);
	f.bytes[ETH_HLEN + 7] = 1; /* not the first fragment */
	assert_false(read_frame(&f, &r));
}

static void test_options_are_skipped(void **state)
{
	struct frame f = segment(false, RST | ACK, 0);
	struct exec_refusal r;

	(void)state; /* unused */
	memmove(f.bytes + ETH_HLEN + 24, f.bytes + ETH_HLEN + 20, 20);
	memset(f.bytes + ETH_HLEN + 20, 1, 4); /* no operation */
	f.bytes[ETH_HLEN] = 0x46;
	f.len += 4;
	assert_true(read_frame(&f, &r));
	check_ends(&r, false, false);
}

/* In memory that ends where the frame does, for the sanitizers. */
static void test_refusals_cut_at_every_byte(void **state)
{
	(void)state; /* unused */
	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++) {
			struct frame f =
				udp ? error_frame(v6, v6 ? 1 : 3, v6 ? 4 : 3,
						  &gateways[v6])
				    : segment(v6, RST | ACK, 0);
			/* of a quoted datagram the ports are enough */
			size_t enough = udp ? f.len - 4 : f.len;

			for (size_t len = 0; len <= f.len; len++) {
				uint8_t *cut = malloc(len + 1);
				struct exec_refusal r;

				memcpy(cut, f.bytes, len);
				assert_int_equal(exec_refusal_read(cut, len,
								   gateways,
								   &r),
						 len >= enough);
				free(cut);
			}
		}
}

static void test_random_bytes_do_no_harm(void **state)
{
	struct exec_refusal r;
	struct rnd rnd;

	(void)state; /* unused */
	rnd_begin(&rnd);
	for (int i = 0; i < 20000; i++) {
		struct frame f =
			i & 1 ? segment(i & 2, RST | ACK, 0)
			      : error_frame(i & 2, i & 2 ? 1 : 3, i & 2 ? 4 : 3,
					    &gateways[!!(i & 2)]);

		for (int n = 0; n < 4; n++)
			f.bytes[rnd_draw(&rnd, (unsigned)f.len)] =
				(uint8_t)rnd_draw(&rnd, 256);
		(void)read_frame(&f, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_say_who_and_whom),
		cmocka_unit_test(test_flags_beside_reset_do_not_matter),
		cmocka_unit_test(test_other_segments_are_none),
		cmocka_unit_test(test_other_errors_are_none),
		cmocka_unit_test(test_what_is_no_packet),
		cmocka_unit_test(test_options_are_skipped),
		cmocka_unit_test(test_refusals_cut_at_every_byte),
		cmocka_unit_test(test_random_bytes_do_no_harm),
	};

	set_up_addresses();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
