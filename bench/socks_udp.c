/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_udp.c - datagrams of an association, in batches, and the addresses in
 * front of them; see socks_end.h.
 */
#include "socks_end.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>

enum {
	BATCH = 32,
	DATAGRAM_BYTES = 2048,
	HEADER_MAX = 3 + SOCKS_ADDRESS_MAX,
};

size_t socks_read_address(const char *p, size_t len, struct endpoint *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;

	*out = (struct endpoint){ 0 };
	if (len >= 7 && p[0] == 1) {
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, p + 1, 4);
		memcpy(&in->sin_port, p + 5, 2);
		out->len = sizeof(*in);
		return 7;
	}
	if (len >= 19 && p[0] == 4) {
		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, p + 1, 16);
		memcpy(&in6->sin6_port, p + 17, 2);
		out->len = sizeof(*in6);
		return 19;
	}
	return 0;
}

size_t socks_write_address(const struct endpoint *a, char *p)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;

	if (a->addr.ss_family == AF_INET) {
		p[0] = 1;
		memcpy(p + 1, &in->sin_addr, 4);
		memcpy(p + 5, &in->sin_port, 2);
		return 7;
	}
	p[0] = 4;
	memcpy(p + 1, &in6->sin6_addr, 16);
	memcpy(p + 17, &in6->sin6_port, 2);
	return 19;
}

static struct mmsghdr batch[BATCH];
static struct iovec parts[BATCH];
static struct endpoint names[BATCH];
static char text[BATCH][HEADER_MAX + DATAGRAM_BYTES];

static int receive(int fd, size_t room)
{
	for (size_t i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ text[i] + room, DATAGRAM_BYTES };
		batch[i].msg_hdr = (struct msghdr){
			.msg_name = &names[i].addr,
			.msg_namelen = sizeof(names[i].addr),
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
	}
	return recvmmsg(fd, batch, BATCH, 0, NULL);
}

/* From the client: the header says where to. */
void socks_udp_near(int fd)
{
	int got = receive(fd, 0), kept = 0;

	if (got > 0)
		ends[fd].peer =
			(struct endpoint){ names[0].addr,
					   batch[0].msg_hdr.msg_namelen };
	for (int i = 0; i < got; i++) {
		struct endpoint to;
		size_t len = batch[i].msg_len, head;

		head = len > 3 ? socks_read_address(text[i] + 3, len - 3, &to)
			       : 0;
		if (!head)
			continue;
		names[kept] = to;
		parts[kept] =
			(struct iovec){ text[i] + 3 + head, len - 3 - head };
		batch[kept].msg_hdr.msg_namelen = to.len;
		kept++;
	}
	if (kept)
		(void)sendmmsg(ends[fd].other, batch, (unsigned)kept, 0);
}

/* From servers: with a header in front. */
void socks_udp_far(int fd)
{
	const struct end *near = &ends[ends[fd].other];
	int got = receive(fd, HEADER_MAX);

	for (int i = 0; i < got; i++) {
		char head[HEADER_MAX] = { 0 };
		size_t len = 3 + socks_write_address(&names[i], head + 3);
		char *at = text[i] + HEADER_MAX - len;

		memcpy(at, head, len);
		parts[i] = (struct iovec){ at, len + batch[i].msg_len };
		names[i] = near->peer;
		batch[i].msg_hdr.msg_namelen = near->peer.len;
	}
	if (got > 0 && near->peer.len)
		(void)sendmmsg(ends[fd].other, batch, (unsigned)got, 0);
}
