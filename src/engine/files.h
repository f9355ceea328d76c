/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - what a configuration names, fetched from this host.
 *
 * policy/ opens no file; whoever loads a configuration hands one of these to
 * engine_parse().  A list may be as large as a configuration.
 */
#ifndef WL_ENGINE_FILES_H
#define WL_ENGINE_FILES_H

#include "policy/policy.h"

/* All of it, as the daemon needs it. */
extern const struct policy_files files_system;

/*
 * To judge a text: lists are read; secrets only by root, who alone may, and
 * credentials only where systemd has put them.  What is not read is no error.
 */
const struct policy_files *files_to_check(void);

#endif
