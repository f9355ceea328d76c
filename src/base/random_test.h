/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_test.h - random input for tests that can be repeated.
 *
 * The seed is printed; set WAYLAY_SEED to repeat a run.
 */
#ifndef WL_BASE_RANDOM_TEST_H
#define WL_BASE_RANDOM_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rnd {
	unsigned short state[3];
};

static inline void rnd_begin(struct rnd *r)
{
	const char *given = getenv("WAYLAY_SEED");
	long seed = given ? atol(given) : (long)time(NULL);

	*r = (struct rnd){ { (unsigned short)seed } };
	printf("WAYLAY_SEED=%hu\n", r->state[0]);
}

static inline unsigned rnd_draw(struct rnd *r, unsigned below)
{
	return (unsigned)nrand48(r->state) % below;
}

static inline void rnd_fill(struct rnd *r, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(nrand48(r->state) >> 7);
}

#endif
