/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.c - `waylay version`: the tool's own; `status` has the daemon's.
 */
#include "cli/cli.h"

#include <stdio.h>

int cli_version(const struct cli *cli, int argc, char **argv)
{
	int status = cli_refuse_operands(argc, argv, 1);

	if (status != CLI_OK)
		return status;
	if (cli->option[OPT_JSON])
		printf("{\"version\":\"%s\"}\n", WAYLAY_VERSION);
	else
		printf("waylay %s\n", WAYLAY_VERSION);
	return CLI_OK;
}
