/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - the tables of the tool: its options and its commands.
 *
 * A new command is a row in commands.c, a function in its own file, and its
 * line in cli.h.  Parsing and help follow from the rows.
 */
#ifndef WL_CLI_COMMANDS_H
#define WL_CLI_COMMANDS_H

#include "cli/cli.h"

#include <stddef.h>
#include <stdio.h>

struct cli_option {
	const char *name;  /* without "--" */
	char letter;	   /* 0: has none */
	const char *value; /* name of its value, NULL: takes none */
	const char *text;
};

enum { COMMAND_COUNT = 13 };

struct cli_command {
	const char *name;
	cli_command_fn run;
	uint64_t options;  /* bits (1ull << OPT_x), the common ones apart */
	bool is_verbatim;  /* what follows the first operand is not ours */
	const char *usage; /* behind "waylay NAME" */
	const char *summary;
	const char *text; /* help: what it does, then examples */
};

_Static_assert(OPT_COUNT <= 64, "a command has a bit for each option");

extern const struct cli_option cli_options[OPT_COUNT];
extern const struct cli_command cli_commands[COMMAND_COUNT];

enum {
	COMMON_OPTIONS = 1 << OPT_JSON | 1 << OPT_RUN_DIR | 1 << OPT_HELP |
			 1 << OPT_VERSION
};

/* NULL: none of that name. */
const struct cli_command *command_find(const char *name);
int command_unknown(const char *name); /* says so; CLI_USAGE */

/* help.c */
void help_tool(FILE *out);
void help_command(const struct cli_command *c, FILE *out);

#endif
