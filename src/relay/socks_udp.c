/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_udp.c - the header of SOCKS5 datagrams; see socks_udp.h.
 */
#include "relay/socks_udp.h"

#include "relay/socks_address.h"

#include <string.h>

enum { FRAG_AT = 2, ADDRESS_AT = 3 };

_Static_assert(SOCKS_UDP_HEADER_MAX == ADDRESS_AT + SOCKS_ADDRESS_MAX,
	       "RSV, FRAG and an address");

size_t socks_udp_write(const struct addr *server, const char *name,
		       uint8_t out[SOCKS_UDP_HEADER_MAX])
{
	size_t len = socks_address_write(server, name, out + ADDRESS_AT);

	if (!len)
		return 0;
	memset(out, 0, ADDRESS_AT); /* FRAG 0: a datagram of its own */
	return ADDRESS_AT + len;
}

size_t socks_udp_read(const uint8_t *bytes, size_t len, struct addr *server)
{
	int address;

	if (len < ADDRESS_AT || bytes[FRAG_AT] != 0)
		return 0;
	address = socks_address_read(bytes + ADDRESS_AT, len - ADDRESS_AT,
				     server);
	return address > 0 ? ADDRESS_AT + (size_t)address : 0;
}
