/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the tool `waylay`: parse the words, call the command.
 *
 *	waylay [common options] COMMAND [options and operands]
 *
 * Options are parsed here for all commands, in two passes of getopt_long():
 * up to the command, and behind it.  Which options a command takes, and the
 * function it has, is in commands.c.
 */
#include "cli/commands.h"
#include "control/wire.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_BASE = 256 }; /* getopt_long() values of options: base + id */

/* After a complaint of getopt_long(), optopt is the letter of a short option,
 * the value of a known long one, or 0; a long one is the last word read. */
static int bad_option(int c, char **argv, const char *command)
{
	char letter[] = { '-', (char)optopt, '\0' };
	bool is_letter = optopt > 0 && optopt < LONG_BASE;
	bool is_known = optopt >= LONG_BASE;
	const char *what = is_known ? "takes no value" : "is unknown";

	if (c == ':')
		what = "needs a value";
	return cli_fail(CLI_USAGE, "option %s %s (see 'waylay help%s%s')",
			is_letter ? letter : argv[optind - 1], what,
			command ? " " : "", command ? command : "");
}

/* A letter may have another meaning in another command. */
static enum cli_option_id option_id(int c, uint64_t accepted)
{
	size_t id = 0;

	if (c >= LONG_BASE)
		return (enum cli_option_id)(c - LONG_BASE);
	while (!(accepted & 1ull << id) || cli_options[id].letter != c)
		id++; /* getopt() gives only letters that are there */
	return (enum cli_option_id)id;
}

/* `accepted` options into both forms of getopt_long(). */
static void getopt_tables(uint64_t accepted, struct option *longs, char *shorts)
{
	for (size_t i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];

		if (!(accepted & 1ull << i))
			continue;
		*longs++ = (struct option){
			.name = o->name,
			.has_arg = o->value ? required_argument : no_argument,
			.val = LONG_BASE + (int)i,
		};
		if (o->letter)
			*shorts++ = o->letter;
		if (o->letter && o->value)
			*shorts++ = ':';
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

/* Parse argv[1..] as far as options go (`is_strict`: up to the first operand
 * only).  Returns the index of the first operand, or -1 after a complaint. */
static int parse_options(struct cli *cli, const struct cli_command *command,
			 int argc, char **argv)
{
	bool is_strict = !command || command->is_verbatim;
	uint64_t accepted = COMMON_OPTIONS | (command ? command->options : 0);
	struct option longs[OPT_COUNT + 1];
	char shorts[2 * OPT_COUNT + 3];
	enum cli_option_id id;
	int c;

	(void)stpcpy(shorts, is_strict ? "+:" : ":");
	getopt_tables(accepted, longs, shorts + strlen(shorts));
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == '?' || c == ':') {
			(void)bad_option(c, argv,
					 command ? command->name : NULL);
			return -1;
		}
		id = option_id(c, accepted);
		cli->option[id] = optarg ? optarg : "";
		if (optarg) /* a word has one at most: there is room */
			cli->given[cli->given_count++] =
				(struct cli_given){ id, optarg };
	}
	return optind;
}

static int run_command(struct cli *cli, const struct cli_command *command,
		       int argc, char **argv)
{
	int first = parse_options(cli, command, argc, argv);

	if (first < 0)
		return CLI_USAGE;
	if (cli->option[OPT_HELP]) {
		help_command(command, stdout);
		return CLI_OK;
	}
	if (cli->option[OPT_VERSION])
		return cli_version(cli, 1, argv);
	cli->run_dir = control_run_dir(cli->option[OPT_RUN_DIR]);
	cli->is_json = cli->option[OPT_JSON];
	argv[first - 1] = argv[0];
	return command->run(cli, argc - first + 1, argv + first - 1);
}

static int run_tool(struct cli *cli, int argc, char **argv)
{
	const struct cli_command *command;
	int first = parse_options(cli, NULL, argc, argv);

	if (first < 0)
		return CLI_USAGE;
	if (first < argc) {
		command = command_find(argv[first]);
		if (!command)
			return command_unknown(argv[first]);
		return run_command(cli, command, argc - first, argv + first);
	}
	cli->is_json = cli->option[OPT_JSON];
	if (cli->option[OPT_VERSION])
		return cli_version(cli, 1, argv);
	help_tool(cli->option[OPT_HELP] ? stdout : stderr);
	return cli->option[OPT_HELP] ? CLI_OK : CLI_USAGE;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int status;

	cli.given = calloc((size_t)argc + 1, sizeof(*cli.given));
	if (!cli.given)
		return cli_fail(CLI_FAILED, "no memory");
	status = run_tool(&cli, argc, argv);
	free(cli.given);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK)
		return cli_fail(CLI_FAILED, "cannot write the output: %s",
				strerror(errno));
	return status;
}
