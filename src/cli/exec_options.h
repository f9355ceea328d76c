/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_options.h - what `waylay exec` was told, read and judged.
 *
 * Files are opened here, before anything else happens: as the user who named
 * them, and with one sentence if that fails.
 */
#ifndef WL_CLI_EXEC_OPTIONS_H
#define WL_CLI_EXEC_OPTIONS_H

#include "base/str.h"
#include "cli/cli.h"
#include "cli/exec_via.h"

#include <stdio.h>

/* Conditions of rules, one a line; nets are asked before names. */
struct exec_conditions {
	struct str nets, names;
};

struct exec_options {
	struct exec_via via;
	struct exec_conditions allow, deny;
	bool has_rules; /* any of both */
	const char *user;
	FILE *log; /* NULL: no --log */
	const char *pcap;
	int pcap_fd; /* -1: no --pcap */
	bool is_quiet, is_json;
};

/* CLI_OK, or what failed, said.  To be freed in either case.  Covers the
 * password among the words of the command line. */
int exec_options_read(const struct cli *cli, struct exec_options *out);
void exec_options_done(struct exec_options *o);

#endif
