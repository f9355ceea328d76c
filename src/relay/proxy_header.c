/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header.c - the PROXY protocol; see proxy_header.h.
 *
 * Sections 2.1 (version 1, a line of text) and 2.2 (version 2, binary).
 *
 *	version 2	signature 12, version and command 1, family and
 *			protocol 1, length 2, then that many bytes:
 *			client, server, their ports, TLVs
 */
#include "relay/proxy_header.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
				       0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

enum {
	V1_MAX = 107, /* bytes, with CRLF */
	V2_FIXED = 16,
	V2_COMMAND_AT = 12,
	V2_FAMILY_AT = 13,
	V2_LENGTH_AT = 14,
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	V2_UNSPEC = 0x00,
	V2_INET = 0x10,
	V2_INET6 = 0x20,
	V2_STREAM = 0x01,
	V2_DGRAM = 0x02,
	TLV_CRC32C = 3,
	TLV_HEAD = 3, /* type 1, length 2 */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* --- writing ------------------------------------------------------------- */

static size_t write_v1(const struct addr *client, const struct addr *server,
		       uint8_t out[PROXY_HEADER_WRITE_MAX])
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	struct addr c = *client, s = *server;
	int len;

	c.scope = s.scope = 0; /* the text form knows no scope */
	len = snprintf((char *)out, PROXY_HEADER_WRITE_MAX,
		       "PROXY TCP%c %s %s %u %u\r\n",
		       c.family == AF_INET6 ? '6' : '4',
		       addr_format_ip(&c, from), addr_format_ip(&s, to), c.port,
		       s.port);
	assert(len > 0 && len <= V1_MAX);
	return (size_t)len;
}

static size_t write_v2(enum proto proto, const struct addr *client,
		       const struct addr *server,
		       uint8_t out[PROXY_HEADER_WRITE_MAX])
{
	size_t ip_len = addr_ip_len(client);
	uint8_t *p = out + V2_FIXED;

	memcpy(out, signature, sizeof(signature));
	out[V2_COMMAND_AT] = V2_PROXY;
	out[V2_FAMILY_AT] =
		(uint8_t)((client->family == AF_INET6 ? V2_INET6 : V2_INET) |
			  (proto == PROTO_UDP ? V2_DGRAM : V2_STREAM));
	put16(out + V2_LENGTH_AT, (uint16_t)(2 * ip_len + 4));
	memcpy(p, client->ip, ip_len);
	memcpy(p + ip_len, server->ip, ip_len);
	put16(p + 2 * ip_len, client->port);
	put16(p + 2 * ip_len + 2, server->port);
	return V2_FIXED + 2 * ip_len + 4;
}

size_t proxy_header_write(enum upstream_kind kind, enum proto proto,
			  const struct addr *client, const struct addr *server,
			  uint8_t out[PROXY_HEADER_WRITE_MAX])
{
	if (kind != UPSTREAM_PROXY_V1 && kind != UPSTREAM_PROXY_V2)
		return 0;
	assert(client->family == server->family); /* one flow's two ends */
	if (kind == UPSTREAM_PROXY_V2)
		return write_v2(proto, client, server, out);
	return proto == PROTO_TCP ? write_v1(client, server, out) : 0;
}

/* --- reading ------------------------------------------------------------- */

struct ends {
	struct addr client, server;
};

/* A sender whose one socket takes both families writes IPv4 as mapped into
 * IPv6.  No connection has one such end. */
static bool normalise(struct ends *e)
{
	return addr_unmap(&e->client) == addr_unmap(&e->server);
}

/* Are bytes[0..len) a beginning of, or begin with, what? */
static bool agrees(const uint8_t *bytes, size_t len, const void *what,
		   size_t what_len)
{
	return memcmp(bytes, what, len < what_len ? len : what_len) == 0;
}

/* --- version 1 ----------------------------------------------------------- */

/* Cuts the word at *at off its line; NULL: no word, or no space behind it. */
static char *next_word(char **at, char end)
{
	char *word = *at, *stop = strchr(word, end);

	if (!stop || stop == word)
		return NULL;
	*at = stop + (end ? 1 : 0);
	*stop = '\0';
	return word;
}

/* Zones are refused by the set of bytes, leading zeros of IPv4 by
 * addr_parse_ip(). */
static bool parse_ip(const char *word, uint16_t family, struct addr *out)
{
	const char *allowed =
		family == AF_INET ? "0123456789." : "0123456789abcdefABCDEF:.";

	return word && word[strspn(word, allowed)] == '\0' &&
	       addr_parse_ip(word, out) == 0 && out->family == family;
}

static bool parse_port(const char *word, uint16_t *out)
{
	uint32_t value = 0;
	size_t len = word ? strlen(word) : 0;

	if (len < 1 || len > 5 || (word[0] == '0' && len > 1))
		return false;
	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return false;
		value = value * 10 + (uint32_t)(*word - '0');
	}
	*out = (uint16_t)value;
	return value <= UINT16_MAX;
}

/* "TCP4 " or "TCP6 " is before it. */
static enum proxy_header_result parse_ends(char *line, uint16_t family,
					   struct ends *e)
{
	if (!parse_ip(next_word(&line, ' '), family, &e->client) ||
	    !parse_ip(next_word(&line, ' '), family, &e->server) ||
	    !parse_port(next_word(&line, ' '), &e->client.port) ||
	    !parse_port(next_word(&line, '\0'), &e->server.port))
		return PROXY_HEADER_BAD;
	return normalise(e) ? PROXY_HEADER_DONE : PROXY_HEADER_BAD;
}

/* What is behind "PROXY ", without the CRLF. */
static enum proxy_header_result parse_v1(char *line, struct ends *e)
{
	const char *transport;

	if (strcmp(line, "UNKNOWN") == 0)
		return PROXY_HEADER_LOCAL;
	transport = next_word(&line, ' ');
	if (!transport)
		return PROXY_HEADER_BAD;
	if (strcmp(transport, "TCP4") == 0)
		return parse_ends(line, AF_INET, e);
	if (strcmp(transport, "TCP6") == 0)
		return parse_ends(line, AF_INET6, e);
	if (strcmp(transport, "UNKNOWN") == 0) /* ignore the rest, R-PP-3 */
		return PROXY_HEADER_LOCAL;
	return PROXY_HEADER_BAD;
}

/* The line's length without CRLF; 0: more is needed; -1: it has none.  Lone CR
 * and LF end it wrongly (R-PP-3), NUL would end our string. */
static int find_crlf(const uint8_t *bytes, size_t len)
{
	enum { CR_AT_MAX = V1_MAX - 2 };
	size_t i = 0;

	while (i < len && bytes[i] && bytes[i] != '\r' && bytes[i] != '\n')
		i++;
	if (i > CR_AT_MAX)
		return -1;
	if (i == len || (i + 1 == len && bytes[i] == '\r'))
		return 0;
	return bytes[i] == '\r' && bytes[i + 1] == '\n' ? (int)i : -1;
}

static enum proxy_header_result read_v1(const uint8_t *bytes, size_t len,
					size_t *used, struct ends *e)
{
	static const char begin[] = { 'P', 'R', 'O', 'X', 'Y', ' ' };
	char line[V1_MAX];
	enum proxy_header_result result;
	int end;

	if (!agrees(bytes, len, begin, sizeof(begin)))
		return PROXY_HEADER_BAD;
	end = find_crlf(bytes, len);
	if (end < 0)
		return PROXY_HEADER_BAD;
	if (!end)
		return PROXY_HEADER_MORE;
	memcpy(line, bytes, (size_t)end);
	line[end] = '\0';
	result = parse_v1(line + sizeof(begin), e);
	*used = (size_t)end + 2;
	return result;
}

/* --- version 2 ----------------------------------------------------------- */

/* RFC 4960, appendix B: reflected, polynomial 0x1edc6f41, four bits a step. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t len)
{
	static const uint32_t steps[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ steps[crc & 15];
		crc = crc >> 4 ^ steps[crc & 15];
	}
	return crc;
}

/* R-PP-6: the sum is of the whole header, with zeros in its own place. */
static bool is_sum_right(const uint8_t *bytes, size_t len, size_t sum_at)
{
	static const uint8_t zero[4];
	const uint8_t *sum = bytes + sum_at;
	uint32_t told = (uint32_t)get16(sum) << 16 | get16(sum + 2);
	uint32_t crc = crc32c(UINT32_MAX, bytes, sum_at);

	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, sum + sizeof(zero), len - sum_at - sizeof(zero));
	return ~crc == told;
}

/* From `at` to the end of the header: R-PP-5. */
static bool are_tlvs_right(const uint8_t *bytes, size_t len, size_t at)
{
	size_t sum_at = 0;

	while (at < len) {
		size_t value_len;

		if (len - at < TLV_HEAD)
			return false;
		value_len = get16(bytes + at + 1);
		if (value_len > len - at - TLV_HEAD)
			return false;
		if (bytes[at] == TLV_CRC32C) {
			if (value_len != 4 || sum_at)
				return false; /* a second cannot be right */
			sum_at = at + TLV_HEAD;
		}
		at += TLV_HEAD + value_len;
	}
	return !sum_at || is_sum_right(bytes, len, sum_at);
}

/*
 * R-PP-4: what a TCP connection can have been before.  UNIX sockets and UDP
 * are assigned too.  The text allows to take the real ends for them or to
 * reject; the real ends would be a lie, as the client is known not to be
 * there.
 */
static bool has_ends(uint8_t family)
{
	return family == (V2_INET | V2_STREAM) ||
	       family == (V2_INET6 | V2_STREAM);
}

/* All of it is there. */
static enum proxy_header_result parse_v2(const uint8_t *bytes, size_t len,
					 struct ends *e)
{
	bool is_v6 = bytes[V2_FAMILY_AT] == (V2_INET6 | V2_STREAM);
	const uint8_t *p = bytes + V2_FIXED;
	size_t ip_len, at;

	e->client.family = e->server.family = is_v6 ? AF_INET6 : AF_INET;
	ip_len = addr_ip_len(&e->client);
	at = V2_FIXED + 2 * ip_len + 4;
	if (len < at || !are_tlvs_right(bytes, len, at))
		return PROXY_HEADER_BAD;
	memcpy(e->client.ip, p, ip_len);
	memcpy(e->server.ip, p + ip_len, ip_len);
	e->client.port = get16(p + 2 * ip_len);
	e->server.port = get16(p + 2 * ip_len + 2);
	return normalise(e) ? PROXY_HEADER_DONE : PROXY_HEADER_BAD;
}

/* The part of fixed length, as far as it is there, is what we take. */
static bool is_v2_possible(const uint8_t *bytes, size_t len)
{
	bool is_local = len > V2_COMMAND_AT && bytes[V2_COMMAND_AT] == V2_LOCAL;

	if (!agrees(bytes, len, signature, sizeof(signature)))
		return false;
	if (len > V2_COMMAND_AT && !is_local &&
	    bytes[V2_COMMAND_AT] != V2_PROXY)
		return false;
	/* The family of LOCAL is ignored. */
	return len <= V2_FAMILY_AT || is_local ||
	       bytes[V2_FAMILY_AT] == V2_UNSPEC ||
	       has_ends(bytes[V2_FAMILY_AT]);
}

static enum proxy_header_result read_v2(const uint8_t *bytes, size_t len,
					size_t *used, struct ends *e)
{
	size_t total;

	if (!is_v2_possible(bytes, len))
		return PROXY_HEADER_BAD;
	if (len < V2_FIXED)
		return PROXY_HEADER_MORE;
	total = V2_FIXED + (size_t)get16(bytes + V2_LENGTH_AT);
	if (total > PROXY_HEADER_READ_MAX)
		return PROXY_HEADER_BAD;
	if (len < total)
		return PROXY_HEADER_MORE;
	*used = total;
	if (bytes[V2_COMMAND_AT] == V2_LOCAL ||
	    bytes[V2_FAMILY_AT] == V2_UNSPEC)
		return PROXY_HEADER_LOCAL; /* its bytes are skipped */
	return parse_v2(bytes, total, e);
}

enum proxy_header_result proxy_header_read(const uint8_t *bytes, size_t len,
					   size_t *used, struct addr *client,
					   struct addr *server)
{
	enum proxy_header_result result;
	struct ends e = { 0 };
	size_t total = 0;

	if (!len)
		return PROXY_HEADER_MORE;
	if (bytes[0] == signature[0])
		result = read_v2(bytes, len, &total, &e);
	else
		result = read_v1(bytes, len, &total, &e);
	if (result == PROXY_HEADER_DONE || result == PROXY_HEADER_LOCAL)
		*used = total;
	if (result == PROXY_HEADER_DONE) {
		*client = e.client;
		*server = e.server;
	}
	return result;
}
