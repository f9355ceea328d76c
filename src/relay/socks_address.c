/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_address.c - an address as SOCKS5 writes it; see socks_address.h.
 */
#include "relay/socks_address.h"

#include <string.h>

enum { ATYP_IPV4 = 1, ATYP_NAME = 3, ATYP_IPV6 = 4 };

size_t socks_address_write(const struct addr *server, const char *name,
			   uint8_t out[SOCKS_ADDRESS_MAX])
{
	size_t len = name ? strlen(name) : addr_ip_len(server);
	uint8_t *p = out;

	if (name && (len == 0 || len > SOCKS_NAME_MAX))
		return 0;
	if (name) {
		*p++ = ATYP_NAME;
		*p++ = (uint8_t)len;
		memcpy(p, name, len);
	} else {
		*p++ = server->family == AF_INET6 ? ATYP_IPV6 : ATYP_IPV4;
		memcpy(p, server->ip, len);
	}
	p += len;
	*p++ = (uint8_t)(server->port >> 8);
	*p++ = (uint8_t)server->port;
	return (size_t)(p - out);
}

/* The bytes between ATYP and port, the length of a name included; or one of
 * the two that are no length. */
static int body_len(const uint8_t *bytes, size_t len)
{
	switch (bytes[0]) {
	case ATYP_IPV4:
		return 4;
	case ATYP_IPV6:
		return 16;
	case ATYP_NAME:
		return len > 1 ? 1 + bytes[1] : SOCKS_ADDRESS_MORE;
	default:
		return SOCKS_ADDRESS_BAD;
	}
}

int socks_address_read(const uint8_t *bytes, size_t len, struct addr *out)
{
	struct addr a = { .family = 0 };
	const uint8_t *port;
	int body;

	if (!len)
		return SOCKS_ADDRESS_MORE;
	body = body_len(bytes, len);
	if (body <= 0)
		return body;
	if (len < 1 + (size_t)body + 2)
		return SOCKS_ADDRESS_MORE;
	port = bytes + 1 + body;
	a.port = (uint16_t)(port[0] << 8 | port[1]);
	if (bytes[0] != ATYP_NAME) {
		a.family = bytes[0] == ATYP_IPV6 ? AF_INET6 : AF_INET;
		memcpy(a.ip, bytes + 1, (size_t)body);
		(void)addr_unmap(&a); /* the same either way */
	}
	*out = a;
	return 1 + body + 2;
}
