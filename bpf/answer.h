/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * answer.h - turn a packet into an answer to its sender.
 *
 * The packet itself becomes the answer, and nothing of it is left but the link
 * header, whose addresses are swapped.  It seems to come from where the packet
 * was going.  An ICMP error quotes the packet up to a limit.  Who answers, and
 * why: reject.h, cut_big.h.
 */
#ifndef WL_BPF_ANSWER_H
#define WL_BPF_ANSWER_H

#include "parse.h"

enum {
	ANSWER_TTL = 64,
	ANSWER_QUOTE_MAX = 128, /* multiple of 4 */
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	IP4_DONT_FRAGMENT = 0x4000,
};

/* The answer, built here: verifier: larger than the stack likes. */
struct answer {
	__u8 bytes[IP6_BYTES + ICMP_HEADER_BYTES + ANSWER_QUOTE_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer);
} answer_scratch SEC(".maps");

static __always_inline struct answer *answer_begin(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&answer_scratch, &zero);
}

/* --- checksums ----------------------------------------------------------- */

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* The pseudo header of the answer: addresses turned round sum up alike. */
static __always_inline __u64 checksum_pseudo(const struct packet *p, __u8 proto,
					     __u16 len)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (__u64)p->src[i] + p->dst[i];
	return sum + packet_be16(proto) + packet_be16(len);
}

/* --- headers ------------------------------------------------------------- */

static __always_inline __u32 answer_ip_bytes(const struct packet *p)
{
	return p->family ? IP6_BYTES : IP4_BYTES;
}

static __always_inline void put_ip(const struct packet *p, __u8 proto,
				   __u16 payload, __u8 *at)
{
	struct ipv6hdr *v6 = (void *)at;
	struct iphdr *v4 = (void *)at;

	if (p->family) {
		__builtin_memset(v6, 0, sizeof(*v6));
		v6->version = 6;
		v6->payload_len = packet_be16(payload);
		v6->nexthdr = proto;
		v6->hop_limit = ANSWER_TTL;
		__builtin_memcpy(&v6->saddr, p->dst, 16);
		__builtin_memcpy(&v6->daddr, p->src, 16);
		return;
	}
	__builtin_memset(v4, 0, sizeof(*v4));
	v4->version = 4;
	v4->ihl = 5;
	v4->tot_len = packet_be16(IP4_BYTES + payload);
	v4->frag_off = packet_be16(IP4_DONT_FRAGMENT);
	v4->ttl = ANSWER_TTL;
	v4->protocol = proto;
	v4->saddr = p->dst[0];
	v4->daddr = p->src[0];
	v4->check = ~checksum_fold(
		(__u32)bpf_csum_diff(0, 0, (void *)v4, IP4_BYTES, 0));
}

/* Swap link addresses: it goes back to who sent it. */
static __always_inline int turn_link_header(struct __sk_buff *skb)
{
	__u8 from[2 * ETH_ALEN], to[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, from, sizeof(from)))
		return -1;
	__builtin_memcpy(to, from + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(to + ETH_ALEN, from, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, to, sizeof(to), 0);
}

/* --- the packet becomes the answer --------------------------------------- */

/* Room for `len` bytes behind the link header, in place of all that is there.
 * What is taken away in front reaches into the transport header: by that the
 * kernel forgets a checksum that was left to hardware (CHECKSUM_PARTIAL), since
 * the place where it began is gone: skb_postpull_rcsum() in linux/skbuff.h. */
static __always_inline int make_room(struct __sk_buff *skb, __u32 link_bytes,
				     const struct packet *p, __u32 len)
{
	__u32 front = (link_bytes + p->transport + 4) & ~3u; /* aligned */

	if (bpf_skb_change_tail(skb, link_bytes + len + front, 0))
		return -1;
	return (int)bpf_skb_adjust_room(skb, -(__s32)front, BPF_ADJ_ROOM_MAC,
					0);
}

/* Write `len` bytes behind the link header, and nothing behind them. */
static __always_inline int put_answer(struct __sk_buff *skb, __u32 link_bytes,
				      const struct packet *p, struct answer *a,
				      __u32 len)
{
	if (link_bytes && turn_link_header(skb))
		return -1;
	if (len < IP4_BYTES || len > sizeof(a->bytes)) /* verifier: bounds */
		return -1;
	if (make_room(skb, link_bytes, p, len))
		return -1;
	return bpf_skb_store_bytes(skb, link_bytes, a->bytes, len,
				   BPF_F_RECOMPUTE_CSUM);
}

/* --- ICMP errors --------------------------------------------------------- */

struct icmp_error {
	__u8 type, code;
	__u16 mtu;	 /* ICMP 3/4 and ICMPv6 2: network order; else 0 */
	__u32 transport; /* bytes of the transport header that are quoted */
};

/* ICMPv6 has an MTU of 32 bits in front of the quote, ICMP one of 16: in both
 * the last two bytes are enough. */
static __always_inline void put_icmp_head(const struct icmp_error *e,
					  __u8 *icmp)
{
	icmp[0] = e->type;
	icmp[1] = e->code;
	*(__u16 *)(icmp + 6) = e->mtu;
}

static __always_inline int answer_icmp(struct __sk_buff *skb, __u32 link_bytes,
				       const struct packet *p,
				       const struct icmp_error *e,
				       struct answer *a)
{
	__u64 quote = p->transport + e->transport;
	__u32 ip_bytes = answer_ip_bytes(p), len;
	__u8 *icmp = a->bytes + IP4_BYTES;
	__u64 sum = 0;

	if (p->family)
		icmp = a->bytes + IP6_BYTES;
	if (quote > ANSWER_QUOTE_MAX)
		quote = ANSWER_QUOTE_MAX;
	barrier_var(quote); /* verifier: the same register is checked */
	__builtin_memset(icmp, 0, ICMP_HEADER_BYTES + ANSWER_QUOTE_MAX);
	if (quote < IP4_BYTES || /* verifier: bounds */
	    bpf_skb_load_bytes_relative(skb, 0, icmp + ICMP_HEADER_BYTES, quote,
					BPF_HDR_START_NET))
		return -1;
	len = ICMP_HEADER_BYTES + quote; /* a multiple of 4, as headers are */
	put_ip(p, p->family ? IPPROTO_ICMPV6 : IPPROTO_ICMP, len, a->bytes);
	put_icmp_head(e, icmp);
	if (p->family)
		sum = checksum_fold(checksum_pseudo(p, IPPROTO_ICMPV6, len));
	sum = (__u32)bpf_csum_diff(0, 0, (void *)icmp,
				   ICMP_HEADER_BYTES + ANSWER_QUOTE_MAX, sum);
	*(__u16 *)(icmp + 2) = ~checksum_fold(sum);
	return put_answer(skb, link_bytes, p, a, ip_bytes + len);
}

#endif
