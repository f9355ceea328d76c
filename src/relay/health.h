/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - the checks of groups.
 *
 * The worker in slot 0 asks each member of each group with `health`: can a
 * connection be opened through you?  The answer goes to the board, where all
 * workers read it.  A check is a dial like that of a flow, from this host's
 * own address, and is closed at once when it is open.
 *
 * An upstream has one health.  Who is a member of several groups is checked
 * as the first of them says (board_checker()); who is disabled is left alone.
 *
 *	WAITING --timer--> TRYING --open, failed, timer--> WAITING
 *
 * The first checks begin at once, HEALTH_STAGGER_MS from each other; the next
 * one of a member `every` after the last began.
 *
 * By the way it finds out whether a SOCKS5 proxy with `pipeline auto` bears
 * all words at once.  A check says them so.  If it gets no answer it is made
 * again at once, one word at a time, and if that succeeds the board says
 * BOARD_PIPELINE_NO from then on.
 */
#ifndef WL_RELAY_HEALTH_H
#define WL_RELAY_HEALTH_H

#include "relay/worker.h"

enum {
	HEALTH_STAGGER_MS = 32,
	HEALTH_ROOM_MS = 1000, /* without descriptors: when to look again */
};

struct health_checks;

/* Begins checking; nothing to do: *out is NULL.  0 or -ENOMEM. */
int health_new(struct worker *w, struct health_checks **out);
/* Ends all checks, those that are under way too.  NULL is allowed. */
void health_stop(struct health_checks *h);

#endif
