/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry.h - carry a configuration out, without a daemon.
 *
 * The same steps as waylayd's (daemon/installed.c), by the same lock: who holds
 * it is the only one who changes anything in this network namespace.  With
 * on-failure open, engine ebpf pins nothing: what it has installed ends with
 * the process.  Read engine/engine.h.
 */
#ifndef WL_LIB_CARRY_H
#define WL_LIB_CARRY_H

#include "engine/engine.h"
#include "net/nl.h"

struct carry {
	int lock_fd; /* -1: nothing is installed, nl is not open */
	struct nl nl;
	const struct engine *engine;
	struct engine_run *run;
	struct plan plan;
	struct config *config;
};

#define CARRY_NONE ((struct carry){ .lock_fd = -1 })

static inline bool carry_is_installed(const struct carry *c)
{
	return c->lock_fd >= 0;
}

/* Takes config, also when it fails.  All of it holds afterwards, or what did
 * before. */
int carry_install(struct carry *c, struct config *config, struct err *e);
/* Take in new interfaces, put back what has gone: 1 it had to be, 0, -errno. */
int carry_check(struct carry *c, struct err *e);
/* c is as new afterwards, whatever failed. */
int carry_remove(struct carry *c, struct err *e);
/* What a killed process has left here. */
int carry_clean(struct err *e);

#endif
