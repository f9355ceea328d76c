/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger_priv.h - what cut_ledger.c and cut_ledger_walk.c share; private
 * to them.
 */
#ifndef WL_DAEMON_CUT_LEDGER_PRIV_H
#define WL_DAEMON_CUT_LEDGER_PRIV_H

#include "daemon/cut_ledger.h"

static inline uint32_t ledger_legs(const struct cut_entry *e)
{
	return e->has_two ? 2 : 1;
}

/* 2 * slot + leg, or IMAP_NONE. */
uint32_t ledger_find_key(const struct cut_ledger *l,
			 const struct wl_cut_key *key);
/* A slot for a record, which gets its state, mover and name; POOL_NONE. */
uint32_t ledger_open_slot(struct cut_ledger *l, struct flow_record *r,
			  const struct wl_cut_key key[2], bool has_two);
/* The record has ended; the slot is still there. */
void ledger_tell(struct cut_ledger *l, uint32_t slot, enum flow_end why);
/* The slot is free; what is in the map stays there. */
void ledger_release(struct cut_ledger *l, uint32_t slot);

/* False: the walk is over, or cannot go on; the next call begins another. */
bool ledger_walk_on(struct cut_ledger *l);

#endif
