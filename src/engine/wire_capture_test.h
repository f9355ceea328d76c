/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_capture_test.h - what an interface sends and gets, as hardware sees it.
 *
 * A packet whose checksum is left to hardware (CHECKSUM_PARTIAL) comes with
 * the place where hardware would put it (virtio_net_hdr).  Here that is done,
 * and then every sum has to be right, by the definition of RFC 1071.
 */
#ifndef WL_ENGINE_WIRE_CAPTURE_TEST_H
#define WL_ENGINE_WIRE_CAPTURE_TEST_H

#include "engine/bpf_frame_test.h"
#include "engine/wire_world_test.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

struct capture {
	struct virtio_net_hdr offload;
	uint8_t frame[70000];
};

/* One IP packet out of it. */
struct captured {
	const uint8_t *ip; /* in the buffer, until the next one */
	size_t len;
	size_t at; /* of the transport header */
	struct addr src, dst;
	uint8_t proto;
	bool is_out;
	bool is_super; /* many segments */
	bool was_partial;
};

static inline int capture_open(const char *link)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(link) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)),
		0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* --- reading ------------------------------------------------------------- */

static inline void capture_finish_sum(struct capture *c, size_t len)
{
	size_t from = c->offload.csum_start;
	size_t to = from + c->offload.csum_offset;
	unsigned sum;

	assert_true(from >= FRAME_LINK && to + 2 <= len);
	sum = ~frame_sum(c->frame + from, len - from, 0);
	c->frame[to] = (uint8_t)(sum >> 8);
	c->frame[to + 1] = (uint8_t)sum;
}

/* False: nothing of IP.  Destination options are passed over. */
static inline bool capture_parse(const struct capture *c, size_t len,
				 struct captured *out)
{
	const uint8_t *ip = c->frame + FRAME_LINK;
	bool is_v6 = frame_16(c->frame + 12) == ETH_P_IPV6;

	if (len < FRAME_LINK + (is_v6 ? 40 : 20) ||
	    (!is_v6 && frame_16(c->frame + 12) != ETH_P_IP))
		return false;
	out->ip = ip;
	out->len = len - FRAME_LINK;
	out->at = is_v6 ? 40 : 4u * (ip[0] & 15);
	out->proto = ip[is_v6 ? 6 : 9];
	out->src.family = out->dst.family = is_v6 ? AF_INET6 : AF_INET;
	memcpy(out->src.ip, ip + (is_v6 ? 8 : 12), is_v6 ? 16 : 4);
	memcpy(out->dst.ip, ip + (is_v6 ? 24 : 16), is_v6 ? 16 : 4);
	if (is_v6 && out->proto == IPPROTO_DSTOPTS) {
		out->proto = ip[out->at];
		out->at += 8u * (ip[out->at + 1] + 1u);
	}
	if (out->proto != IPPROTO_TCP && out->proto != IPPROTO_UDP)
		return out->at + 8 <= out->len;
	out->src.port = (uint16_t)frame_16(ip + out->at);
	out->dst.port = (uint16_t)frame_16(ip + out->at + 2);
	return out->at + 8 <= out->len;
}

/* The next packet of IP, or false: there is none yet. */
static inline bool capture_next(int fd, struct capture *c, struct captured *out)
{
	struct sockaddr_ll from;
	socklen_t size;
	ssize_t len;

	do {
		size = sizeof(from);
		len = recvfrom(fd, c, sizeof(*c), 0, (struct sockaddr *)&from,
			       &size);
		if (len < (ssize_t)sizeof(c->offload) + FRAME_LINK)
			return false;
		len -= (ssize_t)sizeof(c->offload);
		*out = (struct captured){
			.is_out = from.sll_pkttype == PACKET_OUTGOING,
			.is_super =
				c->offload.gso_type != VIRTIO_NET_HDR_GSO_NONE,
			.was_partial =
				c->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		};
	} while (!capture_parse(c, (size_t)len, out));
	if (out->was_partial && !out->is_super)
		capture_finish_sum(c, (size_t)len);
	return true;
}

/* The next one between these two, in this direction. */
static inline void capture_wait(int fd, struct capture *c, bool is_out,
				const struct addr *src, const struct addr *dst,
				struct captured *out)
{
	for (;;) {
		while (!capture_next(fd, c, out))
			if (!wire_is_ready(fd, POLLIN))
				fail_msg("no such packet");
		if (out->is_out == is_out &&
		    !memcmp(out->src.ip, src->ip, 16) &&
		    !memcmp(out->dst.ip, dst->ip, 16))
			return;
	}
}

/* Has many segments in one come in since the capture began? */
static inline bool capture_has_super(int fd, struct capture *c)
{
	struct captured p;

	while (capture_next(fd, c, &p))
		if (p.is_super && !p.is_out)
			return true;
	return false;
}

/* --- checking ------------------------------------------------------------ */

/* With the pseudo header of RFC 8200, section 8.1, or RFC 9293, 3.1. */
static inline bool capture_is_sum_good(const struct captured *p)
{
	bool is_v6 = p->src.family == AF_INET6;
	uint32_t sum = 0;

	if (!is_v6 && frame_sum(p->ip, p->ip[0] % 16 * 4u, 0) != 0xffff)
		return false;
	if (p->proto != IPPROTO_ICMP)
		sum = frame_sum(p->ip + (is_v6 ? 8 : 12), is_v6 ? 32 : 8,
				(uint32_t)(p->len - p->at) + p->proto);
	return frame_sum(p->ip + p->at, p->len - p->at, sum) == 0xffff;
}

#endif
