/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_route.h - the way out, and how a packet is put on it.
 *
 * The kernel's tables are asked once a second for each way, as the kernel does
 * it for a packet that it forwards (bpf_fib_lookup(), rules apply, forwarding
 * must be on, the mark is 0).  That packet leaves through the neighbour
 * (bpf_redirect_neigh()), so that it stays confirmed; the others by what was
 * learnt.  As long as no link address is known every packet asks.
 *
 * Devices: bpf_redirect() takes the link header off by itself where the way out
 * has none; where only the way out has one, it is made here.  Both kinds of
 * redirection refuse a packet without link header for a device that has one
 * (net/core/filter.c, __bpf_redirect_common(), __bpf_redirect_neigh()).
 */
#ifndef WL_BPF_CUT_ROUTE_H
#define WL_BPF_CUT_ROUTE_H

#include "cut_view.h"

enum sending {
	SEND_KERNEL, /* own mark, and the kernel forwards it */
	SEND_NEIGH,  /* bpf_redirect_neigh() has been called already */
	SEND_LINK,   /* to the link addresses that are known */
};

enum {
	ROUTE_TOT_LEN = IP4_BYTES, /* any that fits: asks for the MTU */
	ROUTE_AF_INET = 2,
	ROUTE_AF_INET6 = 10,
};

/* Both link addresses of a way, as they stand in a link header. */
struct link_words {
	__u32 w[3];
};

_Static_assert(offsetof(struct wl_cut_way, to) % 4 == 0 &&
		       offsetof(struct wl_cut_way, from) ==
			       offsetof(struct wl_cut_way, to) + ETH_ALEN,
	       "they are read and written as three words");

static __always_inline struct link_words *link_of(struct wl_cut_way *way)
{
	return (struct link_words *)way->to;
}

static __always_inline bool is_link_known(const struct link_words *l)
{
	return l->w[0] | l->w[1] | l->w[2];
}

/* No addresses are needed: `to` is all ones, `from` zeros. */
static __always_inline bool is_link_raw(const struct link_words *l)
{
	return l->w[0] == 0xffffffff && !l->w[2];
}

/* --- asking -------------------------------------------------------------- */

/* Where a packet will be going: addresses of four words. */
struct route_ask {
	const __u32 *src, *dst;
	__u16 sport, dport;
	__u8 proto, family;
};

static __always_inline void route_ask(const struct view *v,
				      const struct wl_cut *cut,
				      struct route_ask *out)
{
	bool is_high = v->side;

	out->proto = v->key.proto;
	out->family = v->key.family;
	if (is_readdressed(cut)) {
		out->src = (const void *)cut->to.src;
		out->dst = (const void *)cut->to.dst;
		out->sport = cut->to.sport;
		out->dport = cut->to.dport;
		return;
	}
	out->src = view_src(v);
	out->dst = view_dst(v);
	out->sport = is_high ? v->key.high_port : v->key.low_port;
	out->dport = is_high ? v->key.low_port : v->key.high_port;
}

static __always_inline void fib_fill(const struct __sk_buff *skb,
				     const struct route_ask *ask,
				     struct bpf_fib_lookup *f)
{
	__builtin_memset(f, 0, sizeof(*f));
	f->family = ask->family ? ROUTE_AF_INET6 : ROUTE_AF_INET;
	f->l4_protocol = ask->proto;
	f->sport = ask->sport;
	f->dport = ask->dport;
	f->tot_len = ROUTE_TOT_LEN;
	f->ifindex = skb->ifindex;
	for (int i = 0; i < 4; i++) {
		f->ipv6_src[i] = ask->src[i];
		f->ipv6_dst[i] = ask->dst[i];
	}
}

/* A neighbour that is not known yet leaves the MTU unsaid: asked again. */
static __always_inline int fib_mtu(const struct __sk_buff *skb,
				   const struct route_ask *ask)
{
	struct bpf_fib_lookup f;

	fib_fill(skb, ask, &f);
	return bpf_fib_lookup((void *)skb, &f, sizeof(f),
			      BPF_FIB_LOOKUP_SKIP_NEIGH)
		       ? 0
		       : f.mtu_result;
}

static __always_inline void link_learn(struct wl_cut_way *way,
				       const struct bpf_fib_lookup *f)
{
	struct link_words *known = link_of(way), now;
	__u8 *bytes = (__u8 *)&now;

	__builtin_memcpy(bytes, f->dmac, ETH_ALEN);
	__builtin_memcpy(bytes + ETH_ALEN, f->smac, ETH_ALEN);
	if (!is_link_known(&now)) /* a device without them */
		__builtin_memset(bytes, 0xff, ETH_ALEN);
	for (int i = 0; i < 3; i++)
		if (known->w[i] != now.w[i])
			known->w[i] = now.w[i];
}

static __always_inline void link_forget(struct wl_cut_way *way)
{
	struct link_words *known = link_of(way);

	known->w[0] = known->w[1] = known->w[2] = 0;
}

/* Ask, and remember the answer in the way; `nh` gets the next hop.  verifier: a
 * function of its own, so that it is walked once for each kind of caller. */
static __noinline int route_look(struct __sk_buff *skb, const struct view *v,
				 struct wl_cut *cut, struct wl_cut_way *way,
				 struct bpf_redir_neigh *nh)
{
	struct bpf_fib_lookup f;
	struct route_ask ask;
	long answer;

	route_ask(v, cut, &ask);
	fib_fill(skb, &ask, &f);
	answer = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	way->route_s = now_seconds();
	if (answer != BPF_FIB_LKUP_RET_SUCCESS &&
	    answer != BPF_FIB_LKUP_RET_NO_NEIGH) {
		mark_clear(way, WL_CUT_ROUTED);
		way->ifindex = 0;
		way->mtu = 0;
		link_forget(way);
		return SEND_KERNEL;
	}
	nh->nh_family = f.family;
	for (int i = 0; i < 4; i++)
		nh->ipv6_nh[i] = f.ipv6_dst[i];
	if (answer == BPF_FIB_LKUP_RET_SUCCESS) {
		link_learn(way, &f);
		way->mtu = f.mtu_result;
	} else {
		link_forget(way);
		way->mtu = fib_mtu(skb, &ask);
	}
	way->ifindex = f.ifindex;
	mark_set(way, WL_CUT_ROUTED);
	return SEND_NEIGH;
}

static __always_inline bool is_route_old(struct wl_cut_way *way, __u32 now_s)
{
	return way->route_s != now_s || !way->ifindex ||
	       !is_link_known(link_of(way));
}

/* How to send a packet of this way.  bpf_redirect_neigh() only notes what is to
 * be done when the program has returned, so it may be called now. */
static __always_inline enum sending route(struct __sk_buff *skb,
					  const struct view *v,
					  struct wl_cut *cut,
					  struct wl_cut_way *way, __u32 now_s)
{
	struct bpf_redir_neigh nh;
	int sending;

	if (!is_route_old(way, now_s))
		return SEND_LINK;
	__builtin_memset(&nh, 0, sizeof(nh));
	sending = route_look(skb, v, cut, way, &nh);
	if (sending == SEND_NEIGH)
		(void)bpf_redirect_neigh(way->ifindex, &nh, sizeof(nh), 0);
	return sending;
}

/* --- sending ------------------------------------------------------------- */

/* In front of a packet that has none. */
static __always_inline bool link_make(struct __sk_buff *skb,
				      const struct link_words *l)
{
	struct {
		struct link_words addresses;
		__u16 protocol;
	} head = { *l, (__u16)skb->protocol };

	return !bpf_skb_change_head(skb, ETH_HLEN, 0) &&
	       !bpf_skb_store_bytes(skb, 0, &head, ETH_HLEN, 0);
}

static __always_inline bool link_set(struct __sk_buff *skb, __u32 link_bytes,
				     const struct link_words *l)
{
	struct link_words *to;

	if (is_link_raw(l))
		return true;
	if (!link_bytes)
		return link_make(skb, l);
	to = head_at(skb, 0, sizeof(*to));
	if (!to)
		return false;
	*to = *l;
	return true;
}

/* The packet has been rewritten. */
static __always_inline int send(struct __sk_buff *skb, __u32 link_bytes,
				struct wl_cut_way *way, enum sending sending)
{
	const struct link_words none = {};

	skb->mark = own_mark;
	if (sending == SEND_KERNEL)
		return NEXT;
	if (sending == SEND_NEIGH) {
		if (!link_bytes && !link_make(skb, &none))
			return DROP;
		return TC_ACT_REDIRECT;
	}
	if (!link_set(skb, link_bytes, link_of(way)))
		return DROP;
	return (int)bpf_redirect(way->ifindex, 0);
}

#endif
