/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger_walk.c - what the map tells of cut flows; see cut_ledger.h.
 *
 * cut_judge.c says what an entry means, cut_adopt.c makes a record of one that
 * has none.
 */
#include "daemon/cut_ledger_priv.h"

#include "base/loop.h"
#include "daemon/cut_adopt.h"
#include "daemon/cut_judge.h"
#include "engine/cut.h"

#include <errno.h>
#include <string.h>

/* --- looking ------------------------------------------------------------- */

/* Nobody else is about to end it. */
static bool is_ours(const struct cut_entry *e)
{
	return !e->is_in_hand && !e->is_ending;
}

/* What `value`, met at this leg, and its other half say.  -ENOENT: there is
 * no other half. */
static int see(const struct cut_ledger *l, const struct cut_entry *e,
	       uint32_t leg, const struct wl_cut *value, struct cut_sight *out)
{
	bool is_low = value->shape & WL_CUT_LOW;
	struct wl_cut other;
	int error;

	*out = (struct cut_sight){ .begun_s = value->begun_s };
	if (!e->has_two) {
		out->way[0] = value->way[!is_low];
		out->way[1] = value->way[is_low];
	} else {
		error = cut_table_get(l->args.table, &e->key[!leg], &other);
		if (error < 0)
			return error;
		if (other.state != WL_CUT_ON)
			return -ENOENT; /* it is the next flow's */
		out->way[leg] = value->only;
		out->way[!leg] = other.only;
	}
	out->is_draining = out->way[0].is_draining || out->way[1].is_draining;
	return 0;
}

static void update_record(struct cut_ledger *l, uint32_t slot,
			  const struct cut_sight *s)
{
	static const enum counter counters[2] = { COUNTER_cut_bytes_up,
						  COUNTER_cut_bytes_down };
	struct cut_entry *e = &l->args.entries[slot];
	struct flow_record *r = &l->args.shared->flows[slot];
	uint64_t last_ms = cut_last_s(s) * 1000ull + 999, moved = 0;

	for (int leg = 0; leg < 2; leg++) {
		uint64_t more = s->way[leg].bytes - e->counted[leg];

		if (s->way[leg].bytes < e->counted[leg])
			more = 0; /* somebody has written to the map */
		e->counted[leg] = s->way[leg].bytes;
		e->marks[leg] = s->way[leg].marks;
		count_add(l->args.shared, counters[leg], more);
		r->bytes[leg] += more;
		moved += more;
	}
	if (last_ms > l->now_ms)
		last_ms = l->now_ms;
	if (moved && last_ms > r->last_ms)
		r->last_ms = last_ms; /* in this second, or just now */
}

static void limits_of(const struct cut_ledger *l, uint32_t slot,
		      struct cut_limits *out)
{
	const struct flow_record *r = &l->args.shared->flows[slot];
	struct cut_orders *o = l->args.orders;

	if (r->proto != PROTO_UDP) {
		out->idle_s = atomic_load(&o->idle_s);
		out->half_closed_s = atomic_load(&o->half_closed_s);
		return;
	}
	out->idle_s = atomic_load(r->server.port == 53 ? &o->dns_s : &o->udp_s);
	out->half_closed_s = out->idle_s;
}

/* It drains, and the cutter that had its sockets is gone: nobody will send
 * again what was lost. */
static bool is_stray(const struct cut_ledger *l, const struct cut_entry *e,
		     const struct cut_sight *s)
{
	return s->is_draining && e->adopted_s &&
	       l->now_s - e->adopted_s >= CUT_STRAY_S;
}

static void wish_end(struct cut_ledger *l, uint32_t slot, enum flow_end why)
{
	cut_orders_end(l->args.orders, slot, l->args.shared->flows[slot].name,
		       (uint8_t)why);
	l->has_wishes = true;
}

static void judge(struct cut_ledger *l, uint32_t slot,
		  const struct cut_sight *s)
{
	struct cut_entry *e = &l->args.entries[slot];
	struct cut_limits limits;
	enum flow_end why;

	if (!is_ours(e))
		return;
	if (is_stray(l, e, s)) {
		wish_end(l, slot, END_ERROR);
		return;
	}
	limits_of(l, slot, &limits);
	if (!limits.idle_s) /* not told yet: we may have begun before */
		return;
	switch (cut_judge(s, &limits, l->now_s, &why)) {
	case CUT_LIVES:
		break;
	case CUT_FINISHED:
		ledger_tell(l, slot, why);
		break;
	case CUT_OVER:
		cut_ledger_end(l, slot, why);
		break;
	}
}

static bool is_on(const struct cut_ledger *l, const struct wl_cut_key *key)
{
	struct wl_cut value;

	return cut_table_get(l->args.table, key, &value) == 0 &&
	       value.state == WL_CUT_ON;
}

/* An entry of it is gone: by the program, for a SYN.  In its place there may
 * be one of the next flow already, which is watched. */
static void end_gone(struct cut_ledger *l, uint32_t slot)
{
	struct cut_entry *e = &l->args.entries[slot];

	for (uint32_t leg = 0; leg < ledger_legs(e); leg++)
		if (is_on(l, &e->key[leg]))
			(void)cut_table_drop(l->args.table, &e->key[leg]);
	ledger_tell(l, slot, cut_end_by_marks(e->marks));
	ledger_release(l, slot);
}

static void look(struct cut_ledger *l, uint32_t slot, uint32_t leg,
		 const struct wl_cut *value)
{
	struct cut_entry *e = &l->args.entries[slot];
	struct cut_sight sight;
	int error;

	if (e->walk == l->walks)
		return; /* as the other half, or twice */
	e->walk = l->walks;
	error = see(l, e, leg, value, &sight);
	if (error == -ENOENT && is_ours(e))
		end_gone(l, slot);
	if (error < 0)
		return;
	update_record(l, slot, &sight);
	judge(l, slot, &sight);
}

/* --- adopting ------------------------------------------------------------ */

static void adopt(struct cut_ledger *l, const struct wl_cut_key *key,
		  const struct wl_cut *value)
{
	struct cut_adoption a;
	uint32_t slot;

	if (cut_adopt(l->args.table, key, value, l->now_s, &a) < 0) {
		(void)cut_table_drop(l->args.table, key); /* half a flow */
		return;
	}
	a.record.generation = l->args.generation;
	slot = ledger_open_slot(l, &a.record, a.key, a.has_two);
	if (slot == POOL_NONE)
		return; /* the map is larger than we are: it goes on unseen */
	l->args.entries[slot].adopted_s = l->now_s ? l->now_s : 1;
	l->args.entries[slot].walk = l->walks - 1;
	count(l->args.shared, COUNTER_cut_adopted);
	look(l, slot, memcmp(key, &a.key[0], sizeof(*key)) != 0, value);
}

static void meet(struct cut_ledger *l, const struct wl_cut_key *key,
		 const struct wl_cut *value)
{
	uint32_t i = ledger_find_key(l, key);
	bool is_next = value->state != WL_CUT_ON;

	if (i == IMAP_NONE && !is_next)
		adopt(l, key, value);
	else if (i != IMAP_NONE && !is_next)
		look(l, i / 2, i % 2, value);
	else if (i != IMAP_NONE && is_ours(&l->args.entries[i / 2]))
		end_gone(l, i / 2);
}

/* --- the walk ------------------------------------------------------------ */

/* The walk may have missed it. */
static bool is_there(const struct cut_ledger *l, const struct cut_entry *e)
{
	return is_on(l, &e->key[0]) && (!e->has_two || is_on(l, &e->key[1]));
}

static void end_missing(struct cut_ledger *l)
{
	for (uint32_t slot = 0; slot < l->pool.fresh; slot++) {
		const struct cut_entry *e = &l->args.entries[slot];

		if (e->is_used && e->walk != l->walks && is_ours(e) &&
		    !is_there(l, e))
			end_gone(l, slot);
	}
}

/* False: the walk is over, or cannot go on; the next call begins another. */
bool ledger_walk_on(struct cut_ledger *l)
{
	struct cut_walk *w = l->walk;
	int error = cut_table_walk(l->args.table, w);

	if (error < 0)
		w->is_begun = false;
	else if (w->is_begun)
		for (uint32_t i = 0; i < w->count; i++)
			meet(l, &w->keys[i], &w->values[i]);
	else
		end_missing(l);
	if (w->is_begun)
		return true;
	l->walks++;
	return false;
}

/* --- wishes -------------------------------------------------------------- */

static bool is_wished(const struct cut_ledger *l, uint32_t slot)
{
	uint64_t name = atomic_load(&l->args.orders->ends[slot].name);

	return name && l->args.entries[slot].is_used &&
	       !l->args.entries[slot].is_told &&
	       name - 1 == l->args.shared->flows[slot].name;
}

/* True: it has ended.  One that is in hand must settle first. */
static bool end_wished(struct cut_ledger *l, uint32_t slot)
{
	struct cut_entry *e = &l->args.entries[slot];
	struct cut_wish *w = &l->args.orders->ends[slot];

	if (e->is_in_hand)
		return false;
	e->is_ending = true;
	if (cut_end_flow(l->args.table, l->args.raw_fd, &e->key[0]) > 0)
		return false; /* an end may not have taken it yet */
	cut_ledger_end(l, slot, atomic_load(&w->why));
	atomic_store(&w->name, 0);
	return true;
}

void cut_ledger_fulfil(struct cut_ledger *l)
{
	l->has_wishes = false;
	l->wished_ms = clock_ms();
	for (uint32_t slot = 0; slot < l->pool.fresh; slot++)
		if (is_wished(l, slot) && !end_wished(l, slot))
			l->has_wishes = true;
}

void cut_ledger_tick(struct cut_ledger *l, uint64_t now_ms)
{
	uint32_t pieces =
		1 + 2 * l->pool.used / (CUT_WALK_MAX * CUT_LEDGER_WALK_TICKS);

	l->now_ms = now_ms;
	l->now_s = (uint32_t)(now_ms / 1000);
	if (l->has_wishes && now_ms - l->wished_ms >= CUT_END_AGAIN_MS)
		cut_ledger_fulfil(l);
	/* One more than there are: the last one tells that it is over. */
	for (uint32_t i = 0; i <= pieces && ledger_walk_on(l); i++)
		;
}

uint32_t cut_ledger_pause_ms(const struct cut_ledger *l)
{
	return l->pool.used ? CUT_LEDGER_TICK_MS : CUT_LEDGER_IDLE_MS;
}
