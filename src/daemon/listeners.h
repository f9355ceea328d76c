/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners.h - the sockets on which intercepted flows arrive.
 *
 * One set for each intercept (so that the listener alone tells which
 * intercept took a flow), and in it one socket for each worker slot, protocol
 * and family, on 127.0.0.1 and ::1.  The supervisor opens them and keeps them
 * open for ever: closing a listener would reset the connections in its queue,
 * so no reload and no death of a worker may do it.
 *
 * An intercept with `listen` has a plain set: TCP alone, at the address that
 * it says and by which the set is known.  Others see that address, so a set
 * that the new generation does not serve any more is closed as soon as that
 * generation serves; until then both do.
 */
#ifndef WL_DAEMON_LISTENERS_H
#define WL_DAEMON_LISTENERS_H

#include "base/err.h"
#include "engine/plan.h"
#include "relay/worker.h"

enum { WORKERS_MAX = 64 };

struct listener_set {
	char intercept[NAME_TEXT_MAX]; /* who has it; "": plain */
	struct addr plain;	       /* of `listen`; family 0: transparent */
	bool is_redirected;	       /* of `redirected from` */
	struct addr at[PROTO_COUNT][FAMILY_COUNT];	/* port 0: not open */
	int fd[PROTO_COUNT][FAMILY_COUNT][WORKERS_MAX]; /* -1: not open */
	uint32_t slots;	 /* worker slots that have their sockets */
	uint32_t served; /* of them, those that workers accept from */
};

struct listeners {
	struct listener_set *sets;
	size_t count;
	bool has_family[FAMILY_COUNT];
	uint32_t slots; /* most slots ever served */
};

/* Which families can this host listen on? */
int listeners_init(struct listeners *l, struct err *e);
/* Open what `c` needs for `slots` workers and does not have yet. */
int listeners_open(struct listeners *l, const struct config *c, uint32_t slots,
		   struct err *e);
/* Workers of c serve all that is open, but for plain listeners that c does not
 * have: those are closed.  Or: they do not, close what is not served (it would
 * take a share of the flows and accept none). */
void listeners_commit(struct listeners *l, const struct config *c);
void listeners_roll_back(struct listeners *l);
/* Tell the engine where somebody listens. */
void listeners_plan(const struct listeners *l, const struct config *c,
		    struct plan *out);
/*
 * The listeners of worker `slot` out of `slots`, for configuration c.  Slots
 * that have no worker any more are served by the remaining ones.  Returns an
 * array to be freed, its length in *count; NULL when memory is out.
 */
struct worker_listener *listeners_of(const struct listeners *l,
				     const struct config *c, uint32_t slot,
				     uint32_t slots, size_t *count);
void listeners_close(struct listeners *l);

#endif
