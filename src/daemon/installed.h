/* SPDX-License-Identifier: Apache-2.0 */
/*
 * installed.h - what is installed in the kernel, and by which engine.
 *
 * A change is tried first and then kept or undone, so that there is a moment
 * for starting workers in between:
 *
 *	installed_try		the new rules hold; the engine before, if it is
 *				another one, has still left its own in place,
 *				which is harmless: both give a packet to the
 *				same listeners
 *	installed_keep		what other engines have installed is removed,
 *				also by a killed daemon
 *	installed_undo		the older rules hold again
 *
 * Read engine/choose.h for how the engine is found.
 */
#ifndef WL_DAEMON_INSTALLED_H
#define WL_DAEMON_INSTALLED_H

#include "engine/engine.h"
#include "net/nl.h"

struct installed {		     /* zeros: nothing is */
	const struct engine *engine; /* NULL: nothing is */
	struct engine_run *run;
	struct plan plan;
	struct str why; /* a line for each engine: choose_engine() */
};

/* Let the engine for plan->config carry out plan; `now` is what holds.  On
 * success *out is to be kept or undone. */
int installed_try(const struct installed *now, struct nl *nl,
		  const struct plan *plan, struct installed *out,
		  struct err *e);
/* *now becomes *next, which is taken.  What cannot be removed is logged. */
void installed_keep(struct installed *now, struct installed *next,
		    struct nl *nl);
/* next is of zeros if nothing was tried, or not with success. */
void installed_undo(struct installed *now, struct installed *next,
		    struct nl *nl);

/* Nobody listens any more: what is new is dealt with as on-failure says, what
 * the workers still have goes on.  To be called before listeners are closed. */
void installed_end_listening(struct installed *in);
/* Interfaces or addresses have changed. */
void installed_follow_links(struct installed *in);

/* Take it away, and routing; what will not go is logged. */
void installed_remove(struct installed *in, struct nl *nl);
/* The same for whatever any engine has left here; the first failure in e. */
int installed_clean(struct nl *nl, struct err *e);

#endif
