/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket.h - the `socket` match: is a packet for a transparent socket of ours?
 *
 * Whoever the socket belongs to: the transparent bit is the kernel's own, read
 * at the place that the running kernel's BTF names.  It lies elsewhere in each
 * kind of socket (lab/kernel/test_K12_transparent_bit.py).  As xt_socket does,
 * and unlike it for what is said in doc/engines.md, a socket bound to the
 * wildcard address does not match.
 */
#ifndef WL_BPF_SOCKET_H
#define WL_BPF_SOCKET_H

#include "parse.h"
#include "state.h"

#include <bpf/bpf_core_read.h>

#define KERNEL_TYPE __attribute__((preserve_access_index))

struct inet_sock___flags { /* from Linux 6.6 */
	unsigned long inet_flags;
} KERNEL_TYPE;

struct inet_sock___bitfield { /* before */
	__u8 transparent : 1;
} KERNEL_TYPE;

struct inet_timewait_sock {
	__u32 tw_transparent : 1;
} KERNEL_TYPE;

struct inet_request_sock {
	__u16 no_srccheck : 1;
} KERNEL_TYPE;

/* What a look-up found; SOCKET_NONE also for one that is not transparent. */
enum socket_kind {
	SOCKET_NONE,
	SOCKET_FULL,	  /* established, or a connected UDP socket */
	SOCKET_REQUEST,	  /* half of a hand-shake */
	SOCKET_TIME_WAIT, /* a connection that has ended */
	SOCKET_LISTENER,  /* listening, or an unconnected UDP socket */
	SOCKET_OPAQUE,	  /* there is one, but it is not transparent */
};

/* --- the transparent bit ------------------------------------------------- */

/* Where a pointer becomes a number, which bpf_probe_read_kernel() takes.  The
 * helpers that cast sockets will not do: UDP over IPv4 has none before Linux
 * 6.2, and a request whose listener is in a SOCKMAP is none to them, since its
 * sk_prot is not the usual one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} pointer SEC(".maps");

static __always_inline __u64 address_of(struct bpf_sock *sk)
{
	__u32 zero = 0;
	__u64 *number = bpf_map_lookup_elem(&pointer, &zero);

	if (!number)
		return 0;
	*number = (__u64)sk;
	barrier_var(number); /* verifier: read back as a number */
	return *(volatile __u64 *)number;
}

static __always_inline bool inet_is_transparent(__u64 address)
{
	struct inet_sock___flags *type = 0;
	unsigned long flags = 0;

	if (!bpf_core_field_exists(type->inet_flags))
		return BPF_CORE_READ_BITFIELD_PROBED(
			(struct inet_sock___bitfield *)address, transparent);
	bpf_probe_read_kernel(
		&flags, sizeof(flags),
		(void *)(address + bpf_core_field_offset(type->inet_flags)));
	return flags >> transparent_bit & 1;
}

static __always_inline bool is_transparent(struct bpf_sock *sk)
{
	__u32 state = sk->state;
	__u64 address = address_of(sk);

	if (state == BPF_TCP_TIME_WAIT)
		return BPF_CORE_READ_BITFIELD_PROBED(
			(struct inet_timewait_sock *)address, tw_transparent);
	if (state == BPF_TCP_NEW_SYN_RECV)
		return BPF_CORE_READ_BITFIELD_PROBED(
			(struct inet_request_sock *)address, no_srccheck);
	return inet_is_transparent(address);
}

/* --- look-ups ------------------------------------------------------------ */

/* `to` and `port` in place of the packet's own destination, to find who
 * listens there. */
static __always_inline __u32 tuple_fill(const struct packet *p,
					const __u32 to[4], __u16 port,
					struct bpf_sock_tuple *t)
{
	if (p->family) {
		__builtin_memcpy(t->ipv6.saddr, p->src, 16);
		__builtin_memcpy(t->ipv6.daddr, to, 16);
		t->ipv6.sport = p->sport;
		t->ipv6.dport = port;
		return sizeof(t->ipv6);
	}
	t->ipv4.saddr = p->src[0];
	t->ipv4.daddr = to[0];
	t->ipv4.sport = p->sport;
	t->ipv4.dport = port;
	return sizeof(t->ipv4);
}

static __always_inline bool is_wildcard(const struct bpf_sock *sk,
					const struct packet *p)
{
	if (!p->family)
		return !sk->src_ip4;
	return !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] |
		 sk->src_ip6[3]);
}

/* verifier: the two look-ups return pointers of different types, which no
 * instruction may both use.  So all that follows is compiled for each of the
 * protocols: `proto`, a constant, is the packet's own. */
static __always_inline struct bpf_sock *socket_find(struct __sk_buff *skb,
						    const struct packet *p,
						    __u8 proto,
						    const __u32 to[4],
						    __u16 port)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = tuple_fill(p, to, port, &tuple);

	if (proto == IPPROTO_TCP)
		return bpf_skc_lookup_tcp(skb, &tuple, size,
					  BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* The kind of a socket that a packet itself led to. */
static __always_inline enum socket_kind socket_kind(struct bpf_sock *sk,
						    const struct packet *p,
						    __u8 proto)
{
	__u32 state = sk->state;

	if (proto == IPPROTO_UDP) {
		if (is_wildcard(sk, p) && !match_wildcard)
			return SOCKET_NONE;
		if (!match_any && !is_transparent(sk))
			return state == BPF_TCP_ESTABLISHED ? SOCKET_OPAQUE
							    : SOCKET_NONE;
		return state == BPF_TCP_ESTABLISHED ? SOCKET_FULL
						    : SOCKET_LISTENER;
	}
	if (state == BPF_TCP_LISTEN)
		return (match_wildcard || !is_wildcard(sk, p)) &&
				       (match_any || is_transparent(sk))
			       ? SOCKET_LISTENER
			       : SOCKET_NONE;
	if (state == BPF_TCP_TIME_WAIT && packet_is_syn(p))
		return SOCKET_TIME_WAIT; /* reopened, whoever it was */
	if (!match_any && !is_transparent(sk))
		return SOCKET_OPAQUE;
	if (state == BPF_TCP_TIME_WAIT)
		return SOCKET_TIME_WAIT;
	return state == BPF_TCP_NEW_SYN_RECV ? SOCKET_REQUEST : SOCKET_FULL;
}

/* Is `sk`, found at a listener's address, one that can be given packets? */
static __always_inline bool is_transparent_listener(struct bpf_sock *sk,
						    __u8 proto)
{
	if (proto == IPPROTO_TCP)
		return sk->state == BPF_TCP_LISTEN && is_transparent(sk);
	return sk->state != BPF_TCP_ESTABLISHED && is_transparent(sk);
}

#endif
