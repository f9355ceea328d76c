/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_packet_test.h - IP packets with a TCP segment or a datagram, as bytes.
 *
 * Built from a struct segment, with right checksums, and looked at by their
 * offsets.  Sums are made by the definition of RFC 1071 over all bytes; nothing
 * is shared with bpf/.  Who rewrites them: cut_model_test.h.
 */
#ifndef WL_ENGINE_CUT_PACKET_TEST_H
#define WL_ENGINE_CUT_PACKET_TEST_H

#include "abi/cut.h"
#include "engine/bpf_frame_test.h"

#include <assert.h>
#include <stdbool.h>

enum {
	PACKET_MAX = 3400, /* a test run takes no more than a page */
	SEGMENT_OPTIONS_MAX = 40,
	SEGMENT_PSH = 8,
	SEGMENT_URG = 32,
	SEGMENT_ECE = 64,
	SEGMENT_CWR = 128,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

struct packet {
	uint8_t bytes[PACKET_MAX]; /* from the IP header on */
	size_t len;
};

/* Numbers in host order. */
struct segment {
	bool is_v6, has_df;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t ttl, tos;
	uint8_t flags, options_len; /* a multiple of 4 */
	uint16_t window, urgent, id;
	uint32_t seq, ack;
	struct wl_cut_tuple at;
	uint8_t options[SEGMENT_OPTIONS_MAX];
	unsigned payload_len;
	const uint8_t *payload; /* NULL: counted bytes */
};

/* Where the parts of a packet are. */
struct packet_view {
	bool is_v6, is_fragment;
	uint8_t proto;
	size_t transport; /* offset of its header */
	size_t payload;	  /* TCP: offset behind the options; 0: cut short */
	struct wl_cut_tuple at; /* ports only if not ICMP */
};

static inline void packet_set_16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void packet_set_32(uint8_t *at, uint32_t value)
{
	packet_set_16(at, value >> 16);
	packet_set_16(at + 2, value & 0xffff);
}

/* --- checksums ----------------------------------------------------------- */

/* Of a transport header and all behind it, with the pseudo header; 0xffff if
 * the sum in there is right. */
static inline unsigned packet_sum(const struct packet *p, size_t transport,
				  uint8_t proto)
{
	bool is_v6 = p->bytes[0] >> 4 == 6;
	size_t len = p->len - transport;
	uint32_t sum = 0;

	if (proto != IPPROTO_ICMP)
		sum = frame_sum(p->bytes + (is_v6 ? 8 : 12), is_v6 ? 32 : 8,
				(uint32_t)len + proto);
	return frame_sum(p->bytes + transport, len, sum);
}

/* Where the checksum is in a header of this protocol. */
static inline size_t packet_sum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	default: /* ICMP, of both kinds */
		return 2;
	}
}

static inline void packet_fill_sums(struct packet *p, size_t transport,
				    uint8_t proto)
{
	uint8_t *at = p->bytes + transport + packet_sum_offset(proto);
	unsigned sum;

	if (p->bytes[0] >> 4 == 4) {
		packet_set_16(p->bytes + 10, 0);
		packet_set_16(p->bytes + 10,
			      ~frame_sum(p->bytes, (p->bytes[0] & 15u) * 4, 0));
	}
	packet_set_16(at, 0);
	sum = ~packet_sum(p, transport, proto) & 0xffff;
	packet_set_16(at, !sum && proto == IPPROTO_UDP ? 0xffff : sum);
}

/* What is wrong with its sums, or NULL. */
static inline const char *packet_check_sums(const struct packet *p,
					    size_t transport, uint8_t proto)
{
	size_t at = transport + packet_sum_offset(proto);
	bool is_v6 = p->bytes[0] >> 4 == 6;

	if (!is_v6 && frame_sum(p->bytes, (p->bytes[0] & 15u) * 4, 0) != 0xffff)
		return "the sum of the IP header";
	if (proto == IPPROTO_UDP && !frame_16(p->bytes + at))
		return is_v6 ? "a datagram without sum" : NULL;
	if (packet_sum(p, transport, proto) != 0xffff)
		return "the sum of the transport header";
	return NULL;
}

/* --- building ------------------------------------------------------------ */

static inline void packet_build_ip(const struct segment *s, size_t payload_len,
				   struct packet *out)
{
	uint8_t *ip = out->bytes;

	memset(ip, 0, 40);
	if (s->is_v6) {
		packet_set_32(ip, 0x60000000u | (uint32_t)s->tos << 20 | s->id);
		packet_set_16(ip + 4, (unsigned)payload_len);
		ip[6] = s->proto;
		ip[7] = s->ttl;
		memcpy(ip + 8, s->at.src, 16);
		memcpy(ip + 24, s->at.dst, 16);
		out->len = 40;
		return;
	}
	ip[0] = 0x45;
	ip[1] = s->tos;
	packet_set_16(ip + 2, (unsigned)payload_len + 20);
	packet_set_16(ip + 4, s->id);
	packet_set_16(ip + 6, s->has_df ? 0x4000 : 0);
	ip[8] = s->ttl;
	ip[9] = s->proto;
	memcpy(ip + 12, s->at.src, 4);
	memcpy(ip + 16, s->at.dst, 4);
	out->len = 20;
}

static inline void packet_build_tcp(const struct segment *s, uint8_t *tcp)
{
	packet_set_32(tcp + 4, s->seq);
	packet_set_32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)((20 + s->options_len) << 2);
	tcp[13] = s->flags;
	packet_set_16(tcp + 14, s->window);
	packet_set_16(tcp + 18, s->urgent);
	memcpy(tcp + 20, s->options, s->options_len);
}

static inline void packet_build(const struct segment *s, struct packet *out)
{
	size_t head = s->proto == IPPROTO_TCP ? 20 + s->options_len : 8;
	size_t transport;
	uint8_t *at;

	packet_build_ip(s, head + s->payload_len, out);
	transport = out->len;
	at = out->bytes + transport;
	out->len += head + s->payload_len;
	assert(out->len <= PACKET_MAX);
	memcpy(at, &s->at.sport, 2);
	memcpy(at + 2, &s->at.dport, 2);
	if (s->proto == IPPROTO_TCP)
		packet_build_tcp(s, at);
	else
		packet_set_16(at + 4, (unsigned)(head + s->payload_len));
	for (size_t i = 0; i < s->payload_len; i++)
		at[head + i] = s->payload ? s->payload[i] : (uint8_t)i;
	packet_fill_sums(out, transport, s->proto);
}

/* --- looking ------------------------------------------------------------- */

/* Where a header of an IP packet says that its own end is; 0: it has none. */
static inline size_t packet_ip_len(const struct packet *p)
{
	if (p->bytes[0] >> 4 == 6)
		return 40;
	return (p->bytes[0] & 15u) * 4;
}

static inline void packet_view_addresses(const struct packet *p,
					 struct packet_view *v)
{
	memset(&v->at, 0, sizeof(v->at));
	memcpy(v->at.src, p->bytes + (v->is_v6 ? 8 : 12), v->is_v6 ? 16 : 4);
	memcpy(v->at.dst, p->bytes + (v->is_v6 ? 24 : 16), v->is_v6 ? 16 : 4);
}

/* False: it is no IP packet, or not all of its headers are there.  IPv6
 * extension headers are not followed: their protocol is what is found. */
static inline bool packet_look(const struct packet *p, struct packet_view *v)
{
	*v = (struct packet_view){ .is_v6 = p->len && p->bytes[0] >> 4 == 6 };
	if (p->len < (v->is_v6 ? 40u : 20u) ||
	    (!v->is_v6 && p->bytes[0] >> 4 != 4))
		return false;
	v->transport = packet_ip_len(p);
	v->proto = p->bytes[v->is_v6 ? 6 : 9];
	v->is_fragment = !v->is_v6 && frame_16(p->bytes + 6) & 0x3fff;
	packet_view_addresses(p, v);
	if (v->transport < 20 || p->len < v->transport + 8)
		return false;
	if (v->proto != IPPROTO_TCP && v->proto != IPPROTO_UDP)
		return true;
	memcpy(&v->at.sport, p->bytes + v->transport, 2);
	memcpy(&v->at.dport, p->bytes + v->transport + 2, 2);
	v->payload = v->transport + 8;
	if (v->proto == IPPROTO_TCP)
		v->payload =
			v->transport + (p->bytes[v->transport + 12] >> 4) * 4u;
	return true;
}

/* The key of a packet's flow; true: its sender is the low end. */
static inline bool packet_key(const struct packet_view *v,
			      struct wl_cut_key *out)
{
	uint32_t src[4], dst[4];
	bool is_low;

	memcpy(src, v->at.src, 16);
	memcpy(dst, v->at.dst, 16);
	is_low = wl_cut_is_low(src, v->at.sport, dst, v->at.dport);
	*out = (struct wl_cut_key){ .proto = v->proto, .family = v->is_v6 };
	memcpy(out->low, is_low ? v->at.src : v->at.dst, 16);
	memcpy(out->high, is_low ? v->at.dst : v->at.src, 16);
	out->low_port = is_low ? v->at.sport : v->at.dport;
	out->high_port = is_low ? v->at.dport : v->at.sport;
	return is_low;
}

#endif
