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
 * Memory is this struct and no more.  Cryptography is nettle's.
 */
#ifndef WL_RELAY_NAME_QUIC_H
#define WL_RELAY_NAME_QUIC_H

#include "relay/name.h"

enum {
	QUIC_CRYPTO_MAX = 8 << 10, /* bytes of CRYPTO that are kept (>= 4096) */
	QUIC_DGRAMS_MAX = 16,	   /* then there is no name */
	QUIC_RANGES_MAX = 16,	   /* pieces with gaps between them */
};

struct name_quic { /* zeros: nothing seen */
	uint8_t dgrams;
	uint8_t range_count;
	struct {
		uint16_t first, end;
	} ranges[QUIC_RANGES_MAX]; /* of `crypto`, that are filled; sorted */
	uint8_t crypto[QUIC_CRYPTO_MAX];
};

/* Does this first datagram begin a QUIC connection?  Long header, Initial of a
 * known version, or any other version in a datagram of at least 1200 bytes. */
bool name_is_quic(const uint8_t *bytes, size_t len);

/* The next datagram of the client.  Not called again after FOUND or NONE. */
enum name_result name_quic(struct name_quic *q, const uint8_t *bytes,
			   size_t len, char out[HOST_TEXT_MAX]);

#endif
