/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fragment.h - later fragments do as the first one of their datagram did.
 *
 * Only the first fragment has ports.  What it got is kept by (source,
 * destination, id, protocol) until the table's oldest entries go.  A fragment
 * that is ahead of its first one goes by what must become of it whatever the
 * ports are; else by what became of the last fragmented datagram between the
 * two addresses; else on-failure decides.
 *
 * Listeners are not assigned to fragments, reassembly would lose them: the
 * sk_lookup program names them afterwards (lab/kernel/test_K02_fragments.py).
 */
#ifndef WL_BPF_FRAGMENT_H
#define WL_BPF_FRAGMENT_H

#include "select.h"

enum fate { FATE_PASS = 1, FATE_STAY, FATE_DROP };

/* One datagram, or, without an id, all between two addresses. */
static __always_inline void datagram_fill(const struct packet *p, bool is_pair,
					  struct wl_datagram *d)
{
	__builtin_memset(d, 0, sizeof(*d));
	__builtin_memcpy(d->src, p->src, sizeof(d->src));
	__builtin_memcpy(d->dst, p->dst, sizeof(d->dst));
	d->proto = p->fragment_proto;
	d->pad[0] = is_pair;
	d->id = is_pair ? 0 : p->fragment_id;
}

/* A first fragment met its fate. */
static __always_inline void fragment_note(const struct packet *p, __u32 fate)
{
	struct wl_datagram key;

	datagram_fill(p, false, &key);
	(void)bpf_map_update_elem(&fragments, &key, &fate, BPF_ANY);
	datagram_fill(p, true, &key);
	(void)bpf_map_update_elem(&fragments, &key, &fate, BPF_ANY);
}

/* 0: its first one was not seen. */
static __always_inline __u32 fragment_fate(const struct packet *p, bool is_pair)
{
	struct wl_datagram key;
	__u32 *fate;

	datagram_fill(p, is_pair, &key);
	fate = bpf_map_lookup_elem(&fragments, &key);
	return fate ? *fate : 0;
}

static __always_inline __u32 fate_of(enum wl_action action)
{
	if (action == WL_PASS)
		return FATE_PASS;
	return action == WL_RELAY || action == WL_DELIVER ? FATE_STAY
							  : FATE_DROP;
}

/* What the first fragment got, as its verdict and its mark show. */
static __always_inline int fragment_settle(struct __sk_buff *skb,
					   const struct packet *p, int verdict)
{
	__u32 fate = skb->mark & mark_mask ? FATE_STAY
		     : verdict == NEXT	   ? FATE_PASS
					   : FATE_DROP;

	if (p->is_fragment)
		fragment_note(p, fate);
	return verdict;
}

static __always_inline int fragment_meet(struct __sk_buff *skb, __u32 fate)
{
	if (fate == FATE_STAY)
		return stay(skb, WL_COUNT_taken_fragment);
	if (fate == FATE_DROP)
		return drop(WL_COUNT_dropped_rule);
	return pass(WL_COUNT_passed_direct);
}

static __always_inline int fragment_later(struct __sk_buff *skb,
					  const struct packet *p, __u32 ifindex)
{
	__u32 fate = fragment_fate(p, false);
	struct decision d;

	if (fate)
		return fragment_meet(skb, fate);
	decide(p, ifindex, 0, &d);
	if (d.is_certain && d.action != WL_PASS)
		return fragment_meet(skb, fate_of(d.action));
	fate = fragment_fate(p, true);
	if (fate)
		return fragment_meet(skb, fate);
	if (d.is_certain)
		return pass(d.cause);
	return is_closed ? drop(WL_COUNT_dropped_fragment)
			 : pass(WL_COUNT_passed_fragment);
}

#endif
