/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_tls.c - the server_name of a ClientHello (RFC 8446, RFC 6066).
 *
 * The handshake is read across its records without being put together: a
 * cursor goes over the bytes and steps over each record's header.
 *
 *	| 22 version length | fragment | 22 version length | fragment |
 *	                     `---------'                    `---------'
 *	hello:               type length version random session suites
 *	                     compressions extensions
 *
 * Only a whole ClientHello has a name: an extension that comes twice makes
 * the name worthless (R-TLS-3), and the second may be the last.
 */
#include "relay/name.h"

#include "policy/domains.h"

#include <string.h>

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_HEADER = 5,
	RECORD_MAX = 1 << 14,
	HELLO_TYPE = 1,
	HELLO_HEADER = 4, /* type and length */
	HELLO_FIXED = 34, /* version and random */
	SESSION_MAX = 32,
	EXTENSION_SERVER_NAME = 0,
	EXTENSIONS_MAX = 128, /* real clients send about twenty */
	TYPE_HOST_NAME = 0,
	NAME_MAX_BYTES = HOST_TEXT_MAX - 1,
};

struct hello {
	const uint8_t *bytes;
	size_t len, pos;
	size_t record_left;	/* bytes of this record */
	size_t at;		/* bytes of the handshake that were read */
	size_t end;		/* of the innermost structure, as `at` */
	enum name_result wrong; /* why a read failed: MORE or NONE */
	uint16_t seen[EXTENSIONS_MAX];
	size_t seen_count;
	size_t name_len; /* 0: not found yet */
	uint8_t name[NAME_MAX_BYTES];
};

static bool give_up(struct hello *h)
{
	h->wrong = NAME_NONE;
	return false;
}

/* --- bytes --------------------------------------------------------------- */

static bool next_record(struct hello *h)
{
	const uint8_t *record = h->bytes + h->pos;
	size_t left = h->len - h->pos;

	if (left && record[0] != RECORD_HANDSHAKE)
		return give_up(h);
	if (left < RECORD_HEADER)
		return false;
	/* the version is ignored (R-TLS-1) */
	h->record_left = (size_t)record[3] << 8 | record[4];
	h->pos += RECORD_HEADER;
	if (!h->record_left || h->record_left > RECORD_MAX)
		return give_up(h);
	return true;
}

/* The next bytes of the handshake, to `out` or nowhere. */
static bool take(struct hello *h, size_t count, uint8_t *out)
{
	if (count > h->end - h->at)
		return give_up(h);
	while (count) {
		size_t now = count;

		if (!h->record_left && !next_record(h))
			return false;
		if (now > h->record_left)
			now = h->record_left;
		if (now > h->len - h->pos)
			now = h->len - h->pos;
		if (!now)
			return false;
		if (out) {
			memcpy(out, h->bytes + h->pos, now);
			out += now;
		}
		h->pos += now;
		h->at += now;
		h->record_left -= now;
		count -= now;
	}
	return true;
}

static bool take_number(struct hello *h, size_t size, size_t *out)
{
	uint8_t bytes[3];
	size_t number = 0;

	if (!take(h, size, bytes))
		return false;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	*out = number;
	return true;
}

/* A length of `size` bytes, of something that ends where this does or
 * before. */
static bool take_length(struct hello *h, size_t size, size_t *out)
{
	if (!take_number(h, size, out))
		return false;
	return *out <= h->end - h->at || give_up(h);
}

static bool skip_vector(struct hello *h, size_t size, size_t least, size_t most)
{
	size_t len;

	if (!take_length(h, size, &len))
		return false;
	if (len < least || len > most)
		return give_up(h);
	return take(h, len, NULL);
}

/* --- extensions ---------------------------------------------------------- */

/* ServerNameList: one name of a type (R-TLS-4). */
static bool take_names(struct hello *h)
{
	uint64_t types[4] = { 0 };
	size_t list_len, type, len;

	if (!take_length(h, 2, &list_len))
		return false;
	if (!list_len || list_len != h->end - h->at)
		return give_up(h);
	while (h->at < h->end) {
		if (!take_number(h, 1, &type) || !take_length(h, 2, &len))
			return false;
		if (!len || types[type / 64] & 1ull << type % 64)
			return give_up(h);
		types[type / 64] |= 1ull << type % 64;
		if (type != TYPE_HOST_NAME) {
			if (!take(h, len, NULL))
				return false;
			continue;
		}
		if (len > sizeof(h->name))
			return give_up(h);
		if (!take(h, len, h->name))
			return false;
		h->name_len = len;
	}
	return true;
}

static bool is_new(struct hello *h, size_t type)
{
	for (size_t i = 0; i < h->seen_count; i++)
		if (h->seen[i] == type)
			return false;
	if (h->seen_count == EXTENSIONS_MAX)
		return false;
	h->seen[h->seen_count++] = (uint16_t)type;
	return true;
}

static bool take_extension(struct hello *h)
{
	size_t type, len, outer = h->end;
	bool is_taken;

	if (!take_number(h, 2, &type) || !take_length(h, 2, &len))
		return false;
	if (!is_new(h, type))
		return give_up(h);
	if (type != EXTENSION_SERVER_NAME)
		return take(h, len, NULL);
	h->end = h->at + len;
	is_taken = take_names(h);
	h->end = outer;
	return is_taken;
}

/* --- the whole ----------------------------------------------------------- */

static bool take_head(struct hello *h)
{
	size_t type, len;

	if (!take_number(h, 1, &type))
		return false;
	if (type != HELLO_TYPE)
		return give_up(h);
	if (!take_number(h, 3, &len))
		return false;
	if (len > NAME_HELLO_MAX - HELLO_HEADER)
		return give_up(h);
	h->end = h->at + len;
	return true;
}

static bool take_hello(struct hello *h)
{
	size_t len;

	if (!take_head(h) || !take(h, HELLO_FIXED, NULL) ||
	    !skip_vector(h, 1, 0, SESSION_MAX) ||
	    !skip_vector(h, 2, 2, NAME_HELLO_MAX) ||
	    !skip_vector(h, 1, 1, UINT8_MAX))
		return false;
	if (h->at == h->end) /* before TLS 1.3 there may be no extensions */
		return give_up(h);
	if (!take_length(h, 2, &len))
		return false;
	if (len != h->end - h->at)
		return give_up(h);
	while (h->at < h->end)
		if (!take_extension(h))
			return false;
	return true;
}

/* domain_normalise() takes a dot at the end; here it is none (R-TLS-4). */
static enum name_result read_name(struct hello *h, char out[HOST_TEXT_MAX])
{
	if (!take_hello(h))
		return h->wrong;
	if (!h->name_len || h->name[h->name_len - 1] == '.' ||
	    !domain_normalise((const char *)h->name, h->name_len, out))
		return NAME_NONE;
	return NAME_FOUND;
}

enum name_result name_tls(const uint8_t *bytes, size_t len,
			  char out[HOST_TEXT_MAX])
{
	struct hello h = { .bytes = bytes,
			   .len = len,
			   .end = HELLO_HEADER,
			   .wrong = NAME_MORE };

	return read_name(&h, out);
}

enum name_result name_hello(const uint8_t *bytes, size_t len,
			    char out[HOST_TEXT_MAX])
{
	struct hello h = { .bytes = bytes,
			   .len = len,
			   .record_left = SIZE_MAX, /* all of it is one */
			   .end = HELLO_HEADER,
			   .wrong = NAME_MORE };

	return read_name(&h, out);
}
