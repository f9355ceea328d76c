/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcel.c - bytes with descriptors; see parcel.h.
 */
#include "net/parcel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(PARCEL_FDS_MAX * sizeof(int))];
};

int parcel_send(int socket, const struct parcel *p)
{
	size_t bytes = p->fd_count * sizeof(int);
	struct iovec iov = { p->bytes, p->size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t len;

	if (p->fd_count) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.head), p->fd, bytes);
	}
	len = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (len < 0)
		return -errno;
	return len == (ssize_t)p->size ? 0 : -EMSGSIZE;
}

/* The kernel puts no more into the room than there is. */
static void take_descriptors(struct msghdr *m, struct parcel *p)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(m);

	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
		return;
	p->fd_count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(p->fd, CMSG_DATA(h), p->fd_count * sizeof(int));
}

int parcel_receive(int socket, struct parcel *p)
{
	union control control;
	struct iovec iov = { p->bytes, p->size };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	p->fd_count = 0;
	if (len < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	take_descriptors(&m, p);
	if (len == 0 && !p->fd_count)
		return 0;
	if (len == (ssize_t)p->size &&
	    !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	parcel_close(p);
	return -EBADMSG;
}

void parcel_close(struct parcel *p)
{
	for (unsigned i = 0; i < p->fd_count; i++)
		close(p->fd[i]);
	p->fd_count = 0;
}
