/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside.h - children in the network namespace where waylayd was started.
 *
 * A private waylayd installs its rules and listeners in another network
 * namespace than that of its server legs.  Entering a namespace takes
 * CAP_SYS_ADMIN over it, and below `waylay exec` of an ordinary user there is
 * none over the host's: who has left it cannot come back, nor can a child.
 *
 * But a namespace belongs to a thread.  So the supervisor's main thread goes,
 * and one thread stays, whose whole duty it is to fork: its children are
 * outside, and have all that a child of the main thread would have.  While it
 * forks, the main thread waits; so nothing runs beside, and a child finds no
 * lock held.  network_namespaces(7), fork(2).
 */
#ifndef WL_DAEMON_OUTSIDE_H
#define WL_DAEMON_OUTSIDE_H

#include "base/err.h"

#include <sys/types.h>

struct outside; /* NULL: outside is here */

/* Leave one thread here and take this one to the namespace of netns_fd, before
 * anything is opened.  It lasts until the process ends. */
int outside_leave(int netns_fd, struct outside **out, struct err *e);

/* What the child does; it must not return. */
typedef void (*outside_fn)(void *ctx);

/* fork(); its answers, but for the child's. */
pid_t outside_fork(struct outside *o, outside_fn fn, void *ctx);

#endif
