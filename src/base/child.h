/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - run a command and wait for it.
 *
 * For the few programs that waylay calls (nft): found in the system's own
 * directories only, with an empty environment, text in, text out, and a limit
 * in time and size.  Blocking: for the supervisor and the tools.  The caller
 * ignores SIGPIPE: a program may end without having read its input.
 */
#ifndef WL_BASE_CHILD_H
#define WL_BASE_CHILD_H

#include "base/err.h"
#include "base/str.h"

enum {
	CHILD_TIMEOUT_MS = 20000,
	CHILD_OUTPUT_MAX = 64 << 20,
};

/*
 * argv[0] is a bare name ("nft").  `input` may be NULL.  Standard output is
 * appended to out (may be NULL), standard error to complaint.  Returns the
 * exit status 0..255, or -errno with e filled: not found, killed, too slow.
 */
int child_run(const char *const argv[], const char *input, struct str *out,
	      struct str *complaint, struct err *e);

#endif
