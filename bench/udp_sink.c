/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_sink.c - counts datagrams until they stop coming.
 *
 *	udp_sink ADDRESS PORT
 *
 * Says `ready`, waits for the first datagram, ends after SILENCE_MS without
 * one, and prints {"received","ns"}: the time from the first batch to the
 * last.  The other end of udp_send.c.
 */
#include "helper.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	BATCH = 64,
	DATAGRAM_BYTES = 2048,
	SILENCE_MS = 500,
	BUFFER_BYTES = 4 * 1024 * 1024,
};

struct sink {
	int fd;
	unsigned long received;
	uint64_t first_ns, last_ns;
	struct mmsghdr batch[BATCH];
	struct iovec parts[BATCH];
	char text[BATCH][DATAGRAM_BYTES];
};

static void sink_open(struct sink *s, const struct endpoint *at)
{
	int bytes = BUFFER_BYTES;

	s->fd = helper_bound_socket(at, SOCK_DGRAM | SOCK_NONBLOCK);
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		       sizeof(bytes)) < 0)
		helper_die("SO_RCVBUFFORCE");
	for (size_t i = 0; i < BATCH; i++) {
		s->parts[i] = (struct iovec){ s->text[i], DATAGRAM_BYTES };
		s->batch[i].msg_hdr.msg_iov = &s->parts[i];
		s->batch[i].msg_hdr.msg_iovlen = 1;
	}
}

static void sink_drain(struct sink *s)
{
	for (;;) {
		int got = recvmmsg(s->fd, s->batch, BATCH, 0, NULL);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0)
			helper_die("recvmmsg");
		s->last_ns = helper_now_ns();
		if (s->received == 0)
			s->first_ns = s->last_ns;
		s->received += (unsigned long)got;
	}
}

static bool sink_wait(const struct sink *s)
{
	struct pollfd want = { .fd = s->fd, .events = POLLIN };
	int rc = poll(&want, 1, s->received == 0 ? -1 : SILENCE_MS);

	if (rc < 0 && errno != EINTR)
		helper_die("poll");
	return rc != 0;
}

int main(int argc, char **argv)
{
	struct sink *s = calloc(1, sizeof(*s));
	struct endpoint at;

	if (argc != 3)
		return 2;
	if (s == NULL)
		helper_die("udp_sink");
	at = helper_endpoint(argv[1], argv[2]);
	sink_open(s, &at);
	helper_say("ready");
	while (sink_wait(s))
		sink_drain(s);
	helper_say("{\"received\": %lu, \"ns\": %lu}", s->received,
		   s->last_ns - s->first_ns);
	free(s);
	return 0;
}
