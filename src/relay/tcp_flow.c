/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_flow.c - a TCP flow from its first relayed byte to its end; see
 * tcp_flow.h and tcp.h.
 */
#include "relay/tcp_flow.h"

#include "net/sock.h"
#include "relay/tcp_cut.h"
#include "relay/tcp_open.h"
#include "relay/tcp_quiet.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

void tcp_flow_set_state(struct tcp_flow *f, enum flow_state to)
{
	static const bool can[FLOW_STATE_COUNT][FLOW_STATE_COUNT] = {
		[FLOW_FREE] = { [FLOW_HEADER] = true,
				[FLOW_SNIFFING] = true,
				[FLOW_CONNECTING] = true },
		[FLOW_HEADER] = { [FLOW_SNIFFING] = true,
				  [FLOW_CONNECTING] = true,
				  [FLOW_FREE] = true },
		[FLOW_SNIFFING] = { [FLOW_CONNECTING] = true,
				    [FLOW_FREE] = true },
		[FLOW_CONNECTING] = { [FLOW_CONNECTING] = true,
				      [FLOW_HANDSHAKE] = true,
				      [FLOW_RELAYING] = true,
				      [FLOW_FREE] = true },
		[FLOW_HANDSHAKE] = { [FLOW_CONNECTING] = true,
				     [FLOW_RELAYING] = true,
				     [FLOW_FREE] = true },
		[FLOW_RELAYING] = { [FLOW_HALF_CLOSED] = true,
				    [FLOW_FREE] = true },
		[FLOW_HALF_CLOSED] = { [FLOW_FREE] = true },
	};

	assert(can[f->state][to]);
	f->state = (uint8_t)to;
	if (to != FLOW_FREE)
		tcp_flow_record(f)->state = (uint8_t)to;
}

/* --- ending -------------------------------------------------------------- */

static const enum counter end_counters[END_COUNT] = {
	[END_NONE] = COUNTER_tcp_error,
	[END_FINISHED] = COUNTER_tcp_finished,
	[END_CLIENT_RESET] = COUNTER_tcp_reset,
	[END_SERVER_RESET] = COUNTER_tcp_reset,
	[END_SERVER_REFUSED] = COUNTER_tcp_connect_failed,
	[END_SERVER_UNREACHABLE] = COUNTER_tcp_connect_failed,
	[END_CONNECT_TIMEOUT] = COUNTER_tcp_timeout,
	[END_IDLE_TIMEOUT] = COUNTER_tcp_timeout,
	[END_REJECTED] = COUNTER_rejected,
	[END_DROPPED] = COUNTER_dropped,
	[END_NO_PORT] = COUNTER_tcp_connect_failed,
	[END_EVICTED] = COUNTER_tcp_error,
	[END_SHUTDOWN] = COUNTER_tcp_error,
	[END_WORKER_DIED] = COUNTER_tcp_error,
	[END_ERROR] = COUNTER_tcp_error,
	[END_UPSTREAM_UNREACHABLE] = COUNTER_tcp_connect_failed,
	[END_UPSTREAM_TIMEOUT] = COUNTER_tcp_connect_failed,
	[END_UPSTREAM_REFUSED] = COUNTER_tcp_connect_failed,
	[END_UPSTREAM_AUTH] = COUNTER_tcp_connect_failed,
	[END_UPSTREAM_PROTOCOL] = COUNTER_tcp_connect_failed,
	[END_NO_UPSTREAM] = COUNTER_tcp_connect_failed,
	[END_UPSTREAM_DISABLED] = COUNTER_tcp_error,
	[END_UPSTREAM_LOST] = COUNTER_tcp_error,
	[END_LOOP] = COUNTER_loop,
	[END_BAD_HEADER] = COUNTER_header_bad,
};

static void free_flow(struct deferred *d)
{
	struct tcp_flow *f =
		(struct tcp_flow *)((char *)d -
				    offsetof(struct tcp_flow, later));
	struct tcp *t = f->tcp;

	pool_give(&t->pool, tcp_flow_slot(f));
	worker_check_done(t->worker);
}

static void close_legs(struct tcp_flow *f, bool is_orderly)
{
	int closed = 0;

	for (int i = 0; i < 2; i++) {
		if (f->side[i].fd < 0)
			continue;
		/* Epoll goes by what is open, not by our number for it. */
		if (f->cut.was_asked)
			loop_del(&f->tcp->worker->loop, f->side[i].fd);
		if (is_orderly)
			sock_close_orderly(f->side[i].fd);
		else
			close(f->side[i].fd); /* SO_LINGER 0: RST */
		f->side[i].fd = -1;
		closed++;
	}
	if (f->dial.fd >= 0) {
		dial_end(&f->dial);
		closed++;
	}
	worker_use_fds(f->tcp->worker, -closed);
}

void tcp_flow_unguard(struct tcp_flow *f)
{
	loop_guard_leave(&f->tcp->guard, f->guard);
	f->guard = 0;
}

/* One writer: no locked instruction is needed. */
static void count_upstream(struct tcp_flow *f, int change)
{
	_Atomic uint32_t *flows =
		&tcp_flow_shared(f)
			 ->upstream_flows[tcp_flow_record(f)->upstream];
	uint32_t old = atomic_load_explicit(flows, memory_order_relaxed);

	atomic_store_explicit(flows, (uint32_t)((int)old + change),
			      memory_order_relaxed);
}

static bool is_relaying(const struct tcp_flow *f)
{
	return f->state == FLOW_RELAYING || f->state == FLOW_HALF_CLOSED;
}

/* Everything that the worker has of it goes. */
static void give_up(struct tcp_flow *f, bool is_orderly)
{
	struct worker *w = f->tcp->worker;

	tcp_flow_unguard(f);
	if (is_relaying(f))
		count_upstream(f, -1);
	for (int i = 0; i < 2; i++)
		move_done(&f->tcp->mover, &f->dir[i]);
	close_legs(f, is_orderly);
	wheel_cancel(&w->loop.wheel, &f->timer);
	shared_publish(w->args.shared, tcp_flow_slot(f), NULL);
	atomic_fetch_sub(&w->args.shared->tcp_flows, 1);
	tcp_flow_set_state(f, FLOW_FREE);
	if (!f->is_again) /* else go_on() frees it */
		loop_defer(&w->loop, &f->later, free_flow);
}

void tcp_flow_end(struct tcp_flow *f, enum flow_end why, int error)
{
	struct worker *w = f->tcp->worker;
	struct flow_record last = *tcp_flow_record(f);

	last.end = (uint8_t)why;
	last.error = (uint32_t)error;
	last.bytes[0] = f->bytes[0];
	last.bytes[1] = f->bytes[1];
	last.last_ms = w->loop.now_ms;
	tcp_cut_end(f);
	give_up(f, why == END_FINISHED);
	count(w->args.shared, end_counters[why]);
	worker_end_flow(w, &last);
}

void tcp_flow_give_away(struct tcp_flow *f)
{
	count(tcp_flow_shared(f), COUNTER_cut_tcp);
	give_up(f, false); /* the cutter has them, too: nothing is sent */
}

/* --- moving -------------------------------------------------------------- */

void tcp_flow_arm(struct tcp_flow *f, uint64_t delay_ms)
{
	struct loop *l = &f->tcp->worker->loop;

	wheel_set(&l->wheel, &f->timer, l->now_ms + delay_ms);
}

static void on_fin(struct tcp_flow *f, int dir)
{
	if (f->dir[!dir].is_fin_sent) {
		tcp_flow_end(f, END_FINISHED, 0);
		return;
	}
	f->dir[!dir].is_last = true;
	tcp_cut_end(f);
	tcp_flow_set_state(f, FLOW_HALF_CLOSED);
	tcp_flow_arm(f, tcp_flow_config(f)->timeouts.half_closed_ms);
}

/* The leg of `side` is broken: by RST, or because the peer does not answer
 * any more (keep-alive, retransmissions). */
static void end_broken(struct tcp_flow *f, int side, int error)
{
	static const enum flow_end reset[2] = { END_CLIENT_RESET,
						END_SERVER_RESET };

	tcp_flow_end(f, error == ETIMEDOUT ? END_IDLE_TIMEOUT : reset[side],
		     error);
}

static void go_on(struct deferred *d);

static void note_progress(struct tcp_flow *f, int dir, uint64_t moved)
{
	struct flow_record *r = tcp_flow_record(f);

	if (!moved)
		return;
	if (f->guard && dir == SERVER)
		tcp_flow_unguard(f);
	f->bytes[dir] += moved;
	f->last_ms = f->tcp->worker->loop.now_ms;
	r->bytes[dir] = f->bytes[dir];
	r->last_ms = f->last_ms;
	if (r->mover != f->dir[dir].mover)
		r->mover = f->dir[dir].mover;
	count_add(tcp_flow_shared(f),
		  dir == CLIENT ? COUNTER_tcp_bytes_up : COUNTER_tcp_bytes_down,
		  moved);
}

static void run_dir(struct tcp_flow *f, int dir)
{
	struct move_side *from = &f->side[dir], *to = &f->side[!dir];
	uint64_t moved;
	int error = 0;
	enum move_result result = move_run(&f->tcp->mover, &f->dir[dir], from,
					   to, &moved, &error);

	note_progress(f, dir, moved);
	switch (result) {
	case MOVE_WAIT:
		return;
	case MOVE_AGAIN:
		if (!f->is_again) {
			f->is_again = true;
			loop_defer(&f->tcp->worker->loop, &f->later, go_on);
		}
		return;
	case MOVE_FIN:
		on_fin(f, dir);
		return;
	case MOVE_READ_FAILED:
		end_broken(f, dir, error);
		return;
	case MOVE_WRITE_FAILED:
		end_broken(f, !dir, error);
		return;
	}
}

static void run_both(struct tcp_flow *f)
{
	for (int dir = 0; dir < 2; dir++)
		if (is_relaying(f))
			run_dir(f, dir);
}

/* What the peer sent before its RST is passed on first; then the RST is
 * carried at once, also if neither direction would meet the error: one has
 * seen FIN, the other waits for room. */
static void move_flow(struct tcp_flow *f)
{
	if (f->side[CLIENT].has_hup || f->side[SERVER].has_hup)
		tcp_quiet_release(f);
	run_both(f);
	for (int i = 0; i < 2; i++)
		if (f->state != FLOW_FREE && !f->is_again &&
		    f->side[i].has_error)
			end_broken(f, i, sock_error(f->side[i].fd));
}

static void run_flow(struct tcp_flow *f)
{
	uint64_t before = f->bytes[0] + f->bytes[1];

	if (tcp_cut_is_asked(f))
		return; /* what happened is noted */
	move_flow(f);
	if (f->state == FLOW_RELAYING && tcp_cut_is_due(f) &&
	    (f->is_cut_held || f->bytes[0] + f->bytes[1] != before))
		tcp_cut_consider(f);
}

void tcp_flow_go_on(struct tcp_flow *f)
{
	if (tcp_flow_is_disabled(f))
		tcp_flow_end(f, END_UPSTREAM_DISABLED, 0);
	else
		run_flow(f);
}

static void go_on(struct deferred *d)
{
	struct tcp_flow *f =
		(struct tcp_flow *)((char *)d -
				    offsetof(struct tcp_flow, later));

	f->is_again = false;
	if (f->state == FLOW_FREE)
		free_flow(d);
	else
		run_flow(f);
}

/* --- events -------------------------------------------------------------- */

static void note_events(struct move_side *s, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->is_readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->is_writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->has_hup = true;
	if (events & EPOLLERR)
		s->has_error = true;
	if (events & EPOLLPRI)
		s->has_urgent = true;
}

bool tcp_flow_watch_client(struct tcp_flow *f)
{
	struct loop *l = &f->tcp->worker->loop;

	if (f->is_watched)
		return true;
	if (loop_add(l, f->side[CLIENT].fd, TCP_EVENTS, &f->watch[CLIENT]) <
	    0) {
		tcp_flow_end(f, END_ERROR, ENOMEM);
		return false;
	}
	f->is_watched = true;
	return true;
}

static struct tcp_flow *flow_of(struct watch *w, int side)
{
	return (struct tcp_flow *)((char *)w -
				   offsetof(struct tcp_flow, watch) -
				   (size_t)side * sizeof(struct watch));
}

void tcp_flow_on_client(struct loop *l, struct watch *w, uint32_t events)
{
	struct tcp_flow *f = flow_of(w, CLIENT);

	(void)l;
	if (f->state == FLOW_FREE)
		return;
	note_events(&f->side[CLIENT], events);
	if (is_relaying(f))
		run_flow(f);
	else
		tcp_open_on_client(f, events);
}

void tcp_flow_relay(struct tcp_flow *f)
{
	struct loop *l = &f->tcp->worker->loop;
	struct flow_record *r = tcp_flow_record(f);
	uint64_t open_ms = l->now_ms - r->begun_ms;

	tcp_flow_set_state(f, FLOW_RELAYING);
	count(tcp_flow_shared(f), COUNTER_tcp_connected);
	count_upstream(f, 1);
	r->open_ms = open_ms ? (uint32_t)open_ms : 1;
	if (!r->source.family) /* chosen by the kernel; only for the record */
		(void)sock_local_addr(f->side[SERVER].fd, &r->source);
	f->last_ms = l->now_ms;
	tcp_flow_arm(f, tcp_flow_config(f)->timeouts.idle_ms);
	tcp_cut_begin(f);
	run_flow(f);
}

void tcp_flow_on_server(struct loop *l, struct watch *w, uint32_t events)
{
	struct tcp_flow *f = flow_of(w, SERVER);

	(void)l;
	if (f->state == FLOW_FREE)
		return;
	note_events(&f->side[SERVER], events);
	if (is_relaying(f))
		run_flow(f);
	else
		tcp_open_on_server(f, events);
}

void tcp_flow_on_timer(struct timer *t, uint64_t now_ms)
{
	struct tcp_flow *f =
		(struct tcp_flow *)((char *)t -
				    offsetof(struct tcp_flow, timer));
	const struct timeouts *limit = &tcp_flow_config(f)->timeouts;
	uint64_t idle_ms = f->state == FLOW_HALF_CLOSED ? limit->half_closed_ms
							: limit->idle_ms;

	if (!is_relaying(f))
		tcp_open_on_timer(f);
	else if (tcp_cut_on_timer(f))
		return;
	else if (now_ms - f->last_ms >= idle_ms)
		tcp_flow_end(f, END_IDLE_TIMEOUT, 0);
	else /* there was progress since the timer was set */
		wheel_set(&f->tcp->worker->loop.wheel, t, f->last_ms + idle_ms);
}
