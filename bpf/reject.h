/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reject.h - turn a packet into the answer that refuses it.
 *
 * As the server would refuse it, from its address: TCP by RST (RFC 9293
 * section 3.5.2), UDP by ICMP port unreachable.  How a packet becomes its
 * answer: answer.h.
 */
#ifndef WL_BPF_REJECT_H
#define WL_BPF_REJECT_H

#include "answer.h"
#include "state.h"

#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

enum {
	PORT_UNREACHABLE4 = 3, /* code, of type 3 */
	PORT_UNREACHABLE6 = 4, /* code, of type 1 */
};

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
				      const struct packet *p, struct answer *a)
{
	__u32 ip_bytes = answer_ip_bytes(p);
	struct tcphdr old = {}, *tcp = (void *)(a->bytes + IP4_BYTES);
	__u16 sum;

	if (p->family)
		tcp = (void *)(a->bytes + IP6_BYTES);
	if (bpf_skb_load_bytes_relative(skb, p->transport, &old, sizeof(old),
					BPF_HDR_START_NET) ||
	    old.rst || old.doff < 5)
		return -1;
	put_ip(p, IPPROTO_TCP, TCP_HEADER_BYTES, a->bytes);
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
	return put_answer(skb, link_bytes, p, a, ip_bytes + TCP_HEADER_BYTES);
}

/* --- UDP ----------------------------------------------------------------- */

static __always_inline int reject_udp(struct __sk_buff *skb, __u32 link_bytes,
				      const struct packet *p, struct answer *a)
{
	struct icmp_error e = { .type = ICMP4_UNREACHABLE,
				.code = PORT_UNREACHABLE4,
				.transport = sizeof(struct udphdr) };

	if (p->family) {
		e.type = ICMP6_UNREACHABLE;
		e.code = PORT_UNREACHABLE6;
	}
	return answer_icmp(skb, link_bytes, p, &e, a);
}

/* --- the whole ----------------------------------------------------------- */

/* What to return from the program, or -1: no answer can be made of it.
 * `flags`: BPF_F_INGRESS for packets of this host, whose answer goes up. */
__noinline int reject(struct __sk_buff *skb, __u32 link_bytes,
		      const struct packet *p, __u64 flags)
{
	struct answer *a = answer_begin();
	int error;

	if (!a || !p)
		return -1;
	error = p->proto == IPPROTO_TCP ? reject_tcp(skb, link_bytes, p, a)
					: reject_udp(skb, link_bytes, p, a);
	return error ? -1 : (int)bpf_redirect(skb->ifindex, flags);
}

#endif
