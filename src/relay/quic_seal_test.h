/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_seal_test.h - a client that writes Initial packets, for tests.
 *
 * The opposite of quic_open(), so that each test can have the packet it needs.
 */
#ifndef WL_RELAY_QUIC_SEAL_TEST_H
#define WL_RELAY_QUIC_SEAL_TEST_H

#include "relay/quic_keys.h"

#include <string.h>

#include <nettle/aes.h>
#include <nettle/gcm.h>

enum { SEAL_TAG_BYTES = 16, SEAL_NUMBER_MAX = 4 };

/* header[0..header_len) ends with a packet number of number_len bytes. */
static inline size_t quic_seal(const struct quic_keys *k, const uint8_t *header,
			       size_t header_len, size_t number_len,
			       const uint8_t *payload, size_t len, uint8_t *out)
{
	uint8_t *number = out + header_len - number_len;
	uint8_t nonce[GCM_IV_SIZE], mask[AES_BLOCK_SIZE];
	struct gcm_aes128_ctx gcm;
	struct aes128_ctx aes;

	memcpy(out, header, header_len);
	memcpy(nonce, k->iv, sizeof(nonce));
	for (size_t i = 0; i < number_len; i++)
		nonce[sizeof(nonce) - number_len + i] ^= number[i];
	gcm_aes128_set_key(&gcm, k->key);
	gcm_aes128_set_iv(&gcm, sizeof(nonce), nonce);
	gcm_aes128_update(&gcm, header_len, header);
	gcm_aes128_encrypt(&gcm, len, out + header_len, payload);
	gcm_aes128_digest(&gcm, SEAL_TAG_BYTES, out + header_len + len);
	aes128_set_encrypt_key(&aes, k->hp);
	aes128_encrypt(&aes, sizeof(mask), mask, number + SEAL_NUMBER_MAX);
	out[0] ^= mask[0] & 0x0f;
	for (size_t i = 0; i < number_len; i++)
		number[i] ^= mask[1 + i];
	return header_len + len + SEAL_TAG_BYTES;
}

struct seal_packet {
	uint32_t version;
	const uint8_t *cid, *key_cid; /* key_cid NULL: cid */
	size_t cid_len, key_cid_len;
	size_t token_len; /* of zeros */
	uint32_t number;
	size_t number_len;
	bool is_fixed_bit_clear;
	const uint8_t *payload;
	size_t payload_len; /* at least 4 */
};

static inline uint8_t *seal_varint(uint8_t *at, size_t value)
{
	*at++ = (uint8_t)(0x40 | value >> 8);
	*at++ = (uint8_t)value;
	return at;
}

/* A whole Initial; `out` has room.  Its length. */
static inline size_t seal_initial(const struct seal_packet *p, uint8_t *out)
{
	uint8_t header[2048] = { 0 }, *at = header;
	struct quic_keys k;

	quic_keys_derive(p->version, p->key_cid ? p->key_cid : p->cid,
			 p->key_cid ? p->key_cid_len : p->cid_len, &k);
	*at++ = (uint8_t)(0x80 | (p->is_fixed_bit_clear ? 0 : 0x40) |
			  (p->version == QUIC_V2 ? 0x10 : 0) |
			  (p->number_len - 1));
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(p->version >> shift);
	*at++ = (uint8_t)p->cid_len;
	memcpy(at, p->cid, p->cid_len);
	at += p->cid_len;
	*at++ = 0; /* the client has no id of its own */
	at = seal_varint(at, p->token_len);
	at += p->token_len;
	at = seal_varint(at, p->number_len + p->payload_len + SEAL_TAG_BYTES);
	for (size_t i = p->number_len; i--;)
		*at++ = (uint8_t)(p->number >> 8 * i);
	return quic_seal(&k, header, (size_t)(at - header), p->number_len,
			 p->payload, p->payload_len, out);
}

#endif
