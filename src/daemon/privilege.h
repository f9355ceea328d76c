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
 * The cutter reads none, but for late ones that it only passes on:
 *
 *	CAP_NET_ADMIN		TCP_REPAIR, tcp(7)
 *	CAP_BPF			maps, and the program that changes an entry
 *
 * All have a user without rights of its own, an empty root directory, no new
 * privileges, no core file, and a list of system calls for each.  What is not
 * on the list fails with EPERM, or kills the child when `is_strict` (tests).
 */
#ifndef WL_DAEMON_PRIVILEGE_H
#define WL_DAEMON_PRIVILEGE_H

#include "base/err.h"

#include <stdbool.h>

enum privilege_role { PRIVILEGE_WORKER, PRIVILEGE_RESOLVER, PRIVILEGE_CUTTER };

int privilege_drop(enum privilege_role who, bool is_strict, struct err *e);

/* Can this process do what the supervisor must?  -EPERM with one sentence. */
int privilege_check(struct err *e);

#endif
