/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - `waylay run`: waylayd in the foreground, configured by options.
 *
 * The options become a configuration in a memfd, which waylayd opens as
 * /proc/self/fd/N.  It inherits the descriptor, so a reload reads the same
 * text again.  A value can hold only what numbers, names and addresses are
 * made of, so none can begin a statement of its own.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/find.h"
#include "cli/output.h"
#include "engine/engine.h"
#include "engine/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char value_bytes[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	"_-.,:/*@% ";

static int check_values(const struct cli *cli)
{
	for (int i = OPT_FROM; i <= OPT_ON_FAILURE; i++) {
		const char *value = cli->option[i];

		if (value && (!*value || value[strspn(value, value_bytes)]))
			return cli_fail(CLI_USAGE,
					"run: the value '%s' holds what no "
					"name, port or address can",
					value);
	}
	if (cli->option[OPT_FROM])
		return CLI_OK;
	return cli_fail(CLI_USAGE, "run: say with --from IFACE behind which "
				   "interface the clients are");
}

/* One statement, if there is a value. */
static void add_statement(struct str *out, const char *words, const char *value)
{
	if (value)
		str_addf(out, "%s %s\n", words, value);
}

static void write_config(const struct cli *cli, struct str *out)
{
	const char *tcp = cli->option[OPT_TCP];
	const char *udp = cli->option[OPT_UDP];
	const char *source = cli->option[OPT_SOURCE];

	add_statement(out, "on-failure", cli->option[OPT_ON_FAILURE]);
	if (cli->is_json)
		str_add(out, "log { format json }\n");
	str_add(out, "intercept run {\n");
	add_statement(out, "from", cli->option[OPT_FROM]);
	add_statement(out, "tcp", tcp || udp ? tcp : "any");
	add_statement(out, "udp", udp);
	add_statement(out, "except dst", cli->option[OPT_EXCEPT_DST]);
	str_add(out, "}\nupstream out {\nvia direct\n");
	add_statement(out, "source", source ? source : "client");
	str_add(out, "}\nrules { default -> out }\n");
}

static int check_config(const struct str *text)
{
	struct messages messages = { 0 };
	struct config *config =
		engine_parse("options", str_get(text), text->len,
			     files_to_check(), &messages);
	bool is_valid = config;

	output_lines(stderr, str_get(&messages.text));
	config_free(config);
	messages_done(&messages);
	if (is_valid)
		return CLI_OK;
	return cli_fail(CLI_BAD_CONFIG,
			"run: the options make no valid configuration");
}

static int execute(const struct cli *cli, int fd)
{
	char path[PATH_MAX];
	char config[64];
	struct err e;

	if (find_waylayd(path, &e) < 0)
		return cli_err(&e);
	(void)snprintf(config, sizeof(config), "/proc/self/fd/%d", fd);
	execl(path, "waylayd", "--config", config, "--run-dir", cli->run_dir,
	      (char *)NULL);
	(void)err_errno(&e, errno, "cannot execute %s", path);
	return cli_err(&e);
}

static int write_and_execute(const struct cli *cli, const struct str *text)
{
	int fd = file_in_memory("waylay-run", text);
	int status;

	if (fd < 0)
		return cli_fail(CLI_FAILED,
				"cannot write the configuration to memory: %s",
				strerror(errno));
	status = execute(cli, fd);
	close(fd);
	return status;
}

int cli_run(const struct cli *cli, int argc, char **argv)
{
	struct str text = { 0 };
	int status = cli_refuse_operands(argc, argv, 1);

	if (status == CLI_OK)
		status = check_values(cli);
	if (status != CLI_OK)
		return status;
	write_config(cli, &text);
	status = check_config(&text);
	if (status == CLI_OK)
		status = write_and_execute(cli, &text);
	str_done(&text);
	return status;
}
