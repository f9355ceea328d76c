/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.c - build UDP, ICMP and TCP packets; see packet.h.
 */
#include "net/packet.h"

#include <assert.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

enum {
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	UDP_BYTES = 8,
	ICMP_BYTES = 8,
	TCP_BYTES = 20,
	FRAGMENT_BYTES = 8
};

/* --- the internet checksum, RFC 1071 ------------------------------------- */

static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, size_t len)
{
	uint64_t word;
	uint32_t half;
	uint16_t pair = 0;

	for (; len >= 8; len -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		sum += word;
		sum += sum < word; /* end-around carry */
	}
	for (; len >= 4; len -= 4, bytes += 4) {
		memcpy(&half, bytes, 4);
		sum += half;
		sum += sum < half;
	}
	for (; len >= 2; len -= 2, bytes += 2) {
		memcpy(&pair, bytes, 2);
		sum += pair;
		sum += sum < pair;
	}
	if (len) {
		pair = 0;
		memcpy(&pair, bytes, 1);
		sum += pair;
		sum += sum < pair;
	}
	return sum;
}

/* In network order, ready to be stored. */
static uint16_t sum_finish(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint64_t sum_pseudo(const struct addr *src, const struct addr *dst,
			   uint8_t proto, size_t len)
{
	uint8_t tail[8] = { (uint8_t)(len >> 24),
			    (uint8_t)(len >> 16),
			    (uint8_t)(len >> 8),
			    (uint8_t)len,
			    0,
			    0,
			    0,
			    proto };
	uint64_t sum = sum_bytes(0, src->ip, addr_ip_len(src));

	sum = sum_bytes(sum, dst->ip, addr_ip_len(dst));
	return sum_bytes(sum, tail, sizeof(tail));
}

/* --- headers ------------------------------------------------------------- */

static uint8_t *grow(struct packet_head *h, size_t len)
{
	uint8_t *at = h->bytes + h->len;

	assert(h->len + len <= sizeof(h->bytes));
	h->len += len;
	return at;
}

/* IPv4 checksum and identification are filled in by the kernel, raw(7). */
static void put_ip(struct packet_head *h, const struct addr *src,
		   const struct addr *dst, uint8_t proto, size_t payload_len)
{
	struct ip ip4 = {
		.ip_v = 4,
		.ip_hl = IPV4_BYTES / 4,
		.ip_ttl = PACKET_TTL,
		.ip_p = proto,
		.ip_len = htons((uint16_t)(IPV4_BYTES + payload_len)),
	};
	struct ip6_hdr ip6 = { 0 };

	if (src->family == AF_INET) {
		memcpy(&ip4.ip_src, src->ip, 4);
		memcpy(&ip4.ip_dst, dst->ip, 4);
		memcpy(grow(h, IPV4_BYTES), &ip4, IPV4_BYTES);
		return;
	}
	ip6.ip6_flow = htonl(6u << 28);
	ip6.ip6_plen = htons((uint16_t)payload_len);
	ip6.ip6_nxt = proto;
	ip6.ip6_hlim = PACKET_TTL;
	memcpy(&ip6.ip6_src, src->ip, 16);
	memcpy(&ip6.ip6_dst, dst->ip, 16);
	memcpy(grow(h, IPV6_BYTES), &ip6, IPV6_BYTES);
}

static void put_udp(struct packet_head *h, const struct addr *src,
		    const struct addr *dst, size_t payload_len, uint16_t check)
{
	struct udphdr udp = {
		.uh_sport = htons(src->port),
		.uh_dport = htons(dst->port),
		.uh_ulen = htons((uint16_t)(UDP_BYTES + payload_len)),
		.uh_sum = check,
	};

	memcpy(grow(h, UDP_BYTES), &udp, UDP_BYTES);
}

void packet_udp(const struct addr *src, const struct addr *dst,
		const uint8_t *payload, size_t payload_len,
		struct packet_head *out)
{
	size_t udp_len = UDP_BYTES + payload_len;
	uint16_t check;
	uint64_t sum;

	out->len = 0;
	put_ip(out, src, dst, IPPROTO_UDP, udp_len);
	put_udp(out, src, dst, payload_len, 0);
	sum = sum_pseudo(src, dst, IPPROTO_UDP, udp_len);
	sum = sum_bytes(sum, out->bytes + out->len - UDP_BYTES, UDP_BYTES);
	check = sum_finish(sum_bytes(sum, payload, payload_len));
	if (!check)
		check = 0xffff; /* zero would mean "no checksum" */
	memcpy(out->bytes + out->len - 2, &check, 2);
}

/* --- fragments ----------------------------------------------------------- */

/* The unfragmented transport data is the UDP header and the payload; a
 * fragment takes bytes [at, at + size) of it. */
static void put_fragment_head(const struct packet_head *whole, uint32_t id,
			      size_t at, size_t size, bool is_last,
			      struct packet_head *out)
{
	bool is_v6 = whole->bytes[0] >> 4 == 6;
	size_t ip_len = is_v6 ? IPV6_BYTES : IPV4_BYTES;
	/* 0 would have the kernel choose one for each fragment, raw(7) */
	uint16_t id16 = htons((uint16_t)id ? (uint16_t)id : 1), offset, len;
	uint8_t *p;

	out->len = 0;
	p = grow(out, ip_len);
	memcpy(p, whole->bytes, ip_len);
	if (!is_v6) {
		offset = htons((uint16_t)(at / 8 | (is_last ? 0 : IP_MF)));
		len = htons((uint16_t)(IPV4_BYTES + size));
		memcpy(p + offsetof(struct ip, ip_len), &len, 2);
		memcpy(p + offsetof(struct ip, ip_id), &id16, 2);
		memcpy(p + offsetof(struct ip, ip_off), &offset, 2);
		return;
	}
	len = htons((uint16_t)(FRAGMENT_BYTES + size));
	memcpy(p + offsetof(struct ip6_hdr, ip6_plen), &len, 2);
	p[offsetof(struct ip6_hdr, ip6_nxt)] = IPPROTO_FRAGMENT;
	p = grow(out, FRAGMENT_BYTES);
	p[0] = IPPROTO_UDP;
	p[1] = 0;
	offset = htons((uint16_t)(at | (is_last ? 0 : 1)));
	memcpy(p + 2, &offset, 2);
	memcpy(p + 4, &id, 4);
}

size_t packet_fragment(const struct packet_head *whole, const uint8_t *payload,
		       size_t payload_len, size_t mtu, uint32_t id, size_t at,
		       struct packet_head *out, const uint8_t **part,
		       size_t *part_len)
{
	size_t total = UDP_BYTES + payload_len;
	size_t head = whole->bytes[0] >> 4 == 6 ? IPV6_BYTES + FRAGMENT_BYTES
						: IPV4_BYTES;
	size_t size = (mtu - head) / 8 * 8;
	size_t skip;

	if (size > total - at)
		size = total - at;
	put_fragment_head(whole, id, at, size, at + size == total, out);
	skip = at ? 0 : UDP_BYTES;
	if (!at)
		memcpy(grow(out, UDP_BYTES),
		       whole->bytes + whole->len - UDP_BYTES, UDP_BYTES);
	*part = payload + (at ? at - UDP_BYTES : 0);
	*part_len = size - skip;
	return at + size == total ? 0 : at + size;
}

/* --- TCP ----------------------------------------------------------------- */

/* Without ACK, as the kernel answers what it has no connection for. */
void packet_tcp_reset(const struct addr *src, const struct addr *dst,
		      uint32_t seq, struct packet_head *out)
{
	struct tcphdr tcp = {
		.th_sport = htons(src->port),
		.th_dport = htons(dst->port),
		.th_seq = htonl(seq),
		.th_off = TCP_BYTES / 4,
		.th_flags = TH_RST,
	};

	tcp.th_sum = sum_finish(
		sum_bytes(sum_pseudo(src, dst, IPPROTO_TCP, TCP_BYTES),
			  (const uint8_t *)&tcp, TCP_BYTES));
	out->len = 0;
	put_ip(out, src, dst, IPPROTO_TCP, TCP_BYTES);
	memcpy(grow(out, TCP_BYTES), &tcp, TCP_BYTES);
}

/* --- ICMP errors --------------------------------------------------------- */

void packet_icmp_error(const struct packet_icmp *m, struct packet_head *out)
{
	bool is_v6 = m->client.family == AF_INET6;
	size_t quote = (is_v6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES;
	uint8_t proto = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	uint64_t sum = 0;
	uint16_t check;
	size_t start;
	uint8_t *p;

	out->len = 0;
	put_ip(out, &m->offender, &m->client, proto, ICMP_BYTES + quote);
	start = out->len;
	p = grow(out, ICMP_BYTES);
	memset(p, 0, ICMP_BYTES);
	p[0] = m->type;
	p[1] = m->code;
	/* ICMPv4 keeps the MTU in the lower half, RFC 1191. */
	p[4] = (uint8_t)(is_v6 ? m->info >> 24 : 0);
	p[5] = (uint8_t)(is_v6 ? m->info >> 16 : 0);
	p[6] = (uint8_t)(m->info >> 8);
	p[7] = (uint8_t)m->info;
	put_ip(out, &m->client, &m->server, IPPROTO_UDP,
	       UDP_BYTES + m->quoted_len);
	put_udp(out, &m->client, &m->server, m->quoted_len, 0);
	if (is_v6)
		sum = sum_pseudo(&m->offender, &m->client, proto,
				 ICMP_BYTES + quote);
	check = sum_finish(
		sum_bytes(sum, out->bytes + start, ICMP_BYTES + quote));
	memcpy(out->bytes + start + 2, &check, 2);
}
