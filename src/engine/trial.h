/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - does an engine work here?  Tried by doing.
 *
 * A small configuration that uses all that an engine can be asked for is
 * installed in the network namespace of the caller, which must be empty; a
 * datagram to a foreign address is put on a TUN device, and has to reach the
 * listener, over each family that there is.  Where no TUN device can be made,
 * that the kernel took the installation has to be enough.
 */
#ifndef WL_ENGINE_TRIAL_H
#define WL_ENGINE_TRIAL_H

#include "engine/engine.h"

/* 0, or -errno and one sentence.  What was installed is left to the end of
 * the namespace. */
int trial_run(const struct engine *engine, struct err *e);

#endif
