/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - where the daemon's program is.
 */
#ifndef WL_CLI_FIND_H
#define WL_CLI_FIND_H

#include <limits.h>

struct err;

/* waylayd: beside this program, else in ../daemon/ (the build tree), else in
 * PATH.  0, or -ENOENT with a sentence. */
int find_waylayd(char out[PATH_MAX], struct err *e);

#endif
