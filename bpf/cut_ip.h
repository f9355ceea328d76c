/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_ip.h - the IP header of a packet that is sent on, and new addresses.
 *
 * The IPv4 header has a checksum of its own, and so the sum over all bytes that
 * a device may have verified (CHECKSUM_COMPLETE) stays what it is; that of IPv6
 * has none, and the sum must be told: bpf_csum_update() does nothing where
 * there is no such sum.
 */
#ifndef WL_BPF_CUT_IP_H
#define WL_BPF_CUT_IP_H

#include "cut_tcp.h"

enum {
	SEND_TTL = 64, /* of a connection's own packets */
	UDP_CHECK_AT = 6,
	IP4_ECN_SHIFT = 16, /* in the first word, host order */
	IP6_ECN_SHIFT = 20,
};

/* --- new addresses ------------------------------------------------------- */

static __always_inline __u64 address_diff(const struct view *v,
					  const struct wl_cut *cut)
{
	const __u32 *src = (const void *)cut->to.src;
	const __u32 *dst = (const void *)cut->to.dst;
	const __u32 *old_src = view_src(v), *old_dst = view_dst(v);
	__u64 diff = 0;

	for (int i = 0; i < 4; i++) { /* of IPv4: zeros behind the first */
		diff_add(&diff, old_src[i], src[i]);
		diff_add(&diff, old_dst[i], dst[i]);
	}
	return diff;
}

/* The pseudo header's part of a checksum at `check` of the transport header.
 * For IPv6 the kernel takes it off its sum over all bytes as well, as if there
 * were a checksum of the IP header to make up for it: rewrite_ip() gives it
 * back.  (BPF_F_IPV6 would tell; Linux 6.6 does not know it.) */
static __always_inline bool readdress_sum(struct __sk_buff *skb,
					  const struct view *v,
					  const struct wl_cut *cut, __u32 check,
					  __u64 flags)
{
	return !bpf_l4_csum_replace(skb, v->link_bytes + v->transport + check,
				    0, diff_fold(address_diff(v, cut)),
				    BPF_F_PSEUDO_HDR | flags);
}

/* Ports; the checksum 0 says that there is none. */
static __always_inline bool rewrite_udp(struct __sk_buff *skb,
					const struct view *v,
					const struct wl_cut *cut)
{
	__u32 at = v->link_bytes + v->transport;
	__u32 to = *(const __u32 *)&cut->to.sport, from;
	__u64 diff = 0;

	if (bpf_skb_load_bytes(skb, at, &from, sizeof(from)))
		return false;
	diff_add(&diff, from, to);
	return !bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0) &&
	       !bpf_l4_csum_replace(skb, at + UDP_CHECK_AT, 0, diff_fold(diff),
				    BPF_F_MARK_MANGLED_0) &&
	       readdress_sum(skb, v, cut, UDP_CHECK_AT, BPF_F_MARK_MANGLED_0);
}

/* --- the header ---------------------------------------------------------- */

struct ip_change {
	const struct wl_cut_tuple *to; /* NULL: addresses stay */
	bool is_clearing_ect;
	__u8 ttl;
};

static __always_inline bool rewrite_ipv4(struct __sk_buff *skb,
					 const struct view *v,
					 const struct ip_change *c)
{
	__u32 *w = head_at(skb, v->link_bytes, IP4_BYTES);
	struct iphdr *ip = (void *)w;
	__u32 first, hops;
	__u64 diff = 0;

	if (!w)
		return false;
	first = w[0];
	hops = *(__u16 *)&ip->ttl;
	if (c->is_clearing_ect)
		w[0] = first & bpf_htonl(~((__u32)ECN_MASK << IP4_ECN_SHIFT));
	diff_add(&diff, first, w[0]);
	ip->ttl = c->ttl;
	diff_add(&diff, hops, *(__u16 *)&ip->ttl);
	if (c->to) {
		diff_add(&diff, ip->saddr, *(const __u32 *)c->to->src);
		diff_add(&diff, ip->daddr, *(const __u32 *)c->to->dst);
		ip->saddr = *(const __u32 *)c->to->src;
		ip->daddr = *(const __u32 *)c->to->dst;
	}
	ip->check = ~checksum_fold(diff_fold(diff) + (__u64)(__u16)~ip->check);
	return true;
}

static __always_inline bool rewrite_ipv6(struct __sk_buff *skb,
					 const struct view *v,
					 const struct ip_change *c, __u64 diff)
{
	__u32 *w = head_at(skb, v->link_bytes, IP6_BYTES);
	struct ipv6hdr *ip = (void *)w;
	__u32 first, second;

	if (!w)
		return false;
	first = w[0];
	second = w[1];
	if (c->is_clearing_ect)
		w[0] = first & bpf_htonl(~((__u32)ECN_MASK << IP6_ECN_SHIFT));
	diff_add(&diff, first, w[0]);
	ip->hop_limit = c->ttl;
	diff_add(&diff, second, w[1]);
	for (int i = 0; c->to && i < 8; i++) /* both addresses */
		w[2 + i] = ((const __u32 *)c->to)[i];
	(void)bpf_csum_update(skb, diff_fold(diff)); /* or there is no sum */
	return true;
}

/* The kernel, if it sends the packet on, counts the hop by itself. */
static __always_inline __u8 ttl_of(const struct view *v,
				   const struct wl_cut *cut, bool is_kernels)
{
	if (is_readdressed(cut))
		return SEND_TTL;
	return is_kernels ? v->ttl : v->ttl - 1;
}

static __always_inline bool rewrite_ip(struct __sk_buff *skb,
				       const struct view *v,
				       const struct wl_cut *cut,
				       const struct wl_cut_way *way,
				       bool is_kernels)
{
	struct ip_change c = {
		.to = is_readdressed(cut) ? &cut->to : NULL,
		.is_clearing_ect = v->key.proto == IPPROTO_TCP &&
				   (way->how & WL_CUT_NO_ECN),
		.ttl = ttl_of(v, cut, is_kernels),
	};

	if (!v->key.family)
		return rewrite_ipv4(skb, v, &c);
	return rewrite_ipv6(skb, v, &c, c.to ? address_diff(v, cut) : 0);
}

#endif
