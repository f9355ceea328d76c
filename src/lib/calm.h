/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm.h - what the engines take for granted, in a program that knows nothing
 * of them.
 *
 * Engines run programs (base/child.h) and want no SIGPIPE from one that ends
 * early; and they ask /proc/self, which is the main thread's network namespace.
 */
#ifndef WL_LIB_CALM_H
#define WL_LIB_CALM_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>

/* Are the privileges there, and is this thread where its process is? */
int calm_check(struct err *e);

struct calm {
	sigset_t before;
	bool was_pending; /* a SIGPIPE of the program's own */
};

/* Between both this thread gets no SIGPIPE, and afterwards none of ours. */
void calm_begin(struct calm *c);
void calm_end(struct calm *c);

#endif
