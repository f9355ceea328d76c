/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_orders.c - what the supervisor wants of the cutter; see cut_orders.h.
 */
#include "daemon/cut_orders.h"

#include <stddef.h>
#include <sys/mman.h>

static size_t size_of(uint32_t flow_max)
{
	return sizeof(struct cut_orders) +
	       (size_t)flow_max * sizeof(struct cut_wish);
}

struct cut_orders *cut_orders_new(uint32_t flow_max)
{
	struct cut_orders *o =
		mmap(NULL, size_of(flow_max), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (o == MAP_FAILED)
		return NULL;
	o->flow_max = flow_max;
	return o;
}

void cut_orders_free(struct cut_orders *o)
{
	if (o)
		(void)munmap(o, size_of(o->flow_max));
}

/* Never earlier than was said. */
static uint32_t seconds(uint32_t ms)
{
	return ms / 1000 + (ms % 1000 != 0);
}

void cut_orders_set_times(struct cut_orders *o, const struct timeouts *t)
{
	atomic_store(&o->idle_s, seconds(t->idle_ms));
	atomic_store(&o->half_closed_s, seconds(t->half_closed_ms));
	atomic_store(&o->udp_s, seconds(t->udp_ms));
	atomic_store(&o->dns_s, seconds(t->dns_ms));
}

void cut_orders_end(struct cut_orders *o, uint32_t slot, uint64_t name,
		    uint8_t why)
{
	struct cut_wish *w = &o->ends[slot];

	atomic_store(&w->why, why);
	atomic_store(&w->name, name + 1);
}
