/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_life.h - what a segment tells about the life of its connection.
 *
 * The program removes an entry for one reason only: a SYN of a new connection.
 * All else is noted for user space, which ends what has ended.
 *
 * Anybody may send a FIN or RST with the addresses of a flow, so they are noted
 * only where the far end could take them: at or above what it has acknowledged,
 * and at most END_RANGE beyond it.  A guess hits once in 256 tries.  They are
 * sent on in any case: the far end judges by itself.  An end that takes a RST
 * falls silent; one that does not goes on, and takes the note back.
 *
 * Legs with addresses of their own have their other way in another entry.  It
 * is looked for only on FIN, RST and SYN; that its note may have to be taken
 * back is noted with the way that does it (WL_CUT_OBJECTS).
 */
#ifndef WL_BPF_CUT_LIFE_H
#define WL_BPF_CUT_LIFE_H

#include "cut_tcp.h"

enum { END_RANGE = 1 << 24 }; /* 64 KiB with a window scale of 8 */

/* --- the other way ------------------------------------------------------- */

static __always_inline struct wl_cut_way *partner_way(const struct view *v,
						      const struct wl_cut *cut)
{
	const struct view_ports ports = { cut->to.sport, cut->to.dport };
	struct wl_cut_key key __attribute__((aligned(8))) = {
		.proto = v->key.proto,
		.family = v->key.family,
	};
	struct wl_cut *partner;
	__u32 side = key_fill(&key, (const __u32 *)cut->to.src,
			      (const __u32 *)cut->to.dst, ports, 4);

	partner = bpf_map_lookup_elem(&cuts, &key);
	return partner ? way_of(partner, !side) : NULL; /* it sends to us */
}

/* NULL: it is gone. */
static __noinline struct wl_cut_way *other_way(const struct view *v,
					       struct wl_cut *cut)
{
	return is_readdressed(cut) ? partner_way(v, cut) : &cut->way[!v->side];
}

/* --- FIN and RST --------------------------------------------------------- */

/* Could the far end take something at this number?  Its acknowledgements are
 * in numbers of its own leg; ack_add makes arriving ones of them. */
static __always_inline bool is_takable(const struct wl_cut_way *other,
				       __u32 number)
{
	return number - (other->ack + other->ack_add) <= END_RANGE;
}

static __noinline int note_end(const struct view *v, struct wl_cut *cut,
			       struct wl_cut_way *way, const struct segment *s)
{
	struct wl_cut_way *other = other_way(v, cut);
	__u32 behind = s->seq + s->payload;

	if (!other)
		return 0;
	if ((s->flags & TCP_FIN) && is_takable(other, behind)) {
		way->fin = behind + 1;
		mark_set(way, WL_CUT_FIN);
	}
	if ((s->flags & TCP_RST) && is_takable(other, s->seq)) {
		mark_set(way, WL_CUT_RESET);
		if (is_readdressed(cut))
			mark_set(other, WL_CUT_OBJECTS);
	}
	return 0;
}

/* This end is alive: a RST of the other one did not reach it, or it did not
 * take it. */
static __noinline int object(const struct view *v, struct wl_cut *cut,
			     struct wl_cut_way *way)
{
	struct wl_cut_way *other = other_way(v, cut);

	mark_clear(way, WL_CUT_OBJECTS);
	if (other)
		mark_clear(other, WL_CUT_RESET);
	return 0;
}

static __always_inline bool has_to_object(const struct view *v,
					  const struct wl_cut *cut,
					  const struct wl_cut_way *way)
{
	if (is_readdressed(cut))
		return way->marks & WL_CUT_OBJECTS;
	return cut->way[!v->side].marks & WL_CUT_RESET;
}

/* --- each segment -------------------------------------------------------- */

static __always_inline void note_seen(struct wl_cut_way *way,
				      const struct segment *s, __u32 now_s)
{
	if (way->seen_s != now_s)
		way->seen_s = now_s;
	if ((s->flags & TCP_ACK) && is_before(way->ack, s->ack))
		way->ack = s->ack;
}

static __always_inline void note_segment(const struct view *v,
					 struct wl_cut *cut,
					 struct wl_cut_way *way,
					 const struct segment *s, __u32 now_s)
{
	note_seen(way, s, now_s);
	if (s->flags & (TCP_FIN | TCP_RST))
		(void)note_end(v, cut, way, s); /* always 0 */
	if (!(s->flags & TCP_RST) && has_to_object(v, cut, way))
		(void)object(v, cut, way); /* always 0 */
}

/* --- SYN ----------------------------------------------------------------- */

static __always_inline bool is_over(const struct wl_cut_way *way,
				    const struct wl_cut_way *other)
{
	if (way->marks & WL_CUT_RESET)
		return true;
	if (!other) /* ended already */
		return way->marks & WL_CUT_FIN;
	return (other->marks & WL_CUT_RESET) ||
	       (way->marks & other->marks & WL_CUT_FIN);
}

/* A new connection between the same ends, or a stray.  Of legs with addresses
 * of their own only this entry is removed: what comes on the other one is
 * judged when it comes. */
static __noinline int meet_syn(const struct view *v, struct wl_cut *cut,
			       struct wl_cut_way *way)
{
	if (!is_over(way, other_way(v, cut)))
		return drop(WL_CUT_COUNT_dropped_syn);
	(void)bpf_map_delete_elem(&cuts, &v->key); /* else another CPU has */
	return pass(WL_CUT_COUNT_reopened);
}

#endif
