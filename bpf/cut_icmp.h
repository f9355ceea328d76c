/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_icmp.h - ICMP errors about packets that were sent on.
 *
 * A router, or the far end, quotes a packet as it left here; its sender must
 * see it as it came.  So the error is found by the way that answers the quoted
 * packet, and what is added there to acknowledgements is added to the quoted
 * sequence number.  Legs with addresses of their own: quoted addresses and
 * ports, and to whom the error goes, become those of the other leg.
 *
 * That is what ends look at (RFC 5927).  Quoted acknowledgement, window,
 * options and checksum stay as they were quoted.
 */
#ifndef WL_BPF_CUT_ICMP_H
#define WL_BPF_CUT_ICMP_H

#include "cut_ip.h"

enum {
	ICMP_CHECK_AT = 2,
	TCP_SEQ_AT = 4,
	IP4_CHECK_AT = 10,
	IP4_ADDRESSES_AT = 12,
	IP6_ADDRESSES_AT = 8,
};

/* Offsets from the IP header of the error. */
struct quote {
	struct view *v; /* of an answer to the quoted packet */
	__u32 icmp;	/* ICMP header */
	__u32 ip;	/* the quoted IP header; v->transport: what follows */
	__u64 diff;	/* of what has been rewritten, for the checksum */
};

/* --- reading ------------------------------------------------------------- */

static __always_inline bool is_same_address(const __u32 *a, const __u32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* VIEW_ICMP: it quotes a packet of whom it is sent to. */
static __noinline int quote_read(struct __sk_buff *skb, __u32 link_bytes,
				 struct quote *q)
{
	struct packet error = {}, answer = {};
	struct view_ports ports;

	if (parse(skb, link_bytes, &error) != PACKET_ICMP_ERROR ||
	    parse_quote(skb, &error, &answer) != PACKET_FLOW ||
	    packet_is_later_fragment(&answer) ||
	    !is_same_address(error.dst, answer.dst))
		return VIEW_NONE;
	q->icmp = error.transport;
	q->ip = error.quote;
	q->diff = 0;
	q->v->key.proto = answer.proto;
	q->v->key.family = answer.family;
	q->v->link_bytes = link_bytes;
	q->v->transport = answer.transport;
	ports.sport = answer.sport;
	ports.dport = answer.dport;
	q->v->side = key_fill(&q->v->key, answer.src, answer.dst, ports, 4);
	return VIEW_ICMP;
}

static __always_inline bool quote_seq(struct __sk_buff *skb,
				      const struct quote *q, __u32 *seq)
{
	return !bpf_skb_load_bytes_relative(skb, q->v->transport + TCP_SEQ_AT,
					    seq, sizeof(*seq),
					    BPF_HDR_START_NET);
}

/* About bytes of our own socket: it will know what to do. */
static __always_inline bool is_about_socket(struct __sk_buff *skb,
					    const struct quote *q,
					    const struct wl_cut_way *way)
{
	__u32 seq;

	return way->is_draining && q->v->key.proto == IPPROTO_TCP &&
	       quote_seq(skb, q, &seq) && is_before(bpf_ntohl(seq), way->edge);
}

/* --- rewriting ----------------------------------------------------------- */

static __always_inline bool put(struct __sk_buff *skb, const struct quote *q,
				__u32 at, const void *bytes, __u32 len)
{
	return !bpf_skb_store_bytes(skb, q->v->link_bytes + at, bytes, len, 0);
}

static __always_inline bool quote_put_seq(struct __sk_buff *skb,
					  struct quote *q,
					  const struct wl_cut_way *way)
{
	__u32 from, to;

	if (q->v->key.proto != IPPROTO_TCP || !quote_seq(skb, q, &from))
		return true;
	to = bpf_htonl(bpf_ntohl(from) + way->ack_add);
	diff_add(&q->diff, from, to);
	return put(skb, q, q->v->transport + TCP_SEQ_AT, &to, sizeof(to));
}

static __always_inline bool quote_put_ports(struct __sk_buff *skb,
					    struct quote *q,
					    const struct wl_cut *cut)
{
	struct view_ports ports = { cut->to.dport, cut->to.sport };
	__u32 from;

	if (bpf_skb_load_bytes_relative(skb, q->v->transport, &from,
					sizeof(from), BPF_HDR_START_NET))
		return false;
	diff_add(&q->diff, from, *(const __u32 *)&ports);
	return put(skb, q, q->v->transport, &ports, sizeof(ports));
}

/* The quoted header's checksum changes by the opposite of its addresses: the
 * one around both does not change. */
static __always_inline bool quote_put_ipv4(struct __sk_buff *skb,
					   struct quote *q,
					   const struct wl_cut *cut)
{
	__u32 addresses[2] = { *(const __u32 *)cut->to.dst,
			       *(const __u32 *)cut->to.src };
	__u16 check;

	if (bpf_skb_load_bytes_relative(skb, q->ip + IP4_CHECK_AT, &check,
					sizeof(check), BPF_HDR_START_NET))
		return false;
	check = ~checksum_fold((__u64)diff_fold(address_diff(q->v, cut)) +
			       (__u16)~check);
	return put(skb, q, q->ip + IP4_CHECK_AT, &check, sizeof(check)) &&
	       put(skb, q, q->ip + IP4_ADDRESSES_AT, addresses,
		   sizeof(addresses));
}

static __always_inline bool quote_put_ipv6(struct __sk_buff *skb,
					   struct quote *q,
					   const struct wl_cut *cut)
{
	__u32 at = q->ip + IP6_ADDRESSES_AT;

	q->diff += diff_fold(address_diff(q->v, cut));
	return put(skb, q, at, cut->to.dst, sizeof(cut->to.dst)) &&
	       put(skb, q, at + 16, cut->to.src, sizeof(cut->to.src));
}

/* --- to whom it goes ----------------------------------------------------- */

static __always_inline bool redirect_ipv4(struct __sk_buff *skb,
					  const struct quote *q,
					  const struct wl_cut *cut)
{
	__u32 from = *view_dst(q->v), to = *(const __u32 *)cut->to.dst;

	return !bpf_l3_csum_replace(skb, q->v->link_bytes + IP4_CHECK_AT, from,
				    to, sizeof(to)) &&
	       put(skb, q, IP4_ADDRESSES_AT + 4, &to, sizeof(to));
}

/* As readdress_sum(), with the same return of what the kernel takes off. */
static __always_inline bool redirect_ipv6(struct __sk_buff *skb,
					  const struct quote *q,
					  const struct wl_cut *cut)
{
	const __u32 *from = view_dst(q->v), *to = (const void *)cut->to.dst;
	__u64 diff = 0;

	for (int i = 0; i < 4; i++)
		diff_add(&diff, from[i], to[i]);
	if (bpf_l4_csum_replace(skb, q->v->link_bytes + q->icmp + ICMP_CHECK_AT,
				0, diff_fold(diff), BPF_F_PSEUDO_HDR))
		return false;
	(void)bpf_csum_update(skb, diff_fold(diff)); /* or there is no sum */
	return put(skb, q, IP6_ADDRESSES_AT + 16, to, 16);
}

static __always_inline bool quote_readdress(struct __sk_buff *skb,
					    struct quote *q,
					    const struct wl_cut *cut)
{
	if (!quote_put_ports(skb, q, cut))
		return false;
	if (q->v->key.family)
		return quote_put_ipv6(skb, q, cut) &&
		       redirect_ipv6(skb, q, cut);
	return quote_put_ipv4(skb, q, cut) && redirect_ipv4(skb, q, cut);
}

/* --- the whole ----------------------------------------------------------- */

static __noinline int quote_change(struct __sk_buff *skb, struct quote *q,
				   struct wl_cut *cut, struct wl_cut_way *way)
{
	if (is_about_socket(skb, q, way))
		return pass(WL_CUT_COUNT_to_socket);
	if (!quote_put_seq(skb, q, way) ||
	    (is_readdressed(cut) && !quote_readdress(skb, q, cut)) ||
	    bpf_l4_csum_replace(skb, q->v->link_bytes + q->icmp + ICMP_CHECK_AT,
				0, diff_fold(q->diff), 0))
		return drop(WL_CUT_COUNT_dropped_malformed);
	return pass_own(skb, WL_CUT_COUNT_icmp);
}

/* The kernel forwards it.  *v: room, verifier: there is too little stack for
 * another one. */
static __noinline int meet_icmp(struct __sk_buff *skb, __u32 link_bytes,
				struct view *v)
{
	struct quote q = { .v = v };
	struct wl_cut_way *way;
	struct wl_cut *cut;

	if (quote_read(skb, link_bytes, &q) != VIEW_ICMP)
		return NEXT;
	cut = bpf_map_lookup_elem(&cuts, &v->key);
	way = cut ? way_of(cut, v->side) : NULL;
	if (!way || cut->state != WL_CUT_ON)
		return NEXT;
	return quote_change(skb, &q, cut, way);
}

#endif
