/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_test.c - packets taken apart again, byte by byte.
 *
 * The verifier knows the RFCs and nothing of packet.c: it sums 16-bit words
 * one after another and reads fields by their offsets.
 */
#include "net/packet.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { V4_MAX = 65507, V6_MAX = 65527, PACKET_MAX = 66000 };

static const char *const pairs[][2] = {
	{ "198.51.100.7:53", "192.0.2.1:40000" },
	{ "255.255.255.255:65535", "255.255.255.254:65535" },
	{ "[2001:db8::7]:443", "[2001:db8:1::99]:1" },
	{ "[ffff:ffff::ffff]:65535", "[ffff::ff]:65535" },
};
enum { PAIRS = sizeof(pairs) / sizeof(*pairs) };

static unsigned read16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* --- an independent verifier --------------------------------------------- */

static unsigned naive_sum(unsigned sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2) {
		sum += (unsigned)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Of everything behind the IP header; right if it is 0xffff. */
static unsigned transport_sum(const uint8_t *packet, size_t len, bool has_ip)
{
	bool is_v6 = packet[0] >> 4 == 6;
	size_t head = is_v6 ? 40 : 20;
	uint8_t tail[4] = { (uint8_t)((len - head) >> 8), (uint8_t)(len - head),
			    0, packet[is_v6 ? 6 : 9] };
	unsigned sum = 0;

	if (has_ip) {
		sum = naive_sum(sum, packet + (is_v6 ? 8 : 12), is_v6 ? 32 : 8);
		sum = naive_sum(sum, tail, sizeof(tail));
	}
	return naive_sum(sum, packet + head, len - head);
}

static void expect_ip(const uint8_t *p, size_t len, const struct addr *src,
		      const struct addr *dst, unsigned proto)
{
	bool is_v6 = src->family == AF_INET6;
	size_t ip_len = is_v6 ? 16 : 4, at = is_v6 ? 8 : 12;

	assert_int_equal(p[0], is_v6 ? 0x60 : 0x45);
	assert_int_equal(read16(p + (is_v6 ? 4 : 2)), is_v6 ? len - 40 : len);
	assert_int_equal(p[is_v6 ? 6 : 9], proto);
	assert_int_equal(p[is_v6 ? 7 : 8], PACKET_TTL);
	assert_memory_equal(p + at, src->ip, ip_len);
	assert_memory_equal(p + at + ip_len, dst->ip, ip_len);
}

static void read_pair(size_t i, struct addr *src, struct addr *dst)
{
	assert_int_equal(addr_parse(pairs[i][0], src), 0);
	assert_int_equal(addr_parse(pairs[i][1], dst), 0);
}

/* --- UDP ----------------------------------------------------------------- */

static void expect_udp(const struct addr *src, const struct addr *dst,
		       const uint8_t *payload, size_t payload_len)
{
	static uint8_t packet[PACKET_MAX];
	struct packet_head h;
	const uint8_t *udp;

	packet_udp(src, dst, payload, payload_len, &h);
	assert_int_equal(h.len, src->family == AF_INET6 ? 48 : 28);
	memcpy(packet, h.bytes, h.len);
	memcpy(packet + h.len, payload, payload_len);
	expect_ip(packet, h.len + payload_len, src, dst, 17);
	udp = packet + h.len - 8;
	assert_int_equal(read16(udp), src->port);
	assert_int_equal(read16(udp + 2), dst->port);
	assert_int_equal(read16(udp + 4), 8 + payload_len);
	assert_int_not_equal(read16(udp + 6), 0);
	assert_int_equal(transport_sum(packet, h.len + payload_len, true),
			 0xffff);
}

static void test_udp(void **state)
{
	static uint8_t payload[V6_MAX];
	struct addr src, dst;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	rnd_fill(&r, payload, sizeof(payload));
	for (size_t i = 0; i < PAIRS; i++) {
		read_pair(i, &src, &dst);
		for (size_t len = 0; len < 70; len++)
			expect_udp(&src, &dst, payload + len % 3, len);
		for (int round = 0; round < 50; round++)
			expect_udp(&src, &dst, payload,
				   rnd_draw(&r, V4_MAX + 1));
		expect_udp(&src, &dst, payload,
			   src.family == AF_INET6 ? V6_MAX : V4_MAX);
	}
}

/* Sums that overflow everywhere, and one that comes out as zero. */
static void test_udp_extreme_sums(void **state)
{
	static uint8_t payload[V4_MAX];
	struct addr src, dst;
	unsigned was_zero = 0;

	(void)state; /* unused */
	for (size_t i = 0; i < PAIRS; i++) {
		read_pair(i, &src, &dst);
		memset(payload, 0xff, sizeof(payload));
		expect_udp(&src, &dst, payload, sizeof(payload));
		expect_udp(&src, &dst, payload, sizeof(payload) - 1);
		memset(payload, 0, sizeof(payload));
		expect_udp(&src, &dst, payload, sizeof(payload));
		for (unsigned word = 0; word < 0x10000; word++) {
			struct packet_head h;

			payload[0] = (uint8_t)(word >> 8);
			payload[1] = (uint8_t)word;
			packet_udp(&src, &dst, payload, 2, &h);
			was_zero += read16(h.bytes + h.len - 2) == 0xffff;
			assert_int_not_equal(read16(h.bytes + h.len - 2), 0);
		}
	}
	assert_true(was_zero >= PAIRS);
}

/* --- fragments ----------------------------------------------------------- */

struct reassembly {
	uint8_t bytes[PACKET_MAX];
	size_t len;
	unsigned count, id;
	bool is_complete;
};

/* One fragment, as it would be on the wire. */
static void take_fragment(struct reassembly *a, const struct packet_head *h,
			  const uint8_t *part, size_t part_len, size_t mtu)
{
	bool is_v6 = h->bytes[0] >> 4 == 6, has_more;
	size_t head = is_v6 ? 48 : 20, at;
	unsigned id, field;

	assert_true(h->len >= head && h->len + part_len <= mtu);
	assert_false(a->is_complete);
	if (is_v6) {
		assert_int_equal(h->bytes[6], 44);
		assert_int_equal(h->bytes[40], 17);
		assert_int_equal(h->bytes[41], 0);
		assert_int_equal(read16(h->bytes + 4), h->len + part_len - 40);
		field = read16(h->bytes + 42);
		at = field & ~7u;
		has_more = field & 1;
		id = read16(h->bytes + 44) << 16 | read16(h->bytes + 46);
	} else {
		assert_int_equal(read16(h->bytes + 2), h->len + part_len);
		field = read16(h->bytes + 6);
		at = (field & 0x1fff) * 8;
		has_more = field & 0x2000;
		assert_int_equal(field & 0xc000, 0);
		id = read16(h->bytes + 4);
		assert_int_not_equal(id, 0); /* else the kernel chooses */
	}
	assert_int_equal(at, a->len);
	assert_true(!a->count || id == a->id);
	memcpy(a->bytes + a->len, h->bytes + head, h->len - head);
	a->len += h->len - head;
	memcpy(a->bytes + a->len, part, part_len);
	a->len += part_len;
	assert_true(!has_more || a->len % 8 == 0);
	a->id = id;
	a->count++;
	a->is_complete = !has_more;
}

static void expect_fragments(const struct addr *src, const struct addr *dst,
			     const uint8_t *payload, size_t len, size_t mtu,
			     uint32_t id)
{
	static struct reassembly a;
	struct packet_head whole, h;
	const uint8_t *part;
	size_t part_len, at = 0, room;

	memset(&a, 0, sizeof(a));
	packet_udp(src, dst, payload, len, &whole);
	do {
		at = packet_fragment(&whole, payload, len, mtu, id, at, &h,
				     &part, &part_len);
		assert_memory_equal(
			h.bytes + (src->family == AF_INET6 ? 8 : 12),
			whole.bytes + (src->family == AF_INET6 ? 8 : 12),
			src->family == AF_INET6 ? 32 : 8);
		take_fragment(&a, &h, part, part_len, mtu);
		assert_int_equal(a.is_complete, at == 0);
	} while (at);
	assert_int_equal(a.len, 8 + len);
	assert_memory_equal(a.bytes, whole.bytes + whole.len - 8, 8);
	assert_memory_equal(a.bytes + 8, payload, len);
	/* no more fragments than are needed */
	room = (mtu - (src->family == AF_INET6 ? 48 : 20)) / 8 * 8;
	assert_int_equal(a.count, (8 + len + room - 1) / room);
}

static void test_fragments(void **state)
{
	static const size_t mtus[] = { 1280, 1281, 1287, 1400, 1500, 9000 };
	static uint8_t payload[V6_MAX];
	struct addr src, dst;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	rnd_fill(&r, payload, sizeof(payload));
	for (size_t i = 0; i < PAIRS; i++) {
		bool is_v6;

		read_pair(i, &src, &dst);
		is_v6 = src.family == AF_INET6;
		for (size_t m = 0; m < sizeof(mtus) / sizeof(*mtus); m++) {
			size_t max = is_v6 ? V6_MAX : V4_MAX;

			for (size_t len = mtus[m] - 60; len < mtus[m] + 20;
			     len++)
				expect_fragments(&src, &dst, payload, len,
						 mtus[m], 7);
			for (int round = 0; round < 30; round++)
				expect_fragments(&src, &dst, payload,
						 rnd_draw(&r, (unsigned)max),
						 mtus[m],
						 rnd_draw(&r, 1u << 31) | 1);
			expect_fragments(&src, &dst, payload, max, mtus[m], 1);
			expect_fragments(&src, &dst, payload, 0, mtus[m], 1);
		}
		if (!is_v6)
			expect_fragments(&src, &dst, payload, 3000, 576, 1);
	}
}

/* All fragments of a datagram carry one identification, none carries 0. */
static void test_fragment_ids(void **state)
{
	static const uint32_t ids[] = { 0,	 1,	  0xffff,
					0x10000, 0x20000, 0xffffffff };
	static uint8_t payload[3000];
	struct addr src, dst;

	(void)state; /* unused */
	for (size_t i = 0; i < PAIRS; i++) {
		read_pair(i, &src, &dst);
		for (size_t n = 0; n < sizeof(ids) / sizeof(*ids); n++)
			expect_fragments(&src, &dst, payload, sizeof(payload),
					 1280, ids[n]);
	}
}

/* --- ICMP errors --------------------------------------------------------- */

static void expect_icmp(const struct packet_icmp *m)
{
	bool is_v6 = m->client.family == AF_INET6;
	size_t head = is_v6 ? 40 : 20;
	struct packet_head h;
	const uint8_t *icmp, *quoted;

	packet_icmp_error(m, &h);
	assert_int_equal(h.len, head + 8 + head + 8);
	expect_ip(h.bytes, h.len, &m->offender, &m->client, is_v6 ? 58 : 1);
	icmp = h.bytes + head;
	assert_int_equal(icmp[0], m->type);
	assert_int_equal(icmp[1], m->code);
	assert_int_equal(read16(icmp + 4), is_v6 ? m->info >> 16 : 0);
	assert_int_equal(read16(icmp + 6), m->info & 0xffff);
	assert_int_equal(transport_sum(h.bytes, h.len, is_v6), 0xffff);
	quoted = icmp + 8;
	expect_ip(quoted, head + 8 + m->quoted_len, &m->client, &m->server, 17);
	assert_int_equal(read16(quoted + head), m->client.port);
	assert_int_equal(read16(quoted + head + 2), m->server.port);
	assert_int_equal(read16(quoted + head + 4), 8 + m->quoted_len);
}

static void test_icmp(void **state)
{
	static const uint8_t kinds[][2] = { { 3, 3 }, { 3, 4 }, { 11, 0 },
					    { 1, 4 }, { 2, 0 }, { 255, 255 } };
	static const uint32_t infos[] = { 0, 1280, 1500, 65535 };
	struct packet_icmp m = { .quoted_len = 0 };

	(void)state; /* unused */
	for (size_t i = 0; i < PAIRS; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
			for (size_t n = 0; n < 4; n++) {
				read_pair(i, &m.server, &m.client);
				m.offender = m.server;
				m.offender.ip[3] ^= 0x55;
				m.type = kinds[k][0];
				m.code = kinds[k][1];
				m.info = infos[n];
				m.quoted_len = n * 499;
				expect_icmp(&m);
			}
}

/* --- TCP ----------------------------------------------------------------- */

static void expect_reset(const struct addr *src, const struct addr *dst,
			 uint32_t seq)
{
	struct packet_head h;
	const uint8_t *tcp;

	packet_tcp_reset(src, dst, seq, &h);
	assert_int_equal(h.len, src->family == AF_INET6 ? 60 : 40);
	expect_ip(h.bytes, h.len, src, dst, 6);
	tcp = h.bytes + h.len - 20;
	assert_int_equal(read16(tcp), src->port);
	assert_int_equal(read16(tcp + 2), dst->port);
	assert_int_equal(read16(tcp + 4) << 16 | read16(tcp + 6), seq);
	assert_int_equal(read16(tcp + 8) | read16(tcp + 10), 0);
	assert_int_equal(read16(tcp + 12), 0x5004); /* no options, RST */
	assert_int_equal(read16(tcp + 14), 0);
	assert_int_equal(read16(tcp + 18), 0);
	assert_int_equal(transport_sum(h.bytes, h.len, true), 0xffff);
}

static void test_tcp_reset(void **state)
{
	struct addr src, dst;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (size_t i = 0; i < PAIRS; i++) {
		read_pair(i, &src, &dst);
		expect_reset(&src, &dst, 0);
		expect_reset(&src, &dst, UINT32_MAX);
		for (int round = 0; round < 1000; round++) {
			uint32_t seq;

			rnd_fill(&r, (uint8_t *)&seq, sizeof(seq));
			expect_reset(&src, &dst, seq);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_extreme_sums),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragment_ids),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_tcp_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
