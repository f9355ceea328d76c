/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * packet.h - read a packet's addresses, protocol and ports.
 *
 * The cursor knows no link header: offsets count from the network header.
 * It changes nothing and decides nothing; what is not what it seems is told by
 * enum packet_kind and left to the caller.  Lengths are believed only as far
 * as bytes can be loaded: the kernel checks them after us, and drops what is
 * wrong.  Compiles natively too (packet_test.c, packet_fuzz.c): who includes
 * this file defines packet_load() first.
 *
 *	bool packet_load(void *ctx, __u32 at, void *to, __u32 len);
 *
 * True, if `len` bytes from `at` are there.
 */
#ifndef WL_BPF_PACKET_H
#define WL_BPF_PACKET_H

#include <stdbool.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>

enum packet_kind {
	PACKET_FLOW,	    /* TCP or UDP; a later fragment has no ports */
	PACKET_ICMP_ERROR,  /* quotes another packet, at `quote` */
	PACKET_OTHER,	    /* nothing that is ever intercepted */
	PACKET_MALFORMED,   /* cut short, or contradicts itself */
	PACKET_LONG_HEADERS /* more IPv6 extension headers than we follow */
};

enum {
	PACKET_EXTENSIONS_MAX = 8,
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_ACK = 16,
};

struct packet {
	__u32 src[4], dst[4]; /* network order, IPv4 in the first word */
	__u16 sport, dport;   /* network order */
	__u32 transport;      /* offset of the transport header */
	__u32 quote;	      /* PACKET_ICMP_ERROR: offset of the quote */
	__u32 fragment_id;    /* network order */
	__u16 fragment_at;    /* in units of 8 bytes; 0: has the ports */
	__u8 fragment_proto;  /* what the fragments of a datagram share */
	__u8 family;	      /* 0 IPv4, 1 IPv6 */
	__u8 proto;	      /* IPPROTO_TCP... */
	__u8 tcp_flags;
	bool is_fragment;
};

/* In either order of bytes a constant costs nothing. */
static __always_inline __u16 packet_be16(__u16 host)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u16)(host << 8 | host >> 8);
#else
	return host;
#endif
}

static __always_inline bool packet_is_later_fragment(const struct packet *p)
{
	return p->fragment_at;
}

/* The first packet of a connection, as a client sends it. */
static __always_inline bool packet_is_syn(const struct packet *p)
{
	return p->proto == IPPROTO_TCP &&
	       (p->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) ==
		       TCP_SYN;
}

/* --- IPv6 extension headers, RFC 8200 ------------------------------------ */

enum {
	IP6_HOP_BY_HOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_AUTHENTICATION = 51,
	IP6_DESTINATION = 60,
	IP6_MORE_FRAGMENTS = 1,
};

static __always_inline bool is_extension(__u8 next)
{
	return next == IP6_HOP_BY_HOP || next == IP6_ROUTING ||
	       next == IP6_AUTHENTICATION || next == IP6_DESTINATION;
}

/* --- transport ----------------------------------------------------------- */

enum {
	ICMP_HEADER_BYTES = 8,
	ICMP4_UNREACHABLE = 3, /* types: RFC 792 */
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP6_UNREACHABLE = 1, /* RFC 4443; then too big, time exceeded, */
	ICMP6_PARAMETER_PROBLEM = 4,
	TCP_FLAGS_AT = 13,
	TCP_HEADER_BYTES = 20,
};

/* What tells a sender of a flow something about it; not redirects, which are
 * for who sits on the link. */
static __always_inline bool icmp_is_error(const struct packet *p, __u8 type)
{
	if (p->family)
		return type >= ICMP6_UNREACHABLE &&
		       type <= ICMP6_PARAMETER_PROBLEM;
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
	       type == ICMP4_PARAMETER_PROBLEM;
}

static __always_inline enum packet_kind parse_icmp(void *ctx, struct packet *p)
{
	__u8 type = 0;

	if (p->fragment_at)
		return PACKET_OTHER;
	if (!packet_load(ctx, p->transport, &type, sizeof(type)))
		return PACKET_MALFORMED;
	if (!icmp_is_error(p, type))
		return PACKET_OTHER;
	p->quote = p->transport + ICMP_HEADER_BYTES;
	return PACKET_ICMP_ERROR;
}

/* `is_quoted`: an ICMP error need not quote more than 8 bytes of it. */
static __always_inline enum packet_kind parse_transport(void *ctx,
							struct packet *p,
							bool is_quoted)
{
	__u16 ports[2] = {};

	if (p->proto == (p->family ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return is_quoted ? PACKET_OTHER : parse_icmp(ctx, p);
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return PACKET_OTHER;
	if (p->fragment_at)
		return PACKET_FLOW;
	if (!packet_load(ctx, p->transport, ports, sizeof(ports)))
		return PACKET_MALFORMED;
	p->sport = ports[0];
	p->dport = ports[1];
	if (p->proto == IPPROTO_TCP && !is_quoted &&
	    !packet_load(ctx, p->transport + TCP_FLAGS_AT, &p->tcp_flags, 1) &&
	    !p->is_fragment) /* its flags may hide in the next one: RFC 1858 */
		return PACKET_MALFORMED;
	return PACKET_FLOW;
}

/* --- IPv4 ---------------------------------------------------------------- */

enum {
	IP4_MORE_FRAGMENTS = 0x2000,
	IP4_OFFSET_MASK = 0x1fff,
};

static __always_inline enum packet_kind parse_ipv4(void *ctx, __u32 at,
						   struct packet *p,
						   bool is_quoted)
{
	struct iphdr ip = {};
	__u16 fragment;

	if (!packet_load(ctx, at, &ip, sizeof(ip)) || ip.version != 4 ||
	    ip.ihl < 5)
		return PACKET_MALFORMED;
	fragment = packet_be16(ip.frag_off);
	p->family = 0;
	p->src[0] = ip.saddr;
	p->dst[0] = ip.daddr;
	p->proto = p->fragment_proto = ip.protocol;
	p->is_fragment = fragment & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK);
	p->fragment_at = fragment & IP4_OFFSET_MASK;
	p->fragment_id = ip.id;
	p->transport = at + ip.ihl * 4;
	return parse_transport(ctx, p, is_quoted);
}

/* --- IPv6 ---------------------------------------------------------------- */

struct ip6_fragment {
	__u8 next, reserved;
	__be16 offset; /* 13 bits, 2 reserved, more-fragments */
	__be32 id;
};

static __always_inline bool parse_fragment_header(void *ctx, struct packet *p,
						  __u8 *next)
{
	struct ip6_fragment f = {};
	__u16 offset;

	if (!packet_load(ctx, p->transport, &f, sizeof(f)))
		return false;
	offset = packet_be16(f.offset);
	p->fragment_at = offset >> 3;
	p->is_fragment = p->fragment_at || (offset & IP6_MORE_FRAGMENTS);
	p->fragment_id = f.id;
	p->fragment_proto = f.next;
	p->transport += sizeof(f);
	*next = f.next;
	return true;
}

static __always_inline bool parse_extension(void *ctx, struct packet *p,
					    __u8 *next)
{
	struct {
		__u8 next, length;
	} head = {};

	if (!packet_load(ctx, p->transport, &head, sizeof(head)))
		return false;
	/* RFC 4302: AH counts in words, and less two; the others in eights */
	p->transport += *next == IP6_AUTHENTICATION ? (head.length + 2) * 4
						    : (head.length + 1) * 8;
	*next = head.next;
	return true;
}

/* Follow the chain to the transport header, which `*next` then names. */
static __always_inline enum packet_kind parse_extensions(void *ctx,
							 struct packet *p,
							 __u8 *next)
{
	for (int i = 0; i < PACKET_EXTENSIONS_MAX; i++) {
		if (*next == IP6_FRAGMENT) {
			if (!parse_fragment_header(ctx, p, next))
				return PACKET_MALFORMED;
			if (p->fragment_at)
				return PACKET_FLOW;
		} else if (is_extension(*next)) {
			if (!parse_extension(ctx, p, next))
				return PACKET_MALFORMED;
		} else {
			return PACKET_FLOW;
		}
	}
	return is_extension(*next) || *next == IP6_FRAGMENT
		       ? PACKET_LONG_HEADERS
		       : PACKET_FLOW;
}

static __always_inline enum packet_kind parse_ipv6(void *ctx, __u32 at,
						   struct packet *p,
						   bool is_quoted)
{
	struct ipv6hdr ip = {};
	enum packet_kind kind;

	if (!packet_load(ctx, at, &ip, sizeof(ip)) || ip.version != 6)
		return PACKET_MALFORMED;
	p->family = 1;
	__builtin_memcpy(p->src, &ip.saddr, sizeof(p->src));
	__builtin_memcpy(p->dst, &ip.daddr, sizeof(p->dst));
	p->transport = at + sizeof(ip);
	p->proto = ip.nexthdr;
	kind = parse_extensions(ctx, p, &p->proto);
	if (kind != PACKET_FLOW)
		return kind;
	if (p->fragment_at &&
	    (is_extension(p->proto) || p->proto == IP6_FRAGMENT))
		return PACKET_FLOW; /* its protocol is in the first one */
	return parse_transport(ctx, p, is_quoted);
}

/* --- the whole ----------------------------------------------------------- */

/* `protocol`: ETH_P_IP or ETH_P_IPV6 in network order, or anything else. */
static __always_inline enum packet_kind packet_parse(void *ctx, __u16 protocol,
						     struct packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	if (protocol == packet_be16(ETH_P_IP))
		return parse_ipv4(ctx, 0, p, false);
	if (protocol == packet_be16(ETH_P_IPV6))
		return parse_ipv6(ctx, 0, p, false);
	return PACKET_OTHER;
}

/* The packet that `error` quotes, turned round: as its answer would look. */
static __always_inline enum packet_kind packet_parse_quote(
	void *ctx, const struct packet *error, struct packet *p)
{
	enum packet_kind kind;
	__u32 address[4];
	__u16 port;

	__builtin_memset(p, 0, sizeof(*p));
	kind = error->family ? parse_ipv6(ctx, error->quote, p, true)
			     : parse_ipv4(ctx, error->quote, p, true);
	__builtin_memcpy(address, p->src, sizeof(address));
	__builtin_memcpy(p->src, p->dst, sizeof(address));
	__builtin_memcpy(p->dst, address, sizeof(address));
	port = p->sport;
	p->sport = p->dport;
	p->dport = port;
	return kind;
}

#endif
