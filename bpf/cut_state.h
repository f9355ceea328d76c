/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_state.h - the maps, settings and verdicts of cut-through.
 *
 * The object is independent of the one of the ebpf engine: it does not know
 * any configuration, only flows (abi/cut.h).  Sizes that say 1 are set before
 * the load.
 *
 * A way is written by the CPU that has its packet, and sometimes by that of the
 * other end's.  Single stores suffice but for its marks and bytes: those are
 * changed by atomic operations.  Link addresses are twelve bytes and three
 * stores: when a neighbour has moved, a packet of that very moment may get half
 * of them, and is lost.  An entry that is removed may be another flow's before
 * the program that has its packet is through: the kernel does not wait.  What
 * the other flow gets then is a time, an acknowledgement or a mark too much.
 */
#ifndef WL_BPF_CUT_STATE_H
#define WL_BPF_CUT_STATE_H

#include "parse.h"

#include <stddef.h>

#include <linux/pkt_cls.h>

#include "abi/cut.h"

const volatile __u32 own_mark = 0; /* of packets that engines leave alone */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wl_cut_key);
	__type(value, struct wl_cut);
} cuts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WL_CUT_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} cut_counters SEC(".maps");

static __always_inline void count(enum wl_cut_counter cause)
{
	__u32 key = cause;
	__u64 *n = bpf_map_lookup_elem(&cut_counters, &key);

	if (n)
		++*n;
}

/* --- verdicts ------------------------------------------------------------ */

enum {
	NEXT = TC_ACT_UNSPEC, /* the next program on the hook, or the kernel */
	DROP = TC_ACT_SHOT,
};

static __always_inline int pass(enum wl_cut_counter cause)
{
	count(cause);
	return NEXT;
}

/* To the kernel, past all engines. */
static __always_inline int pass_own(struct __sk_buff *skb,
				    enum wl_cut_counter cause)
{
	skb->mark = own_mark;
	return pass(cause);
}

static __always_inline int drop(enum wl_cut_counter cause)
{
	count(cause);
	return DROP;
}

/* --- marks --------------------------------------------------------------- */

/* There are no atomic operations on a byte: it is one of a word of four. */
_Static_assert(offsetof(struct wl_cut_way, how) % 4 == 0 &&
		       offsetof(struct wl_cut_way, marks) ==
			       offsetof(struct wl_cut_way, how) + 1,
	       "marks is the second byte of a word");
enum {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	MARKS_SHIFT = 8,
#else
	MARKS_SHIFT = 16,
#endif
};

static __always_inline __u32 *marks_word(struct wl_cut_way *way)
{
	return (__u32 *)&way->how;
}

static __always_inline void mark_set(struct wl_cut_way *way, __u8 marks)
{
	if ((way->marks & marks) != marks)
		__sync_fetch_and_or(marks_word(way),
				    (__u32)marks << MARKS_SHIFT);
}

static __always_inline void mark_clear(struct wl_cut_way *way, __u8 marks)
{
	if (way->marks & marks)
		__sync_fetch_and_and(marks_word(way),
				     ~((__u32)marks << MARKS_SHIFT));
}

/* --- ways ---------------------------------------------------------------- */

static __always_inline bool is_readdressed(const struct wl_cut *cut)
{
	return cut->shape & WL_CUT_READDRESSED;
}

/* The way of the packets that come from this side (0: low, 1: high), or NULL:
 * the entry has none for it. */
static __always_inline struct wl_cut_way *way_of(struct wl_cut *cut, __u32 side)
{
	if (!is_readdressed(cut))
		return &cut->way[side & 1];
	return !side == !!(cut->shape & WL_CUT_LOW) ? &cut->only : NULL;
}

/* --- numbers ------------------------------------------------------------- */

static __always_inline bool is_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

/* The coarse clock is as fine as ticks are, and costs no more than a load. */
static __always_inline __u32 now_seconds(void)
{
	return (__u32)(bpf_ktime_get_coarse_ns() / 1000000000);
}

#endif
