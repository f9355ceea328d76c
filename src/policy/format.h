/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - lay out a text that is known to parse.
 *
 * Private: the printer lets it align what it has written, so that printed
 * and formatted configurations look alike.
 */
#ifndef WL_POLICY_FORMAT_H
#define WL_POLICY_FORMAT_H

#include "base/str.h"

/* Appends; 0 or -ENOMEM.  Tokens, their order and comments stay the same. */
int format_layout(const char *text, size_t len, struct str *out);

#endif
