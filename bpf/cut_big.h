/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_big.h - packets that are larger than the far side takes.
 *
 * Answered as a router does (RFC 1191, RFC 8201), in the name of the packet's
 * destination, which the sender believes.
 */
#ifndef WL_BPF_CUT_BIG_H
#define WL_BPF_CUT_BIG_H

#include "answer.h"
#include "cut_view.h"

enum {
	FRAGMENTATION_NEEDED = 4, /* code, of type 3 */
	ICMP6_TOO_BIG = 2,	  /* type */
	IP6_MIN_MTU = 1280,
	UDP_HEADER_BYTES = 8,
};

/* The largest IP packet that goes; 0: any.  Nobody sends less than 1280 bytes
 * by IPv6 because of an MTU; flows of an end that takes less are not cut. */
static __always_inline __u32 size_limit(const struct view *v,
					const struct wl_cut_way *way)
{
	__u32 limit = way->mtu;

	if (way->size_max && (!limit || way->size_max < limit))
		limit = way->size_max;
	return v->key.family && limit && limit < IP6_MIN_MTU ? IP6_MIN_MTU
							     : limit;
}

/* `head`: bytes of the transport header.  Of many segments: the first one. */
static __always_inline bool is_too_big(const struct __sk_buff *skb,
				       const struct view *v, __u32 limit,
				       __u32 head)
{
	__u32 len =
		skb->gso_size ? v->transport + head + skb->gso_size : v->len;

	return limit && len > limit;
}

/* The packet goes back as the answer. */
static __noinline int answer_too_big(struct __sk_buff *skb,
				     const struct view *v, __u32 limit)
{
	struct icmp_error e = { .type = ICMP4_UNREACHABLE,
				.code = FRAGMENTATION_NEEDED,
				.mtu = packet_be16((__u16)limit) };
	struct answer *a = answer_begin();
	struct packet p = {};

	__builtin_memcpy(p.src, view_src(v), sizeof(p.src));
	__builtin_memcpy(p.dst, view_dst(v), sizeof(p.dst));
	p.transport = v->transport;
	p.family = v->key.family;
	p.proto = v->key.proto;
	e.transport =
		p.proto == IPPROTO_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;
	if (p.family) {
		e.type = ICMP6_TOO_BIG;
		e.code = 0;
	}
	if (!a || answer_icmp(skb, v->link_bytes, &p, &e, a))
		return drop(WL_CUT_COUNT_dropped_no_answer);
	count(WL_CUT_COUNT_too_big);
	return (int)bpf_redirect(skb->ifindex, 0);
}

#endif
