/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_tcp.h - a TCP segment: what it says, and how it is rewritten.
 *
 * Most segments have no options, or NOP NOP timestamps: those are rewritten in
 * place.  For the others the header is copied, walked (cut_options.h), and
 * stored.
 *
 * Checksums are changed by the difference alone, which is right for all of
 * them: a finished one, one that covers the pseudo header only and is left to
 * hardware (CHECKSUM_PARTIAL, and packets of many segments with it), and one
 * that was verified as a sum over all bytes (CHECKSUM_COMPLETE: that sum stays
 * what it is, since the header's changes by the opposite).
 */
#ifndef WL_BPF_CUT_TCP_H
#define WL_BPF_CUT_TCP_H

#include "cut_options.h"
#include "cut_view.h"

enum {
	SEGMENT_WORDS = 4, /* ports, seq, ack, the rest */
	SEGMENT_URG = 32,
	SEGMENT_ECE = 64,
	SEGMENT_CWR = 128,
	TCP_CHECK_AT = 16,
	USUAL_BYTES = TCP_HEADER_BYTES + 12, /* with NOP NOP timestamps */
	USUAL_OPTIONS = 0x0101080a,
};

enum options_kind {
	OPTIONS_NONE,
	OPTIONS_USUAL, /* NOP NOP timestamps */
	OPTIONS_OTHER,
};

struct segment {
	__u32 w[SEGMENT_WORDS];		/* as they came */
	__u32 seq, ack, payload, bytes; /* bytes: of the header */
	__u8 flags;
	enum options_kind options;
};

static __always_inline void diff_add(__u64 *diff, __u32 from, __u32 to)
{
	*diff += to;
	*diff += (__u32)~from;
}

/* As helpers take it: 32 bits. */
static __always_inline __u32 diff_fold(__u64 diff)
{
	diff = (diff & 0xffffffff) + (diff >> 32);
	diff = (diff & 0xffffffff) + (diff >> 32);
	return (__u32)diff;
}

/* --- reading ------------------------------------------------------------- */

static __always_inline bool segment_words(struct __sk_buff *skb,
					  const struct view *v, __u32 *w)
{
	__u32 at = v->link_bytes + v->transport;
	const __u32 *in;

	if (!v->is_plain)
		return !bpf_skb_load_bytes_relative(skb, v->transport, w,
						    SEGMENT_WORDS * 4,
						    BPF_HDR_START_NET);
	if (!has_head(skb, at + TCP_HEADER_BYTES))
		return false;
	in = head_at(skb, at, TCP_HEADER_BYTES);
	if (!in)
		return false;
	for (int i = 0; i < SEGMENT_WORDS; i++)
		w[i] = in[i];
	return true;
}

static __always_inline enum options_kind segment_options(struct __sk_buff *skb,
							 const struct view *v,
							 __u32 bytes)
{
	__u32 at = v->link_bytes + v->transport;
	const __u32 *in;

	if (!v->is_plain)
		return OPTIONS_OTHER;
	if (bytes == TCP_HEADER_BYTES)
		return OPTIONS_NONE;
	if (bytes != USUAL_BYTES || !has_head(skb, at + USUAL_BYTES))
		return OPTIONS_OTHER;
	in = head_at(skb, at, USUAL_BYTES);
	return in && in[5] == bpf_htonl(USUAL_OPTIONS) ? OPTIONS_USUAL
						       : OPTIONS_OTHER;
}

/* False: cut short. */
static __always_inline bool segment_read(struct __sk_buff *skb,
					 const struct view *v,
					 struct segment *s)
{
	__u32 rest;

	if (!segment_words(skb, v, s->w))
		return false;
	rest = bpf_ntohl(s->w[3]);
	s->seq = bpf_ntohl(s->w[1]);
	s->ack = bpf_ntohl(s->w[2]);
	s->bytes = rest >> 28 << 2;
	s->flags = rest >> 16;
	if (s->bytes < TCP_HEADER_BYTES || v->len < v->transport + s->bytes)
		return false;
	s->payload = v->len - v->transport - s->bytes;
	s->options = segment_options(skb, v, s->bytes);
	return true;
}

/* The header, with its options rewritten as the way wants them. */
static __noinline int header_read(struct __sk_buff *skb, const struct view *v,
				  const struct segment *s,
				  const struct wl_cut_way *way)
{
	struct header *h = header_begin();
	__u32 len = s->bytes;

	if (!h)
		return -1;
	__builtin_memset(h, 0, sizeof(*h));
	barrier_var(len); /* verifier: the same register is checked */
	if (len < TCP_HEADER_BYTES || len > HEADER_MAX ||
	    bpf_skb_load_bytes_relative(skb, v->transport, h->bytes, len,
					BPF_HDR_START_NET))
		return -1;
	__builtin_memcpy(h->old, h->bytes, sizeof(h->old));
	h->len = len;
	h->adds = way->ack_add;
	h->ts_add = way->ts_add;
	h->echo_add = way->echo_add;
	h->how = way->how;
	h->has_ack = s->flags & TCP_ACK;
	return walk_options(h);
}

/* --- rewriting ----------------------------------------------------------- */

static __always_inline __u32 window_shift(__u32 window, int shift)
{
	if (shift < 0)
		return window >> (-shift & 15);
	window <<= shift & 15;
	return window > 0xffff ? 0xffff : window;
}

/* Another acknowledgement is sent on than what came, which is `ahead` of it:
 * the window ends where it did.  One that ended earlier would be shrunk, and an
 * end that has sent more than that gives its acknowledgements a number that the
 * other one has long had, and throws away. */
static __always_inline __u32 window_move(const struct wl_cut_way *way,
					 __u32 window, __s32 ahead)
{
	__u32 scale = way->how >> WL_CUT_SCALE_SHIFT;

	window = (window << scale) + (__u32)ahead;
	if ((__s32)window < 0)
		return 0;
	window >>= (scale - (__u32)way->shift) & 15;
	return window > 0xffff ? 0xffff : window;
}

/* Flags and window, in host order. */
static __always_inline __u32 rest_change(const struct wl_cut_way *way,
					 __u32 rest, __s32 ahead)
{
	__u32 window = rest & 0xffff;

	if (way->how & WL_CUT_NO_ECN)
		rest &= ~((__u32)(SEGMENT_ECE | SEGMENT_CWR) << 16);
	window = ahead ? window_move(way, window, ahead)
		       : window_shift(window, way->shift);
	return (rest & 0xffff0000) | window;
}

/* An acknowledgement below the edge would be about bytes that the far end has
 * acknowledged to our socket, not to this end. */
static __always_inline bool is_below_edge(const struct wl_cut_way *way,
					  const struct segment *s)
{
	return way->is_draining && (s->flags & TCP_ACK) &&
	       is_before(s->ack, way->edge);
}

/* Nor one that is so far ahead of our other socket that its end would not hear
 * that socket any more. */
static __always_inline __u32 ack_sent_on(const struct wl_cut_way *way,
					 const struct segment *s)
{
	__u32 edge = way->edge;

	if (is_below_edge(way, s))
		return edge;
	if (way->is_draining && (s->flags & TCP_ACK) &&
	    s->ack - edge > WL_CUT_AHEAD_MAX)
		return edge + WL_CUT_AHEAD_MAX;
	return s->ack;
}

static __always_inline void segment_change(const struct wl_cut *cut,
					   const struct wl_cut_way *way,
					   const struct segment *s, __u32 *out)
{
	__u32 ack = ack_sent_on(way, s);

	out[0] = is_readdressed(cut) ? *(const __u32 *)&cut->to.sport : s->w[0];
	out[1] = bpf_htonl(s->seq + way->seq_add);
	out[2] = s->flags & TCP_ACK ? bpf_htonl(ack + way->ack_add) : s->w[2];
	out[3] = bpf_htonl(
		rest_change(way, bpf_ntohl(s->w[3]), (__s32)(s->ack - ack)));
}

static __always_inline void timestamps_change(const struct wl_cut_way *way,
					      const struct segment *s,
					      __u32 *option, __u64 *diff)
{
	__u32 tsval = bpf_htonl(bpf_ntohl(option[1]) + way->ts_add);
	__u32 echo = option[2];

	if (!(way->how & WL_CUT_TIMESTAMPS))
		return;
	if ((s->flags & TCP_ACK) && echo)
		echo = bpf_htonl(bpf_ntohl(echo) + way->echo_add);
	diff_add(diff, option[1], tsval);
	diff_add(diff, option[2], echo);
	option[1] = tsval;
	option[2] = echo;
}

/* In place.  False: the header is not there. */
static __always_inline bool rewrite_usual(struct __sk_buff *skb,
					  const struct view *v,
					  const struct wl_cut_way *way,
					  const struct segment *s,
					  const __u32 *words)
{
	__u32 at = v->link_bytes + v->transport, *w;
	__u64 diff = 0;

	if (s->options == OPTIONS_USUAL) {
		w = head_at(skb, at, USUAL_BYTES);
		if (!w)
			return false;
		timestamps_change(way, s, w + 5, &diff);
	}
	w = head_at(skb, at, TCP_HEADER_BYTES);
	if (!w)
		return false;
	for (int i = 0; i < SEGMENT_WORDS; i++) {
		diff_add(&diff, s->w[i], words[i]);
		w[i] = words[i];
	}
	return !bpf_l4_csum_replace(skb, at + TCP_CHECK_AT, 0, diff_fold(diff),
				    0);
}

/* By the copy that header_read() has made. */
static __noinline int rewrite_other(struct __sk_buff *skb, const struct view *v,
				    const __u32 *words)
{
	__u32 at = v->link_bytes + v->transport, len;
	struct header *h = header_begin();
	__s64 diff;

	if (!h)
		return -1;
	len = h->len;
	barrier_var(len); /* verifier: the same register is checked */
	if (len < TCP_HEADER_BYTES || len > HEADER_MAX)
		return -1;
	__builtin_memcpy(h->bytes, words, SEGMENT_WORDS * 4);
	diff = bpf_csum_diff((void *)h->old, sizeof(h->old), (void *)h->bytes,
			     sizeof(h->bytes), 0);
	if (bpf_skb_store_bytes(skb, at, h->bytes, len, 0))
		return -1;
	return (int)bpf_l4_csum_replace(skb, at + TCP_CHECK_AT, 0, (__u32)diff,
					0);
}

#endif
