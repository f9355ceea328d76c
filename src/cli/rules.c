/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - `waylay rules show`: what the daemon has installed, or what it
 * would install for a file.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/output.h"
#include "engine/engine.h"

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

/* The daemon takes any free port unless the file names one; a port must stand
 * in the rules all the same. */
enum { EXAMPLE_PORT = 50080 };

static void make_plan(const struct config *c, struct plan *out)
{
	uint16_t base = c->port ? c->port : EXAMPLE_PORT;

	*out = (struct plan){ .config = c, .has_family = { true, true } };
	for (size_t i = 0; i < c->intercept_count; i++)
		for (enum proto p = 0; p < PROTO_COUNT; p++)
			for (enum family_index f = 0; f < FAMILY_COUNT; f++)
				out->ports[i][p][f] = (uint16_t)(base + i);
}

static int show_file(const struct cli *cli, const char *file)
{
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct config *c;
	struct plan plan;
	struct err e;

	if (file_read(file, CONFIG_BYTES_MAX, &text, &e) < 0) {
		str_done(&text);
		return cli_err(&e);
	}
	c = engine_parse(file, str_get(&text), text.len, &messages);
	output_lines(stderr, str_get(&messages.text));
	messages_done(&messages);
	str_reset(&text);
	if (c) {
		make_plan(c, &plan);
		engine_render(&plan, &text);
	}
	if (c && cli->is_json) {
		json_t *j = json_pack("{s:s, s:s}", "engine", "nft", "text",
				      str_get(&text));

		cli_print_json(j);
		json_decref(j);
	} else if (c) {
		output_lines(stdout, str_get(&text));
	}
	str_done(&text);
	config_free(c);
	return c ? CLI_OK : cli_fail(CLI_BAD_CONFIG, "%s is not valid", file);
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
	if (argc > 3)
		return cli_refuse_operands(argc, argv, 3);
	return argc == 3 ? show_file(cli, argv[2]) : show(cli);
}
