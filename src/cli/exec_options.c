/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_options.c - read the options of `waylay exec`; see exec_options.h.
 */
#include "cli/exec_options.h"

#include "base/err.h"
#include "cli/exec_rule.h"
#include "cli/exec_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int add_condition(struct exec_conditions *c, const char *word,
			 struct err *e)
{
	struct str line = { 0 };
	int error = exec_rule_write(word, &line, e);
	bool is_name = strncmp(str_get(&line), "domain ", 7) == 0;

	if (!error)
		str_addf(is_name ? &c->names : &c->nets, "%s\n",
			 str_get(&line));
	str_done(&line);
	return error;
}

/* Those that may be given several times, in their order. */
static int read_rules(const struct cli *cli, struct exec_options *o)
{
	struct err e = { 0 };

	for (size_t i = 0; i < cli->given_count; i++) {
		const struct cli_given *g = &cli->given[i];

		if (g->id != OPT_ALLOW && g->id != OPT_DENY)
			continue;
		o->has_rules = true;
		if (add_condition(g->id == OPT_ALLOW ? &o->allow : &o->deny,
				  g->value, &e) < 0)
			return cli_fail(CLI_USAGE, "exec: --%s: %s",
					g->id == OPT_ALLOW ? "allow" : "deny",
					e.text);
	}
	return CLI_OK;
}

static int read_via(const struct cli *cli, struct exec_options *o)
{
	const char *url = cli->option[OPT_VIA];
	struct err e = { 0 };
	int error = url ? exec_via_parse(url, &o->via, &e) : 0;

	for (size_t i = 0; i < cli->given_count; i++)
		if (cli->given[i].id == OPT_VIA)
			exec_via_cover(cli->given[i].value);
	return error < 0 ? cli_fail(CLI_USAGE, "exec: %s", e.text) : CLI_OK;
}

static int read_user(const struct cli *cli, struct exec_options *o)
{
	struct err e = { 0 };

	o->user = cli->option[OPT_USER];
	if (!o->user)
		return CLI_OK;
	if (!exec_user_is_privileged())
		return cli_fail(CLI_NO_PRIVILEGE,
				"exec: --user: not privileged: only root can "
				"run a command as another user");
	if (exec_user_check(o->user, &e) < 0)
		return cli_fail(CLI_USAGE, "exec: %s", e.text);
	return CLI_OK;
}

/* "-": standard error, since standard output is the command's. */
static int open_log(const char *name, struct exec_options *o)
{
	if (!name)
		return CLI_OK;
	if (!strcmp(name, "-")) {
		int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

		o->log = fd < 0 ? NULL : fdopen(fd, "w");
	} else {
		o->log = fopen(name, "we");
	}
	if (o->log)
		return CLI_OK;
	return cli_fail(CLI_FAILED, "exec: cannot write %s: %s", name,
			strerror(errno));
}

static int open_pcap(const char *name, struct exec_options *o)
{
	if (!name)
		return CLI_OK;
	o->pcap = name;
	o->pcap_fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (o->pcap_fd >= 0)
		return CLI_OK;
	return cli_fail(CLI_FAILED, "exec: cannot write %s: %s", name,
			strerror(errno));
}

int exec_options_read(const struct cli *cli, struct exec_options *out)
{
	int status;

	*out = (struct exec_options){
		.pcap_fd = -1,
		.is_quiet = cli->option[OPT_QUIET],
		.is_json = cli->is_json,
	};
	status = read_via(cli, out);
	if (status == CLI_OK)
		status = read_rules(cli, out);
	if (status == CLI_OK)
		status = read_user(cli, out);
	if (status == CLI_OK)
		status = open_log(cli->option[OPT_LOG], out);
	if (status == CLI_OK)
		status = open_pcap(cli->option[OPT_PCAP], out);
	return status;
}

static void free_conditions(struct exec_conditions *c)
{
	str_done(&c->nets);
	str_done(&c->names);
}

void exec_options_done(struct exec_options *o)
{
	exec_via_wipe(&o->via);
	free_conditions(&o->allow);
	free_conditions(&o->deny);
	if (o->log)
		(void)fclose(o->log); /* exec_log.c has looked for errors */
	if (o->pcap_fd >= 0)
		close(o->pcap_fd);
}
