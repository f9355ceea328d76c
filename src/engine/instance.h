/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h - one who intercepts for each network namespace: a waylayd, or a
 * program with libwaylay.
 *
 * The lock is an abstract unix socket: such names belong to a network
 * namespace, cannot be left behind by a killed process, and tell who holds
 * them (SO_PEERCRED).  Workers inherit it and keep it until they have given
 * up the listeners: so a daemon that starts after another was killed waits
 * here, without polling, until the listeners are free.
 */
#ifndef WL_ENGINE_INSTANCE_H
#define WL_ENGINE_INSTANCE_H

#include "base/err.h"

/* The descriptor, or -EBUSY naming the other process, or -errno. */
int instance_lock(struct err *e);

#endif
