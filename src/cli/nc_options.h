/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_options.h - what `waylay nc` was told, read and judged.
 *
 * Letters and their meaning are those of OpenBSD's netcat; what only waylay
 * has is a long option.  Names are not looked up here: see nc_names.h.
 */
#ifndef WL_CLI_NC_OPTIONS_H
#define WL_CLI_NC_OPTIONS_H

#include "cli/cli.h"
#include "net/addr.h"

enum { NC_PORTS_MAX = 64 };

struct nc_ports {
	uint16_t first, last;
};

struct nc_options {
	int family; /* AF_UNSPEC: both */
	bool is_udp, is_listening, is_scan, is_verbose, is_numeric;
	bool is_kept;		/* -k */
	bool has_no_input;	/* -d */
	bool wants_shutdown;	/* -N, or implied by -q */
	bool has_crlf;		/* -C */
	bool tells_destination; /* --orig-dst, or implied */
	bool is_transparent;	/* --tproxy, or --from with -l */
	bool has_shell;		/* --sh-exec */
	struct addr source;	/* -s and -p; family 0: no -s */
	int wait_ms;		/* -w; 0: none */
	int quit_ms;		/* -q; -1: none */
	uint16_t tproxy_port;	/* 0: any */
	const char *host;	/* NULL: with -l, any */
	struct nc_ports ports[NC_PORTS_MAX];
	size_t port_count;
	const char *from, *take, *except_dst, *engine; /* NULL: not said */
	const char *command; /* --exec, --sh-exec; NULL: standard streams */
};

/* CLI_OK, or CLI_USAGE and a sentence. */
int nc_options_read(const struct cli *cli, int argc, char **argv,
		    struct nc_options *out);

#endif
