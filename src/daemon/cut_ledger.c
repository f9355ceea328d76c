/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger.c - the records of cut-through flows; see cut_ledger.h.
 *
 * cut_ledger_walk.c follows what the map tells of them.
 */
#include "daemon/cut_ledger.h"

#include "base/loop.h"
#include "daemon/cut_judge.h"
#include "daemon/cut_ledger_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct cut_entry *cut_entries_new(uint32_t flow_max)
{
	void *p = mmap(NULL, flow_max * sizeof(struct cut_entry),
		       PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void cut_entries_free(struct cut_entry *entries, uint32_t flow_max)
{
	if (entries)
		(void)munmap(entries, flow_max * sizeof(*entries));
}

/* --- finding ------------------------------------------------------------- */

static uint64_t hash_key(const struct cut_ledger *l,
			 const struct wl_cut_key *key)
{
	return XXH3_64bits_withSeed(key, sizeof(*key), l->seed);
}

static void index_keys(struct cut_ledger *l, uint32_t slot)
{
	const struct cut_entry *e = &l->args.entries[slot];

	for (uint32_t leg = 0; leg < ledger_legs(e); leg++)
		imap_insert(&l->by_key, hash_key(l, &e->key[leg]),
			    2 * slot + leg);
}

/* 2 * slot + leg, or IMAP_NONE. */
uint32_t ledger_find_key(const struct cut_ledger *l,
			 const struct wl_cut_key *key)
{
	uint32_t i = imap_first(&l->by_key, hash_key(l, key));

	while (i != IMAP_NONE &&
	       memcmp(&l->args.entries[i / 2].key[i % 2], key, sizeof(*key)))
		i = imap_next(&l->by_key, i);
	return i;
}

/* --- records ------------------------------------------------------------- */

static void count_alive(struct cut_ledger *l, unsigned proto, int change)
{
	struct shared *s = l->args.shared;
	_Atomic uint32_t *alive =
		proto == PROTO_UDP ? &s->udp_flows : &s->tcp_flows;

	atomic_store(alive, atomic_load(alive) + (uint32_t)change);
}

static void count_end(struct shared *s, unsigned proto, enum flow_end why)
{
	if (proto == PROTO_UDP)
		count(s, COUNTER_udp_expired);
	else if (why == END_FINISHED)
		count(s, COUNTER_tcp_finished);
	else if (why == END_CLIENT_RESET || why == END_SERVER_RESET)
		count(s, COUNTER_tcp_reset);
	else if (why == END_IDLE_TIMEOUT)
		count(s, COUNTER_tcp_timeout);
	else
		count(s, COUNTER_tcp_error);
}

void ledger_tell(struct cut_ledger *l, uint32_t slot, enum flow_end why)
{
	struct flow_record *r = &l->args.shared->flows[slot];

	if (l->args.entries[slot].is_told)
		return;
	l->args.entries[slot].is_told = true;
	r->end = (uint8_t)why;
	count_end(l->args.shared, r->proto, why);
	count_alive(l, r->proto, -1);
	(void)shared_end(l->args.shared, r); /* told at the end of the tick */
	l->has_ended = true;
	shared_publish(l->args.shared, slot, NULL);
}

void ledger_release(struct cut_ledger *l, uint32_t slot)
{
	struct cut_entry *e = &l->args.entries[slot];

	for (uint32_t leg = 0; leg < ledger_legs(e); leg++)
		imap_remove(&l->by_key, hash_key(l, &e->key[leg]),
			    2 * slot + leg);
	e->is_used = false;
	pool_give(&l->pool, slot);
}

/* What the kernel has removed already is no error. */
static void drop_keys(struct cut_ledger *l, const struct cut_entry *e)
{
	for (uint32_t leg = 0; leg < ledger_legs(e); leg++)
		(void)cut_table_drop(l->args.table, &e->key[leg]);
}

void cut_ledger_end(struct cut_ledger *l, uint32_t slot, enum flow_end why)
{
	drop_keys(l, &l->args.entries[slot]);
	ledger_tell(l, slot, why);
	ledger_release(l, slot);
}

void cut_ledger_cancel(struct cut_ledger *l, uint32_t slot)
{
	const struct flow_record *r = &l->args.shared->flows[slot];

	drop_keys(l, &l->args.entries[slot]);
	count_alive(l, r->proto, -1);
	shared_publish(l->args.shared, slot, NULL);
	ledger_release(l, slot);
}

void cut_ledger_settle(struct cut_ledger *l, uint32_t slot)
{
	l->args.entries[slot].is_in_hand = false;
}

/* A slot for a record with its state, mover and name; POOL_NONE. */
uint32_t ledger_open_slot(struct cut_ledger *l, struct flow_record *r,
			  const struct wl_cut_key key[2], bool has_two)
{
	uint32_t slot = pool_take(&l->pool);

	if (slot == POOL_NONE)
		return slot;
	l->args.entries[slot] = (struct cut_entry){
		.key = { key[0], key[1] },
		.walk = l->walks,
		.is_used = true,
		.has_two = has_two,
	};
	index_keys(l, slot);
	atomic_store(&l->args.orders->record_count, l->pool.fresh);
	r->name = pool_name(&l->pool, slot);
	r->state = FLOW_CUT;
	r->mover = MOVER_CUT;
	r->end = END_NONE;
	shared_publish(l->args.shared, slot, r);
	count_alive(l, r->proto, 1);
	return slot;
}

/* Whose addresses these were has gone, unnoticed so far. */
static void end_older(struct cut_ledger *l, const struct wl_cut_key *key)
{
	uint32_t i = ledger_find_key(l, key);

	if (i == IMAP_NONE)
		return;
	ledger_tell(l, i / 2, cut_end_by_marks(l->args.entries[i / 2].marks));
	ledger_release(l, i / 2);
}

int cut_ledger_add(struct cut_ledger *l, const struct flow_record *r,
		   const struct wl_cut_key key[2], bool has_two)
{
	struct flow_record record;
	uint32_t slot;

	memcpy(&record, r, sizeof(record));
	end_older(l, &key[0]);
	if (has_two)
		end_older(l, &key[1]);
	slot = ledger_open_slot(l, &record, key, has_two);
	if (slot == POOL_NONE)
		return -ENOSPC;
	l->args.entries[slot].is_in_hand = true;
	return (int)slot;
}

/* --- beginning ----------------------------------------------------------- */

/* The pool as the cutter before has left it.  Whose sockets were in its hand
 * has lost them. */
static void take_over(struct cut_ledger *l)
{
	uint32_t last = atomic_load(&l->args.orders->record_count);

	atomic_store(&l->args.shared->tcp_flows, 0);
	atomic_store(&l->args.shared->udp_flows, 0);
	for (uint32_t slot = 0; slot < last; slot++)
		(void)pool_take(&l->pool); /* in this order */
	for (uint32_t slot = last; slot--;) {
		struct cut_entry *e = &l->args.entries[slot];
		struct flow_record r;

		l->pool.generations[slot] =
			(uint32_t)(l->args.shared->flows[slot].name >> 32);
		e->walk = 0;
		if (!e->is_used ||
		    (!e->is_told && !shared_read(l->args.shared, slot, &r))) {
			e->is_used = false; /* or he died in between */
			pool_give(&l->pool, slot);
			continue;
		}
		e->adopted_s = e->is_in_hand && l->now_s ? l->now_s : 0;
		e->is_in_hand = false;
		index_keys(l, slot);
		if (!e->is_told)
			count_alive(l, r.proto, 1);
	}
}

/* Who asked for these is gone, and nobody will forget them. */
static void drop_watched(struct cut_ledger *l)
{
	struct cut_walk *w = l->walk;

	while (cut_table_walk(l->args.table, w) == 0 && w->is_begun)
		for (uint32_t i = 0; i < w->count; i++)
			if (w->values[i].state == WL_CUT_WATCH)
				(void)cut_table_drop(l->args.table,
						     &w->keys[i]);
	w->is_begun = false;
}

int cut_ledger_init(struct cut_ledger *l, const struct cut_ledger_args *args)
{
	uint32_t max = args->shared->flow_max;

	assert(args->orders->flow_max == max);
	*l = (struct cut_ledger){ .args = *args,
				  .walks = 1,
				  .now_ms = clock_ms(),
				  .now_s = cut_now_s(),
				  .has_wishes = true };
	l->walk = calloc(1, sizeof(*l->walk));
	if (!l->walk || pool_init(&l->pool, max) < 0 ||
	    imap_init(&l->by_key, 2 * max) < 0) {
		cut_ledger_done(l);
		return -ENOMEM;
	}
	if (getrandom(&l->seed, sizeof(l->seed), 0) != sizeof(l->seed)) {
		cut_ledger_done(l);
		return -EIO;
	}
	take_over(l);
	drop_watched(l);
	while (ledger_walk_on(l))
		;
	return 0;
}

void cut_ledger_done(struct cut_ledger *l)
{
	free(l->walk);
	pool_done(&l->pool);
	imap_done(&l->by_key);
	*l = (struct cut_ledger){ 0 };
}
