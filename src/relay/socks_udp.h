/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_udp.h - the header of a datagram to and from a SOCKS5 proxy.
 *
 * RFC 1928 section 7: RSV 2, FRAG 1, then an address (socks_address.h).  RSV is
 * sent as zero and not insisted upon (R-SOCKS-2).  Pure.
 */
#ifndef WL_RELAY_SOCKS_UDP_H
#define WL_RELAY_SOCKS_UDP_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>

enum { SOCKS_UDP_HEADER_MAX = 4 + 1 + 255 + 2 };

/* Writes the header for `server` (`name` instead of its address, if not NULL);
 * its length, 0 if the name is empty or too long (R-SOCKS-3). */
size_t socks_udp_write(const struct addr *server, const char *name,
		       uint8_t out[SOCKS_UDP_HEADER_MAX]);
/* The header's length, 0 if the datagram is to be dropped: FRAG not 0
 * (R-SOCKS-8), cut short, unknown ATYP.  *server: who sent it; family 0 and
 * the port if the header has a name there. */
size_t socks_udp_read(const uint8_t *bytes, size_t len, struct addr *server);

#endif
