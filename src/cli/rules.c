/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c - `waylay rules show`: what an engine installs, for the daemon's
 * configuration or for a file's, and what the running one has counted.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/output.h"
#include "engine/choose.h"
#include "engine/engine.h"
#include "engine/files.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- of the daemon ------------------------------------------------------- */

static void print_counters(const json_t *counters, bool has_zeros)
{
	static const struct column columns[] = { { "PACKETS", true },
						 { "COUNTER", false },
						 { "MEANING", false } };
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	json_array_foreach(counters, i, one)
	{
		if (!has_zeros && cli_number(one, "value") == 0)
			continue;
		table_cellf(&t, "%lld", (long long)cli_number(one, "value"));
		table_cell(&t, cli_text(one, "name"));
		table_cell(&t, cli_text(one, "meaning"));
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

static void print(const struct cli *cli, const json_t *reply)
{
	if (cli->is_json) {
		cli_print_json(reply);
		return;
	}
	output_lines(stdout, cli_text(reply, "text"));
	print_counters(json_object_get(reply, "counters"),
		       cli->option[OPT_ALL]);
}

static int show(const struct cli *cli)
{
	const char *engine = cli->option[OPT_ENGINE];
	json_t *request = cli_request("rules"), *reply;
	int status;

	if (engine) /* without memory: cli_ask() says so */
		(void)json_object_set_new(request, "engine",
					  json_string(engine));
	status = cli_ask(cli, request, &reply);
	if (status != CLI_OK)
		return status;
	print(cli, reply);
	json_decref(reply);
	return CLI_OK;
}

/* --- of a file ----------------------------------------------------------- */

/* The daemon takes any free port unless the file names one; a port must stand
 * in the rules all the same. */
enum { EXAMPLE_PORT = 50080 };

static void make_plan(const struct config *c, struct plan *out)
{
	uint16_t base = c->port ? c->port : EXAMPLE_PORT;

	*out = (struct plan){ .config = c, .has_family = { true, true } };
	memset(out->fds, -1, sizeof(out->fds));
	for (size_t i = 0; i < c->intercept_count; i++)
		for (enum proto p = 0;
		     p < PROTO_COUNT && !c->intercepts[i].has_listen; p++)
			for (enum family_index f = 0; f < FAMILY_COUNT; f++)
				out->ports[i][p][f] = (uint16_t)(base + i);
}

/* The engine that was asked for, or the one that waylayd would take if this
 * kernel has what it needs. */
static const struct engine *choose(const struct cli *cli,
				   const struct config *c, struct err *e)
{
	const char *name = cli->option[OPT_ENGINE];
	const struct engine *engine;

	if (!name)
		return engine_choose_by(NULL, NULL, c, NULL, e);
	engine = engine_find(name);
	return engine->check(c, e) < 0 ? NULL : engine;
}

static int show_config(const struct cli *cli, const struct config *c)
{
	struct str text = { 0 };
	struct err e = { 0 };
	const struct engine *engine = choose(cli, c, &e);
	struct plan plan;
	json_t *j;

	if (!engine)
		return cli_err(&e);
	make_plan(c, &plan);
	engine_render(engine, &plan, &text);
	j = json_pack("{s:s, s:b, s:s, s:[]}", "engine", engine->name,
		      "is_running", 0, "text", str_get(&text), "counters");
	print(cli, j);
	json_decref(j);
	str_done(&text);
	return CLI_OK;
}

static int show_file(const struct cli *cli, const char *file)
{
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct config *c;
	struct err e;
	int status;

	if (file_read(file, CONFIG_BYTES_MAX, &text, &e) < 0) {
		str_done(&text);
		return cli_err(&e);
	}
	c = engine_parse(file, str_get(&text), text.len, files_to_check(),
			 &messages);
	output_lines(stderr, str_get(&messages.text));
	messages_done(&messages);
	str_done(&text);
	status = c ? show_config(cli, c)
		   : cli_fail(CLI_BAD_CONFIG, "%s is not valid", file);
	config_free(c);
	return status;
}

/* --- the command --------------------------------------------------------- */

enum { ENGINES_MAX = 8 };

static int check_engine(const char *name)
{
	const char *known[ENGINES_MAX];
	const struct engine *engine;
	size_t count = 0;

	if (!name || engine_find(name))
		return CLI_OK;
	while (count < ENGINES_MAX && (engine = engine_at(count)))
		known[count++] = engine->name;
	return cli_unknown("engine", name, known, count);
}

int cli_rules(const struct cli *cli, int argc, char **argv)
{
	static const char *const actions[] = { "show" };

	if (argc < 2)
		return cli_fail(CLI_USAGE, "rules: say 'waylay rules show'");
	if (strcmp(argv[1], actions[0]) != 0)
		return cli_unknown("rules action", argv[1], actions, 1);
	if (check_engine(cli->option[OPT_ENGINE]) != CLI_OK)
		return CLI_USAGE;
	if (argc > 3)
		return cli_refuse_operands(argc, argv, 3);
	return argc == 3 ? show_file(cli, argv[2]) : show(cli);
}
