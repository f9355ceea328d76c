/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_dgram_test.c - what comes in the datagrams of a real client: other
 * packets, other connection ids, other versions, and bytes of no packet.
 */
#include "relay/name_quic.h"

#include "relay/hex_test.h"
#include "relay/name_hello_test.h"
#include "relay/name_read_test.h"
#include "relay/name_real_test.h"
#include "relay/quic_seal_test.h"

static const char host[] = "www.example.org";
static const uint8_t first_id[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t other_id[] = { 9, 9, 9, 9, 9 };

enum { DGRAM_MAX = 16 << 10, HALF = 900, TOO_SHORT = 4 };

/* Datagrams are written and handed in one after the other. */
struct client {
	struct name_quic reader;
	char name[HOST_TEXT_MAX];
	struct hello_out hello;
	size_t len;
	uint8_t dgram[DGRAM_MAX];
};

static struct client *client_new(void)
{
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	hello_make_large(&c->hello, host);
	return c;
}

static struct seal_packet packet_of(const uint8_t *cid, size_t cid_len)
{
	return (struct seal_packet){ .version = QUIC_V1,
				     .cid = cid,
				     .cid_len = cid_len,
				     .number_len = 1 };
}

#define PACKET(id) packet_of(id, sizeof(id))

/* A packet with hello[first..end), behind what the datagram holds. */
static void add_piece(struct client *c, struct seal_packet p, size_t first,
		      size_t end)
{
	uint8_t payload[4096], *at = payload;

	*at++ = 0x06;
	at = seal_varint(seal_varint(at, first), end - first);
	memcpy(at, c->hello.bytes + first, end - first);
	p.payload = payload;
	p.payload_len = (size_t)(at - payload) + end - first;
	c->len += seal_initial(&p, c->dgram + c->len);
}

static void add_bytes(struct client *c, const void *bytes, size_t len)
{
	memcpy(c->dgram + c->len, bytes, len);
	c->len += len;
}

static enum name_result send_dgram(struct client *c)
{
	uint8_t *copy = malloc(c->len + !c->len);
	enum name_result r;

	assert_non_null(copy);
	memcpy(copy, c->dgram, c->len);
	r = name_quic(&c->reader, copy, c->len, c->name);
	free(copy);
	c->len = 0;
	assert_string_equal(c->name, r == NAME_FOUND ? host : "");
	return r;
}

static enum name_result send_piece(struct client *c, struct seal_packet p,
				   size_t first, size_t end)
{
	add_piece(c, p, first, end);
	return send_dgram(c);
}

static void client_end(struct client *c, enum name_result last,
		       enum name_result wanted)
{
	assert_int_equal(last, wanted);
	free(c);
}

/* --- a real client ------------------------------------------------------- */

static void test_R_QUIC_3_chromium(void **state)
{
	const char *const dgrams[] = { real_quic_1, real_quic_2 };

	(void)state;
	for (size_t first = 0; first < 2; first++) {
		struct client *c = client_new();

		c->len = unhex(dgrams[first], c->dgram);
		assert_true(name_is_quic(c->dgram, c->len));
		assert_int_equal(send_dgram(c), NAME_MORE);
		c->len = unhex(dgrams[!first], c->dgram);
		client_end(c, send_dgram(c), NAME_FOUND);
	}
}

/* --- keys ---------------------------------------------------------------- */

/* The client begins again, with the id that the Retry gave it, and a token. */
static void test_R_QUIC_1_new_keys_after_retry(void **state)
{
	struct client *c = client_new();
	struct seal_packet p = PACKET(other_id);

	(void)state;
	p.token_len = 40;
	assert_int_equal(send_piece(c, PACKET(first_id), 0, HALF), NAME_MORE);
	assert_int_equal(send_piece(c, p, 0, HALF), NAME_MORE);
	assert_int_equal(c->reader.range_count, 1);
	/* of these keys nobody has heard: passed over, not the end */
	assert_int_equal(send_piece(c,
				    (struct seal_packet){
					    .version = QUIC_V1,
					    .cid = first_id,
					    .cid_len = sizeof(first_id),
					    .key_cid = (uint8_t[]){ 5 },
					    .key_cid_len = 1,
					    .number_len = 1,
				    },
				    HALF, c->hello.len),
			 NAME_MORE);
	client_end(c, send_piece(c, p, HALF, c->hello.len), NAME_FOUND);
}

/* RFC 9368: the server chose version 2; the first id still makes the keys. */
static void test_R_QUIC_1_another_version_from_the_same_id(void **state)
{
	struct client *c = client_new();
	struct seal_packet p = PACKET(other_id);

	(void)state;
	p.version = QUIC_V2;
	p.key_cid = first_id;
	p.key_cid_len = sizeof(first_id);
	assert_int_equal(send_piece(c, PACKET(first_id), 0, HALF), NAME_MORE);
	client_end(c, send_piece(c, p, HALF, c->hello.len), NAME_FOUND);
}

static void test_R_QUIC_1_a_first_packet_that_does_not_open(void **state)
{
	struct client *c = client_new();
	struct seal_packet p = PACKET(first_id);

	(void)state;
	p.key_cid = other_id;
	p.key_cid_len = sizeof(other_id);
	client_end(c, send_piece(c, p, 0, HALF), NAME_NONE);
}

static void test_R_QUIC_5_connection_ids_of_any_length(void **state)
{
	static const uint8_t id[QUIC_CID_MAX + 1] = { 7 };
	struct client *c;

	(void)state;
	for (size_t len = 0; len <= sizeof(id); len++) {
		c = client_new();
		add_piece(c, packet_of(id, len), 0, HALF);
		assert_int_equal(name_is_quic(c->dgram, c->len),
				 len <= QUIC_CID_MAX);
		client_end(c, send_dgram(c),
			   len <= QUIC_CID_MAX ? NAME_MORE : NAME_NONE);
	}
	/* an unknown version may have them longer */
	c = client_new();
	c->len = 1200;
	memcpy(c->dgram, "\xc0\x1a\x2a\x3a\x4a\xff", 6);
	c->dgram[6 + 255] = 255;
	assert_true(name_is_quic(c->dgram, c->len));
	memset(c->dgram + 6, 255, c->len - 6);
	assert_true(name_is_quic(c->dgram, c->len));
	client_end(c, send_dgram(c), NAME_NONE);
}

/* --- what shares a datagram ---------------------------------------------- */

/* 0-RTT of version 1 with two bytes of payload, for `first_id`. */
static const uint8_t zero_rtt[] = { 0xd0, 0, 0, 0, 1, 8, 1, 2, 3,
				    4,	  5, 6, 7, 8, 0, 2, 0, 0 };

static void test_R_QUIC_2_other_packets_around(void **state)
{
	struct client *c = client_new();

	(void)state;
	add_bytes(c, zero_rtt, sizeof(zero_rtt));
	assert_true(name_is_quic(c->dgram, c->len));
	add_piece(c, PACKET(first_id), 0, HALF);
	add_bytes(c, zero_rtt, sizeof(zero_rtt));
	add_piece(c, PACKET(first_id), HALF, c->hello.len);
	client_end(c, send_dgram(c), NAME_FOUND);
}

/* The same packets, and something between them that ends the datagram. */
static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t len;
} ends[] = {
	{ "zeros", (const uint8_t[]){ 0, 0, 0, 0 }, 4 },
	{ "a short header with anything behind",
	  (const uint8_t[]){ 0x50, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0,
			     0 },
	  16 },
	{ "a Retry",
	  (const uint8_t[]){ 0xf0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0 },
	  15 },
	{ "a packet of another version",
	  (const uint8_t[]){ 0xd0, 0x6b, 0x33, 0x43, 0xcf, 8, 1, 2, 3, 4, 5, 6,
			     7, 8, 0, 0 },
	  16 },
	{ "a packet for another id",
	  (const uint8_t[]){ 0xd0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 9, 0,
			     0 },
	  16 },
	{ "a packet for a shorter id",
	  (const uint8_t[]){ 0xd0, 0, 0, 0, 1, 7, 1, 2, 3, 4, 5, 6, 7, 0, 0 },
	  15 },
};

static void test_R_QUIC_2_what_ends_a_datagram(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct client *c = client_new();

		print_message("  %s\n", ends[i].name);
		add_piece(c, PACKET(first_id), 0, HALF);
		add_bytes(c, ends[i].bytes, ends[i].len);
		add_piece(c, PACKET(first_id), HALF, c->hello.len);
		assert_int_equal(send_dgram(c), NAME_MORE);
		client_end(c,
			   send_piece(c, PACKET(first_id), HALF, c->hello.len),
			   NAME_FOUND);
	}
}

static void test_R_QUIC_5_the_clients_own_id(void **state)
{
	uint8_t bytes[64] = { 0xd0, 0, 0, 0, 1, 0 };

	(void)state;
	for (uint8_t len = 0; len <= QUIC_CID_MAX + 1; len++) {
		bytes[6] = len; /* zeros, and a packet of length 0 */
		assert_int_equal(name_is_quic(bytes, sizeof(bytes)),
				 len <= QUIC_CID_MAX);
	}
	bytes[5] = QUIC_CID_MAX; /* the server's is cut */
	assert_false(name_is_quic(bytes, 10));
}

static void test_a_connection_does_not_begin_in_its_middle(void **state)
{
	static const uint8_t first[] = { 0xc0, 0xd0, 0xe0, 0xf0 };
	uint8_t bytes[64] = { 0, 0, 0, 0, 1, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(first); i++) {
		bytes[0] = first[i];
		assert_int_equal(name_is_quic(bytes, sizeof(bytes)), i < 2);
	}
}

static void test_R_QUIC_2_a_length_behind_the_end(void **state)
{
	struct client *c = client_new();

	(void)state;
	add_bytes(c, zero_rtt, sizeof(zero_rtt) - 1);
	assert_false(name_is_quic(c->dgram, c->len));
	client_end(c, send_dgram(c), NAME_MORE); /* seen, but of no use */
}

static void test_later_datagrams_may_be_anything(void **state)
{
	struct client *c = client_new();

	(void)state;
	assert_int_equal(send_piece(c, PACKET(first_id), 0, HALF), NAME_MORE);
	add_bytes(c, "\x40short", 6);
	assert_int_equal(send_dgram(c), NAME_MORE);
	assert_int_equal(send_dgram(c), NAME_MORE); /* nothing at all */
	client_end(c, send_piece(c, PACKET(first_id), HALF, c->hello.len),
		   NAME_FOUND);
	c = client_new();
	add_bytes(c, "\x40short", 6);
	client_end(c, send_dgram(c), NAME_NONE); /* but not the first */
}

/* Each costs more than it took to send. */
static void test_of_one_datagram_eight_packets_are_opened(void **state)
{
	enum { MOST = 8 };
	struct client *c;

	(void)state;
	for (size_t before = MOST - 1; before <= MOST; before++) {
		c = client_new();
		for (size_t i = 0; i < before; i++)
			add_piece(c, PACKET(first_id), 0, TOO_SHORT);
		add_piece(c, PACKET(first_id), 0, c->hello.len);
		client_end(c, send_dgram(c),
			   before < MOST ? NAME_FOUND : NAME_MORE);
	}
}

/* --- frames, one packet with each ---------------------------------------- */

#define BYTES(...)                                                             \
	(const uint8_t[]){ __VA_ARGS__ },                                      \
		sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct frame {
	const char *name;
	const uint8_t *bytes;
	size_t len;
	bool is_right; /* whole; cut it is always wrong */
} frames[] = {
	{ "ACK of one", BYTES(0x02, 0x05, 0x00, 0x00, 0x00), true },
	{ "ACK with two gaps",
	  BYTES(0x02, 0x40, 0x05, 0x00, 0x02, 0x00, 0x01, 0x01, 0x01, 0x01),
	  true },
	{ "ACK with ECN",
	  BYTES(0x03, 0x05, 0x00, 0x01, 0x00, 0x01, 0x01, 0x07, 0x08, 0x09),
	  true },
	{ "CRYPTO", BYTES(0x06, 0x44, 0x00, 0x03, 'a', 'b', 'c'), true },
	{ "CRYPTO without bytes", BYTES(0x06, 0x44, 0x00, 0x00), true },
	{ "CRYPTO with numbers of eight bytes",
	  BYTES(0x06, 0xc0, 0, 0, 0, 0, 0, 0x04, 0, 0xc0, 0, 0, 0, 0, 0, 0, 1,
		'a'),
	  true },
	{ "CONNECTION_CLOSE",
	  BYTES(0x1c, 0x80, 0, 0x01, 0x28, 0x00, 0x02, 'n', 'o'), true },

	{ "ACK with more gaps than bytes",
	  BYTES(0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0x00),
	  false },
	{ "CRYPTO from the highest offset",
	  BYTES(0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
		'a'),
	  false },
	{ "CRYPTO of the highest length",
	  BYTES(0x06, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	  false },
	{ "RESET_STREAM", BYTES(0x04, 0x00, 0x00, 0x00), false },
	{ "STOP_SENDING", BYTES(0x05, 0x00, 0x00, 0x00), false },
	{ "NEW_TOKEN", BYTES(0x07, 0x01, 'a', 0x00), false },
	{ "CONNECTION_CLOSE of an application", BYTES(0x1d, 0x00, 0x00, 0x00),
	  false },
	{ "a frame that nobody knows", BYTES(0x40, 0x52, 0x00, 0x00), false },
};

/* Behind three PINGs, as a packet has at least four bytes. */
static enum name_result send_frame(const uint8_t *bytes, size_t len)
{
	uint8_t payload[64] = { 0x01, 0x01, 0x01 };
	struct seal_packet p = PACKET(first_id);
	struct client *c = client_new();
	enum name_result r;

	memcpy(payload + 3, bytes, len);
	p.payload = payload;
	p.payload_len = 3 + len;
	c->len = seal_initial(&p, c->dgram);
	r = send_dgram(c);
	free(c);
	return r;
}

static void test_R_QUIC_3_frames_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		const struct frame *f = &frames[i];

		print_message("  %s\n", f->name);
		for (size_t len = 1; len < f->len; len++)
			assert_int_equal(send_frame(f->bytes, len), NAME_NONE);
		assert_int_equal(send_frame(f->bytes, f->len),
				 f->is_right ? NAME_MORE : NAME_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_QUIC_3_chromium),
		cmocka_unit_test(test_R_QUIC_1_new_keys_after_retry),
		cmocka_unit_test(
			test_R_QUIC_1_another_version_from_the_same_id),
		cmocka_unit_test(
			test_R_QUIC_1_a_first_packet_that_does_not_open),
		cmocka_unit_test(test_R_QUIC_5_connection_ids_of_any_length),
		cmocka_unit_test(test_R_QUIC_2_other_packets_around),
		cmocka_unit_test(test_R_QUIC_2_what_ends_a_datagram),
		cmocka_unit_test(test_R_QUIC_5_the_clients_own_id),
		cmocka_unit_test(
			test_a_connection_does_not_begin_in_its_middle),
		cmocka_unit_test(test_R_QUIC_2_a_length_behind_the_end),
		cmocka_unit_test(test_later_datagrams_may_be_anything),
		cmocka_unit_test(test_of_one_datagram_eight_packets_are_opened),
		cmocka_unit_test(test_R_QUIC_3_frames_cut_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
