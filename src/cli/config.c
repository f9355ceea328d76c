/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - `waylay config check | show | format`; `example` is in
 * example.c.
 *
 * Needs no daemon but for `show` without a file.  What is wrong with a text
 * is said by policy/; here are files, exit status and summary.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/example.h"
#include "cli/output.h"
#include "control/wire.h"
#include "engine/engine.h"
#include "engine/files.h"

#include <stdio.h>
#include <string.h>

struct action {
	const char *name;
	int (*run)(const struct cli *cli, const char *file);
};

static const char *file_name(const char *file)
{
	return strcmp(file, "-") == 0 ? "standard input" : file;
}

/* CLI_OK: text holds the file, perhaps empty. */
static int load(const char *file, struct str *text)
{
	struct err e;

	if (file_read(file, CONFIG_BYTES_MAX, text, &e) == 0)
		return CLI_OK;
	str_done(text);
	return cli_err(&e);
}

static int fail_invalid(const char *file, size_t errors)
{
	return cli_fail(CLI_BAD_CONFIG, "%s has %zu error%s", file_name(file),
			errors, errors == 1 ? "" : "s");
}

/* Print data as the JSON result; takes it. */
static void print_data(json_t *data)
{
	cli_print_json(data);
	json_decref(data);
}

static void print_text(const struct cli *cli, const char *text)
{
	if (cli->is_json)
		print_data(json_pack("{s:o}", "text", control_text(text)));
	else
		output_lines(stdout, text);
}

/* --- check --------------------------------------------------------------- */

static void add_count(struct str *out, size_t count, const char *noun)
{
	str_addf(out, "%zu %s%s", count, noun, count == 1 ? "" : "s");
}

/* "1 intercept, 2 rules, 1 upstream, 0 warnings" */
static void print_summary(const char *file, const struct config *c,
			  size_t warnings)
{
	struct str line = { 0 };

	output_text(stdout, file_name(file));
	add_count(&line, c->intercept_count, "intercept");
	str_add(&line, ", ");
	add_count(&line, c->rule_count, "rule");
	str_add(&line, ", ");
	add_count(&line, c->upstream_count - UPSTREAM_BUILTIN_COUNT,
		  "upstream");
	str_add(&line, ", ");
	add_count(&line, warnings, "warning");
	printf(": ok\n%s\n", str_get(&line));
	str_done(&line);
}

static void print_verdict(const struct messages *m)
{
	json_t *text = control_text(str_get(&m->text));

	print_data(json_pack("{s:b, s:I, s:I, s:o}", "ok", m->errors == 0,
			     "errors", (json_int_t)m->errors, "warnings",
			     (json_int_t)m->warnings, "messages", text));
}

static int check(const struct cli *cli, const char *file)
{
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct config *config;
	int status = load(file, &text);

	if (status != CLI_OK)
		return status;
	config = engine_parse(file_name(file), str_get(&text), text.len,
			      files_to_check(), &messages);
	if (cli->is_json)
		print_verdict(&messages);
	else
		output_lines(stderr, str_get(&messages.text));
	if (!config)
		status = fail_invalid(file, messages.errors);
	else if (!cli->is_json)
		print_summary(file, config, messages.warnings);
	config_free(config);
	messages_done(&messages);
	str_done(&text);
	return status;
}

/* --- show ---------------------------------------------------------------- */

static int show_running(const struct cli *cli)
{
	json_t *reply;
	int status = cli_ask(cli, cli_request("config"), &reply);

	if (status != CLI_OK)
		return status;
	print_text(cli, cli_text(reply, "text"));
	json_decref(reply);
	return CLI_OK;
}

static int show(const struct cli *cli, const char *file)
{
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct config *config;
	int status;

	if (!file)
		return show_running(cli);
	status = load(file, &text);
	if (status != CLI_OK)
		return status;
	config = config_parse_with(file_name(file), str_get(&text), text.len,
				   files_to_check(), &messages);
	output_lines(stderr, str_get(&messages.text));
	str_reset(&text);
	if (config) {
		config_print(config, &text);
		print_text(cli, str_get(&text));
	} else {
		status = fail_invalid(file, messages.errors);
	}
	config_free(config);
	messages_done(&messages);
	str_done(&text);
	return status;
}

/* --- format -------------------------------------------------------------- */

/* Raw: what is printed is meant to become a file again. */
static int put_formatted(const struct cli *cli, const char *file,
			 const struct str *old, const struct str *text)
{
	struct err e;

	if (cli->is_json && !cli->option[OPT_IN_PLACE])
		print_text(cli, str_get(text));
	else if (!cli->option[OPT_IN_PLACE])
		fwrite(str_get(text), 1, text->len, stdout);
	else if (old->len == text->len &&
		 memcmp(str_get(old), str_get(text), old->len) == 0)
		return CLI_OK;
	else if (file_replace(file, text, &e) < 0)
		return cli_err(&e);
	return CLI_OK;
}

static int format(const struct cli *cli, const char *file)
{
	struct messages messages = { 0 };
	struct str text = { 0 };
	struct str out = { 0 };
	int status;

	if (cli->option[OPT_IN_PLACE] && strcmp(file, "-") == 0)
		return cli_fail(CLI_USAGE,
				"--in-place needs a file, not standard input");
	status = load(file, &text);
	if (status != CLI_OK)
		return status;
	if (config_format(file_name(file), str_get(&text), text.len, &out,
			  &messages) < 0) {
		output_lines(stderr, str_get(&messages.text));
		status = fail_invalid(file, messages.errors);
	} else if (!str_ok(&out)) {
		status = cli_fail(CLI_FAILED, "out of memory");
	} else {
		status = put_formatted(cli, file, &text, &out);
	}
	messages_done(&messages);
	str_done(&text);
	str_done(&out);
	return status;
}

static const struct action actions[] = {
	{ "check", check },
	{ "show", show },
	{ "format", format },
};

enum { ACTION_COUNT = sizeof(actions) / sizeof(actions[0]) };

static int unknown_action(const char *name)
{
	const char *known[ACTION_COUNT + 1];

	for (size_t i = 0; i < ACTION_COUNT; i++)
		known[i] = actions[i].name;
	known[ACTION_COUNT] = "example";
	return cli_unknown("config action", name, known, ACTION_COUNT + 1);
}

int cli_config(const struct cli *cli, int argc, char **argv)
{
	const struct action *a = actions;
	const char *file;
	bool is_example;
	int status;

	if (argc < 2)
		return cli_fail(CLI_USAGE,
				"config: say check, show, format or example "
				"(see 'waylay help config')");
	if (cli->option[OPT_IN_PLACE] && strcmp(argv[1], "format") != 0)
		return cli_fail(CLI_USAGE,
				"--in-place belongs to 'waylay config format'");
	is_example = strcmp(argv[1], "example") == 0;
	status = cli_refuse_operands(argc, argv, is_example ? 4 : 3);
	if (status != CLI_OK)
		return status;
	if (is_example) /* argv ends with NULL */
		return example_print(cli, argv[2], argv[2] ? argv[3] : NULL);
	while (a < actions + ACTION_COUNT && strcmp(a->name, argv[1]) != 0)
		a++;
	if (a == actions + ACTION_COUNT)
		return unknown_action(argv[1]);
	file = argc > 2 ? argv[2] : a->run == show ? NULL : CLI_CONFIG_FILE;
	return a->run(cli, file);
}
