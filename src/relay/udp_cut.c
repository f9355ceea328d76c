/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_cut.c - giving a UDP flow to cut-through; see udp_cut.h.
 */
#include "relay/udp_cut.h"

#include <string.h>

static struct worker *worker_of(const struct udp_flow *f)
{
	return f->udp->worker;
}

static bool is_eligible(const struct udp_flow *f)
{
	const struct flow_record *r = udp_flow_record(f);

	return udp_flow_upstream(f)->kind == UPSTREAM_DIRECT &&
	       f->server.port != UDP_DNS_PORT &&
	       addr_equal(&f->to, &f->server) &&
	       addr_equal(&r->source, &f->client) &&
	       cut_line_may(worker_of(f), r);
}

static void describe(const struct udp_flow *f, struct cut_ask *ask)
{
	memset(ask, 0, sizeof(*ask));
	ask->proto = PROTO_UDP;
	ask->slot = udp_flow_slot(f);
	ask->peer[0] = ask->own[1] = f->client;
	ask->peer[1] = ask->own[0] = f->server;
	ask->record = *udp_flow_record(f);
	ask->name = ask->record.name;
}

static void start_watching(struct udp_flow *f)
{
	struct cut_ask ask;

	if (f->dgrams < UDP_CUT_DGRAMS || !f->is_answered)
		return;
	describe(f, &ask);
	if (is_eligible(f))
		cut_line_watch(worker_of(f), &f->cut, &ask);
	else
		cut_try_never(&f->cut);
}

void udp_cut_consider(struct udp_flow *f)
{
	struct cut_ask ask;

	switch ((enum cut_stage)f->cut.stage) {
	case CUT_NONE:
		start_watching(f);
		return;
	case CUT_WATCHED:
		describe(f, &ask);
		cut_line_cut(worker_of(f), &f->cut, &ask, NULL);
		return;
	case CUT_ASKED:
	case CUT_STAYS:
	case CUT_GONE:
		return;
	}
}

/* --- answers and ends ---------------------------------------------------- */

/* The record is shown by the cutter from now on. */
static void linger(struct udp_flow *f)
{
	struct shared *s = udp_flow_shared(f);

	count(s, COUNTER_cut_udp);
	shared_publish(s, udp_flow_slot(f), NULL);
	udp_flow_arm(f, worker_of(f)->loop.now_ms + UDP_CUT_LINGER_MS);
}

void udp_cut_on_answer(struct udp *u, const struct cut_answer *a)
{
	uint32_t slot = a->slot - u->first_slot; /* huge, if it is none */
	struct udp_flow *f;

	if (slot >= u->table.flow_pool.fresh)
		return;
	f = &u->table.flows[slot];
	/* What has ended meanwhile is not there, or is another flow. */
	if (f->state == FLOW_FREE || f->cut.stage != CUT_ASKED ||
	    udp_flow_record(f)->name != a->name)
		return;
	cut_line_note(u->worker, &f->cut, a, PROTO_UDP);
	if (udp_cut_is_gone(f))
		linger(f);
}

void udp_cut_end(struct udp_flow *f)
{
	const struct cut_name who = { .name = udp_flow_record(f)->name,
				      .slot = udp_flow_slot(f),
				      .proto = PROTO_UDP };

	if (!udp_cut_is_gone(f))
		cut_line_stay(worker_of(f), &f->cut, CUT_CAUSE_ENDING, &who);
}

/* Nothing has stopped, so nothing is lost. */
void udp_cut_on_lost(struct udp *u)
{
	for (uint32_t i = 0; i < u->table.flow_pool.fresh; i++) {
		struct udp_flow *f = &u->table.flows[i];

		if (f->state != FLOW_FREE && f->cut.stage != CUT_NONE &&
		    !udp_cut_is_gone(f))
			cut_line_stay(u->worker, &f->cut, CUT_CAUSE_ERROR,
				      NULL);
	}
}
