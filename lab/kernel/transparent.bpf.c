// SPDX-License-Identifier: Apache-2.0
/*
 * K12: read whether the socket a packet is for is transparent.
 *
 * `inspect` looks the socket up, tells its kind, and counts the answer in
 * that kind's array: [0] not transparent, [1] transparent.  It changes nothing.
 * The bit lies elsewhere in each kind, and elsewhere in older kernels; the
 * number INET_FLAGS_TRANSPARENT comes from kernel BTF, by the loader.
 * Next: test_K12_transparent_bit.py.
 */
#include "packet.bpf.h"

#include <bpf/bpf_core_read.h>

enum { NEXT = -1, NO_NUMBER = 64 };

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

void *bpf_rdonly_cast(void *object, __u32 btf_id) __ksym; /* 6.2 */

const volatile __u32 port = 0;
const volatile __u32 transparent_bit = NO_NUMBER;

__u64 full[2], listening[2], request[2], time_wait[2];
__u64 udp4[2], udp6[2];
__u64 udp4_by_address[2]; /* the same without a cast */
__u64 udp4_as_udp6;	  /* how often the cast for IPv6 took IPv4 */

/* Where a pointer becomes a number, which bpf_probe_read_kernel accepts. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} addresses SEC(".maps");

static void count(__u64 counters[2], bool is_transparent)
{
	__sync_fetch_and_add(&counters[is_transparent], 1);
}

static bool inet_is_transparent(void *sk)
{
	struct inet_sock___flags *flags = sk;
	struct inet_sock___bitfield *bitfield = sk;

	if (bpf_core_field_exists(flags->inet_flags))
		return flags->inet_flags >> transparent_bit & 1;
	return BPF_CORE_READ_BITFIELD(bitfield, transparent);
}

static void inspect_tcp(struct bpf_sock *sk)
{
	if (sk->state == BPF_TCP_TIME_WAIT) {
		struct inet_timewait_sock *tw =
			(void *)bpf_skc_to_tcp_timewait_sock(sk);

		if (tw)
			count(time_wait,
			      BPF_CORE_READ_BITFIELD(tw, tw_transparent));
	} else if (sk->state == BPF_TCP_NEW_SYN_RECV) {
		struct inet_request_sock *r =
			(void *)bpf_skc_to_tcp_request_sock(sk);

		if (r)
			count(request, BPF_CORE_READ_BITFIELD(r, no_srccheck));
	} else {
		bool is_listening = sk->state == BPF_TCP_LISTEN;
		void *tcp = bpf_skc_to_tcp_sock(sk);

		if (tcp)
			count(is_listening ? listening : full,
			      inet_is_transparent(tcp));
	}
}

/* For kernels without bpf_rdonly_cast. */
static void inspect_by_address(struct bpf_sock *sk)
{
	struct inet_sock___flags *type = NULL;
	unsigned long flags = 0;
	__u32 zero = 0;
	__u64 *address = bpf_map_lookup_elem(&addresses, &zero);

	if (!address)
		return;
	*address = (__u64)sk;
	barrier_var(address); /* verifier: read back as a number */
	bpf_probe_read_kernel(
		&flags, sizeof(flags),
		(void *)(*(volatile __u64 *)address +
			 bpf_core_field_offset(type->inet_flags)));
	count(udp4_by_address, flags >> transparent_bit & 1);
}

static void inspect_udp(struct bpf_sock *sk, __u32 family)
{
	void *udp = bpf_skc_to_udp6_sock(sk);

	if (family == INET6) {
		if (udp)
			count(udp6, inet_is_transparent(udp));
		return;
	}
	if (udp)
		__sync_fetch_and_add(&udp4_as_udp6, 1);
	inspect_by_address(sk);
	count(udp4,
	      inet_is_transparent(bpf_rdonly_cast(
		      sk, bpf_core_type_id_kernel(struct inet_sock___flags))));
}

SEC("tc")
int inspect(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	struct packet p;

	if (!parse(skb, 0, &p) || p.destination_port != bpf_htons(port))
		return NEXT;
	__u32 size = tuple_fill(&p, &tuple);

	if (p.protocol == IPPROTO_TCP) {
		sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS,
					0);
		if (!sk)
			return NEXT;
		inspect_tcp(sk);
		bpf_sk_release(sk);
	} else if (p.protocol == IPPROTO_UDP) {
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS,
				       0);
		if (!sk)
			return NEXT;
		inspect_udp(sk, p.family);
		bpf_sk_release(sk);
	}
	return NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
