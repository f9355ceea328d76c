/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * packet_naive.h - a second reader of packets, for tests.
 *
 * Written from the RFCs byte by byte, slow and plain; it shares nothing with
 * packet.h but the struct in which it answers.  Numbers in comments are those
 * of the RFC with the picture of the header.
 */
#ifndef WL_BPF_PACKET_NAIVE_H
#define WL_BPF_PACKET_NAIVE_H

#include "native_test.h"

/* --- bytes --------------------------------------------------------------- */

static inline bool naive_has(const struct bytes *b, size_t at, size_t len)
{
	return at + len <= b->len;
}

static inline unsigned naive_16(const struct bytes *b, size_t at)
{
	return (unsigned)(b->of[at] << 8 | b->of[at + 1]);
}

static inline void naive_copy(const struct bytes *b, size_t at, void *to,
			      size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = b->of[at + i];
}

/* --- transport ----------------------------------------------------------- */

static inline bool naive_is_error(bool is_v6, unsigned type)
{
	if (is_v6) /* 4443: errors are below 128, those that are defined */
		return type == 1 || type == 2 || type == 3 || type == 4;
	return type == 3 || type == 11 || type == 12; /* 792 */
}

static inline enum packet_kind naive_icmp(const struct bytes *b,
					  struct packet *p)
{
	if (p->fragment_at)
		return PACKET_OTHER;
	if (!naive_has(b, p->transport, 1))
		return PACKET_MALFORMED;
	if (!naive_is_error(p->family, b->of[p->transport]))
		return PACKET_OTHER;
	p->quote = p->transport + 8; /* 792, 4443: type, code, sum, a word */
	return PACKET_ICMP_ERROR;
}

/* A quote may end behind 8 bytes of the transport header (792). */
static inline enum packet_kind naive_flow(const struct bytes *b,
					  struct packet *p, bool is_quoted)
{
	if (p->fragment_at)
		return PACKET_FLOW;
	if (!naive_has(b, p->transport, 4))
		return PACKET_MALFORMED;
	naive_copy(b, p->transport, &p->sport, 2);
	naive_copy(b, p->transport + 2, &p->dport, 2);
	if (p->proto == 17 || is_quoted)
		return PACKET_FLOW;
	if (!naive_has(b, p->transport, 14)) /* 1858: a tiny fragment */
		return p->is_fragment ? PACKET_FLOW : PACKET_MALFORMED;
	p->tcp_flags = b->of[p->transport + 13]; /* 9293 */
	return PACKET_FLOW;
}

static inline enum packet_kind naive_transport(const struct bytes *b,
					       struct packet *p, bool is_quoted)
{
	if (p->proto == 6 || p->proto == 17)
		return naive_flow(b, p, is_quoted);
	if (p->proto == (p->family ? 58 : 1) && !is_quoted)
		return naive_icmp(b, p);
	return PACKET_OTHER;
}

/* --- IPv4: 791 ----------------------------------------------------------- */

static inline enum packet_kind naive_ipv4(const struct bytes *b, size_t at,
					  struct packet *p, bool is_quoted)
{
	unsigned words;

	if (!naive_has(b, at, 20) || b->of[at] / 16 != 4)
		return PACKET_MALFORMED;
	words = b->of[at] % 16;
	if (words < 5)
		return PACKET_MALFORMED;
	naive_copy(b, at + 4, &p->fragment_id, 2);
	p->fragment_at = (uint16_t)(naive_16(b, at + 6) % 0x2000);
	p->is_fragment = p->fragment_at != 0 || (b->of[at + 6] & 0x20);
	p->proto = p->fragment_proto = b->of[at + 9];
	naive_copy(b, at + 12, p->src, 4);
	naive_copy(b, at + 16, p->dst, 4);
	p->transport = (uint32_t)at + 4 * words;
	return naive_transport(b, p, is_quoted);
}

/* --- IPv6: 8200, 4302 ---------------------------------------------------- */

struct naive_header {
	uint8_t number;
	uint8_t unit, more; /* length in bytes: (its second byte + more) * unit;
			     * unit 0: always 8 */
};

static inline const struct naive_header *naive_header(unsigned number)
{
	static const struct naive_header headers[] = {
		{ .number = 0, .unit = 8, .more = 1 },	/* hop by hop */
		{ .number = 43, .unit = 8, .more = 1 }, /* routing */
		{ .number = 44 },			/* fragment */
		{ .number = 51, .unit = 4, .more = 2 }, /* authentication */
		{ .number = 60, .unit = 8, .more = 1 }, /* destination */
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (headers[i].number == number)
			return &headers[i];
	return NULL;
}

static inline void naive_fragment(const struct bytes *b, size_t at,
				  struct packet *p)
{
	unsigned field = naive_16(b, at + 2);

	p->fragment_proto = b->of[at];
	p->fragment_at = (uint16_t)(field / 8);
	p->is_fragment = p->fragment_at != 0 || field % 2;
	naive_copy(b, at + 4, &p->fragment_id, 4);
}

static inline enum packet_kind naive_ipv6(const struct bytes *b, size_t at,
					  struct packet *p, bool is_quoted)
{
	const struct naive_header *h;
	int count = 0;

	if (!naive_has(b, at, 40) || b->of[at] / 16 != 6)
		return PACKET_MALFORMED;
	p->family = 1;
	naive_copy(b, at + 8, p->src, 16);
	naive_copy(b, at + 24, p->dst, 16);
	p->proto = b->of[at + 6];
	at += 40;
	while ((h = naive_header(p->proto)) != NULL && !p->fragment_at) {
		p->transport = (uint32_t)at;
		if (count++ == 8)
			return PACKET_LONG_HEADERS;
		if (!naive_has(b, at, h->unit ? 2 : 8))
			return PACKET_MALFORMED;
		if (!h->unit)
			naive_fragment(b, at, p);
		p->proto = b->of[at];
		at += h->unit ? (b->of[at + 1] + h->more) * h->unit : 8;
	}
	p->transport = (uint32_t)at;
	if (h)
		return PACKET_FLOW; /* 4.5: what it has is in the first one */
	return naive_transport(b, p, is_quoted);
}

/* --- the whole ----------------------------------------------------------- */

static inline enum packet_kind naive_parse(const struct bytes *b, bool is_v6,
					   struct packet *p)
{
	memset(p, 0, sizeof(*p));
	return is_v6 ? naive_ipv6(b, 0, p, false) : naive_ipv4(b, 0, p, false);
}

/* As its answer would look. */
static inline enum packet_kind naive_quote(const struct bytes *b,
					   const struct packet *error,
					   struct packet *p)
{
	struct packet q = { .family = error->family };
	enum packet_kind kind = error->family
					? naive_ipv6(b, error->quote, &q, true)
					: naive_ipv4(b, error->quote, &q, true);

	*p = q;
	memcpy(p->src, q.dst, sizeof(p->src));
	memcpy(p->dst, q.src, sizeof(p->dst));
	p->sport = q.dport;
	p->dport = q.sport;
	return kind;
}

/* What a caller may rely on. */
static inline bool naive_is_same(enum packet_kind kind, const struct packet *a,
				 const struct packet *b)
{
	bool is_address_known = kind != PACKET_MALFORMED;
	bool is_read = kind == PACKET_FLOW || kind == PACKET_ICMP_ERROR ||
		       kind == PACKET_OTHER;

	if (is_address_known &&
	    (memcmp(a->src, b->src, 16) || memcmp(a->dst, b->dst, 16) ||
	     a->family != b->family))
		return false;
	if (!is_read)
		return true;
	return a->sport == b->sport && a->dport == b->dport &&
	       a->transport == b->transport && a->quote == b->quote &&
	       a->fragment_id == b->fragment_id &&
	       a->fragment_at == b->fragment_at &&
	       a->fragment_proto == b->fragment_proto && a->proto == b->proto &&
	       a->tcp_flags == b->tcp_flags && a->is_fragment == b->is_fragment;
}

#endif
