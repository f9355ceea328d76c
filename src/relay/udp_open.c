/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_open.c - from the first datagram to an open way; see udp_open.h.
 */
#include "relay/udp_open.h"

#include "policy/eval.h"
#include "relay/tries.h"
#include "relay/udp_flow.h"

#include <errno.h>
#include <string.h>

/* --- what the rules say -------------------------------------------------- */

/* Rule and upstream; true: it depends on a name that may still come. */
static bool ask_rules(const struct udp *u, struct flow_record *r, bool is_quic,
		      bool is_open)
{
	const struct config *c = udp_config(u);
	struct flow_facts facts = {
		.intercept = r->intercept,
		.proto = PROTO_UDP,
		.src = &r->client,
		.dst = &r->server,
		.is_open = is_open,
		.name = r->host[0] ? r->host : NULL,
		.is_quic = is_quic,
	};

	r->rule = (uint32_t)eval_flow(c, &facts, &is_open);
	r->upstream = (uint32_t)c->rules[r->rule].upstream;
	return is_open;
}

/* --- ends ---------------------------------------------------------------- */

static void refuse(struct udp_flow *f, enum flow_end why, int error)
{
	udp_flow_refuse(f);
	udp_flow_end(f, why, error);
}

/* Nobody is left. */
static void end_unserved(struct udp_flow *f, const struct udp_failure *last)
{
	refuse(f, tries_give_up(f->udp->worker, udp_flow_record(f), last->end),
	       last->error);
}

/* The rule says so, or it is all that is left of a group. */
static void end_rejected(struct udp_flow *f, const struct udp_failure *last)
{
	if (tries_group(f->udp->worker, udp_flow_record(f))) {
		end_unserved(f, last);
		return;
	}
	count(udp_flow_shared(f), COUNTER_rejected);
	refuse(f, END_REJECTED, 0);
}

static void end_dropped(struct udp_flow *f)
{
	count(udp_flow_shared(f), COUNTER_dropped);
	udp_flow_end(f, END_DROPPED, 0);
}

/* --- the way ------------------------------------------------------------- */

void udp_open_done(struct udp_flow *f)
{
	struct udp *u = f->udp;
	struct flow_record *r = udp_flow_record(f);
	uint64_t now_ms = u->worker->loop.now_ms;
	uint64_t open_ms = now_ms - r->begun_ms;

	udp_flow_set_state(f, FLOW_RELAYING);
	r->open_ms = open_ms ? (uint32_t)open_ms : 1; /* 0 would mean never */
	f->last_ms = now_ms;
	udp_flow_arm(f, now_ms + udp_flow_idle_ms(f));
	if (!f->hold.count)
		return;
	udp_hold_take(&u->hold, &f->hold, &u->held);
	f->path->send(f, &u->held, 0, u->held.count);
}

/* Zero: nothing more to do here, else the reason is in *why. */
static int try_upstream(struct udp_flow *f, size_t upstream,
			struct udp_failure *why)
{
	int error;

	tries_begin(f->udp->worker, udp_flow_record(f), upstream);
	udp_flow_use_upstream(f, (uint32_t)upstream);
	f->path = udp_path_of(udp_flow_upstream(f));
	error = f->path->open(f, why);
	if (!error)
		udp_open_done(f);
	if (!error || error == -EINPROGRESS)
		return 0;
	f->path = NULL;
	udp_flow_use_upstream(f, POOL_NONE);
	return error;
}

static void note_failure(struct udp_flow *f, const struct udp_failure *why)
{
	struct flow_record *r = udp_flow_record(f);

	r->reply = why->reply;
	r->error = (uint32_t)why->error;
}

/* Try one after the other until one is open, is being opened, or nobody is
 * left.  `last`: how it went so far. */
static void open_next(struct udp_flow *f, struct udp_failure last)
{
	const struct config *c = udp_config(f->udp);
	size_t next;

	do {
		if (!tries_next(f->udp->worker, udp_flow_record(f), &f->tried,
				&next)) {
			end_unserved(f, &last);
			return;
		}
		switch (eval_upstream_kind(&c->upstreams[next])) {
		case VERDICT_REJECT:
			end_rejected(f, &last);
			return;
		case VERDICT_DROP:
			end_dropped(f);
			return;
		case VERDICT_PASS:
		case VERDICT_DELIVER:
		case VERDICT_RELAY:
			break;
		}
		if (!udp_path_of(&c->upstreams[next])) {
			count(udp_flow_shared(f), COUNTER_upstream_no_udp);
			refuse(f, END_NO_UPSTREAM, 0);
			return;
		}
		if (!try_upstream(f, next, &last))
			return;
		note_failure(f, &last);
	} while (last.can_retry);
	refuse(f, last.end, last.error);
}

void udp_open_failed(struct udp_flow *f, const struct udp_failure *why)
{
	f->path = NULL;
	udp_flow_use_upstream(f, POOL_NONE);
	udp_flow_set_state(f, FLOW_CONNECTING);
	note_failure(f, why);
	if (why->can_retry)
		open_next(f, *why);
	else
		refuse(f, why->end, why->error);
}

static void open_first(struct udp_flow *f)
{
	open_next(f, (struct udp_failure){ 0 });
}

/* --- the name ------------------------------------------------------------ */

/* The identity of a flow is written as a whole: somebody may be reading it. */
static void set_name(struct udp_flow *f, const char *host)
{
	struct flow_record r = *udp_flow_record(f);

	r.name_kind = NAME_KIND_QUIC;
	memcpy(r.host, host, strlen(host) + 1);
	shared_publish(udp_flow_shared(f), udp_flow_slot(f), &r);
}

/* Nothing more will be known. */
static void stop_sniffing(struct udp_flow *f, enum counter how)
{
	struct udp *u = f->udp;

	count(udp_shared(u), how);
	pool_give(&u->quic_pool, f->quic);
	f->quic = POOL_NONE;
	wheel_cancel(&u->worker->loop.wheel, &f->timer);
	if (u->drain_end_ms)
		udp_flow_arm(f, u->drain_end_ms);
	(void)ask_rules(u, udp_flow_record(f), true, false);
	udp_flow_set_state(f, FLOW_CONNECTING);
	open_first(f);
}

void udp_open_late(struct udp_flow *f)
{
	stop_sniffing(f, COUNTER_name_late);
}

static void look_at(struct udp_flow *f, const struct dgram *d)
{
	char host[HOST_TEXT_MAX];

	switch (name_quic(&f->udp->quics[f->quic], d->bytes, d->len, host)) {
	case NAME_MORE:
		return;
	case NAME_FOUND:
		set_name(f, host);
		stop_sniffing(f, COUNTER_name_quic);
		return;
	case NAME_NONE:
		stop_sniffing(f, COUNTER_name_none);
		return;
	}
}

/* False: as many flows as may be are being looked at. */
static bool start_sniffing(struct udp_flow *f)
{
	struct udp *u = f->udp;

	f->quic = pool_take(&u->quic_pool);
	if (f->quic == POOL_NONE)
		return false;
	u->quics[f->quic] = (struct name_quic){ 0 };
	return true;
}

/* --- datagrams ----------------------------------------------------------- */

static void hold(struct udp_flow *f, const struct dgram *d)
{
	struct udp *u = f->udp;

	f->last_len = (uint32_t)d->len;
	f->last_ms = u->worker->loop.now_ms;
	count(udp_shared(u), udp_hold_add(&u->hold, &f->hold, d)
				     ? COUNTER_udp_held
				     : COUNTER_udp_hold_full);
}

void udp_open_more(struct udp_flow *f, size_t at, size_t end)
{
	struct dgram_batch *b = &f->udp->batch;

	for (; at < end; at++) {
		if (f->state == FLOW_RELAYING) {
			f->path->send(f, b, at, end);
			return;
		}
		hold(f, &b->dgrams[at]);
		if (f->state == FLOW_SNIFFING)
			look_at(f, &b->dgrams[at]);
		if (f->state == FLOW_FREE)
			return;
	}
}

/* --- beginning ----------------------------------------------------------- */

/* Refused or dropped before there is a flow. */
static bool is_stopped(struct udp *u, const struct flow_record *r,
		       const struct dgram *d)
{
	const struct upstream *up = &udp_config(u)->upstreams[r->upstream];

	if (up->kind == UPSTREAM_DROP) {
		count(udp_shared(u), COUNTER_dropped);
		return true;
	}
	if (up->kind == UPSTREAM_GROUP || udp_path_of(up))
		return false;
	count(udp_shared(u), up->kind == UPSTREAM_REJECT
				     ? COUNTER_rejected
				     : COUNTER_upstream_no_udp);
	udp_reply_refuse(&u->sender, &d->src, &d->origdst, d->len);
	return true;
}

static bool evict(struct udp *u, const struct udp_flow *but)
{
	struct udp_flow *oldest = udp_table_oldest(&u->table);

	if (!oldest || oldest == but) {
		count(udp_shared(u), COUNTER_udp_table_full);
		return false;
	}
	count(udp_shared(u), COUNTER_udp_evicted);
	udp_flow_end(oldest, END_EVICTED, 0);
	return true;
}

bool udp_open_has_room(struct udp_flow *f, uint32_t fds)
{
	const struct worker *w = f->udp->worker;

	return worker_has_room(w, fds) ||
	       (evict(f->udp, f) && worker_has_room(w, fds));
}

static bool make_room(struct udp *u, const struct addr *client)
{
	if (udp_table_share(&u->table, client) >=
	    udp_config(u)->limits.udp_per_client) {
		count(udp_shared(u), COUNTER_udp_client_limit);
		return false;
	}
	if (u->table.flow_pool.used < u->table.flow_pool.size &&
	    worker_has_room(u->worker, 1))
		return true;
	return evict(u, NULL);
}

/* True: the rule needs the name that the datagrams to come may tell.  Whether
 * they are QUIC shows at once. */
static bool needs_name(const struct udp *u, struct flow_record *r,
		       const struct dgram *d)
{
	bool is_quic = name_is_quic(d->bytes, d->len);

	return ask_rules(u, r, is_quic, is_quic);
}

static void begin_flow(struct udp_flow *f, struct flow_record *r, bool is_open)
{
	struct udp *u = f->udp;

	if (is_open && !start_sniffing(f)) {
		count(udp_shared(u), COUNTER_name_none);
		is_open = ask_rules(u, r, true, false);
	}
	udp_flow_begin(f, r, is_open ? FLOW_SNIFFING : FLOW_CONNECTING);
	if (is_open)
		udp_flow_arm(f, f->last_ms + udp_config(u)->sniff.wait_ms);
	else
		open_first(f);
}

void udp_open_begin(struct udp *u, const struct listener *l, size_t at,
		    size_t end)
{
	const struct dgram *d = &u->batch.dgrams[at];
	struct flow_record r;
	struct udp_flow *f;
	bool is_open =
		worker_begin_record(u->worker, l, &d->src, &d->origdst, &r);

	if (is_open)
		is_open = needs_name(u, &r, d);
	if ((!is_open && is_stopped(u, &r, d)) || !make_room(u, &d->src))
		return;
	f = udp_table_add(&u->table, &d->src, &d->origdst);
	if (!f)
		return;
	f->udp = u;
	f->last_len = (uint32_t)d->len;
	begin_flow(f, &r, is_open);
	if (f->state != FLOW_FREE)
		udp_open_more(f, at, end);
}
