/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_intervals.h - nested IPv4 prefixes as a flat, indexed list of intervals.
 *
 * Intervals are sorted and disjoint and cover every address.  Each /16 is a
 * bucket, which begins with an interval of its own: its bucket and the lower
 * 16 bits say where an interval starts, and a look-up (bpf/interval.h) never
 * leaves a bucket.  Neighbours within a bucket differ in their class.
 *
 * Pure: prefixes in, arrays out, with as many steps as there are prefixes and
 * buckets.
 */
#ifndef WL_ENGINE_BPF_INTERVALS_H
#define WL_ENGINE_BPF_INTERVALS_H

#include "abi/data_plane.h"
#include "engine/bpf_tables.h"

struct bpf_intervals {
	struct wl_bucket *buckets; /* WL_BUCKETS */
	struct wl_interval *of;
	size_t count; /* WL_BUCKETS at least */
};

/* 0 or -ENOMEM.  `from`: of the family IPv4. */
int bpf_intervals_make(const struct bpf_prefixes *from,
		       struct bpf_intervals *out);
void bpf_intervals_done(struct bpf_intervals *i); /* zeros are allowed */

#endif
