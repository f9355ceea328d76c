/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - `waylay exec`: one command with its traffic relayed.
 */
#include "cli/cli.h"

int cli_exec(const struct cli *cli, int argc, char **argv)
{
	(void)cli;
	if (argc < 2)
		return cli_fail(CLI_USAGE, "exec: say which command to run "
					   "(see 'waylay help exec')");
	return cli_fail(CLI_FAILED, "cannot run %s: exec is not built in",
			argv[1]);
}
