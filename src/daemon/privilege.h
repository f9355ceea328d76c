/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.h - what a child may still do.
 *
 * Workers and the resolver read bytes from the network, so they keep the least
 * that the kernel lets them work with:
 *
 *	CAP_NET_RAW		IP_TRANSPARENT and SO_MARK, ip(7)
 *	CAP_NET_BIND_SERVICE	speaking from a client's port below 1024;
 *				workers alone
 *
 * no user of its own rights, an empty root directory, no new privileges, no
 * core file, and a list of system calls for each.  What is not on the list
 * fails with EPERM, or kills the child when `is_strict` (tests).
 */
#ifndef WL_DAEMON_PRIVILEGE_H
#define WL_DAEMON_PRIVILEGE_H

#include "base/err.h"

#include <stdbool.h>

enum privilege_role { PRIVILEGE_WORKER, PRIVILEGE_RESOLVER };

int privilege_drop(enum privilege_role who, bool is_strict, struct err *e);

/* Can this process do what the supervisor must?  -EPERM with one sentence. */
int privilege_check(struct err *e);

#endif
