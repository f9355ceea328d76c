/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood.c - what a small packet costs from here to where it ends.
 *
 *	flood INTERFACE SECONDS FLOWS...	(the words of frame.h)
 *
 * Prints {"sent","ns"}: the time of one packet, the median over batches.  On
 * a cable of veth the sender itself carries its packets through the next hosts
 * (in softirq, before sendmmsg() returns), so that this is the cost of the
 * whole way to the host that drops or forwards them to their end.  A batch in
 * which somebody else had the CPU is far from the median and does no harm.
 */
#include "frame.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>

enum { BATCH = 64, SAMPLES_MAX = 1 << 20 };

struct flood {
	int fd;
	struct flows flows;
	struct frame frames[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	unsigned long sent;
	double ns[SAMPLES_MAX]; /* a packet, one for each batch */
	size_t count;
};

static void flood_open(struct flood *f, const char *interface)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int on = 1;

	/* Protocol 0: nothing is received. */
	f->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		helper_die("socket");
	if (setsockopt(f->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on,
		       sizeof(on)) < 0)
		helper_die("PACKET_QDISC_BYPASS");
	if (bind(f->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		helper_die(interface);
	for (size_t i = 0; i < BATCH; i++) {
		f->parts[i].iov_base = f->frames[i].bytes;
		f->messages[i].msg_hdr.msg_iov = &f->parts[i];
		f->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static void send_batch(struct flood *f)
{
	uint64_t start_ns;
	int sent;

	for (size_t i = 0; i < BATCH; i++) {
		flows_next(&f->flows, &f->frames[i]);
		f->parts[i].iov_len = f->frames[i].len;
	}
	start_ns = helper_now_ns();
	sent = sendmmsg(f->fd, f->messages, BATCH, 0);
	if (sent < 0 && errno != ENOBUFS)
		helper_die("sendmmsg");
	if (sent > 0) /* less than BATCH: a queue is full, which must not be */
		f->sent += (unsigned long)sent;
	if (sent == BATCH && f->count < SAMPLES_MAX)
		f->ns[f->count++] =
			(double)(helper_now_ns() - start_ns) / BATCH;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct flood *f = calloc(1, sizeof(*f));
	uint64_t end_ns;

	if (argc != 3 + FLOWS_WORDS)
		return 2;
	if (f == NULL)
		helper_die("flood");
	flood_open(f, argv[1]);
	flows_init(&f->flows, argv + 3);
	end_ns = helper_now_ns() +
		 (uint64_t)helper_number(argv[2], 1, 3600) * 1000000000u;
	while (helper_now_ns() < end_ns)
		send_batch(f);
	if (f->count == 0)
		helper_die("no whole batch was sent");
	qsort(f->ns, f->count, sizeof(*f->ns), compare);
	helper_say("{\"sent\": %lu, \"ns\": %.1f}", f->sent,
		   f->ns[f->count / 2]);
	return 0;
}
