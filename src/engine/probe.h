/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - does an engine work on this kernel?  Tried where it harms nobody.
 *
 * A child makes a network namespace of its own, in which only lo is up, and
 * calls the engine's probe() there.  The namespace ends with the child, the
 * child with its time or with the caller.  It has the caller's privileges and
 * none of its descriptors but 0, 1 and 2.
 */
#ifndef WL_ENGINE_PROBE_H
#define WL_ENGINE_PROBE_H

#include "engine/engine.h"

#include <errno.h>

enum {
	PROBE_LIMIT_MS = 20000,
	/* The namespace cannot be made, so nothing is known of the engine. */
	PROBE_NO_PLACE = ENONET,
};

/* 0, -PROBE_NO_PLACE, -ETIMEDOUT, or what probe() returned; and e. */
int probe_run(const struct engine *engine, uint32_t limit_ms, struct err *e);

#endif
