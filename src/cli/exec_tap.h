/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_tap.h - what passes the command's own interface.
 *
 * A process in the inner namespace with a packet socket, packet(7).  It writes
 * each frame to a capture file, and tells of refusals (exec_refusal.h) as the
 * relay tells of flows: JSON lines with the message "flow".  It never holds
 * the command up: what it cannot keep up with is lost, and counted.
 *
 * It ends when the other end of its `stop` pipe is closed, after what had come
 * by then is written; so also when `waylay` dies.
 */
#ifndef WL_CLI_EXEC_TAP_H
#define WL_CLI_EXEC_TAP_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct exec_tap {
	int pcap_fd; /* the capture file; -1: none */
	const char *pcap_name;
	bool has_refusals; /* tell of them */
	int flows_fd;	   /* the lines; -1: has_refusals is false */
	pid_t pid;	   /* 0: it does not run */
	int stop_fd, said_fd;
};

/* Begin in the namespace of inner_ns, where the interface must be.  It has seen
 * nothing yet, and will see all, when this returns.  flows_fd is filled. */
int exec_tap_begin(struct exec_tap *t, int inner_ns, struct err *e);
/* Stop and wait.  -errno and one sentence if the file is not complete. */
int exec_tap_end(struct exec_tap *t, struct err *e);

#endif
