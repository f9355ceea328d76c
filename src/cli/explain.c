/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c - `waylay explain`: which way a flow would go, and why.
 *
 * The words become a request.  The daemon answers it, or, with a file, we do
 * by the same function (control/explain_json.h); here is how it looks.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/output.h"
#include "control/explain_json.h"
#include "engine/engine.h"
#include "engine/files.h"

#include <stdio.h>
#include <string.h>

enum {
	RULE_SHOWN_MAX = 52, /* bytes of a rule, so that what follows is seen */
	OPERANDS_MIN = 4,
};

#define USAGE                                                                  \
	"usage: waylay explain tcp|udp SRC[:PORT] DST:PORT [--name NAME] "     \
	"[--quic] [--from IFACE|host] [FILE]"

/* --- the answer ---------------------------------------------------------- */

static void print_question(const json_t *j)
{
	const char *name = cli_text(j, "name"), *from = cli_text(j, "from");

	printf("%s %s to %s", cli_text(j, "proto"), cli_text(j, "src"),
	       cli_text(j, "dst"));
	if (json_is_true(json_object_get(j, "is_quic")))
		printf(", QUIC");
	if (*name)
		printf(", %s", name);
	if (*from) {
		printf(", from ");
		output_text(stdout, from);
	}
	printf("\n\n");
}

/* The one that takes it; or all, and why none does. */
static void print_intercepts(const json_t *list)
{
	size_t count = json_array_size(list);
	const json_t *last = count ? json_array_get(list, count - 1) : NULL;
	bool is_taken = json_is_true(json_object_get(last, "is_taking"));
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (is_taken && one != last)
			continue;
		printf("intercept  %s (line %lld)", cli_text(one, "name"),
		       (long long)cli_number(one, "line"));
		if (*cli_text(one, "why")) {
			printf(": ");
			output_text(stdout, cli_text(one, "why"));
		}
		putchar('\n');
	}
}

static void print_line(const char *title, const char *text)
{
	printf("%-9s  ", title);
	output_text(stdout, text);
	putchar('\n');
}

/* Cut between characters. */
static void add_rule(struct table *t, const char *text)
{
	size_t len = strlen(text);

	if (len > RULE_SHOWN_MAX) {
		len = RULE_SHOWN_MAX - strlen("...");
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	table_cellf(t, "%.*s%s", (int)len, text, text[len] ? "..." : "");
}

static void add_match(struct table *t, const json_t *rule)
{
	const char *match = cli_text(rule, "match");
	const char *why = cli_text(rule, "why");

	if (strcmp(match, "open") == 0)
		match = "perhaps";
	table_cellf(t, "%s%s%s", match, *why ? ": " : "", why);
}

static void print_rules(const json_t *rules)
{
	static const struct column columns[] = { { "LINE", true },
						 { "RULE", false },
						 { "MATCHES", false } };
	struct table t = { .columns = columns,
			   .count = sizeof(columns) / sizeof(columns[0]) };
	const json_t *one;
	size_t i;

	json_array_foreach(rules, i, one)
	{
		int64_t line = cli_number(one, "line");

		if (line)
			table_cellf(&t, "%lld", (long long)line);
		else
			table_cell(&t, ""); /* nobody wrote that default */
		add_rule(&t, cli_text(one, "text"));
		add_match(&t, one);
	}
	if (t.filled)
		putchar('\n');
	table_print(&t, stdout);
}

static void print_named(const char *title, const json_t *upstream)
{
	struct str text = { 0 };

	str_addf(&text, "%s: %s", cli_text(upstream, "name"),
		 cli_text(upstream, "text"));
	print_line(title, str_get(&text));
	str_done(&text);
}

static void print_upstream(const json_t *upstream)
{
	const json_t *one;
	size_t i;

	if (!json_is_object(upstream))
		return;
	putchar('\n');
	print_named("upstream", upstream);
	json_array_foreach(json_object_get(upstream, "members"), i, one)
	{
		print_named("  member", one);
	}
}

static void print_notes(const json_t *notes)
{
	const json_t *one;
	size_t i;

	if (json_array_size(notes))
		putchar('\n');
	json_array_foreach(notes, i, one)
	{
		print_line("note", json_string_value(one));
	}
}

static void print(const struct cli *cli, const json_t *j)
{
	if (cli->is_json) {
		cli_print_json(j);
		return;
	}
	print_question(j);
	print_intercepts(json_object_get(j, "intercepts"));
	print_line("kernel", cli_text(j, "kernel"));
	print_rules(json_object_get(j, "rules"));
	print_upstream(json_object_get(j, "upstream"));
	print_notes(json_object_get(j, "notes"));
}

/* --- asking -------------------------------------------------------------- */

static int explain_file(const struct cli *cli, const char *file,
			const json_t *request)
{
	bool is_input = strcmp(file, "-") == 0;
	const char *name = is_input ? "standard input" : file;
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct config *c = NULL;
	struct err e;
	int rc = file_read(file, CONFIG_BYTES_MAX, &text, &e);
	json_t *j;

	if (rc == 0)
		c = engine_parse(name, str_get(&text), text.len,
				 files_to_check(), &messages);
	str_done(&text);
	if (messages.errors)
		output_lines(stderr, str_get(&messages.text));
	messages_done(&messages);
	if (!c)
		return rc < 0 ? cli_err(&e)
			      : cli_fail(CLI_BAD_CONFIG, "%s is not valid",
					 name);
	j = explain_json(c, request);
	(void)json_object_del(j, "ok"); /* what is left is data */
	print(cli, j);
	json_decref(j);
	config_free(c);
	return CLI_OK;
}

/* Takes the request. */
static int explain_running(const struct cli *cli, json_t *request)
{
	json_t *reply;
	int status = cli_ask(cli, request, &reply);

	if (status != CLI_OK)
		return status;
	print(cli, reply);
	json_decref(reply);
	return CLI_OK;
}

static json_t *make_request(const struct cli *cli, char **argv)
{
	json_t *j = cli_request("explain");

	(void)json_object_set_new(j, "proto", json_string(argv[1]));
	(void)json_object_set_new(j, "src", json_string(argv[2]));
	(void)json_object_set_new(j, "dst", json_string(argv[3]));
	(void)json_object_set_new(j, "is_quic",
				  json_boolean(cli->option[OPT_QUIC]));
	if (cli->option[OPT_NAME])
		(void)json_object_set_new(j, "name",
					  json_string(cli->option[OPT_NAME]));
	if (cli->option[OPT_FROM])
		(void)json_object_set_new(j, "from",
					  json_string(cli->option[OPT_FROM]));
	return j;
}

int cli_explain(const struct cli *cli, int argc, char **argv)
{
	struct explain_request r;
	json_t *request;
	struct err e;
	int status;

	if (argc < OPERANDS_MIN)
		return cli_fail(CLI_USAGE,
				"explain: say the protocol, who asks and "
				"whom\n" USAGE);
	status = cli_refuse_operands(argc, argv, OPERANDS_MIN + 1);
	if (status != CLI_OK)
		return status;
	request = make_request(cli, argv);
	if (request && explain_json_read(request, &r, &e) < 0)
		status = cli_fail(CLI_USAGE, "explain: %s\n" USAGE, e.text);
	else if (argc > OPERANDS_MIN && request)
		status = explain_file(cli, argv[OPERANDS_MIN], request);
	else
		return explain_running(cli, request);
	json_decref(request);
	return status;
}
