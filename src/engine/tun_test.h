/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tun_test.h - packets by hand, over TUN devices.
 *
 * For tests that put a packet on an interface and look at what comes out of
 * another: a packet is a write, and what comes out is a read.
 */
#ifndef WL_ENGINE_TUN_TEST_H
#define WL_ENGINE_TUN_TEST_H

#include "net/addr.h"
#include "net/netns_test.h"

#include <linux/if_tun.h>
#include <netinet/tcp.h>

static inline int tun_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		print_message("skipped: there is no /dev/net/tun\n");
		skip();
	}
	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static inline uint32_t tun_add_up(const uint8_t *bytes, size_t len,
				  uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	return sum;
}

static inline void tun_put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* `part` with room for 40 bytes in front; `check` is where its checksum is. */
static inline void tun_send(int fd, const struct addr *src,
			    const struct addr *dst, uint8_t proto,
			    uint8_t *part, size_t len, size_t check)
{
	bool is_v6 = src->family == AF_INET6;
	size_t ip_len = addr_ip_len(src), head = is_v6 ? 40 : 20;
	uint8_t *p = part - head;
	uint32_t sum =
		tun_add_up(src->ip, ip_len, tun_add_up(dst->ip, ip_len, 0));

	if (proto == IPPROTO_ICMP)
		sum = 0; /* which has no pseudo header */
	else
		sum += proto + (uint32_t)len;
	tun_put_sum(part + check, tun_add_up(part, len, sum));
	memset(p, 0, head);
	if (is_v6) {
		p[0] = 0x60;
		p[5] = (uint8_t)len;
		p[6] = proto;
		p[7] = 64;
	} else {
		p[0] = 0x45;
		p[3] = (uint8_t)(20 + len);
		p[8] = 64;
		p[9] = proto;
	}
	memcpy(p + (is_v6 ? 8 : 12), src->ip, ip_len);
	memcpy(p + (is_v6 ? 24 : 16), dst->ip, ip_len);
	if (!is_v6)
		tun_put_sum(p + 10, tun_add_up(p, 20, 0));
	assert_int_equal(write(fd, p, head + len), head + len);
}

static inline void tun_send_tcp(int fd, const struct addr *src,
				const struct addr *dst, uint8_t flags,
				uint32_t ack)
{
	uint8_t bytes[40 + 20] = { 0 }, *part = bytes + 40;
	uint16_t ports[2] = { htons(src->port), htons(dst->port) };
	uint32_t numbers[2] = { htonl(flags & TH_SYN ? 1000 : 1001),
				htonl(ack) };

	memcpy(part, ports, 4);
	memcpy(part + 4, numbers, 8);
	part[12] = 5 << 4;
	part[13] = flags;
	part[14] = 0x40; /* window */
	tun_send(fd, src, dst, IPPROTO_TCP, part, 20, 16);
}

static inline void tun_send_udp(int fd, const struct addr *src,
				const struct addr *dst)
{
	uint8_t bytes[40 + 9] = { 0 }, *part = bytes + 40;
	uint16_t head[3] = { htons(src->port), htons(dst->port), htons(9) };

	memcpy(part, head, 6);
	tun_send(fd, src, dst, IPPROTO_UDP, part, 9, 6);
}

#endif
