/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association_table.c - see udp_association_table.h.
 *
 * The hash is keyed with randomness of the kernel, as in udp_table.c (T15).
 */
#include "relay/udp_association_table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(sizeof(struct udp_association_key) ==
		      2 * sizeof(struct addr) + sizeof(uint64_t),
	      "a key has no padding: its bytes are compared");

int udp_association_table_init(struct udp_association_table *t, uint32_t max)
{
	void *all = mmap(NULL, max * sizeof(*t->all), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*t = (struct udp_association_table){ 0 };
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return -EIO;
	if (all == MAP_FAILED || pool_init(&t->pool, max) ||
	    imap_init(&t->by_key, max))
		return -ENOMEM; /* the worker does not start: exit frees */
	t->all = all;
	return 0;
}

void udp_association_table_done(struct udp_association_table *t)
{
	(void)munmap(t->all, t->pool.size * sizeof(*t->all));
	pool_done(&t->pool);
	imap_done(&t->by_key);
}

static uint64_t hash_key(const struct udp_association_table *t,
			 const struct udp_association_key *key)
{
	return XXH3_64bits_withSeed(key, sizeof(*key), t->seed);
}

static uint32_t slot_of(const struct udp_association_table *t,
			const struct udp_association *a)
{
	return (uint32_t)(a - t->all);
}

struct udp_association *udp_association_table_find(
	const struct udp_association_table *t,
	const struct udp_association_key *key)
{
	uint64_t hash = hash_key(t, key);

	for (uint32_t i = imap_first(&t->by_key, hash); i != IMAP_NONE;
	     i = imap_next(&t->by_key, i))
		if (!memcmp(&t->all[i].key, key, sizeof(*key)))
			return &t->all[i];
	return NULL;
}

struct udp_association *udp_association_table_add(
	struct udp_association_table *t, const struct udp_association_key *key)
{
	uint32_t slot = pool_take(&t->pool);

	if (slot == POOL_NONE)
		return NULL;
	t->all[slot] = (struct udp_association){
		.key = *key,
		.state = ASSOCIATION_OPENING,
		.dial = { .fd = -1 },
		.control_fd = -1,
		.fd = -1,
		.first_flow = POOL_NONE,
	};
	imap_insert(&t->by_key, hash_key(t, key), slot);
	return &t->all[slot];
}

void udp_association_table_hide(struct udp_association_table *t,
				struct udp_association *a)
{
	imap_remove(&t->by_key, hash_key(t, &a->key), slot_of(t, a));
	a->state = ASSOCIATION_ENDED;
}

void udp_association_table_give(struct udp_association_table *t,
				struct udp_association *a)
{
	a->state = ASSOCIATION_FREE;
	pool_give(&t->pool, slot_of(t, a));
}

/* --- its flows ----------------------------------------------------------- */

void udp_association_join(struct udp_association_table *t,
			  struct udp_association *a, struct udp_table *flows,
			  struct udp_flow *f)
{
	uint32_t slot = udp_table_slot(flows, f);

	f->association = slot_of(t, a);
	f->prev = POOL_NONE;
	f->next = a->first_flow;
	if (f->next != POOL_NONE)
		flows->flows[f->next].prev = slot;
	a->first_flow = slot;
}

void udp_association_leave(struct udp_association_table *t,
			   struct udp_table *flows, struct udp_flow *f)
{
	if (f->next != POOL_NONE)
		flows->flows[f->next].prev = f->prev;
	if (f->prev != POOL_NONE)
		flows->flows[f->prev].next = f->next;
	else
		t->all[f->association].first_flow = f->next;
	f->association = f->next = f->prev = POOL_NONE;
}
