/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - from fork to worker.
 *
 * What a forked child does before it serves: keep only the descriptors that
 * are a worker's, enter the namespace of the server legs, allocate, give up
 * privileges.  Read privilege.h and relay/worker.h next.
 */
#ifndef WL_DAEMON_PROCESS_H
#define WL_DAEMON_PROCESS_H

#include "relay/worker.h"

/* server_netns: descriptor of the namespace of the server legs, or -1.  Ends
 * the process: status 0 when there was nothing left to do, 1 if it could not
 * start (and said why). */
_Noreturn void process_run(const struct worker_args *args, int server_netns,
			   bool is_strict);

#endif
