/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_keys.c - RFC 9001, section 5, as far as a client's Initial needs it.
 *
 *	secret	salt of the version, connection id
 *	  |	"client in"
 *	  +--	"quic key", "quic iv", "quic hp", or "quicv2 ..."
 */
#include "relay/quic_keys.h"

#include <assert.h>
#include <string.h>

#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

enum {
	SALT_BYTES = 20,
	SAMPLE_BYTES = AES_BLOCK_SIZE,
	SAMPLE_AT = 4, /* behind the beginning of the packet number */
	TAG_BYTES = GCM_DIGEST_SIZE,
	LABEL_MAX = 16,
	TYPE_SHIFT = 4,
	TYPE_MASK = 3,
	NUMBER_BYTES_MASK = 0x03, /* of the first byte: one less */
	PROTECTED_MASK = 0x0f,	  /* of the first byte, long headers */
};

struct version {
	uint32_t number;
	uint8_t initial; /* how the type is written; the others follow */
	uint8_t salt[SALT_BYTES];
	const char *key, *iv, *hp;
};

static const struct version
	versions[] = {
		{ .number = QUIC_V1,
		  .initial = 0,
		  .salt = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
			    0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
			    0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a },
		  .key = "quic key",
		  .iv = "quic iv",
		  .hp = "quic hp" },
		{ .number = QUIC_V2,
		  .initial = 1,
		  .salt = { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6,
			    0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
			    0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 },
		  .key = "quicv2 key",
		  .iv = "quicv2 iv",
		  .hp = "quicv2 hp" },
	};

static const struct version *find_version(uint32_t number)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (versions[i].number == number)
			return &versions[i];
	return NULL;
}

bool quic_version_is_known(uint32_t version)
{
	return find_version(version) != NULL;
}

enum quic_type quic_type_of(uint32_t version, uint8_t first)
{
	const struct version *v = find_version(version);

	assert(v);
	return (enum quic_type)(((first >> TYPE_SHIFT) - v->initial) &
				TYPE_MASK);
}

/* --- keys ---------------------------------------------------------------- */

/* HKDF-Expand-Label of RFC 8446, section 7.1, without a context. */
static void expand_label(const struct hmac_sha256_ctx *secret,
			 const char *label, uint8_t *out, size_t len)
{
	static const char prefix[] = "tls13 ";
	struct hmac_sha256_ctx mac = *secret;
	uint8_t info[2 + 1 + sizeof(prefix) + LABEL_MAX + 1];
	size_t label_len = strlen(label), at = 0;

	assert(label_len <= LABEL_MAX);
	info[at++] = 0;
	info[at++] = (uint8_t)len;
	info[at++] = (uint8_t)(sizeof(prefix) - 1 + label_len);
	memcpy(info + at, prefix, sizeof(prefix) - 1);
	at += sizeof(prefix) - 1;
	memcpy(info + at, label, label_len);
	at += label_len;
	info[at++] = 0;
	hkdf_expand(&mac, (nettle_hash_update_func *)hmac_sha256_update,
		    (nettle_hash_digest_func *)hmac_sha256_digest,
		    SHA256_DIGEST_SIZE, at, info, len, out);
}

void quic_keys_derive(uint32_t version, const uint8_t *cid, size_t cid_len,
		      struct quic_keys *out)
{
	const struct version *v = find_version(version);
	uint8_t secret[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx mac;

	assert(v);
	hmac_sha256_set_key(&mac, SALT_BYTES, v->salt);
	hkdf_extract(&mac, (nettle_hash_update_func *)hmac_sha256_update,
		     (nettle_hash_digest_func *)hmac_sha256_digest,
		     SHA256_DIGEST_SIZE, cid_len, cid, secret);
	hmac_sha256_set_key(&mac, sizeof(secret), secret);
	expand_label(&mac, "client in", secret, sizeof(secret));
	hmac_sha256_set_key(&mac, sizeof(secret), secret);
	expand_label(&mac, v->key, out->key, sizeof(out->key));
	expand_label(&mac, v->iv, out->iv, sizeof(out->iv));
	expand_label(&mac, v->hp, out->hp, sizeof(out->hp));
}

/* --- packets ------------------------------------------------------------- */

/* Header protection, RFC 9001 section 5.4: off.  Returns the end of the
 * header. */
static size_t clear_header(const struct quic_keys *k, uint8_t *packet,
			   size_t number_at)
{
	uint8_t mask[AES_BLOCK_SIZE];
	struct aes128_ctx aes;
	size_t count;

	aes128_set_encrypt_key(&aes, k->hp);
	aes128_encrypt(&aes, sizeof(mask), mask,
		       packet + number_at + SAMPLE_AT);
	packet[0] ^= mask[0] & PROTECTED_MASK;
	count = (packet[0] & NUMBER_BYTES_MASK) + 1u;
	for (size_t i = 0; i < count; i++)
		packet[number_at + i] ^= mask[1 + i];
	return number_at + count;
}

/*
 * The number is taken as it is written, not completed: a client that has no
 * acknowledgement yet writes all of it (RFC 9000, section A.2), and later
 * ones fit in a byte for longer than we listen.
 */
static void make_nonce(const struct quic_keys *k, const uint8_t *number,
		       size_t count, uint8_t nonce[GCM_IV_SIZE])
{
	static_assert(sizeof(k->iv) == GCM_IV_SIZE, "the nonce is the iv's");
	memcpy(nonce, k->iv, GCM_IV_SIZE);
	for (size_t i = 0; i < count; i++)
		nonce[GCM_IV_SIZE - count + i] ^= number[i];
}

size_t quic_open(const struct quic_keys *k, const uint8_t *packet, size_t len,
		 size_t number_at, uint8_t out[QUIC_PACKET_MAX],
		 const uint8_t **payload)
{
	uint8_t nonce[GCM_IV_SIZE], tag[TAG_BYTES];
	struct gcm_aes128_ctx gcm;
	size_t header, body;

	if (len > QUIC_PACKET_MAX || len < number_at ||
	    len - number_at < SAMPLE_AT + SAMPLE_BYTES)
		return 0;
	memcpy(out, packet, len);
	header = clear_header(k, out, number_at);
	body = len - header - TAG_BYTES;
	make_nonce(k, out + number_at, header - number_at, nonce);
	gcm_aes128_set_key(&gcm, k->key);
	gcm_aes128_set_iv(&gcm, sizeof(nonce), nonce);
	gcm_aes128_update(&gcm, header, out);
	gcm_aes128_decrypt(&gcm, body, out + header, out + header);
	gcm_aes128_digest(&gcm, sizeof(tag), tag);
	if (!memeql_sec(tag, packet + len - TAG_BYTES, sizeof(tag)))
		return 0;
	*payload = out + header;
	return body;
}
