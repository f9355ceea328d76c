/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_drain.h - a flow that is ON: late bytes, and the end of its sockets;
 * private to cut_flow.c.
 */
#ifndef WL_DAEMON_CUT_DRAIN_H
#define WL_DAEMON_CUT_DRAIN_H

#include "daemon/cut_flow.h"

/* The entries are on, fd[], written[], edge[] and slot are set. */
void cut_drain_begin(struct cut_flow *f);
void cut_drain_on_grace(struct cut_flow *f, uint64_t passed);
/* RST to both ends, whatever is on its way. */
void cut_drain_abort(struct cut_flow *f, enum flow_end why);

#endif
