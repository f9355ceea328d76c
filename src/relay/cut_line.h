/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_line.h - a worker's line to the cutter, and how a flow stands with it.
 *
 * Read cut_wire.h first: it has the words.  What is the same for TCP and UDP
 * is here: sending and receiving, which rules allow it, when to ask again, and
 * what is counted.  When a flow is worth it is tcp_cut.h and udp_cut.h.
 *
 *	NONE     too young, or not looked at yet
 *	WATCHED  the cutter was told its addresses: packets prove their path
 *	ASKED    CUT_CUT was sent and is not answered
 *	STAYS    not eligible, refused for good, or tried too often
 *	GONE     CUT_DONE: it is the cutter's
 *
 *	NONE -> WATCHED -> ASKED -> GONE
 *	  |        ^---------'  CUT_NOT_YET
 *	  '-------> STAYS <---- (from WATCHED and ASKED, too)
 *
 * Each flow that was WATCHED is counted once: cut_tcp, cut_udp, or the cause
 * for which it stays.  Nothing is counted for a flow that is not eligible.
 *
 * A full line is no failure: what cannot be asked now is asked later, and
 * CUT_FORGET waits here.  After the end of the line no flow is cut before there
 * is another one, and those that the old one knew of stay.
 */
#ifndef WL_RELAY_CUT_LINE_H
#define WL_RELAY_CUT_LINE_H

#include "base/loop.h"
#include "relay/cut_wire.h"

enum {
	CUT_TRIES_MAX = 32,
	CUT_PAUSE_MS = 2,	/* after CUT_WATCH, and CUT_NOT_YET; after each
				 * of these once more */
	CUT_FULL_PAUSE_MS = 20, /* after a full line */
	CUT_FORGETS_MAX = 256,
};

#define CUT_NEVER UINT64_MAX

enum cut_stage { CUT_NONE, CUT_WATCHED, CUT_ASKED, CUT_STAYS, CUT_GONE };

struct cut_try {	  /* of a flow; zeros: NONE */
	uint64_t next_ms; /* nothing is to be done before; CUT_NEVER */
	uint8_t stage;	  /* enum cut_stage */
	uint8_t tries;	  /* CUT_NOT_YET so far */
	bool was_asked;	  /* the cutter has, or had, its descriptors */
};

/* What names a flow to the cutter. */
struct cut_name {
	uint64_t name;
	uint32_t slot;
	uint8_t proto;
};

struct cut_line {
	struct watch watch;
	uint32_t forget_count;
	struct cut_name forgets[CUT_FORGETS_MAX]; /* for want of room */
};

struct worker;

/* Watch args.cut_fd, if there is one.  0 or -errno. */
int cut_line_open(struct worker *w);
/* Another cutter has begun: this is the line to it from now on.  Takes fd. */
void cut_line_renew(struct worker *w, int fd);
/* The cutter is gone, or as good as: flows that it was asked for are told. */
void cut_line_lose(struct worker *w);

/* May flows of this record's rule and intercept be cut through, here? */
bool cut_line_may(const struct worker *w, const struct flow_record *r);
/* Packets of these legs can be sent on: they are of one family, and of no
 * single link. */
bool cut_line_can(const struct cut_ask *ask);

/* NONE -> WATCHED, or later; STAYS, if it cannot be.  `ask` names the flow and
 * has its addresses. */
void cut_line_watch(struct worker *w, struct cut_try *t, struct cut_ask *ask);
/* WATCHED -> ASKED, or later.  fd: of both legs, or NULL. */
void cut_line_cut(struct worker *w, struct cut_try *t, struct cut_ask *ask,
		  const int *fd);
/* ASKED -> GONE, WATCHED or STAYS. */
void cut_line_note(struct worker *w, struct cut_try *t,
		   const struct cut_answer *a, uint8_t proto);
/* -> STAYS; is counted, and the cutter told, if it knows of the flow. */
void cut_line_stay(struct worker *w, struct cut_try *t, enum cut_cause cause,
		   const struct cut_name *who);
/* -> STAYS, not a word. */
void cut_try_never(struct cut_try *t);

#endif
