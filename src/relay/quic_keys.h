/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_keys.h - what is different in QUIC 1 and 2, and how Initials open.
 *
 * The keys of Initial packets follow from the version and from the connection
 * id that the client chose for the server (RFC 9001 section 5.2, RFC 9369
 * section 3.3): they keep nothing secret, but tell a real packet from noise.
 * Only the client's side is here.
 */
#ifndef WL_RELAY_QUIC_KEYS_H
#define WL_RELAY_QUIC_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUIC_V1 = 1,
	QUIC_V2 = 0x6b3343cf,
	QUIC_CID_MAX = 20, /* of versions 1 and 2 */
	/* Longer Initials are not opened.  Clients begin with what every path
	 * carries, long before they know of larger ones. */
	QUIC_PACKET_MAX = 4096,
};

/* Of packets with a long header. */
enum quic_type { QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY };

struct quic_keys {
	uint8_t key[16], iv[12], hp[16];
};

bool quic_version_is_known(uint32_t version);
/* `first`: the first byte of the packet.  The version is a known one. */
enum quic_type quic_type_of(uint32_t version, uint8_t first);

/* What the client's Initials are protected with.  The version is known. */
void quic_keys_derive(uint32_t version, const uint8_t *cid, size_t cid_len,
		      struct quic_keys *out);

/*
 * packet[0..len): one packet whose packet number begins at `number_at`.  Puts
 * the header and, behind it, the payload in the clear into `out`; *payload
 * points to it.  Returns its length; 0: these are not its keys, or it is no
 * packet.
 */
size_t quic_open(const struct quic_keys *k, const uint8_t *packet, size_t len,
		 size_t number_at, uint8_t out[QUIC_PACKET_MAX],
		 const uint8_t **payload);

#endif
