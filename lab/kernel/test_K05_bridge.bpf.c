// SPDX-License-Identifier: Apache-2.0
/*
 * K5: hand TCP without a connection to the proxy's listener, mark the rest.
 *
 * The listener stands on the loopback address of the packet's family, port
 * 15001.  Only for the proof: no options, no extension headers, no fragments.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { LISTEN_PORT = 15001, MARK = 0x100, TCP_LISTEN_STATE = 10 };

struct packet4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct packet6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static int deliver(struct __sk_buff *skb, struct bpf_sock_tuple *own,
		   struct bpf_sock_tuple *listener, __u32 size)
{
	struct bpf_sock *sk;

	skb->mark = MARK;
	sk = bpf_skc_lookup_tcp(skb, own, size, BPF_F_CURRENT_NETNS, 0);
	if (sk && sk->state != TCP_LISTEN_STATE) {
		bpf_sk_release(sk); /* the kernel finds it again */
		return TC_ACT_OK;
	}
	if (sk)
		bpf_sk_release(sk);
	sk = bpf_skc_lookup_tcp(skb, listener, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return TC_ACT_SHOT;
	bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	return TC_ACT_OK;
}

static int deliver4(struct __sk_buff *skb)
{
	struct packet4 *p = (void *)(long)skb->data;
	struct bpf_sock_tuple own = {}, listener = {};

	if ((void *)(p + 1) > (void *)(long)skb->data_end)
		return TC_ACT_OK;
	if (p->ip.protocol != IPPROTO_TCP || p->ip.ihl != 5)
		return TC_ACT_OK;
	own.ipv4.saddr = p->ip.saddr;
	own.ipv4.daddr = p->ip.daddr;
	own.ipv4.sport = p->tcp.source;
	own.ipv4.dport = p->tcp.dest;
	listener = own;
	listener.ipv4.daddr = bpf_htonl(INADDR_LOOPBACK);
	listener.ipv4.dport = bpf_htons(LISTEN_PORT);
	return deliver(skb, &own, &listener, sizeof(own.ipv4));
}

static int deliver6(struct __sk_buff *skb)
{
	struct packet6 *p = (void *)(long)skb->data;
	struct bpf_sock_tuple own = {}, listener = {};

	if ((void *)(p + 1) > (void *)(long)skb->data_end)
		return TC_ACT_OK;
	if (p->ip.nexthdr != IPPROTO_TCP)
		return TC_ACT_OK;
	__builtin_memcpy(own.ipv6.saddr, &p->ip.saddr, 16);
	__builtin_memcpy(own.ipv6.daddr, &p->ip.daddr, 16);
	own.ipv6.sport = p->tcp.source;
	own.ipv6.dport = p->tcp.dest;
	listener = own;
	__builtin_memset(listener.ipv6.daddr, 0, 16);
	listener.ipv6.daddr[3] = bpf_htonl(1);
	listener.ipv6.dport = bpf_htons(LISTEN_PORT);
	return deliver(skb, &own, &listener, sizeof(own.ipv6));
}

SEC("tc")
int intercept(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return deliver4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return deliver6(skb);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
