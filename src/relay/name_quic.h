/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic.h - the name in the first datagrams of a QUIC connection.
 *
 * Opens Initial packets of version 1 and 2 with the keys that RFC 9001 section
 * 5.2 and RFC 9369 section 3.3 derive from the client's connection id, and
 * puts the CRYPTO frames together: in any order, overlapping, over several
 * packets and datagrams (R-QUIC-1..3, 6).  Other versions are seen to be QUIC
 * and have no name (R-QUIC-5).
 *
 * The keys stay those of the client's first connection id when the server
 * gives it another one, but not after a Retry.  We do not listen to the
 * server: so the keys that opened the last packet are tried first, then those
 * of the packet's own id.
 *
 * Memory is this struct and no more.  Cryptography is nettle's.
 */
#ifndef WL_RELAY_NAME_QUIC_H
#define WL_RELAY_NAME_QUIC_H

#include "relay/name.h"
#include "relay/quic_keys.h"

enum {
	QUIC_CRYPTO_MAX = 8 << 10, /* bytes of CRYPTO that are kept (>= 4096) */
	QUIC_DGRAMS_MAX = 16,	   /* then there is no name */
	QUIC_RANGES_MAX = 32,	   /* pieces with gaps between them */
};

struct name_quic { /* zeros: nothing seen */
	uint8_t dgrams;
	uint8_t range_count;
	bool has_keys;
	uint8_t cid_len;
	uint8_t cid[QUIC_CID_MAX]; /* what `keys` are derived from */
	uint32_t version;	   /* the same */
	struct quic_keys keys;
	struct {
		uint16_t first, end;
	} ranges[QUIC_RANGES_MAX]; /* of `crypto`, that are filled; sorted,
				    * with gaps between them */
	uint8_t crypto[QUIC_CRYPTO_MAX];
};

/* Does this first datagram begin a QUIC connection?  Initial or 0-RTT of a
 * known version, or any other version in a datagram of at least 1200 bytes. */
bool name_is_quic(const uint8_t *bytes, size_t len);

/* The next datagram of the client.  Not called again after FOUND or NONE. */
enum name_result name_quic(struct name_quic *q, const uint8_t *bytes,
			   size_t len, char out[HOST_TEXT_MAX]);

#endif
