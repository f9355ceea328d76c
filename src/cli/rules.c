/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - `waylay rules show`: what the daemon has installed.
 */
#include "cli/cli.h"

#include "cli/output.h"

#include <stdio.h>
#include <string.h>

/* An engine of another name than the daemon's was asked for. */
static int refuse_engine(const json_t *reply, const char *wanted)
{
	const char *engine = cli_text(reply, "engine");

	if (!wanted || strcmp(wanted, engine) == 0)
		return CLI_OK;
	return cli_fail(CLI_FAILED, "waylayd runs engine %s, not %s", engine,
			wanted);
}

static int show(const struct cli *cli)
{
	json_t *reply;
	int status = cli_ask(cli, cli_request("rules"), &reply);

	if (status != CLI_OK)
		return status;
	status = refuse_engine(reply, cli->option[OPT_ENGINE]);
	if (status == CLI_OK && cli->is_json)
		cli_print_json(reply);
	else if (status == CLI_OK)
		output_lines(stdout, cli_text(reply, "text"));
	json_decref(reply);
	return status;
}

int cli_rules(const struct cli *cli, int argc, char **argv)
{
	static const char *const actions[] = { "show" };
	static const char *const engines[] = { "nft" };
	const char *engine = cli->option[OPT_ENGINE];

	if (argc < 2)
		return cli_fail(CLI_USAGE, "rules: say 'waylay rules show'");
	if (strcmp(argv[1], actions[0]) != 0)
		return cli_unknown("rules action", argv[1], actions, 1);
	if (engine && strcmp(engine, engines[0]) != 0)
		return cli_unknown("engine", engine, engines, 1);
	if (argc > 2)
		return cli_fail(CLI_USAGE,
				"rules show cannot render a file yet; start "
				"waylayd with %s and leave FILE out",
				argv[2]);
	return show(cli);
}
