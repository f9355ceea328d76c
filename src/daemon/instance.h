/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h - one waylayd for each network namespace.
 *
 * The lock is an abstract unix socket: such names belong to a network
 * namespace, cannot be left behind by a killed process, and tell who holds
 * them (SO_PEERCRED).  Workers inherit it and keep it until they have given
 * up the listeners: so a daemon that starts after another was killed waits
 * here, without polling, until the listeners are free.
 */
#ifndef WL_DAEMON_INSTANCE_H
#define WL_DAEMON_INSTANCE_H

#include "base/err.h"

/* The descriptor, or -EBUSY naming the other daemon's pid, or -errno. */
int instance_lock(struct err *e);

#endif
