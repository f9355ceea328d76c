/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_cut.h - which mover a TCP flow has; private to the tcp files.
 *
 * There are three, and this is the whole of who may change them, and when:
 *
 *	        large read            CUT_DONE
 *	  copy ------------> splice -----------.
 *	   |  <------------                    v
 *	   |     small reads              cut-through
 *	   '--------------- CUT_DONE ---------'
 *
 *	copy, splice	per direction.  tcp_move.c alone, by the size of reads,
 *			and only where nothing of that direction is held
 *	cut-through	both directions at once, for ever.  This file, on an
 *			answer of the cutter (cut_line.h has the stages), in
 *			state RELAYING, when the worker holds no byte of either
 *			direction: neither spill nor pipe
 *
 * ASKED, the flow is in nobody's hands here: nothing is read or written, events
 * are only noted, FIN and RST wait for the answer, and so does time.  CUT_DONE
 * takes it away: descriptors, slot and counts, and no end is told, since the
 * cutter's ledger goes on with its record.  After CUT_NOT_YET and CUT_REFUSED
 * what has come meanwhile is carried as if nothing had been.  A cutter that
 * ends, or says nothing for CUT_ANSWER_MS, may have switched the flow or not:
 * it ends with RST (END_ERROR), and all that is only WATCHED goes on here.
 *
 * A flow that has no quiet moment is given one, see tcp_quiet.h.
 *
 * A cut costs as much as a short connection gains by it, so only flows are cut
 * that have lived for CUT_AGE_MS and then move, or have moved CUT_BYTES.
 *
 * Not eligible at all, see doc/cut-through.md: flows of this host itself
 * (`from host`), of a private worker, of rules that say `cut-through off`, and
 * while a loop may be there (loop_guard.h).
 */
#ifndef WL_RELAY_TCP_CUT_H
#define WL_RELAY_TCP_CUT_H

#include "relay/tcp_flow.h"

enum {
	CUT_AGE_MS = 8,
	CUT_BYTES = 128 << 10,
	CUT_ANSWER_MS = 10000,
};

/* RELAYING begins: not before it is CUT_AGE_MS old. */
void tcp_cut_begin(struct tcp_flow *f);

/* Is there something to do, if it has moved? */
static inline bool tcp_cut_is_due(const struct tcp_flow *f)
{
	return f->tcp->worker->loop.now_ms >= f->cut.next_ms ||
	       (f->bytes[0] + f->bytes[1] >= CUT_BYTES &&
		f->cut.stage == CUT_NONE);
}

/* It is due, and RELAYING.  Nothing must be moved afterwards if
 * tcp_cut_is_asked(). */
void tcp_cut_consider(struct tcp_flow *f);

/* The cutter has the flow: nothing may be read or written. */
static inline bool tcp_cut_is_asked(const struct tcp_flow *f)
{
	return f->cut.stage == CUT_ASKED;
}

/* Time is up for an answer, or for a quiet moment; true: it was about that. */
bool tcp_cut_on_timer(struct tcp_flow *f);
/* The flow ends, or one direction of it: it stays. */
void tcp_cut_end(struct tcp_flow *f);

void tcp_cut_on_answer(struct tcp *t, const struct cut_answer *a);
/* There is no cutter any more. */
void tcp_cut_on_lost(struct tcp *t);

#endif
