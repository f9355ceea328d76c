/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic.c - see name_quic.h.
 *
 *	datagram   | packet | packet | ... | anything
 *	packet	   | first version cid cid token length | number frames tag |
 *	frames	   PADDING, PING, ACK, CRYPTO, CONNECTION_CLOSE
 *	crypto	   ClientHello, in pieces
 *
 * What cannot be opened is passed over as the server would; what can be
 * opened and breaks the protocol has no name.
 */
#include "relay/name_quic.h"

#include "relay/cursor.h"

#include <string.h>

enum {
	LONG_HEADER = 0x80,
	DGRAM_MIN = 1200, /* RFC 9000, section 14.1 */
	INITIALS_MAX = 8, /* of one datagram, that are opened */
};

struct packet {
	uint8_t first;
	uint32_t version;
	const uint8_t *cid;
	uint8_t cid_len;
	const uint8_t *start;
	size_t len;	  /* with the tag */
	size_t number_at; /* from start */
};

/* --- headers ------------------------------------------------------------- */

static bool take_varint(struct cursor *c, uint64_t *out)
{
	uint64_t number;
	size_t size;

	if (!cursor_left(c))
		return false;
	size = (size_t)1 << (*c->at >> 6);
	if (!cursor_number(c, size, &number))
		return false;
	*out = number & ~(3ull << (8 * size - 2));
	return true;
}

static bool skip(struct cursor *c, uint64_t count)
{
	const uint8_t *ignored;

	return cursor_bytes(c, count, &ignored);
}

static bool skip_counted(struct cursor *c)
{
	uint64_t count;

	return take_varint(c, &count) && skip(c, count);
}

static bool take_cid(struct cursor *c, const uint8_t **cid, uint8_t *len)
{
	uint64_t number;

	if (!cursor_number(c, 1, &number) || !cursor_bytes(c, number, cid))
		return false;
	*len = (uint8_t)number;
	return true;
}

/* What all versions have in common (RFC 8999, section 5.1). */
static bool take_invariants(struct cursor *c, struct packet *p)
{
	const uint8_t *client_cid;
	uint64_t first, version;
	uint8_t client_cid_len;

	p->start = c->at;
	if (!cursor_number(c, 1, &first) || !(first & LONG_HEADER) ||
	    !cursor_number(c, 4, &version) ||
	    !take_cid(c, &p->cid, &p->cid_len) ||
	    !take_cid(c, &client_cid, &client_cid_len))
		return false;
	p->first = (uint8_t)first;
	p->version = (uint32_t)version;
	return !quic_version_is_known(p->version) ||
	       (p->cid_len <= QUIC_CID_MAX && client_cid_len <= QUIC_CID_MAX);
}

/* Up to the packet number.  The packet is of a known version. */
static bool take_rest(struct cursor *c, struct packet *p)
{
	enum quic_type type = quic_type_of(p->version, p->first);
	uint64_t len;

	if (type == QUIC_RETRY || (type == QUIC_INITIAL && !skip_counted(c)) ||
	    !take_varint(c, &len))
		return false;
	p->number_at = (size_t)(c->at - p->start);
	if (!skip(c, len))
		return false;
	p->len = (size_t)(c->at - p->start);
	return true;
}

bool name_is_quic(const uint8_t *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct packet p;
	enum quic_type type;

	if (!take_invariants(&c, &p) || !p.version)
		return false;
	if (!quic_version_is_known(p.version))
		return len >= DGRAM_MIN;
	type = quic_type_of(p.version, p.first);
	return (type == QUIC_INITIAL || type == QUIC_ZERO_RTT) &&
	       take_rest(&c, &p);
}

/* --- pieces of the handshake --------------------------------------------- */

static bool range_reaches(const struct name_quic *q, size_t i, size_t first)
{
	return i < q->range_count && q->ranges[i].first <= first;
}

/* [first, end) is filled now.  False: too many gaps. */
static bool add_range(struct name_quic *q, uint16_t first, uint16_t end)
{
	size_t i = 0, last, tail;

	while (i < q->range_count && q->ranges[i].end < first)
		i++;
	/* ranges i to last - 1 touch the new one, and become one with it */
	for (last = i; range_reaches(q, last, end); last++) {
		if (q->ranges[last].first < first)
			first = q->ranges[last].first;
		if (q->ranges[last].end > end)
			end = q->ranges[last].end;
	}
	if (i == last && q->range_count == QUIC_RANGES_MAX)
		return false;
	tail = q->range_count - last;
	memmove(&q->ranges[i + 1], &q->ranges[last],
		tail * sizeof(q->ranges[0]));
	q->ranges[i].first = first;
	q->ranges[i].end = end;
	q->range_count = (uint8_t)(i + 1 + tail);
	return true;
}

/* Is what comes again what was there? */
static bool is_consistent(const struct name_quic *q, size_t first, size_t end,
			  const uint8_t *bytes)
{
	for (size_t i = 0; range_reaches(q, i, end); i++) {
		size_t from = q->ranges[i].first, to = q->ranges[i].end;

		if (from < first)
			from = first;
		if (to > end)
			to = end;
		if (from < to && memcmp(q->crypto + from, bytes + from - first,
					to - from) != 0)
			return false;
	}
	return true;
}

static bool take_crypto(struct name_quic *q, struct cursor *c)
{
	uint64_t offset, len;
	const uint8_t *bytes;

	if (!take_varint(c, &offset) || !take_varint(c, &len) ||
	    !cursor_bytes(c, len, &bytes) || offset + len > QUIC_CRYPTO_MAX ||
	    !is_consistent(q, offset, offset + len, bytes))
		return false;
	if (!len)
		return true;
	memcpy(q->crypto + offset, bytes, len);
	return add_range(q, (uint16_t)offset, (uint16_t)(offset + len));
}

/* --- frames -------------------------------------------------------------- */

enum frame_type {
	FRAME_PADDING = 0x00,
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_ACK_ECN = 0x03,
	FRAME_CRYPTO = 0x06,
	FRAME_CLOSE = 0x1c,
};

static bool skip_numbers(struct cursor *c, uint64_t count)
{
	uint64_t ignored;

	while (count--)
		if (!take_varint(c, &ignored))
			return false;
	return true;
}

/* largest delay count first (gap length)... [three counts] */
static bool skip_ack(struct cursor *c, bool has_ecn)
{
	uint64_t count;

	if (!skip_numbers(c, 2) || !take_varint(c, &count) ||
	    !skip_numbers(c, 1))
		return false;
	if (count > cursor_left(c))
		return false;
	return skip_numbers(c, 2 * count + (has_ecn ? 3 : 0));
}

/* error frame reason */
static bool skip_close(struct cursor *c)
{
	return skip_numbers(c, 2) && skip_counted(c);
}

/* Those of RFC 9000, section 12.4, that an Initial may hold. */
static bool take_frame(struct name_quic *q, struct cursor *c)
{
	uint64_t type;

	if (!take_varint(c, &type))
		return false;
	switch (type) {
	case FRAME_PADDING:
	case FRAME_PING:
		return true;
	case FRAME_ACK:
	case FRAME_ACK_ECN:
		return skip_ack(c, type == FRAME_ACK_ECN);
	case FRAME_CRYPTO:
		return take_crypto(q, c);
	case FRAME_CLOSE:
		return skip_close(c);
	default:
		return false;
	}
}

static bool take_frames(struct name_quic *q, const uint8_t *payload, size_t len)
{
	struct cursor c = { payload, payload + len };

	while (cursor_left(&c)) {
		if (*c.at == FRAME_PADDING)
			c.at++; /* hundreds of them */
		else if (!take_frame(q, &c))
			return false;
	}
	return true;
}

/* --- packets ------------------------------------------------------------- */

static bool is_of_keys(const struct name_quic *q, const struct packet *p)
{
	return q->version == p->version && q->cid_len == p->cid_len &&
	       !memcmp(q->cid, p->cid, p->cid_len);
}

static void keep_keys(struct name_quic *q, const struct quic_keys *k,
		      const uint8_t *cid, uint8_t cid_len, uint32_t version)
{
	q->has_keys = true;
	q->keys = *k;
	q->cid_len = cid_len;
	memmove(q->cid, cid, cid_len);
	q->version = version;
}

static size_t open_with(struct name_quic *q, const struct packet *p,
			const uint8_t *cid, uint8_t cid_len,
			uint8_t out[QUIC_PACKET_MAX], const uint8_t **payload)
{
	struct quic_keys k;
	size_t len;

	quic_keys_derive(p->version, cid, cid_len, &k);
	len = quic_open(&k, p->start, p->len, p->number_at, out, payload);
	if (len)
		keep_keys(q, &k, cid, cid_len, p->version);
	return len;
}

static size_t open_packet(struct name_quic *q, const struct packet *p,
			  uint8_t out[QUIC_PACKET_MAX], const uint8_t **payload)
{
	size_t len = 0;

	if (q->has_keys && q->version == p->version)
		len = quic_open(&q->keys, p->start, p->len, p->number_at, out,
				payload);
	else if (q->has_keys) /* the version was negotiated, RFC 9368 */
		len = open_with(q, p, q->cid, q->cid_len, out, payload);
	if (len || (q->has_keys && is_of_keys(q, p)))
		return len;
	return open_with(q, p, p->cid, p->cid_len, out, payload);
}

/* MORE, or NONE when nothing can come of it. */
static enum name_result take_initial(struct name_quic *q,
				     const struct packet *p)
{
	uint8_t clear[QUIC_PACKET_MAX];
	const uint8_t *payload;
	size_t len = open_packet(q, p, clear, &payload);

	if (!len)
		return q->has_keys ? NAME_MORE : NAME_NONE;
	return take_frames(q, payload, len) ? NAME_MORE : NAME_NONE;
}

/* Packets for another connection id than the first one's are not of this
 * connection (RFC 9000, section 12.2). */
static bool next_packet(struct cursor *c, const struct packet *first,
			struct packet *out)
{
	return cursor_left(c) && take_invariants(c, out) &&
	       out->version == first->version &&
	       out->cid_len == first->cid_len &&
	       !memcmp(out->cid, first->cid, first->cid_len) &&
	       take_rest(c, out);
}

static enum name_result take_packets(struct name_quic *q, struct cursor *c,
				     const struct packet *first)
{
	unsigned initials = 0;
	struct packet p;

	while (next_packet(c, first, &p)) {
		if (quic_type_of(p.version, p.first) != QUIC_INITIAL)
			continue;
		/* each costs much more than it takes to send */
		if (++initials > INITIALS_MAX)
			break;
		if (take_initial(q, &p) == NAME_NONE)
			return NAME_NONE;
	}
	return NAME_MORE;
}

static enum name_result read_hello(const struct name_quic *q,
				   char out[HOST_TEXT_MAX])
{
	if (!q->range_count || q->ranges[0].first)
		return NAME_MORE;
	return name_hello(q->crypto, q->ranges[0].end, out);
}

enum name_result name_quic(struct name_quic *q, const uint8_t *bytes,
			   size_t len, char out[HOST_TEXT_MAX])
{
	struct cursor c = { bytes, bytes + len };
	struct packet first;
	enum name_result r = NAME_MORE;

	if (take_invariants(&c, &first)) {
		if (!quic_version_is_known(first.version))
			return NAME_NONE;
		c.at = bytes;
		r = take_packets(q, &c, &first);
	} else if (!q->dgrams) {
		return NAME_NONE;
	}
	q->dgrams++;
	if (r == NAME_MORE)
		r = read_hello(q, out);
	if (r == NAME_MORE && q->dgrams >= QUIC_DGRAMS_MAX)
		return NAME_NONE;
	return r;
}
