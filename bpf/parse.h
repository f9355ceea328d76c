/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - the packet cursor on a socket buffer.
 *
 * Most headers lie where the program can read them directly; for the others
 * there is a helper, which knows where the network header is.
 * verifier: global functions are walked once, not for each of their callers;
 * they know no caller, hence the tests for NULL.
 */
#ifndef WL_BPF_PARSE_H
#define WL_BPF_PARSE_H

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { LINK_UNKNOWN = 1 << 16, DIRECT_MAX = 256 };

struct packet_source {
	struct __sk_buff *skb;
	__u32 link_bytes; /* in front of the network header */
};

static __always_inline bool packet_load(void *ctx, __u32 at, void *to,
					__u32 len)
{
	const struct packet_source *s = ctx;
	__u32 from = s->link_bytes + at;
	const void *bytes;

	if (from < DIRECT_MAX) {
		bytes = (const void *)(__u64)s->skb->data + from;
		if (bytes + len <= (const void *)(__u64)s->skb->data_end) {
			__builtin_memcpy(to, bytes, len);
			return true;
		}
	}
	return bpf_skb_load_bytes_relative(s->skb, at, to, len,
					   BPF_HDR_START_NET) == 0;
}

#include "packet.h" /* needs packet_load() */

/* link_bytes 0: a device without a link header, or with one that we do not
 * know: only the helper can tell. */
__noinline int parse(struct __sk_buff *skb, __u32 link_bytes, struct packet *p)
{
	struct packet_source s = { skb,
				   link_bytes ? link_bytes : LINK_UNKNOWN };

	if (!p)
		return PACKET_OTHER;
	return packet_parse(&s, (__u16)skb->protocol, p);
}

/* Turned round: as the answer to the quoted packet would look. */
__noinline int parse_quote(struct __sk_buff *skb, const struct packet *error,
			   struct packet *quoted)
{
	struct packet_source s = { skb, LINK_UNKNOWN };

	if (!error || !quoted)
		return PACKET_OTHER;
	return packet_parse_quote(&s, error, quoted);
}

#endif
