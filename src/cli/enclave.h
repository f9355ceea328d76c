/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.h - the two network namespaces of `waylay exec`.
 *
 *	inner                     middle                     this host
 *	COMMAND                   waylayd: rules, listeners
 *	192.0.0.2 ---- veth ----- 192.0.0.1
 *	                          worker: server legs ------ its own address
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

#define ENCLAVE_LINK "wl0" /* the middle's end of the veth pair */

/*
 * Called by a process that has just made its own, middle namespace: make the
 * link to the inner one (descriptor of /proc/PID/ns/net), give both ends
 * addresses, and the inner one its default routes.  The caller is in the
 * middle namespace when it returns.
 */
int enclave_connect(int inner_ns, bool has_v6, struct err *e);

/* Does this namespace reach anything beyond itself by IPv6?  If it does not,
 * the command had better not see IPv6 at all. */
bool enclave_wants_v6(void);

#endif
