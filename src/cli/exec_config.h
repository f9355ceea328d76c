/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_config.h - the configuration of the private waylayd.
 *
 * The grammar of waylay.conf(5), like any other.  A password is not in it: it
 * names the file that has it.
 */
#ifndef WL_CLI_EXEC_CONFIG_H
#define WL_CLI_EXEC_CONFIG_H

#include "base/str.h"

#define EXEC_CONFIG_PROXY "upstream proxy" /* as the log names it */

struct exec_options;
struct resolv;

/* secret_fd: of a file with the password, for /proc/self/fd; or -1. */
void exec_config_write(const struct exec_options *o, const struct resolv *r,
		       int secret_fd, struct str *out);

#endif
