/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_user.h - as whom `waylay exec` and its processes run.
 *
 * Making network namespaces takes CAP_SYS_ADMIN.  Who has it (root) uses it.
 * Who has not makes a user namespace of its own first, in which it has all
 * capabilities, over the network namespaces that it makes there and over
 * nothing else; user and group keep their numbers.  user_namespaces(7).
 */
#ifndef WL_CLI_EXEC_USER_H
#define WL_CLI_EXEC_USER_H

#include "base/err.h"

#include <stdbool.h>

/* Can this process make namespaces as it is? */
bool exec_user_is_privileged(void);

/* Move this process (one thread) into a user namespace of its own, with all
 * capabilities that `waylayd --private` needs, kept over exec. */
int exec_user_enter_namespace(struct err *e);

/* Before a command is executed there: nothing of that is the command's. */
int exec_user_leave_capabilities(struct err *e);

/* Is there such a user?  `name` may be a number that has a name. */
int exec_user_check(const char *name, struct err *e);
/* Become that user: groups, HOME, USER, LOGNAME and SHELL too, and no
 * capability but for root.  Privileged only. */
int exec_user_become(const char *name, struct err *e);
/* For a process of our own that needs nothing any more. */
int exec_user_be_nobody(struct err *e);

#endif
