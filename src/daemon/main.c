/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - waylayd: options and exit status.
 *
 * All else is in supervisor.c.  This file is one of the few that print.
 */
#include "base/log.h"
#include "base/str.h"
#include "daemon/load.h"
#include "daemon/supervisor.h"
#include "engine/files.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PRIVILEGE = 4,
	EXIT_CONFIG = 5,
};

enum {
	OPTION_RUN_DIR = 256,
	OPTION_CHECK,
	OPTION_CLEANUP,
	OPTION_PRIVATE,
	OPTION_STRICT,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "run-dir", required_argument, NULL, OPTION_RUN_DIR },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "cleanup", no_argument, NULL, OPTION_CLEANUP },
	{ "private", required_argument, NULL, OPTION_PRIVATE },
	{ "strict-sandbox", no_argument, NULL, OPTION_STRICT },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"usage: waylayd [-c FILE] [--run-dir DIR] [--check] [--cleanup]\n"
	"\n"
	"  -c, --config FILE   configuration (/etc/waylay/waylay.conf)\n"
	"      --run-dir DIR   control socket's directory (/run/waylay)\n"
	"      --check         judge the configuration and end\n"
	"      --cleanup       remove what a killed waylayd left behind\n"
	"      --strict-sandbox  kill a worker that makes a system call\n"
	"                      that is not on its list\n"
	"      --version, --help\n"
	"\n"
	"It stays in the foreground and logs to standard error.  See\n"
	"waylayd(8), waylay.conf(5).\n";

static int exit_status_of(int error)
{
	switch (error) {
	case 0:
		return EXIT_OK;
	case -EINVAL: /* the messages were printed */
		return EXIT_CONFIG;
	case -EPERM:
	case -EACCES:
		return EXIT_PRIVILEGE;
	default:
		return EXIT_FAILED;
	}
}

static int finish(int error, const struct err *e)
{
	if (error < 0 && e->text[0])
		log_error("%s", e->text);
	return exit_status_of(error);
}

static int check(const char *file)
{
	struct str messages = { 0 };
	struct config *c = NULL;
	struct err e = { 0 };
	int error = load_config(file, files_to_check(), &c, &messages, &e);

	fputs(str_get(&messages), stderr);
	str_done(&messages);
	config_free(c);
	if (!error)
		printf("%s: ok\n", file);
	return finish(error, &e);
}

static int parse_descriptor(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	return *text && !*end && number >= 0 && number < 1 << 20 ? (int)number
								 : -1;
}

/* Whoever starts us may have closed 0, 1 or 2; a socket in such a place would
 * receive what is printed. */
static bool has_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int main(int argc, char **argv)
{
	const char *run_dir = getenv("WAYLAY_RUN_DIR");
	struct supervisor_options o = {
		.config_file = "/etc/waylay/waylay.conf",
		.run_dir = run_dir && *run_dir ? run_dir : "/run/waylay",
		.private_netns = -1,
	};
	bool is_check = false, is_cleanup = false;
	struct err e = { 0 };
	int option;

	(void)signal(SIGPIPE, SIG_IGN); /* child.h asks for it */
	if (!has_standard_descriptors())
		return EXIT_FAILED;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c':
			o.config_file = optarg;
			break;
		case OPTION_RUN_DIR:
			o.run_dir = optarg;
			break;
		case OPTION_CHECK:
			is_check = true;
			break;
		case OPTION_CLEANUP:
			is_cleanup = true;
			break;
		case OPTION_PRIVATE:
			o.is_private = true;
			o.private_netns = parse_descriptor(optarg);
			break;
		case OPTION_STRICT:
			o.is_strict = true;
			break;
		case OPTION_VERSION:
			puts("waylayd " WAYLAY_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (o.is_private && o.private_netns < 0) {
		fputs("waylayd: --private takes the number of a descriptor\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (optind < argc) {
		fprintf(stderr, "waylayd: unexpected word \"%s\"\n%s",
			argv[optind], usage);
		return EXIT_USAGE;
	}
	if (is_check)
		return check(o.config_file);
	if (is_cleanup)
		return finish(supervisor_cleanup(&e), &e);
	return finish(supervisor_run(&o, &e), &e);
}
