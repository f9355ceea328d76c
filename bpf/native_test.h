/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * native_test.h - the packet cursor on plain bytes, and random numbers.
 *
 * What tests and the fuzzer of bpf/ have in common; read packet_naive.h next.
 */
#ifndef WL_BPF_NATIVE_TEST_H
#define WL_BPF_NATIVE_TEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/types.h>

struct bytes {
	const uint8_t *of;
	size_t len;
};

static inline _Bool packet_load(void *ctx, __u32 at, void *to, __u32 len)
{
	const struct bytes *b = ctx;

	if (at > b->len || len > b->len - at)
		return 0;
	memcpy(to, b->of + at, len);
	return 1;
}

#include "packet.h" /* needs packet_load() */

/* The seed is printed; set WAYLAY_SEED to repeat a run. */
static inline void native_seed(void)
{
	const char *given = getenv("WAYLAY_SEED");
	long seed = given ? atol(given) : (long)(time(NULL) & 0xffff);

	srand48(seed);
	printf("WAYLAY_SEED=%ld\n", seed);
}

static inline uint32_t native_draw(uint32_t below)
{
	return (uint32_t)lrand48() % below;
}

#endif
