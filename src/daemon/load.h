/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - a configuration from its file.
 */
#ifndef WL_DAEMON_LOAD_H
#define WL_DAEMON_LOAD_H

#include "base/err.h"
#include "base/str.h"
#include "policy/policy.h"

/*
 * Read, parse and judge a file and what it names.  Warnings and errors are
 * appended to messages.  -EINVAL: messages tell all that is wrong; another
 * -errno: e tells why the file could not be read.
 */
int load_config(const char *file, const struct policy_files *files,
		struct config **out, struct str *messages, struct err *e);

#endif
