/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram.c - recvmmsg and sendmmsg; see dgram.h.
 */
#include "net/dgram.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/in6.h>
#include <linux/udp.h>

#ifndef IP_RECVFRAGSIZE
#define IP_RECVFRAGSIZE 25 /* linux/in.h clashes with netinet/in.h */
#endif

enum {
	CONTROL_BYTES = 128,
	SEGMENTED_BYTES = 65000, /* of one message of several datagrams */
	APART_CALLS = 256,	 /* until that is tried again after a failure */
};

struct dgram_memory {
	struct mmsghdr msgs[DGRAM_BATCH];
	struct iovec parts[2 * DGRAM_BATCH]; /* of what is sent or received */
	struct sockaddr_storage src[DGRAM_BATCH];
	_Alignas(struct cmsghdr) char control[DGRAM_BATCH][CONTROL_BYTES];
	uint8_t *bytes; /* DGRAM_BATCH * DGRAM_BYTES, touched as needed */
	uint32_t apart; /* calls that send each datagram by itself */
};

/* Each place has its own buffer again, whatever was exchanged or trimmed. */
static void reset_buffers(struct dgram_batch *b)
{
	for (size_t i = 0; i < DGRAM_BATCH; i++)
		b->dgrams[i].bytes = b->memory->bytes + i * DGRAM_BYTES;
}

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
	reset_buffers(b);
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

void dgram_origdst(struct msghdr *msg, struct addr *out)
{
	*out = (struct addr){ 0 };
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if ((c->cmsg_level == SOL_IP &&
		     c->cmsg_type == IP_ORIGDSTADDR) ||
		    (c->cmsg_level == SOL_IPV6 &&
		     c->cmsg_type == IPV6_ORIGDSTADDR))
			addr_from_sockaddr((struct sockaddr *)CMSG_DATA(c),
					   out);
	}
}

static bool is_fragmented(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if ((c->cmsg_level == SOL_IP &&
		     c->cmsg_type == IP_RECVFRAGSIZE) ||
		    (c->cmsg_level == SOL_IPV6 &&
		     c->cmsg_type == IPV6_RECVFRAGSIZE))
			return true;
	}
	return false;
}

int dgram_recv(int fd, struct dgram_batch *b)
{
	struct dgram_memory *m = b->memory;
	int count;

	reset_buffers(b);
	for (size_t i = 0; i < DGRAM_BATCH; i++) {
		m->parts[i] = (struct iovec){ b->dgrams[i].bytes, DGRAM_BYTES };
		m->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &m->src[i],
			.msg_namelen = sizeof(m->src[i]),
			.msg_iov = &m->parts[i],
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
		dgram_origdst(&m->msgs[i].msg_hdr, &d->origdst);
		d->is_fragmented = is_fragmented(&m->msgs[i].msg_hdr);
	}
	b->count = (size_t)count;
	return count;
}

/* Places are exchanged, not overwritten: each has a buffer of its own. */
size_t dgram_keep(struct dgram_batch *b, dgram_keep_fn fn, void *ctx)
{
	size_t kept = 0, before = b->count;

	for (size_t i = 0; i < before; i++) {
		struct dgram d;

		if (!fn(ctx, &b->dgrams[i]))
			continue;
		if (i != kept) {
			d = b->dgrams[kept];
			b->dgrams[kept] = b->dgrams[i];
			b->dgrams[i] = d;
		}
		kept++;
	}
	b->count = kept;
	return before - kept;
}

void dgram_trim(struct dgram *d, size_t bytes)
{
	assert(bytes <= d->len);
	d->bytes += bytes;
	d->len -= bytes;
}

/* --- sending ------------------------------------------------------------- */

/* What goes as one message: several datagrams of one length, which the kernel
 * parts again (udp(7) UDP_SEGMENT), on the wire as if they had gone alone. */
static size_t count_equal(const struct dgram *d, size_t count, size_t head_len)
{
	size_t len = d->len + head_len, equal = 1;

	if (!len)
		return 1; /* nothing to tell them apart by */
	while (equal < count && d[equal].len == d->len &&
	       (equal + 1) * len <= SEGMENTED_BYTES)
		equal++;
	return equal;
}

static void put_segment_size(struct msghdr *msg, char *control, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)control;
	uint16_t size = (uint16_t)len;

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(sizeof(size));
}

/* Where a datagram's two parts are; the first only if there is a header. */
static struct iovec *put_parts(struct dgram_memory *m, size_t i,
			       const struct dgram *d,
			       const struct dgram_head *head)
{
	struct iovec *parts = &m->parts[2 * i];

	if (!head->len) {
		m->parts[i] = (struct iovec){ d->bytes, d->len };
		return &m->parts[i];
	}
	parts[0] = (struct iovec){ (void *)head->bytes, head->len };
	parts[1] = (struct iovec){ d->bytes, d->len };
	return parts;
}

/* Messages for dgrams[0..count), together where they can go so; how many
 * messages. */
static size_t put_messages(struct dgram_memory *m, const struct dgram *d,
			   size_t count, const struct dgram_head *head,
			   bool is_together)
{
	size_t parts = head->len ? 2 : 1, made = 0, step;

	for (size_t at = 0; at < count; at += step, made++) {
		struct msghdr *msg = &m->msgs[made].msg_hdr;

		step = is_together ? count_equal(d + at, count - at, head->len)
				   : 1;
		*msg = (struct msghdr){ .msg_iovlen = step * parts };
		for (size_t i = at; i < at + step; i++) {
			struct iovec *put = put_parts(m, i, &d[i], head);

			if (i == at)
				msg->msg_iov = put;
		}
		if (step > 1)
			put_segment_size(msg, m->control[made],
					 d[at].len + head->len);
	}
	return made;
}

/* Together this way does not go: too long for it, no offload, an old kernel. */
static bool is_about_segments(const struct msghdr *msg, int error)
{
	return msg->msg_control && (error == EINVAL || error == EIO ||
				    error == EMSGSIZE || error == EOPNOTSUPP);
}

int dgram_send_headed(int fd, struct dgram_batch *b, size_t first, size_t count,
		      const struct dgram_head *head)
{
	struct dgram_memory *m = b->memory;
	bool is_together = !m->apart;
	size_t parts = head->len ? 2 : 1, dgrams = 0, made;
	int sent;

	if (m->apart)
		m->apart--;
	made = put_messages(m, &b->dgrams[first], count, head, is_together);
	sent = sendmmsg(fd, m->msgs, (unsigned)made,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && is_about_segments(&m->msgs[0].msg_hdr, errno)) {
		m->apart = APART_CALLS;
		return dgram_send_headed(fd, b, first, count, head);
	}
	for (int i = 0; i < sent; i++)
		dgrams += m->msgs[i].msg_hdr.msg_iovlen / parts;
	return sent < 0 ? -errno : (int)dgrams;
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
	uint8_t quoted[DGRAM_QUOTED_MAX];
	struct iovec iov = { quoted, sizeof(quoted) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (len < 0)
		return errno == EAGAIN ? 0 : -errno;
	*out = (struct dgram_error){ .quoted_len = (size_t)len };
	memcpy(out->quoted, quoted, (size_t)len);
	read_extended(&msg, out);
	return 1;
}
