/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.c - `waylay flows`: what is relayed now, and what was.
 *
 * With --watch it asks and prints once a second until it is interrupted or
 * the daemon is gone; on a terminal each list replaces the one before.
 */
#include "cli/cli.h"

#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 9, ENDED_MAX = 1000000 };

static const struct column live_columns[COLUMNS] = {
	{ "PROTO", false },  { "CLIENT", false },   { "SERVER", false },
	{ "SOURCE", false }, { "UPSTREAM", false }, { "STATE", false },
	{ "UP", true },	     { "DOWN", true },	    { "AGE", true },
};

static const struct column ended_columns[COLUMNS] = {
	{ "PROTO", false },  { "CLIENT", false },   { "SERVER", false },
	{ "SOURCE", false }, { "UPSTREAM", false }, { "END", false },
	{ "UP", true },	     { "DOWN", true },	    { "AGE", true },
};

enum { NAME_SHOWN_MAX = 36 };

/* The name that was seen, in place of the address, which --json has too.  Of a
 * long one the end tells most. */
static void cell_server(struct table *t, const json_t *flow)
{
	const char *server = cli_text(flow, "server");
	const char *name = cli_text(flow, "name");
	const char *port = strrchr(server, ':');
	size_t len = strlen(name);

	if (!len || !port)
		table_cell(t, server);
	else if (len <= NAME_SHOWN_MAX)
		table_cellf(t, "%s%s", name, port);
	else
		table_cellf(t, "...%s%s", name + len - (NAME_SHOWN_MAX - 3),
			    port);
}

/* `last_key`: what the STATE or END column shows. */
static void add_flow(struct table *t, const json_t *flow, const char *last_key)
{
	const char *client = cli_text(flow, "client");
	const char *source = cli_text(flow, "source");

	table_cell(t, cli_text(flow, "proto"));
	table_cell(t, client);
	cell_server(t, flow);
	table_cell(t, strcmp(source, client) == 0 ? "=" : source);
	table_cell(t, cli_text(flow, "upstream"));
	table_cell(t, cli_text(flow, last_key));
	table_bytes(t, cli_number(flow, "bytes_up"));
	table_bytes(t, cli_number(flow, "bytes_down"));
	table_time(t, cli_number(flow, "age_ms"));
}

static void print_flows(const json_t *flows, const struct column *columns,
			const char *last_key)
{
	struct table t = { .columns = columns, .count = COLUMNS };
	const json_t *flow;
	size_t i;

	json_array_foreach(flows, i, flow) add_flow(&t, flow, last_key);
	table_print(&t, stdout);
}

static void print_reply(const json_t *reply)
{
	const json_t *live = json_object_get(reply, "flows");
	const json_t *ended = json_object_get(reply, "ended");

	if (json_array_size(live) == 0)
		puts("no flows");
	print_flows(live, live_columns, "state");
	if (json_array_size(ended) > 0)
		putchar('\n');
	print_flows(ended, ended_columns, "end");
}

static int parse_ended(const char *text, long *out)
{
	char *end;
	long ended;

	if (!text)
		return CLI_OK;
	errno = 0;
	ended = strtol(text, &end, 10);
	if (errno || end == text || *end || ended < 0 || ended > ENDED_MAX)
		return cli_fail(CLI_USAGE,
				"--ended '%s' is not a number from 0 to %d",
				text, ENDED_MAX);
	*out = ended;
	return CLI_OK;
}

static int show(const struct cli *cli, long ended, bool is_replacing)
{
	json_t *reply;
	int status = cli_ask(cli,
			     json_pack("{s:s, s:I}", "command", "flows",
				       "ended", (json_int_t)ended),
			     &reply);

	if (status != CLI_OK)
		return status;
	if (is_replacing)
		fputs("\033[H\033[2J", stdout);
	if (cli->is_json)
		cli_print_json(reply);
	else
		print_reply(reply);
	json_decref(reply);
	return CLI_OK;
}

static int watch(const struct cli *cli, long ended)
{
	bool is_terminal = !cli->is_json && isatty(STDOUT_FILENO);
	int status;

	while ((status = show(cli, ended, is_terminal)) == CLI_OK) {
		if (!is_terminal && !cli->is_json)
			putchar('\n');
		if (fflush(stdout) != 0)
			return CLI_OK; /* main() tells */
		sleep(1);
	}
	return status;
}

int cli_flows(const struct cli *cli, int argc, char **argv)
{
	long ended = 0;
	int status = cli_refuse_operands(argc, argv, 1);

	if (status == CLI_OK)
		status = parse_ended(cli->option[OPT_ENDED], &ended);
	if (status != CLI_OK)
		return status;
	if (cli->option[OPT_WATCH])
		return watch(cli, ended);
	return show(cli, ended, false);
}
