/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reject.h - turn a packet into the answer that refuses it.
 *
 * As the server would refuse it, from its address: TCP by RST (RFC 9293
 * section 3.5.2), UDP by ICMP port unreachable.  The packet itself becomes the
 * answer and leaves where it came in; nothing of it is left but the link
 * header.
 */
#ifndef WL_BPF_REJECT_H
#define WL_BPF_REJECT_H

#include "parse.h"
#include "state.h"

#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

enum {
	REJECT_TTL = 64,
	REJECT_QUOTE_MAX = 128, /* multiple of 4 */
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	IP4_DONT_FRAGMENT = 0x4000,
	PORT_UNREACHABLE4 = 3, /* code, of type 3 */
	PORT_UNREACHABLE6 = 4, /* code, of type 1 */
};

/* The answer, built here: verifier: larger than the stack likes. */
struct reject {
	__u8 bytes[IP6_BYTES + ICMP_HEADER_BYTES + REJECT_QUOTE_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reject);
} reject_scratch SEC(".maps");

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

static __always_inline __u32 reject_ip_bytes(const struct packet *p)
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
		v6->hop_limit = REJECT_TTL;
		__builtin_memcpy(&v6->saddr, p->dst, 16);
		__builtin_memcpy(&v6->daddr, p->src, 16);
		return;
	}
	__builtin_memset(v4, 0, sizeof(*v4));
	v4->version = 4;
	v4->ihl = 5;
	v4->tot_len = packet_be16(IP4_BYTES + payload);
	v4->frag_off = packet_be16(IP4_DONT_FRAGMENT);
	v4->ttl = REJECT_TTL;
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
				      const struct packet *p, struct reject *r,
				      __u32 len)
{
	if (link_bytes && turn_link_header(skb))
		return -1;
	if (len < IP4_BYTES || len > sizeof(r->bytes)) /* verifier: bounds */
		return -1;
	if (make_room(skb, link_bytes, p, len))
		return -1;
	return bpf_skb_store_bytes(skb, link_bytes, r->bytes, len,
				   BPF_F_RECOMPUTE_CSUM);
}

/* --- TCP ----------------------------------------------------------------- */

/* Bytes and flags of the segment that count in sequence space. */
static __always_inline __u32 segment_length(struct __sk_buff *skb,
					    const struct packet *p,
					    const struct tcphdr *tcp)
{
	__u16 length = 0;
	__u32 total;

	(void)bpf_skb_load_bytes_relative(skb, p->family ? 4 : 2, &length,
					  sizeof(length), BPF_HDR_START_NET);
	total = packet_be16(length) + (p->family ? IP6_BYTES : 0);
	total -= p->transport + tcp->doff * 4;
	return total + tcp->syn + tcp->fin;
}

static __always_inline int reject_tcp(struct __sk_buff *skb, __u32 link_bytes,
				      const struct packet *p, struct reject *r)
{
	__u32 ip_bytes = reject_ip_bytes(p);
	struct tcphdr old = {}, *tcp = (void *)(r->bytes + IP4_BYTES);
	__u16 sum;

	if (p->family)
		tcp = (void *)(r->bytes + IP6_BYTES);
	if (bpf_skb_load_bytes_relative(skb, p->transport, &old, sizeof(old),
					BPF_HDR_START_NET) ||
	    old.rst || old.doff < 5)
		return -1;
	put_ip(p, IPPROTO_TCP, TCP_HEADER_BYTES, r->bytes);
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = old.dest;
	tcp->dest = old.source;
	tcp->doff = 5;
	tcp->rst = 1;
	if (old.ack) {
		tcp->seq = old.ack_seq;
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(bpf_ntohl(old.seq) +
					 segment_length(skb, p, &old));
	}
	sum = checksum_fold(checksum_pseudo(p, IPPROTO_TCP, TCP_HEADER_BYTES));
	tcp->check = ~checksum_fold(
		(__u32)bpf_csum_diff(0, 0, (void *)tcp, TCP_HEADER_BYTES, sum));
	return put_answer(skb, link_bytes, p, r, ip_bytes + TCP_HEADER_BYTES);
}

/* --- UDP ----------------------------------------------------------------- */

static __always_inline int reject_udp(struct __sk_buff *skb, __u32 link_bytes,
				      const struct packet *p, struct reject *r)
{
	__u64 quote = p->transport + sizeof(struct udphdr);
	__u32 ip_bytes = reject_ip_bytes(p), len;
	__u8 *icmp = r->bytes + IP4_BYTES;
	__u64 sum = 0;

	if (p->family)
		icmp = r->bytes + IP6_BYTES;
	if (quote > REJECT_QUOTE_MAX)
		quote = REJECT_QUOTE_MAX;
	barrier_var(quote); /* verifier: the same register is checked */
	__builtin_memset(icmp, 0, ICMP_HEADER_BYTES + REJECT_QUOTE_MAX);
	if (quote < IP4_BYTES || /* verifier: bounds */
	    bpf_skb_load_bytes_relative(skb, 0, icmp + ICMP_HEADER_BYTES, quote,
					BPF_HDR_START_NET))
		return -1;
	len = ICMP_HEADER_BYTES + quote; /* a multiple of 4, as headers are */
	put_ip(p, p->family ? IPPROTO_ICMPV6 : IPPROTO_ICMP, len, r->bytes);
	icmp[0] = p->family ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE;
	icmp[1] = p->family ? PORT_UNREACHABLE6 : PORT_UNREACHABLE4;
	if (p->family)
		sum = checksum_fold(checksum_pseudo(p, IPPROTO_ICMPV6, len));
	sum = (__u32)bpf_csum_diff(0, 0, (void *)icmp,
				   ICMP_HEADER_BYTES + REJECT_QUOTE_MAX, sum);
	*(__u16 *)(icmp + 2) = ~checksum_fold(sum);
	return put_answer(skb, link_bytes, p, r, ip_bytes + len);
}

/* --- the whole ----------------------------------------------------------- */

/* What to return from the program, or -1: no answer can be made of it.
 * `flags`: BPF_F_INGRESS for packets of this host, whose answer goes up. */
__noinline int reject(struct __sk_buff *skb, __u32 link_bytes,
		      const struct packet *p, __u64 flags)
{
	__u32 zero = 0;
	struct reject *r = bpf_map_lookup_elem(&reject_scratch, &zero);
	int error;

	if (!r || !p)
		return -1;
	error = p->proto == IPPROTO_TCP ? reject_tcp(skb, link_bytes, p, r)
					: reject_udp(skb, link_bytes, p, r);
	return error ? -1 : (int)bpf_redirect(skb->ifindex, flags);
}

#endif
