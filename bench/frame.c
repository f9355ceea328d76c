/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - packets as Ethernet frames; see frame.h.
 */
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_PORT = 1024,
	PORTS = 60000,
	PAYLOAD_BYTES = 18, /* of a datagram: the least Ethernet carries */
	HOPS = 64,
	ADDRESS_TEXT = INET6_ADDRSTRLEN + 2, /* newline, NUL */
};

/* --- the flows ----------------------------------------------------------- */

static void refuse(const char *word)
{
	fprintf(stderr, "%s: not understood\n", word);
	exit(2);
}

static size_t parse_address(const char *text, unsigned char out[16])
{
	if (inet_pton(AF_INET, text, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, text, out) != 1)
		refuse(text);
	return 16;
}

static void read_destinations(struct flows *f, const char *path)
{
	char line[ADDRESS_TEXT];
	FILE *file = fopen(path, "re");
	size_t room = 0;

	if (file == NULL)
		helper_die(path);
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (f->dst_count == room) {
			room = room ? 2 * room : 1024;
			f->dsts = realloc(f->dsts, room * sizeof(*f->dsts));
			if (f->dsts == NULL)
				helper_die(path);
		}
		if (parse_address(line, f->dsts[f->dst_count++]) != f->ip_bytes)
			refuse(line);
	}
	fclose(file);
	if (f->dst_count == 0)
		refuse(path);
}

static enum frame_kind parse_kind(const char *word)
{
	if (strcmp(word, "syn") == 0)
		return FRAME_SYN;
	if (strcmp(word, "ack") == 0)
		return FRAME_ACK;
	if (strcmp(word, "udp") != 0)
		refuse(word);
	return FRAME_UDP;
}

void flows_init(struct flows *f, char *const words[5])
{
	unsigned char *mac = f->link_to;

	*f = (struct flows){ .kind = parse_kind(words[0]) };
	if (sscanf(words[1], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
		   &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		refuse(words[1]);
	f->link_from[0] = 2; /* locally administered */
	f->ip_bytes = parse_address(words[2], f->src);
	f->port = (in_port_t)helper_number(words[3], 1, 65535);
	read_destinations(f, words[4]);
}

/* --- the frame ----------------------------------------------------------- */

static uint32_t sum_words(uint32_t sum, const void *data, size_t len)
{
	const unsigned char *byte = data;

	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)byte[i] << (i % 2 ? 0 : 8);
	return sum;
}

static uint16_t finish_sum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void *put_ip4(const struct flows *f, unsigned char proto, size_t len,
		     const unsigned char *dst, void *at)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + len)),
		.frag_off = htons(IP_DF),
		.ttl = HOPS,
		.protocol = proto,
	};

	memcpy(&ip.saddr, f->src, sizeof(ip.saddr));
	memcpy(&ip.daddr, dst, sizeof(ip.daddr));
	ip.check = finish_sum(sum_words(0, &ip, sizeof(ip)));
	return (char *)memcpy(at, &ip, sizeof(ip)) + sizeof(ip);
}

static void *put_ip6(const struct flows *f, unsigned char proto, size_t len,
		     const unsigned char *dst, void *at)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)len),
		.ip6_nxt = proto,
		.ip6_hlim = HOPS,
	};

	memcpy(&ip.ip6_src, f->src, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, dst, sizeof(ip.ip6_dst));
	return (char *)memcpy(at, &ip, sizeof(ip)) + sizeof(ip);
}

/* The sum of the pseudo header, on which TCP and UDP agree. */
static uint32_t pseudo_sum(const struct flows *f, unsigned char proto,
			   size_t len, const unsigned char *dst)
{
	uint32_t sum = proto + (uint32_t)len;

	sum = sum_words(sum, f->src, f->ip_bytes);
	return sum_words(sum, dst, f->ip_bytes);
}

static void put_tcp(const struct flows *f, in_port_t from, uint32_t sum,
		    void *at)
{
	struct tcphdr tcp = {
		.source = htons(from),
		.dest = htons(f->port),
		.seq = htonl(1),
		.ack_seq = htonl(f->kind == FRAME_ACK),
		.doff = sizeof(tcp) / 4,
		.syn = f->kind == FRAME_SYN,
		.ack = f->kind == FRAME_ACK,
		.window = htons(65535),
	};

	tcp.check = finish_sum(sum_words(sum, &tcp, sizeof(tcp)));
	memcpy(at, &tcp, sizeof(tcp));
}

static void put_udp(const struct flows *f, in_port_t from, uint32_t sum,
		    void *at)
{
	struct udphdr udp = {
		.source = htons(from),
		.dest = htons(f->port),
		.len = htons(sizeof(udp) + PAYLOAD_BYTES),
	};

	udp.check = finish_sum(sum_words(sum, &udp, sizeof(udp)));
	memset(memcpy(at, &udp, sizeof(udp)) + sizeof(udp), 0, PAYLOAD_BYTES);
}

void flows_next(struct flows *f, struct frame *out)
{
	bool is_udp = f->kind == FRAME_UDP, is_v6 = f->ip_bytes == 16;
	unsigned char proto = is_udp ? IPPROTO_UDP : IPPROTO_TCP;
	size_t len = is_udp ? sizeof(struct udphdr) + PAYLOAD_BYTES
			    : sizeof(struct tcphdr);
	const unsigned char *dst = f->dsts[f->next % f->dst_count];
	in_port_t from = (in_port_t)(FIRST_PORT + f->next++ % PORTS);
	uint32_t sum = pseudo_sum(f, proto, len, dst);
	struct ethhdr link = { .h_proto =
				       htons(is_v6 ? ETH_P_IPV6 : ETH_P_IP) };
	unsigned char *at = out->bytes;

	memcpy(link.h_dest, f->link_to, sizeof(link.h_dest));
	memcpy(link.h_source, f->link_from, sizeof(link.h_source));
	at = (unsigned char *)memcpy(at, &link, sizeof(link)) + sizeof(link);
	at = is_v6 ? put_ip6(f, proto, len, dst, at)
		   : put_ip4(f, proto, len, dst, at);
	if (is_udp)
		put_udp(f, from, sum, at);
	else
		put_tcp(f, from, sum, at);
	out->len = (size_t)(at - out->bytes) + len;
}
