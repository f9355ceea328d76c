/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_end.c - how a TCP connection ends; see nc_end.h.
 */
#include "cli/nc_end.h"

#include "base/loop.h"
#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { ACKNOWLEDGED_MS = 60000, LOOK_EVERY_MS = 20 };

int nc_end_guarded(int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		return -errno;
	return 0;
}

int nc_end_acknowledged(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int error = sock_error(fd);

	if (error)
		return -error;
	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	return info.tcpi_state == TCP_CLOSE ||
	       info.tcpi_state == TCP_FIN_WAIT2 ||
	       info.tcpi_state == TCP_TIME_WAIT;
}

/* The kernel tells nobody of an acknowledgement alone: look now and then. */
static int wait_acknowledged(struct nc_watch *w, int fd)
{
	uint64_t end_ms = clock_ms() + ACKNOWLEDGED_MS;
	int result;

	while ((result = nc_end_acknowledged(fd)) == 0) {
		if (clock_ms() >= end_ms)
			return -ETIMEDOUT;
		if (nc_poll_one(w, fd, 0, LOOK_EVERY_MS) == -EINTR)
			return -EINTR;
	}
	return result < 0 ? result : 0;
}

/* ENOTCONN: both have sent FIN, or there was an RST, which is still to be
 * told. */
static int send_fin(int fd)
{
	if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN)
		return -errno;
	return 0;
}

int nc_end_orderly(struct nc_watch *w, int fd, struct err *e)
{
	int error = send_fin(fd);

	if (!error)
		error = wait_acknowledged(w, fd);
	if (!error) {
		sock_close_orderly(fd);
		return 0;
	}
	close(fd);
	if (error == -EINTR)
		return error;
	return err_errno(e, -error,
			 "the peer has not acknowledged all that "
			 "was sent");
}
