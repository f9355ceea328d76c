/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram.c - recvmmsg and sendmmsg; see dgram.h.
 */
#include "net/dgram.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/in6.h>

#ifndef IP_RECVFRAGSIZE
#define IP_RECVFRAGSIZE 25 /* linux/in.h clashes with netinet/in.h */
#endif

enum { CONTROL_BYTES = 128 };

struct dgram_memory {
	struct mmsghdr msgs[DGRAM_BATCH];
	struct iovec iov[DGRAM_BATCH];
	struct sockaddr_storage src[DGRAM_BATCH];
	_Alignas(struct cmsghdr) char control[DGRAM_BATCH][CONTROL_BYTES];
	uint8_t *bytes; /* DGRAM_BATCH * DGRAM_BYTES, touched as needed */
};

int dgram_init(struct dgram_batch *b)
{
	struct dgram_memory *m = calloc(1, sizeof(*m));
	void *bytes;

	*b = (struct dgram_batch){ 0 };
	if (!m)
		return -ENOMEM;
	bytes = mmap(NULL, (size_t)DGRAM_BATCH * DGRAM_BYTES,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (bytes == MAP_FAILED) {
		free(m);
		return -ENOMEM;
	}
	m->bytes = bytes;
	b->memory = m;
	for (size_t i = 0; i < DGRAM_BATCH; i++)
		b->dgrams[i].bytes = m->bytes + i * DGRAM_BYTES;
	return 0;
}

void dgram_done(struct dgram_batch *b)
{
	if (!b->memory)
		return;
	(void)munmap(b->memory->bytes, (size_t)DGRAM_BATCH * DGRAM_BYTES);
	free(b->memory);
	b->memory = NULL;
}

static void read_control(struct msghdr *msg, struct dgram *out)
{
	out->origdst = (struct addr){ 0 };
	out->is_fragmented = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if ((c->cmsg_level == SOL_IP &&
		     c->cmsg_type == IP_ORIGDSTADDR) ||
		    (c->cmsg_level == SOL_IPV6 &&
		     c->cmsg_type == IPV6_ORIGDSTADDR))
			addr_from_sockaddr((struct sockaddr *)CMSG_DATA(c),
					   &out->origdst);
		if ((c->cmsg_level == SOL_IP &&
		     c->cmsg_type == IP_RECVFRAGSIZE) ||
		    (c->cmsg_level == SOL_IPV6 &&
		     c->cmsg_type == IPV6_RECVFRAGSIZE))
			out->is_fragmented = true;
	}
}

int dgram_recv(int fd, struct dgram_batch *b)
{
	struct dgram_memory *m = b->memory;
	int count;

	for (size_t i = 0; i < DGRAM_BATCH; i++) {
		m->iov[i] = (struct iovec){ b->dgrams[i].bytes, DGRAM_BYTES };
		m->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &m->src[i],
			.msg_namelen = sizeof(m->src[i]),
			.msg_iov = &m->iov[i],
			.msg_iovlen = 1,
			.msg_control = m->control[i],
			.msg_controllen = CONTROL_BYTES,
		};
	}
	b->count = 0;
	count = recvmmsg(fd, m->msgs, DGRAM_BATCH, MSG_DONTWAIT, NULL);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		struct dgram *d = &b->dgrams[i];

		d->len = m->msgs[i].msg_len;
		addr_from_sockaddr((struct sockaddr *)&m->src[i], &d->src);
		read_control(&m->msgs[i].msg_hdr, d);
	}
	b->count = (size_t)count;
	return count;
}

/* Places are exchanged, not overwritten: each has a buffer of its own. */
size_t dgram_keep_from(struct dgram_batch *b, const struct addr *src)
{
	size_t before = b->count;

	for (size_t i = 0; i < b->count;) {
		struct dgram d = b->dgrams[i];

		if (addr_same_ip(&d.src, src) && d.src.port == src->port) {
			i++;
			continue;
		}
		b->dgrams[i] = b->dgrams[--b->count];
		b->dgrams[b->count] = d;
	}
	return before - b->count;
}

int dgram_send(int fd, struct dgram_batch *b, size_t first, size_t count)
{
	struct dgram_memory *m = b->memory;
	int sent;

	for (size_t i = first; i < first + count; i++) {
		m->iov[i] =
			(struct iovec){ b->dgrams[i].bytes, b->dgrams[i].len };
		m->msgs[i].msg_hdr = (struct msghdr){
			.msg_iov = &m->iov[i],
			.msg_iovlen = 1,
		};
	}
	sent = sendmmsg(fd, m->msgs + first, (unsigned)count,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

static void read_extended(struct msghdr *msg, struct dgram_error *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		struct sock_extended_err ee;

		if (!(c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == SOL_IPV6 &&
		      c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		out->error = (int)ee.ee_errno;
		out->is_icmp = ee.ee_origin == SO_EE_ORIGIN_ICMP ||
			       ee.ee_origin == SO_EE_ORIGIN_ICMP6;
		out->type = ee.ee_type;
		out->code = ee.ee_code;
		out->info = ee.ee_info;
		addr_from_sockaddr(
			SO_EE_OFFENDER(
				(struct sock_extended_err *)CMSG_DATA(c)),
			&out->offender);
	}
}

int dgram_recv_error(int fd, struct dgram_error *out)
{
	_Alignas(struct cmsghdr) char control[256];
	uint8_t byte;
	struct iovec iov = { &byte, sizeof(byte) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : -errno;
	*out = (struct dgram_error){ 0 };
	read_extended(&msg, out);
	return 1;
}
