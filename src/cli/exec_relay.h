/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_relay.h - the private waylayd of `waylay exec`.
 *
 * It is given its configuration and, if a proxy asks for one, a password: each
 * in memory (memfd_create(2)), as a descriptor that nobody else gets.  It ends
 * when we tell it to, or when we die.
 */
#ifndef WL_CLI_EXEC_RELAY_H
#define WL_CLI_EXEC_RELAY_H

#include "base/err.h"

#include <sys/types.h>

struct exec_options;
struct resolv;

struct exec_relay {
	pid_t pid;
	int said_fd; /* its log */
};

/* Start it; what it says tells whether it serves.  Wipes the password of o.
 * middle_ns: where its rules and listeners are. */
int exec_relay_begin(struct exec_options *o, const struct resolv *r,
		     int middle_ns, struct exec_relay *out, struct err *e);

#endif
