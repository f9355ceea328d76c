/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_options.c - read the options of `waylay nc`; see nc_options.h.
 */
#include "cli/nc_options.h"

#include "cli/commands.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PORT_MAX = 65535, SECONDS_MAX = INT_MAX / 1000 };

#define USAGE "\nusage: waylay nc " CLI_NC_USAGE

/* --- options that go together, and that do not --------------------------- */

static const struct {
	enum cli_option_id option, other;
} needs[] = {
	{ OPT_NC_KEEP_OPEN, OPT_NC_LISTEN },
	{ OPT_NC_ORIG_DST, OPT_NC_LISTEN },
	{ OPT_NC_TPROXY, OPT_NC_LISTEN },
	{ OPT_NC_TAKE, OPT_NC_LISTEN },
	{ OPT_NC_TAKE, OPT_FROM },
	{ OPT_EXCEPT_DST, OPT_NC_TAKE },
	{ OPT_ENGINE, OPT_FROM },
};

static const struct {
	enum cli_option_id option, other;
} excludes[] = {
	{ OPT_NC_ZERO, OPT_NC_LISTEN },	 { OPT_NC_IPV4, OPT_NC_IPV6 },
	{ OPT_NC_EXEC, OPT_NC_SH_EXEC }, { OPT_NC_EXEC, OPT_NC_ZERO },
	{ OPT_NC_SH_EXEC, OPT_NC_ZERO }, { OPT_NC_CRLF, OPT_NC_UDP },
};

/* "-k", or "--take". */
static const char *spell(enum cli_option_id id, char *buf, size_t size)
{
	const struct cli_option *o = &cli_options[id];

	if (o->letter)
		(void)snprintf(buf, size, "-%c", o->letter);
	else
		(void)snprintf(buf, size, "--%s", o->name);
	return buf;
}

static int check_pairs(const struct cli *cli)
{
	char one[32], other[32];

	for (size_t i = 0; i < COUNT(needs); i++)
		if (cli->option[needs[i].option] &&
		    !cli->option[needs[i].other])
			return cli_fail(CLI_USAGE,
					"nc: %s has a meaning only with "
					"%s" USAGE,
					spell(needs[i].option, one, 32),
					spell(needs[i].other, other, 32));
	for (size_t i = 0; i < COUNT(excludes); i++)
		if (cli->option[excludes[i].option] &&
		    cli->option[excludes[i].other])
			return cli_fail(
				CLI_USAGE,
				"nc: %s and %s exclude each other" USAGE,
				spell(excludes[i].option, one, 32),
				spell(excludes[i].other, other, 32));
	return CLI_OK;
}

static int check_from(const struct cli *cli)
{
	if (!cli->option[OPT_FROM])
		return CLI_OK;
	if (cli->option[OPT_NC_LISTEN] && !cli->option[OPT_NC_TAKE])
		return cli_fail(CLI_USAGE, "nc: --from needs --take PORTS: "
					   "which ports are intercepted" USAGE);
	if (!cli->option[OPT_NC_LISTEN] && !cli->option[OPT_NC_SOURCE])
		return cli_fail(CLI_USAGE,
				"nc: --from without -l needs -s ADDRESS: to "
				"which answers are kept" USAGE);
	return CLI_OK;
}

/* --- values -------------------------------------------------------------- */

/* A whole number from `min` to `max`. */
static bool read_number(const char *text, long min, long max, long *out)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return false;
	*out = value;
	return true;
}

static int read_port_option(const struct cli *cli, enum cli_option_id id,
			    uint16_t *out)
{
	const char *text = cli->option[id];
	char name[32];
	long port;

	if (!text)
		return CLI_OK;
	if (!read_number(text, 1, PORT_MAX, &port))
		return cli_fail(CLI_USAGE,
				"nc: %s: '%s' is no port from 1 to 65535" USAGE,
				spell(id, name, sizeof(name)), text);
	*out = (uint16_t)port;
	return CLI_OK;
}

static int read_seconds(const struct cli *cli, enum cli_option_id id, long min,
			int *out_ms)
{
	const char *text = cli->option[id];
	char name[32];
	long seconds;

	if (!text)
		return CLI_OK;
	if (!read_number(text, min, SECONDS_MAX, &seconds))
		return cli_fail(CLI_USAGE,
				"nc: %s: '%s' is no number of seconds from "
				"%ld" USAGE,
				spell(id, name, sizeof(name)), text, min);
	*out_ms = (int)seconds * 1000;
	return CLI_OK;
}

static int read_times(const struct cli *cli, struct nc_options *o)
{
	int status = read_seconds(cli, OPT_NC_WAIT, 1, &o->wait_ms);

	if (status == CLI_OK)
		status = read_seconds(cli, OPT_NC_QUIT, -SECONDS_MAX,
				      &o->quit_ms);
	if (o->quit_ms < 0)
		o->quit_ms = -1;
	else
		o->wants_shutdown = true;
	return status;
}

static int read_source(const struct cli *cli, struct nc_options *o)
{
	const char *text = cli->option[OPT_NC_SOURCE];
	struct addr a = { 0 };
	int status;

	if (text && addr_parse_ip(text, &a) < 0 && addr_parse(text, &a) < 0)
		return cli_fail(CLI_USAGE,
				"nc: -s: '%s' is no address, and no "
				"ADDRESS:PORT" USAGE,
				text);
	if (a.port && cli->option[OPT_NC_SOURCE_PORT])
		return cli_fail(CLI_USAGE, "nc: -s and -p both name a "
					   "port" USAGE);
	status = read_port_option(cli, OPT_NC_SOURCE_PORT, &a.port);
	o->source = a;
	return status;
}

static int read_command(const struct cli *cli, struct nc_options *o)
{
	o->has_shell = cli->option[OPT_NC_SH_EXEC];
	o->command = cli->option[o->has_shell ? OPT_NC_SH_EXEC : OPT_NC_EXEC];
	if (o->command && !o->command[strspn(o->command, " \t\n")])
		return cli_fail(CLI_USAGE, "nc: the command to execute is "
					   "empty" USAGE);
	return CLI_OK;
}

/* --- operands ------------------------------------------------------------ */

static bool read_range(const char *text, struct nc_ports *out)
{
	const char *dash = strchr(text, '-');
	char first_text[8] = "";
	long first, last;

	if (!dash || (size_t)(dash - text) >= sizeof(first_text))
		return false;
	memcpy(first_text, text, (size_t)(dash - text));
	if (!read_number(first_text, 1, PORT_MAX, &first) ||
	    !read_number(dash + 1, 1, PORT_MAX, &last))
		return false;
	*out = (struct nc_ports){
		.first = (uint16_t)(first < last ? first : last),
		.last = (uint16_t)(first < last ? last : first),
	};
	return true;
}

static bool read_ports(const char *text, bool is_udp, struct nc_ports *out)
{
	struct servent *service;
	long port;

	if (read_number(text, 1, PORT_MAX, &port)) {
		*out = (struct nc_ports){ (uint16_t)port, (uint16_t)port };
		return true;
	}
	if (read_range(text, out))
		return true;
	service = getservbyname(text, is_udp ? "udp" : "tcp");
	if (!service)
		return false;
	out->first = out->last = ntohs((uint16_t)service->s_port);
	return true;
}

static int add_ports(const char *text, struct nc_options *o)
{
	if (o->port_count == NC_PORTS_MAX)
		return cli_fail(CLI_USAGE,
				"nc: more than %d ports are named; "
				"use a range" USAGE,
				NC_PORTS_MAX);
	if (!read_ports(text, o->is_udp, &o->ports[o->port_count]))
		return cli_fail(CLI_USAGE,
				"nc: '%s' is no port: neither a number from 1 "
				"to 65535, nor a range, nor a service" USAGE,
				text);
	o->port_count++;
	return CLI_OK;
}

static int read_target(int argc, char **argv, struct nc_options *o)
{
	int status = CLI_OK;

	if (argc < 3)
		return cli_fail(CLI_USAGE, "nc: %s" USAGE,
				argc < 2 ? "no host is named"
					 : "no port is named");
	o->host = argv[1];
	for (int i = 2; i < argc && status == CLI_OK; i++)
		status = add_ports(argv[i], o);
	return status;
}

/* Where to listen: by words, or by -s and -p; not both. */
static int read_place(int argc, char **argv, struct nc_options *o)
{
	bool has_source = o->source.family || o->source.port;
	int status;

	if (argc > 3)
		return cli_fail(CLI_USAGE,
				"nc: '%s' is one word too many" USAGE, argv[3]);
	if (argc > 1 && (has_source || o->is_transparent))
		return cli_fail(CLI_USAGE,
				"nc: where to listen is said twice: '%s', and "
				"by an option" USAGE,
				argv[1]);
	if (has_source && o->is_transparent)
		return cli_fail(CLI_USAGE,
				"nc: -s and -p do not go with --tproxy or "
				"--from" USAGE);
	if (argc < 2) {
		if (!o->is_transparent && !o->source.port)
			return cli_fail(CLI_USAGE,
					"nc: no port is named" USAGE);
		return CLI_OK;
	}
	if (argc == 3)
		o->host = argv[1];
	status = add_ports(argv[argc - 1], o);
	if (status == CLI_OK && o->ports[0].first != o->ports[0].last)
		return cli_fail(CLI_USAGE,
				"nc: -l takes one port, not "
				"'%s'" USAGE,
				argv[argc - 1]);
	return status;
}

/* --- all ----------------------------------------------------------------- */

static void read_flags(const struct cli *cli, struct nc_options *o)
{
	const char *const *given = cli->option;

	o->family = given[OPT_NC_IPV4]	 ? AF_INET
		    : given[OPT_NC_IPV6] ? AF_INET6
					 : AF_UNSPEC;
	o->is_udp = given[OPT_NC_UDP];
	o->is_listening = given[OPT_NC_LISTEN];
	o->is_scan = given[OPT_NC_ZERO];
	o->is_verbose = given[OPT_NC_VERBOSE];
	o->is_numeric = given[OPT_NC_NUMERIC];
	o->is_kept = given[OPT_NC_KEEP_OPEN];
	o->has_no_input = given[OPT_NC_NO_STDIN];
	o->wants_shutdown = given[OPT_NC_SHUTDOWN];
	o->has_crlf = given[OPT_NC_CRLF];
	o->from = given[OPT_FROM];
	o->take = given[OPT_NC_TAKE];
	o->except_dst = given[OPT_EXCEPT_DST];
	o->engine = given[OPT_ENGINE];
	o->is_transparent =
		o->is_listening && (given[OPT_NC_TPROXY] || o->from);
	o->tells_destination = given[OPT_NC_ORIG_DST] || o->is_transparent;
}

static int check_family(struct nc_options *o)
{
	if (!o->source.family)
		return CLI_OK;
	if (o->family == AF_UNSPEC)
		o->family = o->source.family;
	if (o->family == o->source.family)
		return CLI_OK;
	return cli_fail(CLI_USAGE,
			"nc: the address of -s is not of the IP "
			"version that -%c asks for" USAGE,
			o->family == AF_INET6 ? '6' : '4');
}

int nc_options_read(const struct cli *cli, int argc, char **argv,
		    struct nc_options *out)
{
	int status = check_pairs(cli);

	*out = (struct nc_options){ .quit_ms = -1 };
	read_flags(cli, out);
	if (status == CLI_OK)
		status = check_from(cli);
	if (status == CLI_OK)
		status = read_times(cli, out);
	if (status == CLI_OK)
		status = read_source(cli, out);
	if (status == CLI_OK)
		status = check_family(out);
	if (status == CLI_OK)
		status =
			read_port_option(cli, OPT_NC_TPROXY, &out->tproxy_port);
	if (status == CLI_OK)
		status = read_command(cli, out);
	if (status != CLI_OK)
		return status;
	return out->is_listening ? read_place(argc, argv, out)
				 : read_target(argc, argv, out);
}
