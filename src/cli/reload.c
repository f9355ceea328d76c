/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - `waylay reload`: a new generation of workers.
 */
#include "cli/cli.h"

#include "cli/output.h"

#include <stdio.h>

int cli_reload(const struct cli *cli, int argc, char **argv)
{
	json_t *reply;
	int status = cli_refuse_operands(argc, argv, 1);

	if (status == CLI_OK)
		status = cli_ask(cli, cli_request("reload"), &reply);
	if (status != CLI_OK)
		return status;
	if (cli->is_json) {
		cli_print_json(reply);
	} else {
		output_lines(stderr, cli_text(reply, "warnings"));
		printf("reloaded, generation %lld serves\n",
		       (long long)cli_number(reply, "generation"));
	}
	json_decref(reply);
	return CLI_OK;
}
