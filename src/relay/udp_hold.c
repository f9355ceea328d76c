/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_hold.c - datagrams that wait; see udp_hold.h.
 */
#include "relay/udp_hold.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static_assert((int)UDP_HOLD_DGRAMS <= (int)DGRAM_BATCH,
	      "a flow's fit into one batch");

/* The blocks of a flow are one chain, so those of a datagram follow its first
 * one, which says how long it is. */
struct udp_hold_block {
	uint32_t next;
	uint32_t len; /* of the datagram that begins here */
	bool is_fragmented;
	uint8_t bytes[UDP_HOLD_BLOCK_BYTES];
};

int udp_hold_init(struct udp_hold_memory *m, uint32_t blocks)
{
	void *p =
		mmap(NULL, blocks * sizeof(*m->blocks), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	m->blocks = p;
	return pool_init(&m->pool, blocks);
}

void udp_hold_done(struct udp_hold_memory *m)
{
	(void)munmap(m->blocks, m->pool.size * sizeof(*m->blocks));
	pool_done(&m->pool);
}

/* Also an empty datagram has one. */
static size_t blocks_of(size_t len)
{
	return len ? (len + UDP_HOLD_BLOCK_BYTES - 1) / UDP_HOLD_BLOCK_BYTES
		   : 1;
}

static size_t part_of(size_t len)
{
	return len < UDP_HOLD_BLOCK_BYTES ? len : UDP_HOLD_BLOCK_BYTES;
}

static struct udp_hold_block *append_block(struct udp_hold_memory *m,
					   struct udp_hold *h, bool is_first)
{
	uint32_t i = pool_take(&m->pool);

	if (is_first)
		h->first = i;
	else
		m->blocks[h->last].next = i;
	h->last = i;
	return &m->blocks[i];
}

bool udp_hold_add(struct udp_hold_memory *m, struct udp_hold *h,
		  const struct dgram *d)
{
	size_t blocks = blocks_of(d->len);

	if (h->count == UDP_HOLD_DGRAMS || h->bytes + d->len > UDP_HOLD_BYTES ||
	    m->pool.size - m->pool.used < blocks)
		return false;
	for (size_t i = 0, at = 0; i < blocks; i++) {
		struct udp_hold_block *b =
			append_block(m, h, !h->count && i == 0);
		size_t part = part_of(d->len - at);

		b->len = (uint32_t)d->len;
		b->is_fragmented = d->is_fragmented;
		memcpy(b->bytes, d->bytes + at, part);
		at += part;
	}
	h->bytes += (uint32_t)d->len;
	h->count++;
	return true;
}

/* The first datagram leaves; its bytes go to `out` if that is not NULL. */
static void take_first(struct udp_hold_memory *m, struct udp_hold *h,
		       struct dgram *out)
{
	const struct udp_hold_block *first = &m->blocks[h->first];
	size_t len = first->len, blocks = blocks_of(len);

	if (out) {
		out->len = len;
		out->is_fragmented = first->is_fragmented;
	}
	for (size_t i = 0, at = 0; i < blocks; i++) {
		uint32_t block = h->first;
		size_t part = part_of(len - at);

		if (out)
			memcpy(out->bytes + at, m->blocks[block].bytes, part);
		at += part;
		h->first = m->blocks[block].next;
		pool_give(&m->pool, block);
	}
	h->count--;
}

void udp_hold_take(struct udp_hold_memory *m, struct udp_hold *h,
		   struct dgram_batch *out)
{
	for (out->count = 0; h->count; out->count++)
		take_first(m, h, &out->dgrams[out->count]);
	*h = (struct udp_hold){ 0 };
}

void udp_hold_drop(struct udp_hold_memory *m, struct udp_hold *h)
{
	while (h->count)
		take_first(m, h, NULL);
	*h = (struct udp_hold){ 0 };
}
