/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_names.h - the addresses that a host of `waylay nc` has.
 */
#ifndef WL_CLI_NC_NAMES_H
#define WL_CLI_NC_NAMES_H

#include "base/err.h"
#include "cli/nc_options.h"

enum { NC_ADDRESSES_MAX = 16, NC_SERVICE_MAX = 32 };

struct nc_addresses {
	struct addr list[NC_ADDRESSES_MAX]; /* in the order to be tried */
	size_t count;
};

/* Addresses of o->host, without ports.  Waits for name servers. */
int nc_names_resolve(const struct nc_options *o, struct nc_addresses *out,
		     struct err *e);
/* "http", or "*" if nobody knows, or must not look. */
const char *nc_names_service(const struct nc_options *o, uint16_t port);

#endif
