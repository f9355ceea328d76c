/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_end.h - how `waylay nc` ends a TCP connection.
 *
 * A connection of ours resets when it is closed, or when we are killed: what
 * was cut short does not look complete.  nc_end_orderly() is the one way to
 * end in peace.  It returns when the peer has acknowledged everything, FIN
 * included: an interception that is removed then takes nothing from it.
 */
#ifndef WL_CLI_NC_END_H
#define WL_CLI_NC_END_H

#include "base/err.h"
#include "cli/nc_watch.h"

/* From now on close(2) resets.  0 or -errno. */
int nc_end_guarded(int fd);
/* After FIN: 1 all is acknowledged, 0 not yet, -errno it was reset. */
int nc_end_acknowledged(int fd);
/* FIN, wait for its acknowledgement, close.  Takes fd, also when it fails:
 * then with RST. */
int nc_end_orderly(struct nc_watch *w, int fd, struct err *e);

#endif
