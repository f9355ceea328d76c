/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * known.h - remember for a moment which flows only pass.
 *
 * On a router most packets are nobody's here, and what costs is to find that
 * no socket is theirs.  So a flow that passed is known to pass for the rest of
 * the second: a table of numbers, each made of the flow, the second and a
 * secret, so that entries expire by themselves and nobody outside can choose
 * which flows share one.
 *
 * What can be wrong for that second: a transparent socket appears whose
 * packets were passing.  A TCP socket comes with a SYN from one side or the
 * other, and a packet with SYN is never known and makes its flow unknown; so
 * only datagrams that came before there was a socket for them are meant.
 * A new configuration is a new generation and begins with an empty table.
 */
#ifndef WL_BPF_KNOWN_H
#define WL_BPF_KNOWN_H

#include "parse.h"
#include "state.h"

enum { KNOWN_FLOWS = 1 << 14, KNOWN_SLOT_BITS = 30 /* of ns: 1.07 s */ };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KNOWN_FLOWS);
	__type(key, __u32);
	__type(value, __u64);
} known SEC(".maps");

static __always_inline __u64 mix(__u64 a, __u64 b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15ull;
	return a ^ a >> 32;
}

/* Never 0, which is what empty entries hold. */
static __always_inline __u64 known_number(const struct packet *p)
{
	__u64 slot = bpf_ktime_get_coarse_ns() >> KNOWN_SLOT_BITS;
	__u64 n = mix(known_secret, (__u64)p->src[0] << 32 | p->dst[0]);

	if (p->family) {
		n = mix(n, (__u64)p->src[1] << 32 | p->src[2]);
		n = mix(n, (__u64)p->src[3] << 32 | p->dst[1]);
		n = mix(n, (__u64)p->dst[2] << 32 | p->dst[3]);
	}
	n = mix(n, (__u64)p->sport << 32 | (__u64)p->dport << 16 | p->proto);
	return mix(n, slot ^ known_secret >> 7) | 1;
}

/* Not what begins a flow or is only part of a packet. */
static __always_inline bool is_knowable(const struct packet *p)
{
	return !p->is_fragment && !(p->tcp_flags & TCP_SYN);
}

static __always_inline __u64 *known_entry(__u64 number)
{
	__u32 at = number >> 40 & (KNOWN_FLOWS - 1);

	return bpf_map_lookup_elem(&known, &at);
}

static __always_inline bool is_known(__u64 number)
{
	__u64 *entry = known_entry(number);

	return entry && *entry == number;
}

static __always_inline void known_set(__u64 number, bool does_pass)
{
	__u64 *entry = known_entry(number);

	if (!entry)
		return;
	if (does_pass)
		*entry = number;
	else if (*entry == number)
		*entry = 0;
}

#endif
