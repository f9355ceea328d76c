/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said.h - how a forked child tells its parent how it went.
 *
 * A struct err through a pipe, code 0 for success.  It is shorter than
 * PIPE_BUF, so it comes whole.  A child that dies before says nothing.
 */
#ifndef WL_CLI_SAID_H
#define WL_CLI_SAID_H

#include "base/err.h"

void said_tell(int fd, const struct err *e);
/* Wait for it.  0, or -errno with the child's sentence; `what` is in the
 * sentence if it said nothing: "the capture". */
int said_hear(int fd, const char *what, struct err *e);

#endif
