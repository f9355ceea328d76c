/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_cut.h - when a UDP flow is let through; private to the udp files.
 *
 * A flow that goes `direct` to the very server that the client has called, from
 * the client's own address and port, is rewritten by nobody: its datagrams need
 * not come here.  cut_line.h has the stages; there are no descriptors to hand
 * over, and no moment to wait for, so it is relayed as ever until CUT_DONE.
 *
 *	GONE  the cutter's ledger has its record.  What passed the program
 *	      before is still in our queues: for UDP_CUT_LINGER_MS the flow and
 *	      its leg stay, unseen, so that late datagrams meet no new flow.
 *	      Then it ends, and no end is told
 *
 * Not before UDP_CUT_DGRAMS, of which one was an answer: a query and its answer
 * are over before the cut had paid.  A flow of DNS never: its time is another
 * (`timeouts dns`), and few have so much to say.  A name that a rule asked for
 * is known by then: flows are relayed only after that.
 */
#ifndef WL_RELAY_UDP_CUT_H
#define WL_RELAY_UDP_CUT_H

#include "relay/udp_flow.h"

enum { UDP_CUT_DGRAMS = 8, UDP_CUT_LINGER_MS = 250 };

/* Datagrams have moved, and f->cut.next_ms has come. */
void udp_cut_consider(struct udp_flow *f);
/* It is the cutter's: its end is not ours to tell. */
static inline bool udp_cut_is_gone(const struct udp_flow *f)
{
	return f->cut.stage == CUT_GONE;
}
/* The flow ends here: the cutter must forget what it knows. */
void udp_cut_end(struct udp_flow *f);

void udp_cut_on_answer(struct udp *u, const struct cut_answer *a);
/* There is no cutter any more. */
void udp_cut_on_lost(struct udp *u);

#endif
