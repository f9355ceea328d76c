/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - slots of an array, given out and taken back.
 *
 * Objects live in an array of fixed size and are named by slot and
 * generation: the generation changes when a slot is freed, so that a name
 * that outlives its object finds nothing instead of a stranger.  The pool
 * holds no objects, only the list of free slots.  The slot freed last is
 * given out first: its memory is warm, and memory never used is never touched.
 */
#ifndef WL_BASE_POOL_H
#define WL_BASE_POOL_H

#include <stdint.h>

enum { POOL_NONE = UINT32_MAX >> 1 };

struct pool {
	uint32_t *generations;
	uint32_t *free_next;
	uint32_t free_head;
	uint32_t fresh; /* slots from here on were never used */
	uint32_t size;
	uint32_t used;
};

int pool_init(struct pool *p, uint32_t size); /* 0 or -ENOMEM */
void pool_done(struct pool *p);
uint32_t pool_take(struct pool *p); /* POOL_NONE when all are used */
void pool_give(struct pool *p, uint32_t slot);
/* Slot and generation in one number, for people and logs. */
uint64_t pool_name(const struct pool *p, uint32_t slot);

#endif
