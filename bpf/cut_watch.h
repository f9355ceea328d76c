/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_watch.h - state WATCH: learn whether and how a flow could be cut.
 *
 * Nothing is changed: the packet goes on as if nothing were here.
 */
#ifndef WL_BPF_CUT_WATCH_H
#define WL_BPF_CUT_WATCH_H

#include "cut_life.h"
#include "cut_route.h"

/* FIN is believed here: a flow that may be ending is not cut. */
static __always_inline void learn_end(struct wl_cut_way *way,
				      const struct segment *s)
{
	if (!(s->flags & TCP_FIN))
		return;
	way->fin = s->seq + s->payload + 1;
	mark_set(way, WL_CUT_FIN);
}

static __always_inline void learn_options(struct __sk_buff *skb,
					  const struct view *v,
					  struct wl_cut_way *way,
					  const struct segment *s)
{
	const struct header *h = header_begin();

	if (!h || s->options == OPTIONS_NONE)
		return;
	if (header_read(skb, v, s, way))
		mark_set(way, WL_CUT_ODD);
	if (!h->has_tsval)
		return;
	way->tsval = h->tsval;
	mark_set(way, WL_CUT_HAS_TSVAL);
}

/* A way is seen when an acknowledgement is: `ack` has no other beginning. */
static __always_inline void learn_tcp(struct __sk_buff *skb,
				      const struct view *v,
				      struct wl_cut_way *way)
{
	struct segment s;

	if (!segment_read(skb, v, &s) || v->is_fragment) {
		mark_set(way, WL_CUT_ODD);
		return;
	}
	if (s.flags & SEGMENT_URG)
		mark_set(way, WL_CUT_URGENT);
	learn_end(way, &s);
	learn_options(skb, v, way, &s);
	if (!(s.flags & TCP_ACK))
		return;
	if (!(way->marks & WL_CUT_SEEN) || is_before(way->ack, s.ack))
		way->ack = s.ack;
	mark_set(way, WL_CUT_SEEN);
}

static __noinline int watch(struct __sk_buff *skb, const struct view *v,
			    struct wl_cut *cut, struct wl_cut_way *way)
{
	struct bpf_redir_neigh nh = {};
	__u32 now_s = now_seconds();

	way->seen_s = now_s;
	if (way->route_s != now_s)
		(void)route_look(skb, v, cut, way, &nh); /* remembered */
	if (v->key.proto == IPPROTO_TCP)
		learn_tcp(skb, v, way);
	else
		mark_set(way, v->is_fragment ? WL_CUT_SEEN | WL_CUT_ODD
					     : WL_CUT_SEEN);
	return pass(WL_CUT_COUNT_watched);
}

#endif
