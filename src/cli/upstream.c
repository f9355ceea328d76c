/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - `waylay upstream`: how upstreams are, and what is wanted of
 * them.
 *
 * Groups come first, each with its members below it; then those that are in no
 * group.
 */
#include "cli/cli.h"

#include "cli/output.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the table ----------------------------------------------------------- */

static const struct column columns[] = {
	{ "NAME", false },  { "VIA", false },	{ "STATE", false },
	{ "WANT", false },  { "FLOWS", true },	{ "LATENCY", true },
	{ "OPENED", true }, { "FAILED", true }, { "LAST ERROR", false },
};

static const json_t *find_upstream(const json_t *upstreams, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(upstreams, i, one) if (strcmp(cli_text(one, "name"),
							 name) == 0) return one;
	return NULL;
}

/* "34ms", "850us"; microseconds are what a table does not know. */
static void cell_latency(struct table *t, int64_t us)
{
	if (us <= 0)
		table_cell(t, "");
	else if (us < 1000)
		table_cellf(t, "%dus", (int)us);
	else if (us < 10000)
		table_cellf(t, "%d.%dms", (int)(us / 1000),
			    (int)(us % 1000 / 100));
	else
		table_time(t, us / 1000);
}

/* "upstream-refused, reply 2" */
static void cell_error(struct table *t, const json_t *one)
{
	int64_t reply = cli_number(one, "last_reply");
	const char *error = cli_text(one, "last_error");

	bool is_http = strcmp(cli_text(one, "via"), "http-connect") == 0;

	if (reply && *error)
		table_cellf(t, "%s, %s %d", error, is_http ? "status" : "reply",
			    (int)reply);
	else
		table_cell(t, error);
}

/* The built-in `direct` is counted in groups only: that it has no number does
 * not mean that it has no legs. */
static void cell_legs(struct table *t, const json_t *one, const char *key)
{
	bool is_direct = strcmp(cli_text(one, "via"), "direct") == 0;
	long long legs = cli_number(one, key);

	if (is_direct && !legs)
		table_cell(t, "");
	else
		table_cellf(t, "%lld", legs);
}

static void add_upstream(struct table *t, const json_t *one, bool is_member)
{
	table_cellf(t, "%s%s", is_member ? "  " : "", cli_text(one, "name"));
	table_cellf(t, "%s %s", cli_text(one, "via"), cli_text(one, "to"));
	table_cell(t, cli_text(one, "health"));
	table_cell(t, cli_text(one, "want"));
	table_cellf(t, "%lld", (long long)cli_number(one, "flows"));
	cell_latency(t, cli_number(one, "latency_us"));
	cell_legs(t, one, "opened");
	cell_legs(t, one, "failed");
	cell_error(t, one);
}

/* The group's own row: how it chooses, how many are up, and who is left when
 * nobody is. */
static void add_group(struct table *t, const json_t *group)
{
	const json_t *members = json_object_get(group, "members");

	table_cell(t, cli_text(group, "name"));
	table_cellf(t, "group, %s, else %s", cli_text(group, "balance"),
		    cli_text(group, "fallback"));
	table_cellf(t, "%lld/%zu", (long long)cli_number(group, "members_up"),
		    json_array_size(members));
	for (size_t i = t->filled % t->count; i < t->count; i++)
		table_cell(t, " ");
}

static void add_groups(struct table *t, const json_t *groups,
		       const json_t *upstreams)
{
	const json_t *group, *name;
	size_t i, n;

	json_array_foreach(groups, i, group)
	{
		add_group(t, group);
		json_array_foreach(json_object_get(group, "members"), n, name)
		{
			const char *text = json_string_value(name);

			add_upstream(t,
				     find_upstream(upstreams, text ? text : ""),
				     true);
		}
	}
}

static bool is_member(const json_t *groups, const char *name)
{
	const json_t *group, *member;
	size_t i, n;

	json_array_foreach(groups, i, group)
	{
		json_array_foreach(json_object_get(group, "members"), n, member)
		{
			const char *text = json_string_value(member);

			if (text && strcmp(text, name) == 0)
				return true;
		}
	}
	return false;
}

static void print_list(const json_t *reply)
{
	const json_t *groups = json_object_get(reply, "groups");
	const json_t *upstreams = json_object_get(reply, "upstreams");
	struct table t = { .columns = columns, .count = COUNT(columns) };
	const json_t *one;
	size_t i;

	add_groups(&t, groups, upstreams);
	json_array_foreach(upstreams, i,
			   one) if (!is_member(groups, cli_text(one, "name")))
		add_upstream(&t, one, false);
	table_print(&t, stdout);
}

static int list(const struct cli *cli)
{
	json_t *reply;
	int status = cli_ask(cli, cli_request("upstream"), &reply);

	if (status != CLI_OK)
		return status;
	if (cli->is_json)
		cli_print_json(reply);
	else
		print_list(reply);
	json_decref(reply);
	return CLI_OK;
}

/* --- what is wanted ------------------------------------------------------ */

static const struct {
	const char *name;
	const char *done; /* of one flow, of several */
	const char *with[2];
} actions[] = {
	{ "drain", "is draining", { "1 flow goes on", "flows go on" } },
	{ "enable", "is enabled", { "1 flow", "flows" } },
	{ "disable", "is disabled", { "1 flow is ended", "flows are ended" } },
};

static void print_done(size_t action, const json_t *upstream)
{
	long long flows = cli_number(upstream, "flows");

	output_text(stdout, cli_text(upstream, "name"));
	printf(" %s", actions[action].done);
	if (flows == 1)
		printf(": %s\n", actions[action].with[0]);
	else
		printf(": %lld %s\n", flows, actions[action].with[1]);
}

static int want(const struct cli *cli, size_t action, const char *name)
{
	json_t *reply;
	int status =
		cli_ask(cli,
			json_pack("{s:s, s:s, s:s}", "command", "upstream",
				  "action", actions[action].name, "name", name),
			&reply);

	if (status != CLI_OK)
		return status;
	if (cli->is_json)
		cli_print_json(reply);
	else
		print_done(action, json_object_get(reply, "upstream"));
	json_decref(reply);
	return CLI_OK;
}

static int unknown_action(const char *word)
{
	const char *known[COUNT(actions) + 1] = { "list" };

	for (size_t i = 0; i < COUNT(actions); i++)
		known[i + 1] = actions[i].name;
	return cli_unknown("upstream action", word, known, COUNT(known));
}

int cli_upstream(const struct cli *cli, int argc, char **argv)
{
	int status = cli_refuse_operands(argc, argv, 3);

	if (status != CLI_OK)
		return status;
	if (argc == 1 || strcmp(argv[1], "list") == 0) {
		status = cli_refuse_operands(argc, argv, 2);
		return status == CLI_OK ? list(cli) : status;
	}
	for (size_t i = 0; i < COUNT(actions); i++) {
		if (strcmp(argv[1], actions[i].name) != 0)
			continue;
		if (argc == 3)
			return want(cli, i, argv[2]);
		return cli_fail(CLI_USAGE,
				"which upstream? (see 'waylay upstream')");
	}
	return unknown_action(argv[1]);
}
