/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_ask.c - what workers ask the cutter for.
 *
 * A worker is not trusted with more than it has: what it says must make sense,
 * a TCP flow is that of the two sockets which it hands over, and a datagram is
 * let through as it is, never readdressed.  cut_flow.h does what is asked.
 */
#include "daemon/cutter_priv.h"

#include "net/sock.h"

#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- names --------------------------------------------------------------- */

static uint64_t hash_name(const struct cutter *c, uint32_t worker,
			  uint32_t slot)
{
	uint32_t both[2] = { worker, slot };

	return XXH3_64bits_withSeed(both, sizeof(both), c->seed);
}

static struct cutter_flow *find(struct cutter_worker *w, uint32_t slot)
{
	struct cutter *c = w->cutter;
	uint32_t i = imap_first(&c->by_name, hash_name(c, w->number, slot));

	for (; i != IMAP_NONE; i = imap_next(&c->by_name, i))
		if (c->flows[i].worker == w && c->flows[i].slot == slot)
			return &c->flows[i];
	return NULL;
}

static uint32_t index_of(const struct cutter *c, const struct cutter_flow *f)
{
	return (uint32_t)(f - c->flows);
}

static void unname(struct cutter *c, struct cutter_flow *f)
{
	imap_remove(&c->by_name, hash_name(c, f->worker->number, f->slot),
		    index_of(c, f));
	f->worker = NULL;
}

static void give_back(struct cutter *c, struct cutter_flow *f)
{
	if (f->worker)
		unname(c, f);
	pool_give(&c->pool, index_of(c, f));
}

static void forget(struct cutter *c, struct cutter_flow *f)
{
	cut_flow_forget(&f->flow);
	give_back(c, f);
}

void cutter_ask_end(struct cutter_worker *w)
{
	struct cutter *c = w->cutter;

	for (uint32_t i = 0; i < c->pool.fresh; i++)
		if (c->flows[i].worker == w)
			forget(c, &c->flows[i]);
}

/* --- what makes sense ---------------------------------------------------- */

static bool is_address(const struct addr *a, uint16_t family)
{
	return a->family == family && a->port && !a->scope;
}

/* All of one family: a packet is not translated into the other. */
static bool are_addresses(const struct cut_ask *ask)
{
	uint16_t family = ask->peer[0].family;

	if (family != AF_INET && family != AF_INET6)
		return false;
	for (int leg = 0; leg < 2; leg++)
		if (!is_address(&ask->peer[leg], family) ||
		    !is_address(&ask->own[leg], family))
			return false;
	return true;
}

static bool are_legs_equal(const struct cut_ask *ask)
{
	return addr_equal(&ask->peer[0], &ask->own[1]) &&
	       addr_equal(&ask->own[0], &ask->peer[1]);
}

/* Another byte than 0 and 1 is no bool, and must not be read as one. */
static bool are_bools(const struct cut_ask *ask)
{
	uint8_t bytes[sizeof(ask->is_bulk)];

	memcpy(bytes, ask->is_bulk, sizeof(bytes));
	return bytes[0] <= 1 && bytes[1] <= 1;
}

static bool makes_sense(const struct parcel *m)
{
	const struct cut_ask *ask = m->bytes;
	bool has_sockets = ask->kind == CUT_CUT && ask->proto == PROTO_TCP;

	if (ask->kind < CUT_WATCH || ask->kind > CUT_FORGET ||
	    ask->proto >= PROTO_COUNT || !are_bools(ask) ||
	    m->fd_count != (has_sockets ? 2 : 0))
		return false;
	if (ask->kind == CUT_FORGET)
		return true;
	return are_addresses(ask) &&
	       (ask->proto == PROTO_TCP || are_legs_equal(ask));
}

/* Are these the sockets of the flow that was told of? */
static bool is_leg(const struct cut_flow *f, int leg, int fd)
{
	struct sockaddr_storage far;
	socklen_t len = sizeof(far);
	struct addr peer, own;
	struct wl_cut_key key;

	if (getpeername(fd, (struct sockaddr *)&far, &len) < 0 ||
	    sock_local_addr(fd, &own) < 0)
		return false;
	addr_from_sockaddr((struct sockaddr *)&far, &peer);
	(void)addr_unmap(&peer);
	(void)addr_unmap(&own);
	if (!peer.family || peer.family != own.family)
		return false;
	(void)cut_key(IPPROTO_TCP, &peer, &own, &key);
	return !memcmp(&key, &f->key[leg], sizeof(key));
}

static bool are_legs(const struct cut_flow *f, const struct parcel *m)
{
	for (unsigned i = 0; i < m->fd_count; i++)
		if (!is_leg(f, (int)i, m->fd[i]))
			return false;
	return true;
}

/* --- asking -------------------------------------------------------------- */

static enum cut_cause watch(struct cutter_worker *w, const struct cut_ask *ask)
{
	struct cutter *c = w->cutter;
	struct cutter_flow *f = find(w, ask->slot);
	enum cut_cause cause;
	uint32_t i;

	if (f && f->name == ask->name)
		return CUT_CAUSE_NONE;
	if (f)
		forget(c, f); /* it has ended, and its slot is another's */
	i = pool_take(&c->pool);
	if (i == POOL_NONE)
		return CUT_CAUSE_FULL;
	f = &c->flows[i];
	*f = (struct cutter_flow){ .slot = ask->slot, .name = ask->name };
	cause = cut_flow_watch(&f->flow, &c->shop, ask);
	if (cause != CUT_CAUSE_NONE) {
		give_back(c, f);
		return cause;
	}
	f->worker = w;
	imap_insert(&c->by_name, hash_name(c, w->number, f->slot), i);
	return CUT_CAUSE_NONE;
}

/* Datagrams have no numbers: once both ends were seen, the entry goes on.
 * Nothing is in hand afterwards. */
static enum cut_cause let_through(struct cutter *c, struct cut_flow *f,
				  const struct cut_ask *ask)
{
	struct wl_cut_change change = { .key = f->key[0],
					.op = WL_CUT_OP_START };
	struct wl_cut entry;
	int slot;

	if (cut_table_get(c->shop.table, &f->key[0], &entry) < 0)
		return CUT_CAUSE_ERROR;
	for (int i = 0; i < 2; i++) {
		if (!(entry.way[i].marks & WL_CUT_SEEN))
			return CUT_CAUSE_UNSEEN;
		if (!(entry.way[i].marks & WL_CUT_ROUTED))
			return CUT_CAUSE_NO_ROUTE;
		if (entry.way[i].marks & WL_CUT_ODD)
			return CUT_CAUSE_FRAGMENTS;
	}
	slot = cut_ledger_add(&c->ledger, &ask->record, f->key, false);
	if (slot < 0)
		return CUT_CAUSE_FULL;
	if (cut_table_change(c->shop.table, &change) < 0) {
		cut_ledger_cancel(&c->ledger, (uint32_t)slot);
		return CUT_CAUSE_ERROR;
	}
	cut_ledger_settle(&c->ledger, (uint32_t)slot);
	return CUT_CAUSE_NONE;
}

static enum cut_cause cut_datagrams(struct cutter *c, struct cutter_flow *f,
				    const struct cut_ask *ask)
{
	enum cut_cause cause = let_through(c, &f->flow, ask);

	if (cause == CUT_CAUSE_NONE)
		f->flow.state = CUT_FLOW_FREE;
	else if (!cut_cause_is_passing(cause))
		cut_flow_forget(&f->flow);
	return cause;
}

/* The ledger was at rest if this is the first. */
static void tick_soon(struct cutter *c)
{
	if (c->ledger.pool.used == 1)
		wheel_set(&c->loop.wheel, &c->tick,
			  c->loop.now_ms + cut_ledger_pause_ms(&c->ledger));
}

static void take_in_hand(struct cutter *c, struct cutter_flow *f)
{
	unname(c, f);
	f->record = (uint32_t)f->flow.slot;
	f->record_name = c->args.shared->flows[f->record].name;
	f->next = c->hand;
	c->hand = f;
	if (!timer_is_set(&c->sweep))
		wheel_set(&c->loop.wheel, &c->sweep,
			  c->loop.now_ms + CUTTER_SWEEP_MS);
}

static enum cut_cause cut(struct cutter_worker *w, struct parcel *m,
			  struct cutter_flow *f)
{
	struct cutter *c = w->cutter;
	struct cut_ask ask;
	enum cut_cause cause;

	memcpy(&ask, m->bytes, sizeof(ask));
	ask.record.proto = ask.proto;
	ask.record.generation = w->generation;
	if (ask.proto == PROTO_UDP)
		cause = cut_datagrams(c, f, &ask);
	else
		cause = cut_flow_cut(&f->flow, &ask, m->fd);
	if (f->flow.state == CUT_FLOW_FREE)
		give_back(c, f);
	else if (cause == CUT_CAUSE_NONE)
		take_in_hand(c, f);
	if (cause == CUT_CAUSE_NONE)
		tick_soon(c);
	return cause;
}

/* What was not told of, or could not be watched, is watched from now on. */
static enum cut_cause try_cut(struct cutter_worker *w, struct parcel *m)
{
	const struct cut_ask *ask = m->bytes;
	enum cut_cause cause = watch(w, ask);
	struct cutter_flow *f = find(w, ask->slot);

	if (cause == CUT_CAUSE_NONE && f->flow.proto == ask->proto &&
	    are_legs(&f->flow, m))
		return cut(w, m, f);
	parcel_close(m);
	if (cause != CUT_CAUSE_NONE)
		return cause;
	forget(w->cutter, f);
	return CUT_CAUSE_ERROR;
}

static void answer(const struct cut_ask *ask, enum cut_cause cause,
		   struct cut_answer *out)
{
	*out = (struct cut_answer){ .kind = CUT_REFUSED,
				    .cause = (uint8_t)cause,
				    .slot = ask->slot,
				    .name = ask->name };
	if (cause == CUT_CAUSE_NONE)
		out->kind = CUT_DONE;
	else if (cut_cause_is_passing(cause))
		out->kind = CUT_NOT_YET;
}

bool cutter_ask(struct cutter_worker *w, struct parcel *mail,
		struct cut_answer *out)
{
	const struct cut_ask *ask = mail->bytes;
	struct cutter_flow *f;

	if (!makes_sense(mail)) {
		parcel_close(mail);
		if (ask->kind != CUT_CUT)
			return false;
		/* else the worker would wait for a word about it */
		answer(ask, CUT_CAUSE_ERROR, out);
		return true;
	}
	switch ((enum cut_ask_kind)ask->kind) {
	case CUT_WATCH: /* why it cannot be is told at CUT_CUT */
		(void)watch(w, ask);
		return false;
	case CUT_CUT:
		answer(ask, try_cut(w, mail), out);
		return true;
	case CUT_FORGET:
		f = find(w, ask->slot);
		if (f && f->name == ask->name)
			forget(w->cutter, f);
		return false;
	}
	return false;
}

/* --- in hand ------------------------------------------------------------- */

static void let_go(struct cutter *c, struct cutter_flow *f)
{
	/* It may have ended before, and its slot be another's. */
	if (c->args.entries[f->record].is_used &&
	    c->args.shared->flows[f->record].name == f->record_name)
		cut_ledger_settle(&c->ledger, f->record);
	give_back(c, f);
}

void cutter_sweep(struct cutter *c)
{
	struct cutter_flow **at = &c->hand, *f;

	while ((f = *at)) {
		if (f->flow.state != CUT_FLOW_FREE) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		let_go(c, f);
	}
}
