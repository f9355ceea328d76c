/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_address.h - an address as SOCKS5 writes it.
 *
 * RFC 1928 section 5: ATYP 1, address or length and name, port 2.  It stands
 * in requests, in replies and in front of each datagram (socks_udp.h).  Pure.
 */
#ifndef WL_RELAY_SOCKS_ADDRESS_H
#define WL_RELAY_SOCKS_ADDRESS_H

#include "net/addr.h"

enum {
	SOCKS_NAME_MAX = 255, /* its length is one byte */
	SOCKS_ADDRESS_MAX = 1 + 1 + SOCKS_NAME_MAX + 2,
};

enum { SOCKS_ADDRESS_MORE = 0, SOCKS_ADDRESS_BAD = -1 };

/* Writes `server`, with `name` in the place of its address if it is not NULL.
 * The length; 0: the name is empty or too long, nothing is cut (R-SOCKS-3). */
size_t socks_address_write(const struct addr *server, const char *name,
			   uint8_t out[SOCKS_ADDRESS_MAX]);

/*
 * The length of the address that bytes[0..len) begin with (R-SOCKS-4), or
 * SOCKS_ADDRESS_MORE: it is cut short, or SOCKS_ADDRESS_BAD: unknown ATYP.
 * *out: family 0 and the port if it is a name.  IPv4 mapped into IPv6, which
 * servers with one socket for both send, is IPv4.
 */
int socks_address_read(const uint8_t *bytes, size_t len, struct addr *out);

#endif
