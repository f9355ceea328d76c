/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what every command of the tool has in common.
 *
 * main.c parses all options by the tables of commands.c, then calls the
 * command with what is left of the words.  A command prints its result on
 * stdout and returns its exit status; a failure is one sentence on stderr,
 * by cli_fail() or cli_err().  Read commands.c next.
 */
#ifndef WL_CLI_CLI_H
#define WL_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define CLI_CONFIG_FILE "/etc/waylay/waylay.conf"
#define CLI_NC_USAGE	"[OPTION...] HOST PORT... | -l [OPTION...] [HOST] PORT"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NO_DAEMON = 3,
	CLI_NO_PRIVILEGE = 4,
	CLI_BAD_CONFIG = 5,
	CLI_NOT_EXPRESSED = 6,
};

/* Every option of every command; the rows are in commands.c. */
enum cli_option_id {
	OPT_JSON,
	OPT_RUN_DIR,
	OPT_HELP,
	OPT_VERSION,
	OPT_ENDED,
	OPT_WATCH,
	OPT_IN_PLACE,
	OPT_ENGINE,
	OPT_ALL,
	OPT_FROM,
	OPT_TCP,
	OPT_UDP,
	OPT_EXCEPT_DST,
	OPT_SOURCE,
	OPT_ON_FAILURE,
	OPT_QUIET,
	OPT_NAME,
	OPT_QUIC,
	OPT_VIA,
	OPT_ALLOW,
	OPT_DENY,
	OPT_LOG,
	OPT_PCAP,
	OPT_USER,
	OPT_NC_IPV4,
	OPT_NC_IPV6,
	OPT_NC_CRLF,
	OPT_NC_NO_STDIN,
	OPT_NC_KEEP_OPEN,
	OPT_NC_LISTEN,
	OPT_NC_SHUTDOWN,
	OPT_NC_NUMERIC,
	OPT_NC_SOURCE_PORT,
	OPT_NC_QUIT,
	OPT_NC_SOURCE,
	OPT_NC_UDP,
	OPT_NC_VERBOSE,
	OPT_NC_WAIT,
	OPT_NC_ZERO,
	OPT_NC_TPROXY,
	OPT_NC_ORIG_DST,
	OPT_NC_TAKE,
	OPT_NC_EXEC,
	OPT_NC_SH_EXEC,
	OPT_COUNT, /* at most 64: a command has a bit for each */
};

/* One option that has a value, as it was written. */
struct cli_given {
	enum cli_option_id id;
	char *value; /* a word of the command line; may be covered */
};

struct cli {
	const char *run_dir; /* in force: option, environment or default */
	bool is_json;
	/* NULL: not given; "" for an option without value */
	const char *option[OPT_COUNT];
	/* Those with values, in their order, for what may be repeated. */
	struct cli_given *given;
	size_t given_count;
};

/* argv[0] is the command's name, the others are its operands; options are
 * taken out.  Ends with NULL.  Returns an enum cli_exit, or what an executed
 * program returned. */
typedef int (*cli_command_fn)(const struct cli *cli, int argc, char **argv);

int cli_status(const struct cli *cli, int argc, char **argv);
int cli_flows(const struct cli *cli, int argc, char **argv);
int cli_upstream(const struct cli *cli, int argc, char **argv);
int cli_reload(const struct cli *cli, int argc, char **argv);
int cli_config(const struct cli *cli, int argc, char **argv);
int cli_rules(const struct cli *cli, int argc, char **argv);
int cli_explain(const struct cli *cli, int argc, char **argv);
int cli_run(const struct cli *cli, int argc, char **argv);
int cli_exec(const struct cli *cli, int argc, char **argv);
int cli_import(const struct cli *cli, int argc, char **argv);
int cli_nc(const struct cli *cli, int argc, char **argv);
int cli_version(const struct cli *cli, int argc, char **argv);
int cli_help(const struct cli *cli, int argc, char **argv);

/* --- fail.c: failures ---------------------------------------------------- */

/* Print "waylay: " and the sentence, escaped; return `status`. */
int cli_fail(enum cli_exit status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for e; the exit status follows from its code. */
int cli_err(const struct err *e);
/* Refuse operands that nothing takes, from argv[first] on; CLI_OK: none. */
int cli_refuse_operands(int argc, char **argv, int first);
/* "unknown COMMAND 'x'", with the nearest of `known`; returns CLI_USAGE. */
int cli_unknown(const char *what, const char *wrong, const char *const *known,
		size_t count);

/* --- ask.c: the daemon --------------------------------------------------- */

/* A request for `command`; NULL without memory, which cli_ask() takes. */
json_t *cli_request(const char *command);
/* Take request, ask, print what failed.  CLI_OK: *reply is new and holds the
 * data of an ok reply, without "ok". */
int cli_ask(const struct cli *cli, json_t *request, json_t **reply);
/* Print the result of a command as JSON. */
void cli_print_json(const json_t *data);

/* Fields of a reply of any version: what is missing or of another type is
 * "" or 0 or an empty array. */
const char *cli_text(const json_t *object, const char *key);
int64_t cli_number(const json_t *object, const char *key);

#endif
