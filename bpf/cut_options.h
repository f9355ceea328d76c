/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_options.h - TCP options that are rewritten: timestamps and SACK.
 *
 * For headers of any shape, on a copy: walked once, byte by byte where
 * something is changed.  The usual shape, which has timestamps alone, is not
 * seen here (cut_tcp.h).  What is not known stays as it is, and so do a
 * timestamp or SACK option of another length than they must have: receivers
 * do not look at those.
 */
#ifndef WL_BPF_CUT_OPTIONS_H
#define WL_BPF_CUT_OPTIONS_H

#include "cut_state.h"

enum {
	HEADER_MAX = 60, /* of TCP */
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
	TIMESTAMPS_BYTES = 10,
};

/* A TCP header under its work. */
struct header {
	__u8 bytes[HEADER_MAX];
	__u8 old[HEADER_MAX];
	__u32 len;  /* of it */
	__u32 adds; /* to the numbers of SACK blocks */
	__u32 ts_add, echo_add;
	__u32 tsval; /* out: the last one */
	__u8 how;    /* WL_CUT_TIMESTAMPS... */
	bool has_ack;
	bool has_tsval; /* out */
	/* on the walk */
	__u32 at, sack_end, blank_end;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct header);
} header_scratch SEC(".maps"); /* verifier: larger than the stack likes */

static __always_inline struct header *header_begin(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&header_scratch, &zero);
}

static __always_inline __u32 header_get(const struct header *h, __u32 at)
{
	const __u8 *b = h->bytes + at;

	if (at > HEADER_MAX - 4) /* verifier: bounds */
		return 0;
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static __always_inline void header_put(struct header *h, __u32 at, __u32 value)
{
	__u8 *b = h->bytes + at;

	if (at > HEADER_MAX - 4) /* verifier: bounds */
		return;
	b[0] = value >> 24;
	b[1] = value >> 16;
	b[2] = value >> 8;
	b[3] = value;
}

static __always_inline void walk_timestamps(struct header *h, __u32 at)
{
	__u32 echo = header_get(h, at + 6);

	h->tsval = header_get(h, at + 2);
	h->has_tsval = true;
	if (!(h->how & WL_CUT_TIMESTAMPS))
		return;
	header_put(h, at + 2, h->tsval + h->ts_add);
	if (h->has_ack && echo)
		header_put(h, at + 6, echo + h->echo_add);
}

/* The option at `at`, whose kind is neither END nor NOP.  False: cut short. */
static __always_inline bool walk_option(struct header *h, __u32 at)
{
	__u32 kind, len;

	if (at > HEADER_MAX - 2 || at + 2 > h->len)
		return false;
	kind = h->bytes[at];
	len = h->bytes[at + 1];
	if (len < 2 || at + len > h->len)
		return false;
	h->at = at + len;
	if (kind == OPTION_TIMESTAMPS && len == TIMESTAMPS_BYTES)
		walk_timestamps(h, at);
	if (kind != OPTION_SACK || len < 10 || len % 8 != 2)
		return true;
	if (h->how & WL_CUT_NO_SACK)
		h->blank_end = at + len;
	else
		h->sack_end = at + len;
	h->at = h->how & WL_CUT_NO_SACK ? at : at + 2;
	return true;
}

struct walk {
	struct header *h;
	bool is_good;
};

enum { WALK_STEPS_MAX = HEADER_MAX - TCP_HEADER_BYTES + 8, WALK_ENDS = 1 };

/* One step: a byte that becomes NOP, a number of a SACK block, an option.
 * Positions are kept in memory: verifier: it knows nothing of what it reads
 * from there, so that one step is as good as all. */
static long walk_step(__u64 step, struct walk *w)
{
	struct header *h = w->h;
	__u32 at = h->at;

	(void)step; /* unused */
	if (at >= h->len || at >= HEADER_MAX)
		return WALK_ENDS;
	if (at < h->blank_end) {
		h->bytes[at] = OPTION_NOP;
		h->at = at + 1;
	} else if (at < h->sack_end) {
		header_put(h, at, header_get(h, at) + h->adds);
		h->at = at + 4;
	} else if (h->bytes[at] == OPTION_NOP) {
		h->at = at + 1;
	} else if (h->bytes[at] == OPTION_END) {
		return WALK_ENDS;
	} else {
		w->is_good = walk_option(h, at);
		return w->is_good ? 0 : WALK_ENDS;
	}
	return 0;
}

/* Rewrite the options of a header.  0, or -1: they are cut short, and some of
 * them may have been rewritten.  verifier: global functions are walked once,
 * not for each of their callers, and know none: hence the test for NULL.  So is
 * the step of bpf_loop(); that of a loop, once a round. */
__noinline int walk_options(struct header *h)
{
	struct walk w = { .h = h, .is_good = true };

	if (!h)
		return -1;
	h->at = TCP_HEADER_BYTES;
	h->sack_end = h->blank_end = 0;
	(void)bpf_loop(WALK_STEPS_MAX, walk_step, &w, 0); /* how many: no use */
	return w.is_good ? 0 : -1;
}

#endif
