/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_flow.h - one relayed TCP flow; private to the tcp files.
 *
 * tcp.c accepts; tcp_look.c looks at first bytes where it must; tcp_open.c
 * carries a flow to its first relayed byte, tcp_flow.c from there to its end;
 * tcp_move.c moves the bytes; tcp_cut.c gives a flow away to cut-through, in a
 * moment that tcp_quiet.c finds.  The states and their promises stand in tcp.h.
 *
 * A slot is used again only after the batch of events in which its flow
 * ended, so a late event finds a flow in state FREE and is ignored.
 */
#ifndef WL_RELAY_TCP_FLOW_H
#define WL_RELAY_TCP_FLOW_H

#include "base/pool.h"
#include "relay/cut_line.h"
#include "relay/dial.h"
#include "relay/group.h"
#include "relay/loop_guard.h"
#include "relay/tcp_move.h"
#include "relay/worker.h"

enum { CLIENT, SERVER }; /* sides */

struct tcp_flow {
	struct watch watch[2]; /* by side */
	struct move_side side[2];
	struct move_dir dir[2]; /* dir[CLIENT]: client to server */
	struct timer timer;
	struct deferred later; /* freeing, or going on for fairness */
	struct tcp *tcp;
	uint64_t bytes[2];
	/* Of the last byte that moved.  Before RELAYING: when the phase began
	 * that cannot last for ever (header and name; all tries together). */
	uint64_t last_ms;
	struct dial dial;	/* until RELAYING */
	struct group_path path; /* who was tried */
	uint64_t opening_us;	/* when the dial began; 0: not noted */
	uint8_t state;		/* enum flow_state */
	uint8_t guard;		/* row of tcp.guard; 0: none */
	bool is_watched;	/* the client's leg is */
	bool is_again;		/* `later` is in use for going on */
	struct cut_try cut;	/* tcp_cut.c's; what follows tcp_quiet.c's */
	bool is_cut_held;	/* a quiet moment is waited for */
	bool is_awaited[2];	/* by side: an event tells that all is sent */
	bool is_clamped[2];	/* by side: its window is kept small */
	bool is_shrunk[2];	/* by side: its buffer is */
};

struct tcp {
	struct worker *worker;
	struct mover mover;
	struct pool pool;
	struct tcp_flow *flows; /* by slot; the same slots as shared->flows */
	struct loop_guard guard;
	uint32_t picks; /* of addresses, by turns */
};

enum {
	TCP_EVENTS =
		(int)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET),
};

static inline uint32_t tcp_flow_slot(const struct tcp_flow *f)
{
	return (uint32_t)(f - f->tcp->flows);
}

static inline struct flow_record *tcp_flow_record(const struct tcp_flow *f)
{
	return &f->tcp->worker->args.shared->flows[tcp_flow_slot(f)];
}

static inline const struct intercept *tcp_flow_intercept(
	const struct tcp_flow *f)
{
	uint32_t i = tcp_flow_record(f)->intercept;

	return &f->tcp->worker->args.config->intercepts[i];
}

static inline const struct config *tcp_flow_config(const struct tcp_flow *f)
{
	return f->tcp->worker->args.config;
}

static inline struct shared *tcp_flow_shared(const struct tcp_flow *f)
{
	return f->tcp->worker->args.shared;
}

/* Has the operator disabled its upstream? */
static inline bool tcp_flow_is_disabled(const struct tcp_flow *f)
{
	const struct board *b = f->tcp->worker->args.board;

	return b->upstreams[tcp_flow_record(f)->upstream].want ==
	       BOARD_DISABLED;
}

/* The one place that changes the state of a flow; checks the move. */
void tcp_flow_set_state(struct tcp_flow *f, enum flow_state to);
/* Watch the client's leg, if it is not yet.  False: the flow has ended. */
bool tcp_flow_watch_client(struct tcp_flow *f);
/* Both legs are up: RELAYING begins. */
void tcp_flow_relay(struct tcp_flow *f);
/* Close both legs, tell the record, free the slot later.  FIN only for
 * END_FINISHED; every other end is RST. */
void tcp_flow_end(struct tcp_flow *f, enum flow_end why, int error);
/* The cutter has it: descriptors, slot and counts are given up, and nothing is
 * told, to the peers or the log. */
void tcp_flow_give_away(struct tcp_flow *f);
/* Move what there is, after nothing was moved for a while; it may have ended
 * when this returns. */
void tcp_flow_go_on(struct tcp_flow *f);
/* The flow waits for its server's first byte no longer (loop_guard.h). */
void tcp_flow_unguard(struct tcp_flow *f);
/* Let the timer fire after so long; it knows by the state what for. */
void tcp_flow_arm(struct tcp_flow *f, uint64_t delay_ms);

/* For the watches and the timer of a new flow. */
void tcp_flow_on_client(struct loop *l, struct watch *w, uint32_t events);
void tcp_flow_on_server(struct loop *l, struct watch *w, uint32_t events);
void tcp_flow_on_timer(struct timer *t, uint64_t now_ms);

#endif
