/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.c - addresses and prefixes of both families; see addr.h.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits only, at most max; -1 if it is anything else. */
static long parse_number(const char *text, long max)
{
	long value = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		if (value > max)
			return -1;
	}
	return value;
}

static int parse_scope(const char *text, uint32_t *out)
{
	long number = parse_number(text, INT32_MAX);

	if (number < 0)
		number = if_nametoindex(text);
	if (number <= 0)
		return -EINVAL;
	*out = (uint32_t)number;
	return 0;
}

int addr_parse_ip(const char *text, struct addr *out)
{
	struct addr a = { 0 };
	char ip[ADDR_TEXT_MAX];
	const char *percent = strchr(text, '%');
	size_t len = percent ? (size_t)(percent - text) : strlen(text);

	if (len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (!percent && inet_pton(AF_INET, ip, a.ip) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, ip, a.ip) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	if (percent &&
	    (!addr_is_link_local(&a) || parse_scope(percent + 1, &a.scope) < 0))
		return -EINVAL;
	*out = a;
	return 0;
}

int addr_parse_port(const char *text, uint16_t *out)
{
	long port = parse_number(text, UINT16_MAX);

	if (port < 1)
		return -EINVAL;
	*out = (uint16_t)port;
	return 0;
}

int addr_parse(const char *text, struct addr *out)
{
	char ip[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	const char *start = text;
	uint16_t port;
	struct addr a;
	size_t len;

	if (!colon || addr_parse_port(colon + 1, &port) < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		start++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL; /* IPv6 needs its brackets */
	}
	if (len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, start, len);
	ip[len] = '\0';
	if (addr_parse_ip(ip, &a) < 0)
		return -EINVAL;
	if ((start == text) != (a.family == AF_INET))
		return -EINVAL;
	a.port = port;
	*out = a;
	return 0;
}

/* Clear the bits behind len; true if any was set. */
static bool mask_ip(struct addr *a, unsigned len)
{
	bool had_bits = false;

	for (unsigned i = 0; i < addr_ip_len(a); i++) {
		unsigned keep = len > i * 8 ? len - i * 8 : 0;
		uint8_t mask = (uint8_t)(keep >= 8 ? 0xff : 0xff00 >> keep);

		had_bits |= a->ip[i] & (uint8_t)~mask;
		a->ip[i] &= mask;
	}
	return had_bits;
}

int prefix_parse(const char *text, struct prefix *out)
{
	char ip[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct prefix p = { 0 };
	long bits, max;

	if (len >= sizeof(ip) || memchr(text, '%', len))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (addr_parse_ip(ip, &p.net) < 0)
		return -EINVAL;
	max = (long)addr_ip_len(&p.net) * 8;
	bits = slash ? parse_number(slash + 1, max) : max;
	if (bits < 0)
		return -EINVAL;
	p.len = (uint8_t)bits;
	if (mask_ip(&p.net, p.len))
		return -ERANGE;
	*out = p;
	return 0;
}

char *addr_format_ip(const struct addr *a, char *buf)
{
	if (!inet_ntop(a->family, a->ip, buf, ADDR_TEXT_MAX))
		(void)snprintf(buf, ADDR_TEXT_MAX, "-"); /* no address */
	else if (a->scope) {
		size_t len = strlen(buf);

		(void)snprintf(buf + len, ADDR_TEXT_MAX - len, "%%%u",
			       a->scope); /* fits by ADDR_TEXT_MAX */
	}
	return buf;
}

char *addr_format(const struct addr *a, char *buf)
{
	char ip[ADDR_TEXT_MAX];
	bool is_v6 = a->family == AF_INET6;

	addr_format_ip(a, ip);
	(void)snprintf(buf, ADDR_TEXT_MAX, "%s%.54s%s:%u", is_v6 ? "[" : "", ip,
		       is_v6 ? "]" : "", a->port); /* fits */
	return buf;
}

char *prefix_format(const struct prefix *p, char *buf)
{
	size_t len;

	addr_format_ip(&p->net, buf);
	len = strlen(buf);
	if (p->len != addr_ip_len(&p->net) * 8)
		(void)snprintf(buf + len, ADDR_TEXT_MAX - len, "/%u",
			       p->len); /* fits */
	return buf;
}

void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		memcpy(a.ip, &in.sin_addr, 4);
		a.port = ntohs(in.sin_port);
		a.family = AF_INET;
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(a.ip, &in6.sin6_addr, 16);
		a.port = ntohs(in6.sin6_port);
		a.scope = in6.sin6_scope_id;
		a.family = AF_INET6;
	}
	*out = a;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->ip, 4);
		in.sin_port = htons(a->port);
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	memcpy(&in6.sin6_addr, a->ip, 16);
	in6.sin6_port = htons(a->port);
	in6.sin6_scope_id = a->scope;
	memcpy(out, &in6, sizeof(in6));
	return sizeof(in6);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

size_t addr_ip_len(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return memcmp(a->ip, one, 16) == 0;
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->ip[0] == 169 && a->ip[1] == 254;
	return a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool addr_unmap(struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family != AF_INET6 || memcmp(a->ip, mapped, 12) != 0)
		return false;
	a->family = AF_INET;
	memcpy(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
	return true;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	unsigned whole = p->len / 8, rest = p->len % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (p->net.family != a->family)
		return false;
	if (memcmp(p->net.ip, a->ip, whole) != 0)
		return false;
	return !rest || ((p->net.ip[whole] ^ a->ip[whole]) & mask) == 0;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order;

	if (a->net.family != b->net.family)
		return a->net.family < b->net.family ? -1 : 1;
	order = memcmp(a->net.ip, b->net.ip, sizeof(a->net.ip));
	if (order)
		return order;
	return (int)a->len - (int)b->len;
}
