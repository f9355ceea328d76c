/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_test.c - names in Initial packets: in pieces, in any order, with
 * other frames between them, and in what is no QUIC at all.
 */
#include "relay/name_quic.h"

#include "relay/name_hello_test.h"
#include "relay/name_read_test.h"
#include "relay/quic_seal_test.h"

static const char host[] = "www.example.org";
static const uint8_t cid[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t other_cid[] = { 9, 9, 9, 9, 9, 9, 9, 9 };
static const uint32_t versions[] = { QUIC_V1, QUIC_V2 };

enum { PAYLOAD_MAX = 1400, DGRAM_MAX = 4096, PIECES = 4 };

struct dgram {
	uint8_t bytes[DGRAM_MAX];
	size_t len;
};

static const struct hello_out *large_hello(void)
{
	static struct hello_out o;

	hello_make_large(&o, host);
	return &o;
}

static size_t put_crypto(uint8_t *at, size_t offset, const uint8_t *bytes,
			 size_t len)
{
	uint8_t *end = at;

	*end++ = 0x06;
	end = seal_varint(seal_varint(end, offset), len);
	memcpy(end, bytes, len);
	return (size_t)(end - at) + len;
}

/* A packet with these frames, padded with zeros. */
static void seal_frames(uint32_t version, uint32_t number,
			const uint8_t *frames, size_t len, struct dgram *out)
{
	uint8_t payload[PAYLOAD_MAX] = { 0 };
	struct seal_packet p = { .version = version,
				 .cid = cid,
				 .cid_len = sizeof(cid),
				 .number = number,
				 .number_len = 2,
				 .payload = payload,
				 .payload_len = 1100 };

	memcpy(payload, frames, len);
	if (len > p.payload_len)
		p.payload_len = len;
	out->len = seal_initial(&p, out->bytes);
}

static void seal_piece(uint32_t version, uint32_t number, size_t first,
		       size_t len, struct dgram *out)
{
	uint8_t frames[PAYLOAD_MAX];

	seal_frames(
		version, number, frames,
		put_crypto(frames, first, large_hello()->bytes + first, len),
		out);
}

static enum name_result give(struct name_quic *q, const struct dgram *d,
			     char out[HOST_TEXT_MAX])
{
	uint8_t *copy = malloc(d->len);
	enum name_result r;

	assert_non_null(copy);
	memcpy(copy, d->bytes, d->len);
	r = name_quic(q, copy, d->len, out);
	free(copy);
	return r;
}

static void expect_alone(const struct dgram *d, enum name_result wanted)
{
	struct name_quic *q = calloc(1, sizeof(*q));
	char out[HOST_TEXT_MAX] = "untouched";

	assert_non_null(q);
	assert_int_equal(give(q, d, out), wanted);
	assert_string_equal(out, wanted == NAME_FOUND ? host : "untouched");
	free(q);
}

/* --- pieces -------------------------------------------------------------- */

static void test_R_QUIC_1_one_datagram_of_each_version(void **state)
{
	static struct hello_out o;
	uint8_t frames[PAYLOAD_MAX];
	struct dgram d;

	(void)state;
	hello_begin(&o);
	hello_put_name(&o, host);
	hello_end(&o);
	for (size_t i = 0; i < 2; i++) {
		seal_frames(versions[i], 0, frames,
			    put_crypto(frames, 0, o.bytes, o.len), &d);
		assert_true(name_is_quic(d.bytes, d.len));
		expect_alone(&d, NAME_FOUND);
	}
}

/* All 24 orders of four pieces, which may overlap. */
static void expect_in_order(uint32_t version, const unsigned *order,
			    size_t overlap)
{
	struct name_quic *q = calloc(1, sizeof(*q));
	size_t size = large_hello()->len / PIECES + 1;
	char out[HOST_TEXT_MAX] = "";
	struct dgram d;

	assert_non_null(q);
	for (unsigned n = 0; n < PIECES; n++) {
		size_t first = order[n] * size, len = size + overlap;

		if (first + len > large_hello()->len)
			len = large_hello()->len - first;
		seal_piece(version, n, first, len, &d);
		assert_int_equal(give(q, &d, out),
				 n + 1 < PIECES ? NAME_MORE : NAME_FOUND);
	}
	assert_string_equal(out, host);
	free(q);
}

static void test_R_QUIC_3_pieces_in_any_order(void **state)
{
	(void)state;
	for (unsigned code = 0; code < 256; code++) {
		unsigned order[] = { code & 3, code >> 2 & 3, code >> 4 & 3,
				     code >> 6 };
		unsigned seen = 0;

		for (unsigned i = 0; i < PIECES; i++)
			seen |= 1u << order[i];
		if (seen != 15)
			continue;
		expect_in_order(versions[code & 1], order, 0);
		expect_in_order(versions[code & 1], order, 100);
	}
}

static void test_R_QUIC_3_what_contradicts_itself_has_none(void **state)
{
	struct name_quic *q = calloc(1, sizeof(*q));
	uint8_t frames[PAYLOAD_MAX], lie[50];
	char out[HOST_TEXT_MAX];
	struct dgram d;

	(void)state;
	assert_non_null(q);
	seal_piece(QUIC_V1, 0, 0, 300, &d);
	assert_int_equal(give(q, &d, out), NAME_MORE);
	/* in the middle of a key, where any byte would do */
	memset(lie, 0xff, sizeof(lie));
	seal_frames(QUIC_V1, 1, frames, put_crypto(frames, 200, lie, 50), &d);
	assert_int_equal(give(q, &d, out), NAME_NONE);
	free(q);
}

static void test_R_QUIC_3_memory_is_bounded(void **state)
{
	static const struct {
		const char *name;
		size_t first, len;
		enum name_result wanted;
	} rows[] = {
		{ "the last bytes that are kept", QUIC_CRYPTO_MAX - 10, 10,
		  NAME_MORE },
		{ "one byte more", QUIC_CRYPTO_MAX - 10, 11, NAME_NONE },
	};
	uint8_t frames[PAYLOAD_MAX], bytes[16] = { 0 };
	struct dgram d;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		print_message("  %s\n", rows[i].name);
		seal_frames(
			QUIC_V1, 0, frames,
			put_crypto(frames, rows[i].first, bytes, rows[i].len),
			&d);
		expect_alone(&d, rows[i].wanted);
	}
}

static void test_too_many_gaps_have_none(void **state)
{
	uint8_t frames[PAYLOAD_MAX];
	size_t len = 0;
	struct dgram d;

	(void)state;
	for (size_t i = 0; i < QUIC_RANGES_MAX; i++)
		len += put_crypto(frames + len, 10 + 2 * i, cid, 1);
	seal_frames(QUIC_V1, 0, frames, len, &d);
	expect_alone(&d, NAME_MORE);
	len += put_crypto(frames + len, 10 + 2 * QUIC_RANGES_MAX, cid, 1);
	seal_frames(QUIC_V1, 0, frames, len, &d);
	expect_alone(&d, NAME_NONE);
}

static void test_sixteen_datagrams_are_enough(void **state)
{
	struct name_quic *q = calloc(1, sizeof(*q));
	char out[HOST_TEXT_MAX];
	struct dgram d;

	(void)state;
	assert_non_null(q);
	for (unsigned i = 1; i <= QUIC_DGRAMS_MAX; i++) {
		seal_piece(QUIC_V1, i, 0, 10, &d);
		assert_int_equal(give(q, &d, out),
				 i < QUIC_DGRAMS_MAX ? NAME_MORE : NAME_NONE);
	}
	free(q);
}

/* --- packets and frames -------------------------------------------------- */

static void test_other_frames_stand_in_between(void **state)
{
	static const uint8_t ping_ack_close[] = {
		0x01,						/* PING */
		0x02, 0x05, 0x00, 0x01, 0x00, 0x01, 0x01,	/* ACK, a gap */
		0x03, 0x05, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, /* and ECN */
		0x1c, 0x00, 0x06, 0x02, 'n',  'o', /* CONNECTION_CLOSE */
	};
	uint8_t frames[PAYLOAD_MAX];
	size_t len = sizeof(ping_ack_close);
	struct dgram d;

	(void)state;
	memcpy(frames, ping_ack_close, len);
	len += put_crypto(frames + len, 0, large_hello()->bytes, 100);
	seal_frames(QUIC_V1, 0, frames, len, &d);
	expect_alone(&d, NAME_MORE);
	frames[0] = 0x08; /* STREAM: not in an Initial */
	seal_frames(QUIC_V1, 0, frames, len, &d);
	expect_alone(&d, NAME_NONE);
}

static void test_R_QUIC_2_two_packets_in_a_datagram(void **state)
{
	struct dgram one, two;

	(void)state;
	/* the first half, and what is left in a second packet */
	seal_piece(QUIC_V1, 0, 0, 1000, &one);
	seal_piece(QUIC_V1, 1, 1000, large_hello()->len - 1000, &two);
	memcpy(one.bytes + one.len, two.bytes, two.len);
	one.len += two.len;
	expect_alone(&one, NAME_FOUND);
}

static void test_R_QUIC_2_a_token_of_any_length(void **state)
{
	static const size_t lengths[] = { 0, 1, 63, 64, 500 };
	uint8_t payload[PAYLOAD_MAX] = { 0 };
	static struct hello_out o;
	struct dgram d;

	(void)state;
	hello_begin(&o);
	hello_put_name(&o, host);
	hello_end(&o);
	for (size_t i = 0; i < 5; i++) {
		struct seal_packet p = {
			.version = QUIC_V1,
			.cid = cid,
			.cid_len = sizeof(cid),
			.token_len = lengths[i],
			.number_len = 1 + i % 4,
			.payload = payload,
			.payload_len = put_crypto(payload, 0, o.bytes, o.len),
		};

		d.len = seal_initial(&p, d.bytes);
		expect_alone(&d, NAME_FOUND);
	}
}

static void test_R_QUIC_6_the_fixed_bit_may_be_0(void **state)
{
	uint8_t payload[PAYLOAD_MAX] = { 0 };
	struct seal_packet p = { .version = QUIC_V1,
				 .cid = cid,
				 .cid_len = sizeof(cid),
				 .number_len = 1,
				 .is_fixed_bit_clear = true,
				 .payload = payload };
	static struct hello_out o;
	struct dgram d;

	(void)state;
	hello_begin(&o);
	hello_put_name(&o, host);
	hello_end(&o);
	p.payload_len = put_crypto(payload, 0, o.bytes, o.len);
	d.len = seal_initial(&p, d.bytes);
	assert_true(name_is_quic(d.bytes, d.len));
	expect_alone(&d, NAME_FOUND);
}

/* RFC 9001 section 5.2: the keys are the first connection id's, also when the
 * server has given the client another one to write to. */
static void test_R_QUIC_1_another_connection_id_the_same_keys(void **state)
{
	struct name_quic *q = calloc(1, sizeof(*q));
	size_t half = large_hello()->len / 2;
	uint8_t payload[PAYLOAD_MAX] = { 0 };
	struct seal_packet p = { .version = QUIC_V1,
				 .cid = other_cid,
				 .cid_len = sizeof(other_cid),
				 .key_cid = cid,
				 .key_cid_len = sizeof(cid),
				 .number = 1,
				 .number_len = 1,
				 .payload = payload };
	char out[HOST_TEXT_MAX] = "";
	struct dgram d;

	(void)state;
	assert_non_null(q);
	seal_piece(QUIC_V1, 0, 0, half, &d);
	assert_int_equal(give(q, &d, out), NAME_MORE);
	p.payload_len = put_crypto(payload, half, large_hello()->bytes + half,
				   large_hello()->len - half);
	d.len = seal_initial(&p, d.bytes);
	assert_int_equal(give(q, &d, out), NAME_FOUND);
	assert_string_equal(out, host);
	free(q);
}

/* --- what is no QUIC ----------------------------------------------------- */

static void test_R_QUIC_5_other_versions(void **state)
{
	struct dgram d = { .bytes = { 0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8 },
			   .len = 1200 };

	(void)state;
	assert_true(name_is_quic(d.bytes, 1200));
	assert_false(name_is_quic(d.bytes, 1199));
	expect_alone(&d, NAME_NONE);
	memset(d.bytes + 1, 0, 4); /* Version Negotiation: only servers */
	assert_false(name_is_quic(d.bytes, 1200));
	d.bytes[0] = 0x40; /* a short header */
	assert_false(name_is_quic(d.bytes, 1200));
	assert_false(name_is_quic(d.bytes, 0));
}

/* Cut anywhere it is none, or opens nothing; never is a name invented. */
static void test_cut_at_every_byte(void **state)
{
	struct dgram d;
	size_t whole;

	(void)state;
	seal_piece(QUIC_V1, 0, 0, 1000, &d);
	whole = d.len;
	for (d.len = 1; d.len < whole; d.len++) {
		struct name_quic *q = calloc(1, sizeof(*q));
		char out[HOST_TEXT_MAX] = "";

		assert_non_null(q);
		assert_int_not_equal(give(q, &d, out), NAME_FOUND);
		assert_int_equal(q->range_count, 0);
		assert_false(name_is_quic(d.bytes, d.len));
		free(q);
	}
	d.len = whole;
	expect_alone(&d, NAME_MORE);
}

/* A changed bit anywhere is found by the tag. */
static void test_changed_bytes_open_nothing(void **state)
{
	struct rnd rnd;
	struct dgram d;

	(void)state;
	rnd_begin(&rnd);
	for (unsigned i = 0; i < 300; i++) {
		struct name_quic *q = calloc(1, sizeof(*q));
		char out[HOST_TEXT_MAX] = "";

		assert_non_null(q);
		seal_piece(versions[i & 1], i, 0, 700, &d);
		d.bytes[rnd_draw(&rnd, (unsigned)d.len)] ^=
			(uint8_t)(1u << rnd_draw(&rnd, 8));
		assert_int_not_equal(give(q, &d, out), NAME_FOUND);
		assert_int_equal(q->range_count, 0);
		free(q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_QUIC_1_one_datagram_of_each_version),
		cmocka_unit_test(test_R_QUIC_3_pieces_in_any_order),
		cmocka_unit_test(
			test_R_QUIC_3_what_contradicts_itself_has_none),
		cmocka_unit_test(test_R_QUIC_3_memory_is_bounded),
		cmocka_unit_test(test_too_many_gaps_have_none),
		cmocka_unit_test(test_sixteen_datagrams_are_enough),
		cmocka_unit_test(test_other_frames_stand_in_between),
		cmocka_unit_test(test_R_QUIC_2_two_packets_in_a_datagram),
		cmocka_unit_test(test_R_QUIC_2_a_token_of_any_length),
		cmocka_unit_test(test_R_QUIC_6_the_fixed_bit_may_be_0),
		cmocka_unit_test(
			test_R_QUIC_1_another_connection_id_the_same_keys),
		cmocka_unit_test(test_R_QUIC_5_other_versions),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_changed_bytes_open_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
