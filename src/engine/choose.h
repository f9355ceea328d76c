/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.h - which engine: the configured one, or the best that works.
 *
 * Only the order of trying and what is said about it; the engines and the way
 * of trying one come from the caller.  engine_choose() tries by a probe, the
 * daemon by a probe and by installing, so that an engine whose probe promised
 * too much is passed over as well.  Read engine.h first.
 */
#ifndef WL_ENGINE_CHOOSE_H
#define WL_ENGINE_CHOOSE_H

#include "engine/engine.h"

/* 0, or -errno and e: then it is the next engine's turn. */
typedef int (*choose_try_fn)(void *ctx, const struct engine *engine,
			     struct err *e);

struct choice {
	const struct engine *const *engines; /* best first */
	size_t count;
	choose_try_fn try; /* NULL: check() alone decides */
	void *ctx;
};

/*
 * The first engine that c permits, that can carry c out and that passes `try`.
 * `why` (may be NULL) gets a line for each engine that c permits, "NAME: " and
 * what was found.  NULL when none can, and e says why.
 */
const struct engine *choose_engine(const struct choice *how,
				   const struct config *c, struct str *why,
				   struct err *e);

/* All engines of this build, best first; the i-th, or NULL. */
const struct engine *engine_at(size_t i);
/* choose_engine() among them. */
const struct engine *engine_choose_by(choose_try_fn try, void *ctx,
				      const struct config *c, struct str *why,
				      struct err *e);

#endif
