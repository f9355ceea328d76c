/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_pump.h - move a byte stream both ways: standard input to a TCP
 * connection, the connection to standard output.
 *
 *	stdin --- up ---> connection --- down ---> stdout
 *
 * A direction reads only when it has nothing left to write, so memory is
 * bounded and a slow side slows the other.  The end of standard input is not
 * passed on unless options say so (-N, -q), as OpenBSD's netcat does it.
 * Nothing here closes a descriptor.  Read nc_end.h next.
 */
#ifndef WL_CLI_NC_PUMP_H
#define WL_CLI_NC_PUMP_H

#include "base/err.h"
#include "cli/nc_options.h"
#include "cli/nc_watch.h"

struct nc_pump {
	struct nc_watch *watch;
	const struct nc_options *options;
	int net;     /* non-blocking */
	int in, out; /* standard streams; in -1: not read */
};

enum nc_pumped {
	NC_CUT,	     /* a stream is not complete: to be reset; e says why */
	NC_STOPPED,  /* by a signal: to be reset */
	NC_SILENT,   /* -w: ours was complete, the peer's was not; e says */
	NC_FINISHED, /* to be ended in order */
};

enum nc_pumped nc_pump_run(const struct nc_pump *p, struct err *e);

#endif
