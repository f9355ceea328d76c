/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - the packet cursor on a socket buffer.
 *
 * Loads relative to the network header, so that link headers do not matter:
 * tun and wireguard have none.
 * verifier: global functions are walked once, not for each of their callers;
 * they know no caller, hence the tests for NULL.
 */
#ifndef WL_BPF_PARSE_H
#define WL_BPF_PARSE_H

#include "state.h"

static __always_inline bool packet_load(void *ctx, __u32 at, void *to,
					__u32 len)
{
	return bpf_skb_load_bytes_relative(ctx, at, to, len,
					   BPF_HDR_START_NET) == 0;
}

#include "packet.h" /* needs packet_load() */

__noinline int parse(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return PACKET_OTHER;
	return packet_parse(skb, (__u16)skb->protocol, p);
}

/* Turned round: as the answer to the quoted packet would look. */
__noinline int parse_quote(struct __sk_buff *skb, const struct packet *error,
			   struct packet *quoted)
{
	if (!error || !quoted)
		return PACKET_OTHER;
	return packet_parse_quote(skb, error, quoted);
}

#endif
