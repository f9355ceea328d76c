/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_keys_test.c - the examples of RFC 9001 and RFC 9369, section A.
 */
#include "relay/quic_keys.h"

#include "relay/hex_test.h"
#include "relay/quic_seal_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SAMPLE_LEN = 1200, PAYLOAD_LEN = 1162, SAMPLE_NUMBER_AT = 18 };

static const uint8_t sample_cid[] = { 0x83, 0x94, 0xc8, 0xf0,
				      0x3e, 0x51, 0x57, 0x08 };

/* Padding follows. */
static const char sample_payload[] =
	"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
	"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
	"616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
	"04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
	"baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
	"0d0010000e0403050306030203080408050806002d00020101001c0002400100"
	"3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
	"75300901100f088394c8f03e51570806048000ffff";

static const struct sample {
	const char *name;
	uint32_t version;
	const char *key, *iv, *hp;
	const char *header;	 /* before protection */
	const char *first, *tag; /* of the packet */
} samples[] = {
	{ "version 1", QUIC_V1, "1f369613dd76d5467730efcbe3b1a22d",
	  "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2",
	  "c300000001088394c8f03e5157080000449e00000002",
	  "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
	  "e221af44860018ab0856972e194cd934" },
	{ "version 2", QUIC_V2, "8b1a0bc121284290a29e0971b5cd045d",
	  "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9",
	  "d36b3343cf088394c8f03e5157080000449e00000002",
	  "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
	  "a18b2faa745b6fe189cf772a9f84cbfc" },
};

static void assert_hex(const uint8_t *bytes, const char *hex)
{
	uint8_t wanted[64];
	size_t len = unhex(hex, wanted);

	assert_memory_equal(bytes, wanted, len);
}

static void make_sample(const struct sample *s, struct quic_keys *k,
			uint8_t packet[SAMPLE_LEN])
{
	uint8_t payload[PAYLOAD_LEN] = { 0 }, header[64];
	size_t header_len = unhex(s->header, header);

	unhex(sample_payload, payload);
	quic_keys_derive(s->version, sample_cid, sizeof(sample_cid), k);
	assert_int_equal(quic_seal(k, header, header_len, 4, payload,
				   sizeof(payload), packet),
			 SAMPLE_LEN);
}

/* --- the examples -------------------------------------------------------- */

static void test_R_QUIC_1_keys_of_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		const struct sample *s = &samples[i];
		struct quic_keys k;

		print_message("  %s\n", s->name);
		quic_keys_derive(s->version, sample_cid, sizeof(sample_cid),
				 &k);
		assert_hex(k.key, s->key);
		assert_hex(k.iv, s->iv);
		assert_hex(k.hp, s->hp);
	}
}

static void test_R_QUIC_1_packet_of_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		const struct sample *s = &samples[i];
		uint8_t packet[SAMPLE_LEN], out[QUIC_PACKET_MAX];
		const uint8_t *payload = NULL;
		struct quic_keys k;

		print_message("  %s\n", s->name);
		make_sample(s, &k, packet);
		assert_hex(packet, s->first);
		assert_hex(packet + SAMPLE_LEN - SEAL_TAG_BYTES, s->tag);
		assert_int_equal(quic_open(&k, packet, sizeof(packet),
					   SAMPLE_NUMBER_AT, out, &payload),
				 PAYLOAD_LEN);
		assert_hex(out, s->header);
		for (size_t at = 0; at < strlen(sample_payload); at += 64) {
			char line[65];

			snprintf(line, sizeof(line), "%s", sample_payload + at);
			assert_hex(payload + at / 2, line);
		}
	}
}

static void test_types_are_written_differently(void **state)
{
	(void)state;
	assert_int_equal(quic_type_of(QUIC_V1, 0xc0), QUIC_INITIAL);
	assert_int_equal(quic_type_of(QUIC_V1, 0xd0), QUIC_ZERO_RTT);
	assert_int_equal(quic_type_of(QUIC_V1, 0xe0), QUIC_HANDSHAKE);
	assert_int_equal(quic_type_of(QUIC_V1, 0xf0), QUIC_RETRY);
	assert_int_equal(quic_type_of(QUIC_V2, 0xd0), QUIC_INITIAL);
	assert_int_equal(quic_type_of(QUIC_V2, 0xe0), QUIC_ZERO_RTT);
	assert_int_equal(quic_type_of(QUIC_V2, 0xf0), QUIC_HANDSHAKE);
	assert_int_equal(quic_type_of(QUIC_V2, 0xc0), QUIC_RETRY);
	assert_true(quic_version_is_known(QUIC_V1));
	assert_true(quic_version_is_known(QUIC_V2));
	assert_false(quic_version_is_known(0));
	assert_false(quic_version_is_known(0xff00001d));
}

/* --- what does not open -------------------------------------------------- */

static void test_R_QUIC_1_other_keys_do_not_open(void **state)
{
	uint8_t packet[SAMPLE_LEN], out[QUIC_PACKET_MAX];
	const uint8_t *payload = NULL;
	struct quic_keys k;

	(void)state;
	make_sample(&samples[0], &k, packet);
	quic_keys_derive(QUIC_V2, sample_cid, sizeof(sample_cid), &k);
	assert_int_equal(quic_open(&k, packet, SAMPLE_LEN, SAMPLE_NUMBER_AT,
				   out, &payload),
			 0);
	quic_keys_derive(QUIC_V1, sample_cid, sizeof(sample_cid) - 1, &k);
	assert_int_equal(quic_open(&k, packet, SAMPLE_LEN, SAMPLE_NUMBER_AT,
				   out, &payload),
			 0);
	assert_null(payload);
}

static void test_R_QUIC_1_each_byte_is_protected(void **state)
{
	uint8_t packet[SAMPLE_LEN], out[QUIC_PACKET_MAX];
	const uint8_t *payload = NULL;
	struct quic_keys k;

	(void)state;
	make_sample(&samples[0], &k, packet);
	for (size_t i = 0; i < SAMPLE_LEN; i++) {
		packet[i] ^= 1;
		assert_int_equal(quic_open(&k, packet, SAMPLE_LEN,
					   SAMPLE_NUMBER_AT, out, &payload),
				 0);
		packet[i] ^= 1;
	}
}

static void test_R_QUIC_2_cut_at_every_byte(void **state)
{
	uint8_t packet[SAMPLE_LEN], out[QUIC_PACKET_MAX];
	const uint8_t *payload = NULL;
	struct quic_keys k;

	(void)state;
	make_sample(&samples[0], &k, packet);
	for (size_t len = 0; len < SAMPLE_LEN; len++) {
		uint8_t *cut = malloc(len + !len);

		assert_non_null(cut);
		memcpy(cut, packet, len);
		assert_int_equal(quic_open(&k, cut, len, SAMPLE_NUMBER_AT, out,
					   &payload),
				 0);
		free(cut);
	}
}

/* Number and payload are four bytes at least, so that there is a sample. */
static void test_the_shortest_packet_is_opened(void **state)
{
	const uint8_t header[] = { 0xc0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7 };
	uint8_t packet[64], out[QUIC_PACKET_MAX];
	const uint8_t *found;
	struct quic_keys k;
	size_t len;

	(void)state;
	quic_keys_derive(QUIC_V1, sample_cid, sizeof(sample_cid), &k);
	len = quic_seal(&k, header, sizeof(header), 1, (uint8_t[]){ 1, 2, 3 },
			3, packet);
	assert_int_equal(
		quic_open(&k, packet, len, sizeof(header) - 1, out, &found), 3);
	assert_memory_equal(found, "\1\2\3", 3);
}

static void test_longer_packets_are_not_opened(void **state)
{
	static uint8_t payload[QUIC_PACKET_MAX], packet[2 * QUIC_PACKET_MAX];
	const uint8_t header[] = { 0xc0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7 };
	const size_t most = QUIC_PACKET_MAX - sizeof(header) - SEAL_TAG_BYTES;
	uint8_t out[QUIC_PACKET_MAX];
	const uint8_t *found;
	struct quic_keys k;
	size_t len;

	(void)state;
	quic_keys_derive(QUIC_V1, sample_cid, sizeof(sample_cid), &k);
	len = quic_seal(&k, header, sizeof(header), 1, payload, most, packet);
	assert_int_equal(
		quic_open(&k, packet, len, sizeof(header) - 1, out, &found),
		most);
	len = quic_seal(&k, header, sizeof(header), 1, payload, most + 1,
			packet);
	assert_int_equal(
		quic_open(&k, packet, len, sizeof(header) - 1, out, &found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_QUIC_1_keys_of_the_rfc),
		cmocka_unit_test(test_R_QUIC_1_packet_of_the_rfc),
		cmocka_unit_test(test_types_are_written_differently),
		cmocka_unit_test(test_R_QUIC_1_other_keys_do_not_open),
		cmocka_unit_test(test_R_QUIC_1_each_byte_is_protected),
		cmocka_unit_test(test_R_QUIC_2_cut_at_every_byte),
		cmocka_unit_test(test_the_shortest_packet_is_opened),
		cmocka_unit_test(test_longer_packets_are_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
