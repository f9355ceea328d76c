// SPDX-License-Identifier: Apache-2.0
/*
 * Read a packet's addresses and ports, also those an ICMP error quotes.
 *
 * For the programs of the proofs: by bpf_skb_load_bytes_relative, so that no
 * link header matters; IPv6 with a fragment header or none.
 */
#ifndef WL_LAB_KERNEL_PACKET_BPF_H
#define WL_LAB_KERNEL_PACKET_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
	INET = 2,
	INET6 = 10,
	FRAGMENT_HEADER = 44,
	MORE_FRAGMENTS = 0x2000,
	OFFSET_MASK = 0x1fff,
};

struct packet {
	__u32 family;
	__u32 protocol;
	__u32 source[4]; /* network order, IPv4 in the first word */
	__u32 destination[4];
	__u16 source_port; /* network order; 0 in a later fragment */
	__u16 destination_port;
	__u32 transport; /* offset from the network header */
	bool is_fragment;
	__u32 fragment_offset; /* in units of 8 bytes */
	__u32 fragment_id;
};

static bool load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, at, to, size,
					   BPF_HDR_START_NET) == 0;
}

static bool parse_ports(struct __sk_buff *skb, struct packet *p)
{
	__u16 ports[2] = {};

	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return true;
	if (p->fragment_offset == 0 &&
	    !load(skb, p->transport, ports, sizeof(ports)))
		return false;
	p->source_port = ports[0];
	p->destination_port = ports[1];
	return true;
}

static bool parse_ipv4(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct iphdr ip;

	if (!load(skb, at, &ip, sizeof(ip)))
		return false;
	__u32 fragment = bpf_ntohs(ip.frag_off);

	p->family = INET;
	p->protocol = ip.protocol;
	p->source[0] = ip.saddr;
	p->destination[0] = ip.daddr;
	p->transport = at + ip.ihl * 4;
	p->is_fragment = fragment & (MORE_FRAGMENTS | OFFSET_MASK);
	p->fragment_offset = fragment & OFFSET_MASK;
	p->fragment_id = ip.id;
	return parse_ports(skb, p);
}

static bool parse_ipv6(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct {
		__u8 next, reserved;
		__be16 offset;
		__be32 id;
	} fragment;
	struct ipv6hdr ip;

	if (!load(skb, at, &ip, sizeof(ip)))
		return false;
	p->family = INET6;
	p->protocol = ip.nexthdr;
	__builtin_memcpy(p->source, &ip.saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip.daddr, sizeof(p->destination));
	p->transport = at + sizeof(ip);
	if (p->protocol != FRAGMENT_HEADER)
		return parse_ports(skb, p);

	if (!load(skb, p->transport, &fragment, sizeof(fragment)))
		return false;
	p->protocol = fragment.next;
	p->transport += sizeof(fragment);
	p->is_fragment = true;
	p->fragment_offset = bpf_ntohs(fragment.offset) >> 3;
	p->fragment_id = fragment.id;
	return parse_ports(skb, p);
}

/* At offset 0 the packet itself, further on what an ICMP error quotes. */
static bool parse(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(skb, at, p);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, at, p);
	return false;
}

/* For a lookup of the socket that the packet is for; returns the size. */
static __u32 tuple_fill(const struct packet *p, struct bpf_sock_tuple *tuple)
{
	if (p->family == INET) {
		tuple->ipv4.saddr = p->source[0];
		tuple->ipv4.daddr = p->destination[0];
		tuple->ipv4.sport = p->source_port;
		tuple->ipv4.dport = p->destination_port;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, p->source, 16);
	__builtin_memcpy(tuple->ipv6.daddr, p->destination, 16);
	tuple->ipv6.sport = p->source_port;
	tuple->ipv6.dport = p->destination_port;
	return sizeof(tuple->ipv6);
}

#endif
