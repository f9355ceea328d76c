/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * match.h - which selection decides about a packet.
 *
 * Every dimension (interface, source, destination, port with protocol) allows
 * a set of selections; the first one that all allow decides.  The number of
 * selections and of prefixes does not matter for how long that takes.
 * The look-ups themselves are select.h's.  Compiles natively too.
 */
#ifndef WL_BPF_MATCH_H
#define WL_BPF_MATCH_H

#include "abi/data_plane.h"

enum { MATCH_NONE = -1 };

/* Index of the lowest bit: each power of two moves another six bits of a
 * de Bruijn sequence to the top.  The instruction set has no such instruction,
 * and branches would multiply what the verifier has to walk. */
static __always_inline int match_lowest(__u64 word)
{
	static const __u8 index[64] = {
		0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28,
		62, 5,	39, 46, 44, 42, 22, 9,	24, 35, 59, 56, 49, 18, 29, 11,
		63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21, 23, 58, 17, 10,
		51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
	};

	return index[((word & -word) * 0x022fdd63cc95386dull) >> 58];
}

/* `words`: how many of them any selection uses. */
static __always_inline int match_first(const struct wl_bits *const dims[],
				       int count, __u32 words)
{
	for (__u32 i = 0; i < WL_BITS_WORDS && i < words; i++) {
		__u64 word = ~(__u64)0;

		for (int d = 0; d < count; d++)
			word &= dims[d]->word[i];
		if (word)
			return (int)(i * 64) + match_lowest(word);
	}
	return MATCH_NONE;
}

#endif
