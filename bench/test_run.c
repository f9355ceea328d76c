/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_run.c - what the ebpf engine's program costs for a flow's first packet.
 *
 *	test_run PIN INTERFACE FLOWS...		(the words of frame.h)
 *
 * PIN is the pinned link of the program at the interface's ingress.  The
 * kernel runs the program on a frame that is on no wire (BPF_PROG_TEST_RUN)
 * and tells the time it took.  Prints {"warm_ns","cold_ns"}:
 *
 *	warm	one frame again and again: all that is asked is in the caches
 *	cold	one frame of each flow, the median; with the clock's own cost
 *
 * Flows must be such that the program drops: where it takes one, it marks the
 * frame, and a second run would see that it has been there; and sockets cannot
 * be assigned in such a run.
 */
#include "frame.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	WARM_RUNS = 15,
	WARM_REPEAT = 20000,
	COLD_RUNS = 65536,
};

/* struct bpf_link_info as old headers have it: enough for the program. */
static int program_of(const char *pin)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int link = bpf_obj_get(pin), program;

	if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &len) < 0)
		helper_die(pin);
	program = bpf_prog_get_fd_by_id(info.prog_id);
	if (program < 0)
		helper_die("its program");
	return program;
}

/* Nanoseconds of one run. */
static uint32_t run(int program, unsigned ifindex, const struct frame *f,
		    int repeat)
{
	struct __sk_buff skb = { .ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->bytes,
		    .data_size_in = (uint32_t)f->len, .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = repeat);

	if (bpf_prog_test_run_opts(program, &o) < 0)
		helper_die("BPF_PROG_TEST_RUN");
	if (o.retval != TC_ACT_SHOT) {
		fprintf(stderr, "the program returned %d: not dropped\n",
			(int)o.retval);
		exit(1);
	}
	return o.duration;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t median(uint32_t *ns, size_t count)
{
	qsort(ns, count, sizeof(*ns), compare);
	return ns[count / 2];
}

int main(int argc, char **argv)
{
	static uint32_t warm[WARM_RUNS], cold[COLD_RUNS];
	unsigned ifindex;
	struct flows flows;
	struct frame frame;
	int program;

	if (argc != 3 + FLOWS_WORDS)
		return 2;
	program = program_of(argv[1]);
	ifindex = if_nametoindex(argv[2]);
	flows_init(&flows, argv + 3);
	for (size_t i = 0; i < COLD_RUNS; i++) {
		flows_next(&flows, &frame);
		cold[i] = run(program, ifindex, &frame, 1);
	}
	for (size_t i = 0; i < WARM_RUNS; i++)
		warm[i] = run(program, ifindex, &frame, WARM_REPEAT);
	helper_say("{\"warm_ns\": %u, \"cold_ns\": %u}",
		   median(warm, WARM_RUNS), median(cold, COLD_RUNS));
	return 0;
}
