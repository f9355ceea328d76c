/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_view.h - what cut-through must know of a packet, read at least cost.
 *
 * Nearly all packets are plain: an IP header without options or extension
 * headers, and no fragment.  Those are read in place.  What is not plain goes
 * the way of packet.h, as ICMP errors do.  A view holds no pointers into the
 * packet: every helper that may move it would make them invalid.
 */
#ifndef WL_BPF_CUT_VIEW_H
#define WL_BPF_CUT_VIEW_H

#include "answer.h"
#include "cut_state.h"

enum view_kind {
	VIEW_NONE,  /* nothing that is ever cut through */
	VIEW_PLAIN, /* TCP or UDP */
	VIEW_ODD,   /* TCP or UDP, perhaps: view_odd() */
	VIEW_ICMP,  /* an ICMP error, perhaps: cut_icmp.h */
};

struct view {
	struct wl_cut_key key __attribute__((aligned(8)));
	__u32 side;	  /* whose: 0 the low end's, 1 the high end's */
	__u32 link_bytes; /* in front of the IP header */
	__u32 transport;  /* offset of its header, from the IP header */
	__u32 len;	  /* of the IP packet, without what pads the frame */
	__u32 ttl, ecn;
	bool has_df, is_plain, is_fragment;
};

enum {
	HEAD_MAX = 1024,
	VIEW_PORTS_BYTES = 8, /* that any transport header has */
	IP4_FLAGS_OFFSET_MASK = IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK,
	IP4_DF = 0x4000,
	ECN_MASK = 3,
	ECN_CE = 3,
};

/* Are the first `len` bytes where the program can read and write them?  They
 * are made to be, if they exist: all pointers are invalid afterwards. */
static __always_inline bool has_head(struct __sk_buff *skb, __u32 len)
{
	if ((void *)(__u64)skb->data + len <= (void *)(__u64)skb->data_end)
		return true;
	return skb->len >= len && !bpf_skb_pull_data(skb, len);
}

/* NULL, if it is not there after all; verifier: bounds of each new pointer,
 * and of what was added to it. */
static __always_inline void *head_at(struct __sk_buff *skb, __u32 at, __u32 len)
{
	void *from;

	if (at > HEAD_MAX)
		return NULL;
	from = (void *)(__u64)skb->data + at;
	return from + len <= (void *)(__u64)skb->data_end ? from : NULL;
}

/* --- the key ------------------------------------------------------------- */

struct view_ports {
	__u16 sport, dport;
};

static __always_inline __u32 key_fill(struct wl_cut_key *key, const __u32 *src,
				      const __u32 *dst, struct view_ports ports,
				      __u32 words)
{
	__u32 a[4] = {}, b[4] = {};
	__u32 *low = (void *)key->low, *high = (void *)key->high;
	__u32 side;

	for (__u32 i = 0; i < words; i++) {
		a[i] = src[i];
		b[i] = dst[i];
	}
	side = !wl_cut_is_low(a, ports.sport, b, ports.dport);
	for (int i = 0; i < 4; i++) {
		low[i] = side ? b[i] : a[i];
		high[i] = side ? a[i] : b[i];
	}
	key->low_port = side ? ports.dport : ports.sport;
	key->high_port = side ? ports.sport : ports.dport;
	key->pad[0] = key->pad[1] = 0;
	return side;
}

/* Source and destination, four words each. */
static __always_inline const __u32 *view_src(const struct view *v)
{
	return (const void *)(v->side ? v->key.high : v->key.low);
}

static __always_inline const __u32 *view_dst(const struct view *v)
{
	return (const void *)(v->side ? v->key.low : v->key.high);
}

/* --- plain packets ------------------------------------------------------- */

static __always_inline bool is_icmp_error(__u32 family, __u8 type)
{
	struct packet p = { .family = (__u8)family };

	return icmp_is_error(&p, type);
}

static __always_inline enum view_kind view_proto(struct view *v,
						 const __u8 *transport,
						 __u8 proto)
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		v->key.proto = proto;
		v->is_plain = true;
		v->is_fragment = false;
		return VIEW_PLAIN;
	}
	if (proto == (v->key.family ? IPPROTO_ICMPV6 : IPPROTO_ICMP) &&
	    is_icmp_error(v->key.family, *transport))
		return VIEW_ICMP;
	return VIEW_NONE;
}

/* Length 0: a packet of many segments, longer than its header can say.  A
 * packet that is not all there is left to the kernel, which drops it. */
static __always_inline bool view_length(const struct __sk_buff *skb,
					struct view *v, __u32 len)
{
	__u32 there = skb->len - v->link_bytes;

	v->len = len ? len : there;
	return v->len <= there;
}

static __always_inline enum view_kind view_ipv4(struct __sk_buff *skb,
						__u32 link_bytes,
						struct view *v)
{
	const struct iphdr *ip;
	const __u8 *transport;
	enum view_kind kind;
	__u16 fragment;

	if (!has_head(skb, link_bytes + IP4_BYTES + VIEW_PORTS_BYTES))
		return VIEW_NONE;
	ip = head_at(skb, link_bytes, IP4_BYTES + VIEW_PORTS_BYTES);
	if (!ip || ip->version != 4)
		return VIEW_NONE;
	fragment = packet_be16(ip->frag_off);
	if (ip->ihl != 5 || (fragment & IP4_FLAGS_OFFSET_MASK))
		return fragment & IP4_OFFSET_MASK ? VIEW_NONE : VIEW_ODD;
	transport = (const void *)(ip + 1);
	v->key.family = 0;
	v->link_bytes = link_bytes;
	v->transport = IP4_BYTES;
	kind = view_proto(v, transport, ip->protocol);
	if (kind != VIEW_PLAIN)
		return kind;
	if (!view_length(skb, v, packet_be16(ip->tot_len)))
		return VIEW_NONE;
	v->ttl = ip->ttl;
	v->ecn = ip->tos & ECN_MASK;
	v->has_df = fragment & IP4_DF;
	v->side = key_fill(&v->key, &ip->saddr, &ip->daddr,
			   *(const struct view_ports *)transport, 1);
	return VIEW_PLAIN;
}

static __always_inline enum view_kind view_ipv6(struct __sk_buff *skb,
						__u32 link_bytes,
						struct view *v)
{
	const struct ipv6hdr *ip;
	const __u8 *transport;
	enum view_kind kind;
	__u16 payload;

	if (!has_head(skb, link_bytes + IP6_BYTES + VIEW_PORTS_BYTES))
		return VIEW_NONE;
	ip = head_at(skb, link_bytes, IP6_BYTES + VIEW_PORTS_BYTES);
	if (!ip || ip->version != 6)
		return VIEW_NONE;
	if (is_extension(ip->nexthdr) || ip->nexthdr == IP6_FRAGMENT)
		return VIEW_ODD;
	transport = (const void *)(ip + 1);
	v->key.family = 1;
	v->link_bytes = link_bytes;
	v->transport = IP6_BYTES;
	kind = view_proto(v, transport, ip->nexthdr);
	if (kind != VIEW_PLAIN)
		return kind;
	payload = packet_be16(ip->payload_len);
	if (!view_length(skb, v, payload ? payload + IP6_BYTES : 0))
		return VIEW_NONE;
	v->ttl = ip->hop_limit;
	v->ecn = ip->flow_lbl[0] >> 4 & ECN_MASK;
	v->has_df = true;
	v->side = key_fill(&v->key, (const __u32 *)&ip->saddr,
			   (const __u32 *)&ip->daddr,
			   *(const struct view_ports *)transport, 4);
	return VIEW_PLAIN;
}

static __always_inline enum view_kind view_plain(struct __sk_buff *skb,
						 __u32 link_bytes,
						 struct view *v)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return view_ipv4(skb, link_bytes, v);
	case bpf_htons(ETH_P_IPV6):
		return view_ipv6(skb, link_bytes, v);
	default:
		return VIEW_NONE;
	}
}

/* --- odd ones ------------------------------------------------------------ */

/* The fields of the IP header that packet.h does not keep; lengths as above. */
static __always_inline bool view_odd_ip(struct __sk_buff *skb, struct view *v)
{
	const struct ipv6hdr *v6;
	const struct iphdr *v4;
	__u16 payload;

	if (v->key.family) {
		v6 = head_at(skb, v->link_bytes, IP6_BYTES);
		if (!v6)
			return false;
		payload = packet_be16(v6->payload_len);
		v->ttl = v6->hop_limit;
		v->ecn = v6->flow_lbl[0] >> 4 & ECN_MASK;
		v->has_df = true;
		return view_length(skb, v, payload ? payload + IP6_BYTES : 0);
	}
	v4 = head_at(skb, v->link_bytes, IP4_BYTES);
	if (!v4)
		return false;
	v->ttl = v4->ttl;
	v->ecn = v4->tos & ECN_MASK;
	v->has_df = v4->frag_off & bpf_htons(IP4_DF);
	return view_length(skb, v, packet_be16(v4->tot_len));
}

/* A later fragment does not tell its ports, and is none that is known. */
static __noinline int view_odd(struct __sk_buff *skb, __u32 link_bytes,
			       struct view *v)
{
	struct view_ports ports;
	struct packet p = {};

	if (parse(skb, link_bytes, &p) != PACKET_FLOW ||
	    packet_is_later_fragment(&p))
		return VIEW_NONE;
	v->key.proto = p.proto;
	v->key.family = p.family;
	v->link_bytes = link_bytes;
	v->transport = p.transport;
	v->is_plain = false;
	v->is_fragment = p.is_fragment;
	ports.sport = p.sport;
	ports.dport = p.dport;
	v->side = key_fill(&v->key, p.src, p.dst, ports, 4);
	return view_odd_ip(skb, v) ? VIEW_ODD : VIEW_NONE;
}

#endif
