/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.c - see dns.h.
 *
 * A message (RFC 1035, section 4.1), as far as it is looked at:
 *
 *	id flags qd an ns ar	    six 16-bit numbers
 *	name type class		    the question, one
 *	name type class ttl length data   records, an + ns + ar of them
 */
#include "relay/dns.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	HEADER_BYTES = 12,
	FLAG_ANSWER = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	LABEL_MAX = 63,
	NAME_MAX_BYTES = 255, /* with its lengths and the root's zero */
	QUESTION_TAIL = 4,    /* type, class */
	RECORD_TAIL = 10,     /* type, class, ttl, length of the data */
	POINTER = 0xc0,
};

struct message {
	const uint8_t *bytes;
	size_t len;
	size_t at;
};

static uint16_t number_at(const struct message *m, size_t at)
{
	return (uint16_t)(m->bytes[at] << 8 | m->bytes[at + 1]);
}

static bool has_bytes(const struct message *m, size_t count)
{
	return m->len - m->at >= count;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* --- questions ----------------------------------------------------------- */

/* Nothing stands before a question that it could point to.  `out` gets what
 * is hashed: lengths and labels in lower case, type, class. */
static size_t read_question(struct message *m,
			    uint8_t out[NAME_MAX_BYTES + QUESTION_TAIL])
{
	size_t used = 0, label;

	do {
		if (!has_bytes(m, 1))
			return 0;
		label = m->bytes[m->at];
		if (label > LABEL_MAX || !has_bytes(m, 1 + label) ||
		    used + 1 + label > NAME_MAX_BYTES)
			return 0;
		/* a length is below 'A' and stays what it is */
		for (size_t i = 0; i <= label; i++)
			out[used++] = lower(m->bytes[m->at++]);
	} while (label);
	if (!has_bytes(m, QUESTION_TAIL))
		return 0;
	for (size_t i = 0; i < QUESTION_TAIL; i++)
		out[used++] = m->bytes[m->at++];
	return used;
}

static bool read_begin(struct message *m, bool is_answer, struct dns_query *out)
{
	uint8_t question[NAME_MAX_BYTES + QUESTION_TAIL];
	size_t question_len;

	if (m->len < HEADER_BYTES ||
	    !(number_at(m, 2) & FLAG_ANSWER) == is_answer ||
	    number_at(m, 4) != 1)
		return false;
	m->at = HEADER_BYTES;
	question_len = read_question(m, question);
	if (!question_len)
		return false;
	out->id = number_at(m, 0);
	out->question_hash = (uint32_t)XXH3_64bits(question, question_len);
	return true;
}

/* --- records ------------------------------------------------------------- */

/*
 * Goes behind the name of a record.  Each pointer leads to a place before
 * everything that was read of this name, so there are never more steps than
 * bytes, and no circle.
 */
static bool skip_name(struct message *m)
{
	size_t at = m->at, lowest = m->at, used = 0;
	bool has_jumped = false;

	while (at < m->len) {
		uint8_t label = m->bytes[at];

		if (label >= POINTER) {
			if (m->len - at < 2)
				return false;
			if (!has_jumped)
				m->at = at + 2;
			has_jumped = true;
			at = number_at(m, at) & 0x3fff;
			if (at >= lowest || at < HEADER_BYTES)
				return false;
			lowest = at;
			continue;
		}
		used += 1 + label;
		at += 1 + label;
		if (label > LABEL_MAX || used > NAME_MAX_BYTES)
			return false;
		if (label)
			continue;
		if (!has_jumped)
			m->at = at;
		return true;
	}
	return false;
}

static bool skip_record(struct message *m)
{
	size_t data;

	if (!skip_name(m) || !has_bytes(m, RECORD_TAIL))
		return false;
	data = number_at(m, m->at + RECORD_TAIL - 2);
	m->at += RECORD_TAIL;
	if (!has_bytes(m, data))
		return false;
	m->at += data;
	return true;
}

/* As many as the counts say; what is behind them is not asked for.  Some
 * servers cut in the middle of a record what they say is truncated, and the
 * client asks again by TCP. */
static bool has_records(struct message *m)
{
	uint32_t count =
		(uint32_t)number_at(m, 6) + number_at(m, 8) + number_at(m, 10);

	if (number_at(m, 2) & FLAG_TRUNCATED)
		return true;
	while (count--)
		if (!skip_record(m))
			return false;
	return true;
}

/* --- messages ------------------------------------------------------------ */

static bool read_message(struct message m, bool is_answer,
			 struct dns_query *out)
{
	struct dns_query found;

	if (!read_begin(&m, is_answer, &found) || !has_records(&m))
		return false;
	*out = found;
	return true;
}

bool dns_read_query(const uint8_t *bytes, size_t len, struct dns_query *out)
{
	return read_message((struct message){ bytes, len, 0 }, false, out);
}

bool dns_read_answer(const uint8_t *bytes, size_t len, struct dns_query *out)
{
	return read_message((struct message){ bytes, len, 0 }, true, out);
}

/* --- what was asked ------------------------------------------------------ */

void dns_asked_add(struct dns_asked *a, const struct dns_query *q)
{
	a->ring[a->next] = *q;
	a->is_open |= UINT64_C(1) << a->next;
	a->next = (uint8_t)((a->next + 1) % DNS_ASKED_MAX);
}

bool dns_asked_take(struct dns_asked *a, const struct dns_query *answer)
{
	for (unsigned i = 0; i < DNS_ASKED_MAX; i++) {
		const struct dns_query *q = &a->ring[i];

		if (!(a->is_open & UINT64_C(1) << i) || q->id != answer->id ||
		    q->question_hash != answer->question_hash)
			continue;
		a->is_open &= ~(UINT64_C(1) << i);
		return true;
	}
	return false;
}
