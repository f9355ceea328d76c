/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_rule.h - what `waylay exec --allow` and `--deny` name.
 *
 *	WHAT		192.0.2.1, 10.0.0.0/8, 2001:db8::/32, private,
 *			www.example.org, *.example.org, .example.org
 *	WHAT:PORT	the same with a port; IPv6 as [2001:db8::1]:443
 *
 * It becomes the conditions of one rule, waylay.conf(5).
 */
#ifndef WL_CLI_EXEC_RULE_H
#define WL_CLI_EXEC_RULE_H

#include "base/err.h"
#include "base/str.h"

/* Append "dst 10.0.0.0/8 port 443" or "domain example.org" to out.  0, or
 * -EINVAL with one sentence and nothing appended. */
int exec_rule_write(const char *word, struct str *out, struct err *e);

#endif
