/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - what all engines have in common.
 *
 * The grammar allows more than the engines of this version can carry out;
 * here stands what, so that `waylay config check` and waylayd say the same.
 * Read plan.h for what an engine is given, nft.h for the one there is.
 */
#ifndef WL_ENGINE_ENGINE_H
#define WL_ENGINE_ENGINE_H

#include "base/str.h"
#include "engine/plan.h"
#include "policy/policy.h"

/* config_parse(), and errors for what no engine here can do. */
struct config *engine_parse(const char *file, const char *text, size_t len,
			    struct messages *m);

/* Everything that is installed for p, as commands for a shell. */
void engine_render(const struct plan *p, struct str *out);

#endif
