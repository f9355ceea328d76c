/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - one address type for both families.
 *
 * A struct addr is an IP address with a port and, for IPv6 link-local, its
 * scope.  All code above works on it, so that IPv4 and IPv6 are written once.
 * Values with the same meaning are equal byte for byte (unused bytes are
 * zero), so they can be compared with memcmp() and hashed.  It resolves no
 * names.  Read sock.h next.
 */
#ifndef WL_NET_ADDR_H
#define WL_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	uint8_t ip[16];	 /* network order; IPv4 uses the first four bytes */
	uint32_t scope;	 /* interface index, IPv6 link-local only, else 0 */
	uint16_t port;	 /* host order */
	uint16_t family; /* AF_INET, AF_INET6; 0 is "no address" */
};
_Static_assert(sizeof(struct addr) == 24, "addr has no padding");

struct prefix {
	struct addr net; /* bits behind len are zero, port and scope too */
	uint8_t len;	 /* 0..32 or 0..128 */
};

enum {
	ADDR_TEXT_MAX = 64, /* "[" address "%" scope "]:" port NUL */
};

/* Parse an address without port.  -EINVAL leaves out untouched. */
int addr_parse_ip(const char *text, struct addr *out);
/* Parse "1" to "65535".  -EINVAL leaves out untouched. */
int addr_parse_port(const char *text, uint16_t *out);
/* Parse "1.2.3.4:80" or "[2001:db8::1]:80"; port 1..65535. */
int addr_parse(const char *text, struct addr *out);
/* Parse "10.0.0.0/8", "2001:db8::/32", or a bare address (full length).
 * -EINVAL: not a prefix; -ERANGE: bits set behind the length. */
int prefix_parse(const char *text, struct prefix *out);

/* All three write at most ADDR_TEXT_MAX bytes with NUL and return buf. */
char *addr_format_ip(const struct addr *a, char *buf);
char *addr_format(const struct addr *a, char *buf); /* with port */
char *prefix_format(const struct prefix *p, char *buf);

/* From and to the kernel's form.  addr_from_sockaddr() of anything but
 * AF_INET and AF_INET6 gives family 0. */
void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_same_ip(const struct addr *a, const struct addr *b);
size_t addr_ip_len(const struct addr *a); /* 4 or 16 bytes */
bool addr_is_loopback(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* IPv4 mapped into IPv6 (::ffff:1.2.3.4) becomes IPv4.  Was it? */
bool addr_unmap(struct addr *a);
bool prefix_contains(const struct prefix *p, const struct addr *a);
/* Order by family, then address, then length. */
int prefix_compare(const struct prefix *a, const struct prefix *b);

#endif
