/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_grace.h - know when no packet is between a BPF program and its socket.
 *
 * A packet is handed from the program at TC ingress to its socket by one run
 * of the kernel, inside one RCU read-side section.  So when a grace period has
 * gone by, whatever the program let through before has reached its socket.
 * membarrier(2) MEMBARRIER_CMD_GLOBAL is a grace period; it takes some
 * milliseconds, so a thread of its own waits for it.
 */
#ifndef WL_DAEMON_CUT_GRACE_H
#define WL_DAEMON_CUT_GRACE_H

#include <stdint.h>

struct cut_grace;

/* 0, or -EOPNOTSUPP: this kernel does not tell (nohz_full); -errno. */
int cut_grace_check(void);
/* Starts the thread: after privileges have gone.  0 or -errno:
 * -EOPNOTSUPP where this kernel has no such command (nohz_full). */
int cut_grace_new(struct cut_grace **out);
/* Waits for the grace period that runs, if one does. */
void cut_grace_free(struct cut_grace *g);
/* A ticket for what has been done until now. */
uint64_t cut_grace_ask(struct cut_grace *g);
/* Becomes readable when graces have passed; cut_grace_passed() reads it. */
int cut_grace_fd(const struct cut_grace *g);
/* Every ticket up to the one returned is through. */
uint64_t cut_grace_passed(struct cut_grace *g);

#endif
