/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_wait.h - be to a command what a shell expects of it.
 *
 * The command has the terminal itself, and is in our process group unless it
 * makes one of its own.  What the terminal sends (Ctrl-C, Ctrl-Z, SIGWINCH)
 * comes to both of us and is left to it; what somebody sends to us alone is
 * passed on.  When it stops and we did not, we stop as well, so that the shell
 * above gets the terminal back; when we go on, so does it.
 */
#ifndef WL_CLI_EXEC_WAIT_H
#define WL_CLI_EXEC_WAIT_H

#include <sys/types.h>

/* From now on signals for us are signals for pid, which may ignore them. */
void exec_wait_pass_signals(pid_t pid);
/* Until it ends.  Its status, or 128+N after signal N. */
int exec_wait_command(pid_t pid);
/* The same for a child that never stops. */
int exec_wait_child(pid_t pid);

#endif
