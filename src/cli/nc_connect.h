/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_connect.h - the connections that `waylay nc` opens.
 *
 * From an address of this host they are ordinary: no privilege is needed, and
 * an interception of what this host sends takes them like any other.  From a
 * foreign one they are the library's.
 */
#ifndef WL_CLI_NC_CONNECT_H
#define WL_CLI_NC_CONNECT_H

#include "base/err.h"
#include "cli/nc_options.h"
#include "cli/nc_watch.h"

/* Is -s an address that is not of this host?  1, 0 or -errno. */
int nc_connect_is_foreign(const struct nc_options *o, struct err *e);

struct nc_way {
	struct nc_watch *watch;
	const struct nc_options *options;
	bool is_foreign;
};

/* Connect within -w.  A descriptor that does not block, or -errno; -EINTR when
 * a signal wants us to end, which needs no sentence. */
int nc_connect(const struct nc_way *way, const struct addr *to, struct err *e);

#endif
