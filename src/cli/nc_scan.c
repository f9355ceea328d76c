/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_scan.c - ask a UDP port; see nc_scan.h.
 */
#include "cli/nc_scan.h"

#include "net/sock.h"

#include <errno.h>

enum { REFUSED_WITHIN_MS = 1000 };

int nc_scan_udp(const struct nc_way *way, int fd, const struct addr *to,
		struct err *e)
{
	char text[ADDR_TEXT_MAX];
	int wait_ms = way->options->wait_ms, ready, error;

	if (send(fd, "X", 1, MSG_NOSIGNAL) < 0)
		return err_errno(e, errno, "cannot send to %s/udp",
				 addr_format(to, text));
	ready = nc_poll_one(way->watch, fd, POLLIN,
			    wait_ms ? wait_ms : REFUSED_WITHIN_MS);
	if (ready < 0)
		return ready;
	error = ready ? sock_error(fd) : 0;
	return error ? err_errno(e, error, "nobody listens at %s/udp",
				 addr_format(to, text))
		     : 0;
}
