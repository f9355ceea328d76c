/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_scan.h - `waylay nc -z`: does somebody listen?
 */
#ifndef WL_CLI_NC_SCAN_H
#define WL_CLI_NC_SCAN_H

#include "cli/nc_connect.h"

/* What was opened to a UDP port tells nothing by itself: send a byte and wait
 * a moment (-w, or a second) for a refusal.  0: none came, -errno. */
int nc_scan_udp(const struct nc_way *way, int fd, const struct addr *to,
		struct err *e);

#endif
