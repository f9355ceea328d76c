/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_cut.c - giving a TCP flow to cut-through; see tcp_cut.h.
 */
#include "relay/tcp_cut.h"

#include "net/sock.h"
#include "relay/tcp_quiet.h"

#include <errno.h>
#include <string.h>

static struct worker *worker_of(const struct tcp_flow *f)
{
	return f->tcp->worker;
}

static struct cut_name name_of(const struct tcp_flow *f)
{
	return (struct cut_name){ .name = tcp_flow_record(f)->name,
				  .slot = tcp_flow_slot(f),
				  .proto = PROTO_TCP };
}

void tcp_cut_begin(struct tcp_flow *f)
{
	if (f->cut.stage == CUT_NONE)
		f->cut.next_ms = worker_of(f)->loop.now_ms + CUT_AGE_MS;
}

/* --- asking -------------------------------------------------------------- */

static bool find_addresses(const struct tcp_flow *f, struct cut_ask *ask)
{
	for (int side = 0; side < 2; side++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd = f->side[side].fd;

		if (sock_local_addr(fd, &ask->own[side]) < 0 ||
		    getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
			return false;
		addr_from_sockaddr((struct sockaddr *)&ss, &ask->peer[side]);
	}
	return true;
}

/* False: a leg is broken, and the flow about to end. */
static bool describe(const struct tcp_flow *f, struct cut_ask *ask)
{
	struct cut_name who = name_of(f);

	memset(ask, 0, sizeof(*ask));
	ask->proto = who.proto;
	ask->slot = who.slot;
	ask->name = who.name;
	for (int way = 0; way < 2; way++)
		ask->is_bulk[way] = tcp_quiet_is_bulk(f, way);
	ask->record = *tcp_flow_record(f);
	return find_addresses(f, ask);
}

static void start_watching(struct tcp_flow *f)
{
	struct cut_ask ask;

	if (f->guard || !cut_line_may(worker_of(f), tcp_flow_record(f)) ||
	    !describe(f, &ask))
		cut_try_never(&f->cut);
	else
		cut_line_watch(worker_of(f), &f->cut, &ask);
}

/* The cutter gets the sockets as they were, but for small windows. */
static void ask_for_cut(struct tcp_flow *f)
{
	const int fd[2] = { f->side[CLIENT].fd, f->side[SERVER].fd };
	struct cut_ask ask;

	tcp_quiet_release(f);
	if (describe(f, &ask))
		cut_line_cut(worker_of(f), &f->cut, &ask, fd);
	if (tcp_cut_is_asked(f))
		tcp_flow_arm(f, CUT_ANSWER_MS);
}

static void note_answer(struct tcp_flow *f, const struct cut_answer *a)
{
	cut_line_note(worker_of(f), &f->cut, a, PROTO_TCP);
	if (f->cut.stage == CUT_STAYS)
		tcp_quiet_widen(f);
}

/* The cutter would say so: that was a try. */
static void put_off(struct tcp_flow *f, enum cut_cause cause)
{
	const struct cut_name who = name_of(f);
	const struct cut_answer a = { .kind = CUT_NOT_YET,
				      .cause = (uint8_t)cause,
				      .slot = who.slot,
				      .name = who.name };

	tcp_quiet_release(f);
	note_answer(f, &a);
}

static void try_now(struct tcp_flow *f)
{
	if (!f->is_cut_held && !tcp_quiet_prepare(f))
		put_off(f, CUT_CAUSE_WINDOW);
	else if (tcp_quiet_is_now(f))
		ask_for_cut(f);
	else
		tcp_quiet_hold(f);
}

void tcp_cut_consider(struct tcp_flow *f)
{
	if (f->side[CLIENT].has_hup || f->side[SERVER].has_hup)
		return; /* it ends soon */
	switch ((enum cut_stage)f->cut.stage) {
	case CUT_NONE:
		start_watching(f);
		return;
	case CUT_WATCHED:
		try_now(f);
		return;
	case CUT_ASKED:
	case CUT_STAYS:
	case CUT_GONE:
		return;
	}
}

/* --- answers ------------------------------------------------------------- */

void tcp_cut_on_answer(struct tcp *t, const struct cut_answer *a)
{
	struct tcp_flow *f;

	if (a->slot >= t->pool.fresh)
		return;
	f = &t->flows[a->slot];
	/* What has ended meanwhile is not there, or is another flow. */
	if (f->state == FLOW_FREE || !tcp_cut_is_asked(f) ||
	    tcp_flow_record(f)->name != a->name)
		return;
	if (a->kind == CUT_DONE) {
		cut_line_note(t->worker, &f->cut, a, PROTO_TCP);
		tcp_flow_give_away(f);
		return;
	}
	note_answer(f, a);
	tcp_flow_arm(f, tcp_flow_config(f)->timeouts.idle_ms);
	tcp_flow_go_on(f);
}

bool tcp_cut_on_timer(struct tcp_flow *f)
{
	if (tcp_cut_is_asked(f))
		cut_line_lose(worker_of(f));
	else if (f->is_cut_held)
		put_off(f, CUT_CAUSE_BUSY);
	else
		return false;
	return true;
}

/* --- ends ---------------------------------------------------------------- */

static void back_to_normal(struct tcp_flow *f)
{
	tcp_quiet_release(f);
	tcp_quiet_widen(f);
}

void tcp_cut_end(struct tcp_flow *f)
{
	const struct cut_name who = name_of(f);

	back_to_normal(f);
	cut_line_stay(worker_of(f), &f->cut, CUT_CAUSE_ENDING, &who);
}

void tcp_cut_on_lost(struct tcp *t)
{
	for (uint32_t i = 0; i < t->pool.fresh; i++) {
		struct tcp_flow *f = &t->flows[i];
		bool was_asked = tcp_cut_is_asked(f);

		if (f->state == FLOW_FREE || f->cut.stage == CUT_NONE)
			continue;
		back_to_normal(f);
		cut_line_stay(t->worker, &f->cut, CUT_CAUSE_ERROR, NULL);
		if (was_asked)
			tcp_flow_end(f, END_ERROR, EPIPE);
	}
}
