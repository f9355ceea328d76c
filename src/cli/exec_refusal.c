/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_refusal.c - find refusals among frames; see exec_refusal.h.
 *
 * RFC 791, 8200, 9293, 792, 4443.  The kernel of the middle namespace sends
 * no IPv6 extension headers with them, so none are followed.
 */
#include "cli/exec_refusal.h"

#include <linux/if_ether.h>
#include <string.h>

enum {
	IPV4_HEAD = 20,
	IPV6_HEAD = 40,
	TCP_HEAD = 20,
	ICMP_HEAD = 8,
	TCP_RST_ACK = 0x14,
	TCP_FLAGS = 0x17, /* FIN, SYN, RST, ACK */
	FRAGMENT_OFFSET = 0x1fff,
};

struct packet {
	struct addr src, dst;
	uint8_t proto;
	const uint8_t *body; /* behind the IP header */
	size_t len;
};

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void set_addr(struct addr *a, int family, const uint8_t *ip)
{
	*a = (struct addr){ .family = (uint16_t)family };
	memcpy(a->ip, ip, addr_ip_len(a));
}

static bool read_v4(const uint8_t *at, size_t len, struct packet *p)
{
	size_t head;

	if (len < IPV4_HEAD || at[0] >> 4 != 4)
		return false;
	head = (size_t)(at[0] & 0xf) * 4;
	if (head < IPV4_HEAD || len < head || be16(at + 6) & FRAGMENT_OFFSET)
		return false;
	set_addr(&p->src, AF_INET, at + 12);
	set_addr(&p->dst, AF_INET, at + 16);
	p->proto = at[9];
	p->body = at + head;
	p->len = len - head;
	return true;
}

static bool read_v6(const uint8_t *at, size_t len, struct packet *p)
{
	if (len < IPV6_HEAD || at[0] >> 4 != 6)
		return false;
	set_addr(&p->src, AF_INET6, at + 8);
	set_addr(&p->dst, AF_INET6, at + 24);
	p->proto = at[6];
	p->body = at + IPV6_HEAD;
	p->len = len - IPV6_HEAD;
	return true;
}

static bool read_ip(const uint8_t *at, size_t len, struct packet *p)
{
	return read_v4(at, len, p) || read_v6(at, len, p);
}

static bool read_reset(const struct packet *p, struct exec_refusal *out)
{
	static const uint8_t zero[4];

	if (p->proto != IPPROTO_TCP || p->len < TCP_HEAD ||
	    (p->body[13] & TCP_FLAGS) != TCP_RST_ACK ||
	    memcmp(p->body + 4, zero, sizeof(zero)) != 0)
		return false;
	*out = (struct exec_refusal){ .client = p->dst, .server = p->src };
	out->server.port = be16(p->body);
	out->client.port = be16(p->body + 2);
	return true;
}

static bool is_port_unreachable(const struct packet *p)
{
	if (p->len < ICMP_HEAD)
		return false;
	if (p->proto == IPPROTO_ICMP && p->src.family == AF_INET)
		return p->body[0] == 3 && p->body[1] == 3;
	return p->proto == IPPROTO_ICMPV6 && p->src.family == AF_INET6 &&
	       p->body[0] == 1 && p->body[1] == 4;
}

static bool read_icmp(const struct packet *p, const struct addr gateways[2],
		      struct exec_refusal *out)
{
	struct packet quoted;

	if (!is_port_unreachable(p) ||
	    !addr_same_ip(&p->src, &gateways[p->src.family == AF_INET6]) ||
	    !read_ip(p->body + ICMP_HEAD, p->len - ICMP_HEAD, &quoted) ||
	    quoted.proto != IPPROTO_UDP || quoted.len < 4 ||
	    !addr_same_ip(&quoted.src, &p->dst))
		return false;
	*out = (struct exec_refusal){ .is_udp = true,
				      .client = quoted.src,
				      .server = quoted.dst };
	out->client.port = be16(quoted.body);
	out->server.port = be16(quoted.body + 2);
	return true;
}

bool exec_refusal_read(const uint8_t *frame, size_t len,
		       const struct addr gateways[2], struct exec_refusal *out)
{
	struct packet p;

	if (len < ETH_HLEN ||
	    (be16(frame + 12) != ETH_P_IP && be16(frame + 12) != ETH_P_IPV6))
		return false;
	if (!read_ip(frame + ETH_HLEN, len - ETH_HLEN, &p))
		return false;
	return read_reset(&p, out) || read_icmp(&p, gateways, out);
}
