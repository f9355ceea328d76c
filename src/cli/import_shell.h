/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_shell.h - lines that are neither a dump nor a table of nft.
 */
#ifndef WL_CLI_IMPORT_SHELL_H
#define WL_CLI_IMPORT_SHELL_H

#include "cli/import_words.h"

/* One command of a shell script, or a line that `ip rule show`, `ip route
 * show` or `ipset save` print. */
void import_command(struct import *im, const struct import_words *w);
/* Does it look as if it were about rules?  Then it must not be passed over. */
bool import_looks_like_rule(const char *text, size_t len);

/* --- import_routing.c: words behind the program's name ------------------- */

/* ip, with its options */
void import_ip(struct import *im, const struct import_words *w, size_t first);
/* "fwmark 0x1 lookup 100", behind "PRIORITY: from all" or "add" */
void import_ip_rule(struct import *im, const struct import_words *w,
		    size_t first);
/* "local default dev lo table 100" */
void import_ip_route(struct import *im, const struct import_words *w,
		     size_t first);
/* The rules of routing whose marks lead to this host are plumbing. */
void import_judge_routing(struct import *im);
/* Does this mark bring a packet to this host? */
bool import_is_our_mark(const struct import *im, uint32_t mark);

/* Is it the mark that a rule for TPROXY sets? */
bool import_is_target_mark(const struct import *im, uint32_t mark);

#endif
