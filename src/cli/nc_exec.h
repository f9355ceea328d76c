/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_exec.h - connections that are given to commands.
 *
 * With -k there is a command for each, as many at a time as NC_CHILDREN_MAX;
 * further clients wait.  A TCP connection itself is the command's standard
 * input and output.  It is ended here, after the command: with FIN, or with RST
 * if the command was killed or could not be started.  With UDP each
 * pair of client and destination is a flow: a command with a socket that keeps
 * datagrams apart, ended by silence (-w) or by itself.
 */
#ifndef WL_CLI_NC_EXEC_H
#define WL_CLI_NC_EXEC_H

#include "cli/nc_listen.h"

struct nc_exec {
	struct nc_watch *watch;
	const struct nc_options *options;
	struct nc_listeners *listeners; /* none: only `net`; closed when there
					 * is nothing more to accept */
};

/* All that come; the status of the (last) command, -EINTR after a signal, or
 * -errno and a sentence. */
int nc_exec_tcp(struct nc_exec *x, struct err *e);
int nc_exec_udp(struct nc_exec *x, struct err *e);
/* One connection that is there already.  Takes net. */
int nc_exec_one(struct nc_exec *x, int net, const struct nc_visit *v,
		struct err *e);

#endif
