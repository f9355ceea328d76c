/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.c - help, printed from the tables of commands.c.
 */
#include "cli/commands.h"

#include <string.h>

enum { OPTION_WIDTH = 26, COMMAND_WIDTH = 10 };

static void print_option(const struct cli_option *o, FILE *out)
{
	const char *value = o->value ? o->value : "";
	char short_form[] = "    ";
	char name[64];

	if (o->letter)
		memcpy(short_form, (char[]){ '-', o->letter, ',' }, 3);
	(void)snprintf(name, sizeof(name), "%s--%s %s", short_form, o->name,
		       value); /* fits */
	fprintf(out, "  %-*s %s\n", OPTION_WIDTH, name, o->text);
}

static void print_options(uint64_t options, FILE *out)
{
	fputs("\noptions:\n", out);
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (options & 1ull << i)
			print_option(&cli_options[i], out);
}

void help_tool(FILE *out)
{
	fprintf(out,
		"waylay %s - transparent proxying for Linux\n"
		"\n"
		"usage: waylay [--json] [--run-dir DIR] COMMAND "
		"[ARGUMENT...]\n"
		"\n"
		"commands:\n",
		WAYLAY_VERSION);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-*s %s\n", COMMAND_WIDTH, cli_commands[i].name,
			cli_commands[i].summary);
	print_options(COMMON_OPTIONS, out);
	fputs("\n'waylay help COMMAND' says more; the reference is "
	      "waylay(1).\n",
	      out);
}

void help_command(const struct cli_command *c, FILE *out)
{
	fprintf(out, "usage: waylay %s%s%s\n\n%s\n", c->name,
		*c->usage ? " " : "", c->usage, c->summary);
	print_options(c->options | COMMON_OPTIONS, out);
	fprintf(out, "\n%s", c->text);
}

int cli_help(const struct cli *cli, int argc, char **argv)
{
	const struct cli_command *c;

	(void)cli;
	if (argc < 2) {
		help_tool(stdout);
		return CLI_OK;
	}
	c = command_find(argv[1]);
	if (!c)
		return command_unknown(argv[1]);
	help_command(c, stdout);
	return cli_refuse_operands(argc, argv, 2);
}
