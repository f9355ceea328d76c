/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - slots of an array; see pool.h.
 */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int pool_init(struct pool *p, uint32_t size)
{
	assert(size < POOL_NONE);
	*p = (struct pool){ .size = size, .free_head = POOL_NONE };
	p->generations = calloc(size ? size : 1, sizeof(*p->generations));
	p->free_next = calloc(size ? size : 1, sizeof(*p->free_next));
	if (!p->generations || !p->free_next) {
		pool_done(p);
		return -ENOMEM;
	}
	return 0;
}

void pool_done(struct pool *p)
{
	free(p->generations);
	free(p->free_next);
	*p = (struct pool){ 0 };
}

uint32_t pool_take(struct pool *p)
{
	uint32_t slot = p->free_head;

	if (slot != POOL_NONE)
		p->free_head = p->free_next[slot];
	else if (p->fresh < p->size)
		slot = p->fresh++;
	else
		return POOL_NONE;
	p->used++;
	return slot;
}

void pool_give(struct pool *p, uint32_t slot)
{
	assert(slot < p->fresh && p->used);
	p->generations[slot]++;
	p->free_next[slot] = p->free_head;
	p->free_head = slot;
	p->used--;
}

uint64_t pool_name(const struct pool *p, uint32_t slot)
{
	return (uint64_t)p->generations[slot] << 32 | slot;
}
