/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.h - the two network namespaces of `waylay exec`.
 *
 *	inner                     middle                     this host
 *	COMMAND                   waylayd: rules, listeners
 *	192.0.0.2 ---- veth ----- 192.0.0.1
 *	                          worker: server legs ------ its own address
 *
 * (The worker's sockets are opened on this host; see daemon/outside.h.)
 *
 * Both namespaces have no name: they exist only as long as a process is in
 * them, so nothing can be left behind.  Nothing at all is installed on the
 * host: the private waylayd's rules are in the middle, and only its worker's
 * sockets are in the host's namespace.
 */
#ifndef WL_CLI_ENCLAVE_H
#define WL_CLI_ENCLAVE_H

#include "base/err.h"

#include <stdbool.h>

struct addr;

#define ENCLAVE_LINK	   "wl0"  /* the middle's end of the veth pair */
#define ENCLAVE_INNER_LINK "eth0" /* the command's */

/*
 * Make the middle namespace and connect it with the inner one (descriptor of
 * /proc/PID/ns/net): a link, addresses at both ends, and the inner one's
 * default routes.  The caller stays where it is.  *middle_ns is a descriptor,
 * close-on-exec, and all that keeps the namespace there.
 */
int enclave_open(int inner_ns, bool has_v6, int *middle_ns, struct err *e);

/* The middle's address, which is the command's gateway; IPv4 or IPv6. */
void enclave_gateway(bool is_v6, struct addr *out);

/* Does this namespace reach anything beyond itself by IPv6?  If it does not,
 * the command had better not see IPv6 at all. */
bool enclave_wants_v6(void);

#endif
