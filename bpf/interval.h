/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * interval.h - the class of an IPv4 address, whatever the number of prefixes.
 *
 * A trie costs a cache miss a step, and twenty steps among a million prefixes.
 * Here all addresses stand as intervals in one sorted array, and an index has
 * where those of each /16 begin and how many they are:
 *
 *	index4_*[ip >> 16]	{ first, count }
 *	intervals_*		... [ 0 ][ start ][ start ] [ 0 ] [ 0 ][ start ]
 *				    |<-- one bucket ----->| |<->| |<-- next --
 *
 * The last of a bucket whose start is not above the address has its class; the
 * first starts at 0, so there is one.  A million prefixes spread over the
 * address space make buckets of two or three cache lines.  At worst a bucket
 * has 65536 intervals, and the search 16 steps.
 *
 * Maps and their filling: state.h and src/engine/bpf_intervals.h.
 */
#ifndef WL_BPF_INTERVAL_H
#define WL_BPF_INTERVAL_H

#include "state.h"

enum { BUCKET_STEPS = 16 }; /* halvings from 65536 intervals to one */

static __always_inline const struct wl_interval *interval_at(void *lines,
							     __u32 at)
{
	__u32 key = at / WL_LINE_INTERVALS;
	const struct wl_line *line = bpf_map_lookup_elem(lines, &key);

	return line ? &line->of[at % WL_LINE_INTERVALS] : 0;
}

/* `index` and `lines` are maps of one side, `address` is in network order.
 * verifier: that each look-up finds something is only known to who filled. */
static __always_inline __u32 interval_class(void *index, void *lines,
					    __u32 address)
{
	__u32 ip = bpf_ntohl(address), key = ip >> 16, low = ip & 0xffff;
	const struct wl_bucket *bucket = bpf_map_lookup_elem(index, &key);
	const struct wl_interval *found;
	__u32 first, count;

	if (!bucket)
		return 0;
	first = bucket->first;
	count = bucket->count;
	for (int step = 0; step < BUCKET_STEPS && count > 1; step++) {
		__u32 half = count / 2;

		found = interval_at(lines, first + half);
		if (found && found->start <= low)
			first += half;
		count -= half;
	}
	found = interval_at(lines, first);
	return found ? found->class : 0;
}

#endif
