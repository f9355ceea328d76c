/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_frame_test.h - frames with a packet of any shape, and what answers them.
 *
 * Checksums are verified here by the definition of RFC 1071, on the bytes
 * alone; nothing is shared with bpf/reject.h.
 */
#ifndef WL_ENGINE_BPF_FRAME_TEST_H
#define WL_ENGINE_BPF_FRAME_TEST_H

#include "policy/eval.h"

#include <arpa/inet.h>
#include <string.h>

enum {
	FRAME_MAX = 2048,
	FRAME_LINK = 14,
	FRAME_QUOTE_MAX = 128, /* of the packet that an ICMP error is about */
	FRAME_FIN = 1,
	FRAME_SYN = 2,
	FRAME_RST = 4,
	FRAME_ACK = 16,
};

/* IPv6 extension headers of a shape, in this order in the packet. */
enum {
	FRAME_HOP = 1,
	FRAME_ROUTING = 2,
	FRAME_OPTIONS = 4, /* behind the fragment header */
};

struct shape {
	struct addr src, dst; /* with ports */
	enum proto proto;
	uint8_t flags;	   /* TCP */
	unsigned words;	   /* of IPv4 options */
	unsigned headers;  /* IPv6: FRAME_HOP... */
	unsigned payload;  /* bytes behind the transport header */
	bool is_fragment;  /* IPv6: it has the header */
	bool has_more;	   /* fragments behind it */
	uint16_t fragment; /* offset in units of 8; > 0: no transport header */
	uint32_t id;	   /* IPv4: 16 bits */
	uint8_t link_to[6];
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
	size_t transport; /* offset in the frame */
};

static const uint8_t frame_link_from[6] = { 2, 0, 0, 0, 0, 99 };

/* --- building ------------------------------------------------------------ */

static inline void frame_put(struct frame *f, const void *bytes, size_t len)
{
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static inline void frame_put_8(struct frame *f, unsigned value)
{
	f->bytes[f->len++] = (uint8_t)value;
}

static inline void frame_put_16(struct frame *f, unsigned value)
{
	frame_put_8(f, value >> 8);
	frame_put_8(f, value);
}

static inline void frame_put_32(struct frame *f, uint32_t value)
{
	frame_put_16(f, value >> 16);
	frame_put_16(f, value);
}

static inline unsigned frame_16(const uint8_t *at)
{
	return (unsigned)(at[0] << 8 | at[1]);
}

static inline uint32_t frame_32(const uint8_t *at)
{
	return (uint32_t)frame_16(at) << 16 | frame_16(at + 2);
}

/* The sum of RFC 1071; 0xffff of what is in order. */
static inline unsigned frame_sum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint8_t frame_proto(enum proto proto)
{
	return proto == PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static inline void frame_put_ipv4(struct frame *f, const struct shape *s)
{
	frame_put_8(f, 0x45 + s->words);
	frame_put_8(f, 0);
	frame_put_16(f, 0); /* the length, when it is known */
	frame_put_16(f, s->id);
	frame_put_16(f, (s->has_more ? 0x2000u : 0) | s->fragment);
	frame_put_8(f, 60);
	frame_put_8(f, frame_proto(s->proto));
	frame_put_16(f, 0);
	frame_put(f, s->src.ip, 4);
	frame_put(f, s->dst.ip, 4);
	for (unsigned i = 0; i < 4 * s->words; i++)
		frame_put_8(f, 1); /* no operation */
}

/* An IPv6 extension header of `words` times 8 bytes; *next gets its number. */
static inline void frame_put_header(struct frame *f, size_t *next,
				    uint8_t number, unsigned words)
{
	f->bytes[*next] = number;
	*next = f->len;
	frame_put_8(f, 0);
	frame_put_8(f, words - 1);
	for (unsigned i = 2; i < 8 * words; i++)
		frame_put_8(f, 0);
}

static inline void frame_put_ipv6(struct frame *f, const struct shape *s)
{
	size_t next = f->len + 6;

	frame_put_32(f, 0x60000000);
	frame_put_16(f, 0); /* the length, when it is known */
	frame_put_16(f, 60);
	frame_put(f, s->src.ip, 16);
	frame_put(f, s->dst.ip, 16);
	if (s->headers & FRAME_HOP)
		frame_put_header(f, &next, IPPROTO_HOPOPTS, 1);
	if (s->headers & FRAME_ROUTING)
		frame_put_header(f, &next, IPPROTO_ROUTING, 3);
	if (s->is_fragment) {
		f->bytes[next] = IPPROTO_FRAGMENT;
		next = f->len;
		frame_put_16(f, 0);
		frame_put_16(f, (unsigned)s->fragment * 8 + s->has_more);
		frame_put_32(f, s->id);
	}
	if (s->headers & FRAME_OPTIONS) {
		if (s->fragment)
			f->bytes[next] = IPPROTO_DSTOPTS;
		else
			frame_put_header(f, &next, IPPROTO_DSTOPTS, 2);
	}
	if (!s->fragment || !(s->headers & FRAME_OPTIONS))
		f->bytes[next] = frame_proto(s->proto);
}

static inline void frame_put_transport(struct frame *f, const struct shape *s)
{
	frame_put_16(f, s->src.port);
	frame_put_16(f, s->dst.port);
	if (s->proto == PROTO_UDP) {
		frame_put_16(f, 8 + s->payload);
		frame_put_16(f, 0);
		return;
	}
	frame_put_32(f, 0xfffffff0); /* the answer's number wraps round */
	frame_put_32(f, 0x12345678);
	frame_put_16(f, 0x5000u | s->flags);
	frame_put_16(f, 0x2000);
	frame_put_32(f, 0);
}

/* Checksums are left out: who forwards does not look at them. */
static inline void frame_build(const struct shape *s, struct frame *f)
{
	bool is_v6 = s->src.family == AF_INET6;
	size_t len;

	f->len = 0;
	frame_put(f, s->link_to, 6);
	frame_put(f, frame_link_from, 6);
	frame_put_16(f, is_v6 ? 0x86dd : 0x0800);
	if (is_v6)
		frame_put_ipv6(f, s);
	else
		frame_put_ipv4(f, s);
	f->transport = f->len;
	if (!s->fragment)
		frame_put_transport(f, s);
	for (unsigned i = 0; i < s->payload; i++)
		frame_put_8(f, i);
	len = f->len;
	f->len = FRAME_LINK + (is_v6 ? 4 : 2);
	frame_put_16(f, (unsigned)(len - FRAME_LINK - (is_v6 ? 40 : 0)));
	f->len = len;
}

/* --- answers ------------------------------------------------------------- */

/* What is wrong with the head of an answer to `s`, an IP packet of `len`
 * bytes, or NULL; *at is where its payload begins. */
static inline const char *frame_check_ip(const struct shape *s,
					 const uint8_t *ip, size_t len,
					 uint8_t proto, size_t *at)
{
	bool is_v6 = s->src.family == AF_INET6;

	*at = is_v6 ? 40 : 20;
	if (len < *at || ip[0] != (is_v6 ? 0x60 : 0x45))
		return "not such an IP header";
	if (frame_16(ip + (is_v6 ? 4 : 2)) != len - (is_v6 ? 40 : 0))
		return "another length";
	if (ip[is_v6 ? 6 : 9] != proto)
		return "another protocol";
	if (ip[is_v6 ? 7 : 8] < 32)
		return "it will not go far";
	if (memcmp(ip + (is_v6 ? 8 : 12), s->dst.ip, is_v6 ? 16 : 4) ||
	    memcmp(ip + (is_v6 ? 24 : 16), s->src.ip, is_v6 ? 16 : 4))
		return "other addresses";
	if (!is_v6 && frame_sum(ip, 20, 0) != 0xffff)
		return "the sum of the IP header";
	if (!is_v6 && frame_16(ip + 6) & 0x3fff)
		return "a fragment";
	return NULL;
}

/* With the pseudo header, which the answer's own addresses make. */
static inline bool frame_is_sum_good(const uint8_t *ip, size_t at, size_t len,
				     uint8_t proto)
{
	size_t address = at == 40 ? 8 : 12;
	uint32_t sum = (uint32_t)(len - at) + proto;

	if (proto == IPPROTO_ICMP) /* which has none */
		return frame_sum(ip + at, len - at, 0) == 0xffff;
	return frame_sum(ip + at, len - at,
			 frame_sum(ip + address, at == 40 ? 32 : 8, sum)) ==
	       0xffff;
}

/* RFC 9293, 3.5.2. */
static inline const char *frame_check_reset(const struct shape *s,
					    const uint8_t *ip, size_t len)
{
	uint32_t next = 0xfffffff0 + s->payload + !!(s->flags & FRAME_SYN) +
			!!(s->flags & FRAME_FIN);
	const uint8_t *tcp;
	size_t at;
	const char *wrong = frame_check_ip(s, ip, len, IPPROTO_TCP, &at);

	if (wrong)
		return wrong;
	tcp = ip + at;
	if (len - at != 20 || tcp[12] != 0x50)
		return "not one TCP header";
	if (frame_16(tcp) != s->dst.port || frame_16(tcp + 2) != s->src.port)
		return "other ports";
	if (s->flags & FRAME_ACK) {
		if (tcp[13] != FRAME_RST || frame_32(tcp + 4) != 0x12345678)
			return "not the reset of a segment with ACK";
	} else if (tcp[13] != (FRAME_RST | FRAME_ACK) || frame_32(tcp + 4) ||
		   frame_32(tcp + 8) != next) {
		return "not the reset of a segment without ACK";
	}
	return frame_is_sum_good(ip, at, len, IPPROTO_TCP) ? NULL
							   : "the TCP sum";
}

/* RFC 792 and RFC 4443, 3.1: it quotes what tells the flow. */
static inline const char *frame_check_unreachable(const struct shape *s,
						  const struct frame *asked,
						  const uint8_t *ip, size_t len)
{
	bool is_v6 = s->src.family == AF_INET6;
	uint8_t proto = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	size_t at, quote = asked->transport + 8 - FRAME_LINK;
	const char *wrong = frame_check_ip(s, ip, len, proto, &at);

	if (wrong)
		return wrong;
	if (len - at < 8 || ip[at] != (is_v6 ? 1 : 3) ||
	    ip[at + 1] != (is_v6 ? 4 : 3) || frame_32(ip + at + 4))
		return "not port unreachable";
	if (quote > FRAME_QUOTE_MAX)
		quote = FRAME_QUOTE_MAX;
	at += 8;
	if (len - at < quote)
		return "too short a quote";
	if (memcmp(ip + at, asked->bytes + FRAME_LINK, len - at) != 0)
		return "another quote";
	return frame_is_sum_good(ip, at - 8, len, proto) ? NULL
							 : "the ICMP sum";
}

#endif
