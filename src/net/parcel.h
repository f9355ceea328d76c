/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcel.h - bytes with descriptors, between our own processes.
 *
 * unix(7), SCM_RIGHTS.  Over SOCK_SEQPACKET a parcel is a message; over
 * SOCK_STREAM send one byte, so that it cannot be torn.
 */
#ifndef WL_NET_PARCEL_H
#define WL_NET_PARCEL_H

#include <stddef.h>

enum { PARCEL_FDS_MAX = 2 };

struct parcel {
	void *bytes;
	size_t size;
	int fd[PARCEL_FDS_MAX];
	unsigned fd_count;
};

/* Does not wait.  Descriptors stay the caller's.  0 or -errno. */
int parcel_send(int socket, const struct parcel *p);
/* Does not wait.  1: p->bytes is full, and p->fd is the caller's; 0: the end;
 * -EAGAIN: there is none; -EBADMSG: one of another length, or with more
 * descriptors than there may be, which are closed; -errno. */
int parcel_receive(int socket, struct parcel *p);
void parcel_close(struct parcel *p); /* its descriptors */

#endif
