/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - `waylay status`: the essential first, troubles last.
 */
#include "cli/cli.h"

#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_headline(const json_t *reply)
{
	struct str line = { 0 };

	str_addf(&line, "waylayd %s running, pid %lld, up ",
		 cli_text(reply, "version"),
		 (long long)cli_number(reply, "pid"));
	human_time(&line, cli_number(reply, "uptime_ms"));
	str_addf(&line, ", engine %s, generation %lld",
		 cli_text(reply, "engine"),
		 (long long)cli_number(reply, "generation"));
	output_text(stdout, str_get(&line));
	putchar('\n');
	str_done(&line);
}

/* What was found of each engine that might have been taken. */
static void cell_engines(struct table *t, const json_t *engines)
{
	const json_t *one;
	size_t i;

	json_array_foreach(engines, i, one)
	{
		table_cellf(t, "engine %s", cli_text(one, "name"));
		table_cell(t, cli_text(one, "finding"));
	}
}

static void cell_cut_through(struct table *t, const json_t *cut)
{
	bool is_on = json_is_true(json_object_get(cut, "is_on"));

	if (!cut)
		return;
	table_cell(t, "cut-through");
	if (is_on)
		table_cellf(t, "on: %s; %lld of at most %lld flows",
			    cli_text(cut, "reason"),
			    (long long)cli_number(cut, "flows"),
			    (long long)cli_number(cut, "flow_max"));
	else
		table_cellf(t, "off: %s", cli_text(cut, "reason"));
}

static void print_settings(const json_t *reply)
{
	static const struct column columns[] = { { "", false }, { "", false } };
	static const struct {
		const char *title;
		const char *key;
	} rows[] = {
		{ "configuration", "config_file" },
		{ "on failure", "on_failure" },
		{ "engine because", "engine_reason" },
	};
	struct table t = { .columns = columns,
			   .count = COUNT(columns),
			   .has_no_titles = true };

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *text = cli_text(reply, rows[i].key);

		if (!*text)
			continue;
		table_cell(&t, rows[i].title);
		table_cell(&t, text);
	}
	cell_engines(&t, json_object_get(reply, "engines"));
	cell_cut_through(&t, json_object_get(reply, "cut_through"));
	if (json_object_get(reply, "selections")) {
		table_cell(&t, "selections");
		table_cellf(&t, "%lld",
			    (long long)cli_number(reply, "selections"));
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

/* "eth1, eth2 (missing)" */
static void cell_interfaces(struct table *t, const json_t *interfaces)
{
	struct str text = { 0 };
	const json_t *one;
	size_t i;

	json_array_foreach(interfaces, i, one)
	{
		bool is_missing =
			json_is_false(json_object_get(one, "is_present"));

		str_addf(&text, "%s%s%s", i ? ", " : "", cli_text(one, "name"),
			 is_missing ? " (missing)" : "");
	}
	table_cell(t, str_get(&text));
	str_done(&text);
}

static void print_intercepts(const json_t *reply)
{
	static const struct column columns[] = {
		{ "INTERCEPT", false }, { "FROM", false }, { "TCP", false },
		{ "UDP", false },	{ "TO", false },
	};
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(reply, "intercepts"), i, one)
	{
		const char *deliver = cli_text(one, "deliver");
		const char *listen = cli_text(one, "listen");

		table_cell(&t, cli_text(one, "name"));
		if (*listen)
			table_cellf(&t, "at %s", listen);
		else
			cell_interfaces(&t, json_object_get(one, "interfaces"));
		table_cell(&t, cli_text(one, "tcp"));
		table_cell(&t, cli_text(one, "udp"));
		table_cell(&t, *deliver ? deliver : "relay");
	}
	putchar('\n');
	table_print(&t, stdout);
}

static void print_groups(const json_t *reply)
{
	static const struct column columns[] = {
		{ "GROUP", false },
		{ "UP", true },
		{ "BALANCE", false },
		{ "FALLBACK", false },
	};
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(reply, "groups"), i, one)
	{
		const json_t *members = json_object_get(one, "members");

		table_cell(&t, cli_text(one, "name"));
		table_cellf(&t, "%lld/%zu",
			    (long long)cli_number(one, "members_up"),
			    json_array_size(members));
		table_cell(&t, cli_text(one, "balance"));
		table_cell(&t, cli_text(one, "fallback"));
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

/* What moves flows, where it is not the relay alone. */
static void print_movers(const json_t *reply)
{
	static const struct column columns[] = {
		{ "MOVER", false }, { "FLOWS", true }, { "SHARE", true },
		{ "BYTES", true },  { "SHARE", true },
	};
	const json_t *cut = json_object_get(reply, "cut_through");
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	if (!json_is_true(json_object_get(cut, "is_on")) &&
	    !cli_number(cut, "flows"))
		return;
	json_array_foreach(json_object_get(reply, "movers"), i, one)
	{
		table_cell(&t, cli_text(one, "name"));
		table_cellf(&t, "%lld", (long long)cli_number(one, "flows"));
		table_cellf(&t, "%lld%%",
			    (long long)cli_number(one, "flows_percent"));
		table_bytes(&t, cli_number(one, "bytes"));
		table_cellf(&t, "%lld%%",
			    (long long)cli_number(one, "bytes_percent"));
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

static void print_workers(const json_t *reply)
{
	static const struct column columns[] = {
		{ "WORKER", true },    { "PID", true },
		{ "STATE", false },    { "GENERATION", true },
		{ "TCP FLOWS", true }, { "UDP FLOWS", true },
		{ "RESTARTS", true },
	};
	static const char *const numbers[] = { "generation", "tcp_flows",
					       "udp_flows", "restarts" };
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(reply, "workers"), i, one)
	{
		table_cellf(&t, "%lld", (long long)cli_number(one, "slot"));
		table_cellf(&t, "%lld", (long long)cli_number(one, "pid"));
		table_cell(&t, cli_text(one, "state"));
		for (size_t n = 0; n < COUNT(numbers); n++)
			table_cellf(&t, "%lld",
				    (long long)cli_number(one, numbers[n]));
	}
	putchar('\n');
	table_print(&t, stdout);
}

static void print_counters(const json_t *reply)
{
	static const struct column columns[] = { { "COUNTER", false },
						 { "VALUE", true } };
	json_t *counters = json_object_get(reply, "counters");
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const char *name;
	json_t *value;

	json_object_foreach(counters, name, value)
	{
		if (json_integer_value(value) == 0)
			continue;
		table_cell(&t, name);
		table_cellf(&t, "%lld", (long long)json_integer_value(value));
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (!no || !*no);
}

static void print_problems(const json_t *reply)
{
	const json_t *problems = json_object_get(reply, "problems");
	bool is_coloured = has_colour();
	const json_t *one;
	size_t i;

	if (json_array_size(problems) == 0) {
		puts("\nno problems");
		return;
	}
	puts("\nproblems:");
	json_array_foreach(problems, i, one)
	{
		const char *text = json_string_value(one);

		fputs(is_coloured ? "\033[33m  - " : "  - ", stdout);
		output_text(stdout, text ? text : "");
		puts(is_coloured ? "\033[0m" : "");
	}
}

int cli_status(const struct cli *cli, int argc, char **argv)
{
	json_t *reply;
	int status = cli_refuse_operands(argc, argv, 1);

	if (status == CLI_OK)
		status = cli_ask(cli, cli_request("status"), &reply);
	if (status != CLI_OK)
		return status;
	if (cli->is_json) {
		cli_print_json(reply);
	} else {
		print_headline(reply);
		print_settings(reply);
		print_intercepts(reply);
		print_groups(reply);
		print_workers(reply);
		print_movers(reply);
		print_counters(reply);
		print_problems(reply);
	}
	json_decref(reply);
	return CLI_OK;
}
