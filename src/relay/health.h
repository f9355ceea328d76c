/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - the checks of groups.
 *
 * The worker in slot 0 asks, for each group with `health` and each of its
 * members: can a connection be opened through you?  The answer goes to the
 * board, where all workers read it.  A check is a dial like that of a flow,
 * from this host's own address, and is closed at once when it is open.
 *
 * By the way it finds out whether a SOCKS5 proxy with `pipeline auto` bears
 * all words at once: a check that says them so and gets no answer is made
 * again one word at a time, and if that succeeds the board says
 * BOARD_PIPELINE_NO.
 */
#ifndef WL_RELAY_HEALTH_H
#define WL_RELAY_HEALTH_H

#include "relay/worker.h"

struct health_checks;

/* Begins checking; nothing to do: *out is NULL.  0 or -ENOMEM. */
int health_new(struct worker *w, struct health_checks **out);
/* Ends all checks, those that are under way too.  NULL is allowed. */
void health_stop(struct health_checks *h);

#endif
