/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_fuzz.h - a connection whose datagrams a fuzzer makes.
 *
 * After each datagram the reader is looked into: what it keeps of the
 * handshake lies inside its memory, sorted, with gaps between.
 */
#ifndef WL_RELAY_NAME_QUIC_FUZZ_H
#define WL_RELAY_NAME_QUIC_FUZZ_H

#include "relay/name_fuzz.h"
#include "relay/name_quic.h"

#include <assert.h>

struct fuzz_quic { /* zeros: nothing sent, and MORE */
	struct name_quic reader;
	enum name_result result;
	char name[HOST_TEXT_MAX];
};

static_assert(NAME_MORE == 0, "a connection begins with it");

static inline void fuzz_expect_ranges(const struct name_quic *q)
{
	size_t least = 0;

	if (q->range_count > QUIC_RANGES_MAX)
		abort();
	for (size_t i = 0; i < q->range_count; i++) {
		if (q->ranges[i].first < least ||
		    q->ranges[i].first >= q->ranges[i].end)
			abort();
		least = q->ranges[i].end + 1u;
	}
	if (least > QUIC_CRYPTO_MAX + 1)
		abort();
}

/* A name is that of a whole ClientHello from the beginning. */
static inline void fuzz_expect_hello(const struct fuzz_quic *f)
{
	const struct name_quic *q = &f->reader;
	char name[HOST_TEXT_MAX];

	if (!q->range_count || q->ranges[0].first ||
	    fuzz_read(name_hello, q->crypto, q->ranges[0].end, name) !=
		    NAME_FOUND ||
	    strcmp(name, f->name) != 0)
		abort();
	fuzz_expect_normal(f->name);
}

static inline void fuzz_hand_in(struct fuzz_quic *f, const uint8_t *bytes,
				size_t len)
{
	uint8_t *copy;

	if (f->result != NAME_MORE)
		return;
	copy = malloc(len + !len);
	if (!copy)
		abort();
	if (len)
		memcpy(copy, bytes, len);
	(void)name_is_quic(copy, len); /* any answer is right */
	f->result = name_quic(&f->reader, copy, len, f->name);
	free(copy);
	fuzz_expect_ranges(&f->reader);
	if (f->reader.dgrams > QUIC_DGRAMS_MAX ||
	    (f->result == NAME_MORE && f->reader.dgrams == QUIC_DGRAMS_MAX))
		abort();
	if ((f->result == NAME_FOUND) != (f->name[0] != '\0'))
		abort();
	if (f->result == NAME_FOUND)
		fuzz_expect_hello(f);
}

#endif
