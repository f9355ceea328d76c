/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_send.c - datagrams as fast as the kernel takes them.
 *
 *	udp_send ADDRESS PORT BYTES FLOWS SECONDS
 *
 * Prints {"sent"}.  Each flow is one socket with its own source port; flows
 * take turns, BATCH datagrams each.  There is no pacing: what is asked is how
 * much of an overload arrives.  udp_sink.c counts.
 */
#include "helper.h"

#include <errno.h>
#include <stdlib.h>

enum { BYTES_MAX = 1472, FLOWS_MAX = 1000, BATCH = 16 };

static void prepare(struct mmsghdr *batch, struct iovec *part)
{
	for (size_t i = 0; i < BATCH; i++)
		batch[i] = (struct mmsghdr){
			.msg_hdr = { .msg_iov = part, .msg_iovlen = 1 },
		};
}

static unsigned long send_batch(int fd, struct mmsghdr *batch)
{
	int sent = sendmmsg(fd, batch, BATCH, 0);

	if (sent >= 0)
		return (unsigned long)sent;
	/* ENOBUFS: a queue on the way is full, which is a loss like others. */
	if (errno != ENOBUFS && errno != ECONNREFUSED && errno != EAGAIN)
		helper_die("sendmmsg");
	return 0;
}

int main(int argc, char **argv)
{
	static char text[BYTES_MAX];
	struct iovec part = { .iov_base = text };
	struct mmsghdr batch[BATCH];
	unsigned long sent = 0;
	struct endpoint peer;
	uint64_t end_ns;
	int fds[FLOWS_MAX];
	long flows;

	if (argc != 6)
		return 2;
	peer = helper_endpoint(argv[1], argv[2]);
	part.iov_len = (size_t)helper_number(argv[3], 1, BYTES_MAX);
	flows = helper_number(argv[4], 1, FLOWS_MAX);
	prepare(batch, &part);
	for (long i = 0; i < flows; i++)
		fds[i] = helper_udp_to(&peer);

	end_ns = helper_now_ns() +
		 (uint64_t)helper_number(argv[5], 1, 3600) * 1000000000u;
	while (helper_now_ns() < end_ns)
		for (long i = 0; i < flows; i++)
			sent += send_batch(fds[i], batch);
	helper_say("{\"sent\": %lu}", sent);
	return 0;
}
