/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_connect.c - open a connection; see nc_connect.h.
 */
#include "cli/nc_connect.h"

#include "net/local.h"
#include "net/sock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

int nc_connect_is_foreign(const struct nc_options *o, struct err *e)
{
	struct nl nl;
	int is_own, error;

	if (!o->source.family)
		return 0;
	error = nl_open(&nl, NETLINK_ROUTE, 0);
	if (error < 0)
		return err_errno(e, -error, "cannot open a netlink socket");
	is_own = local_has(&nl, &o->source, e);
	nl_close(&nl);
	return is_own < 0 ? is_own : !is_own;
}

/* Where from; family 0: wherever the kernel wants. */
static struct addr own_end(const struct nc_options *o, const struct addr *to)
{
	struct addr from = o->source;

	if (!from.family && from.port)
		from.family = to->family; /* any address, this port */
	return from;
}

static int say(const struct nc_way *way, const struct addr *to, int error,
	       struct err *e)
{
	const struct nc_options *o = way->options;
	char to_text[ADDR_TEXT_MAX], from_text[ADDR_TEXT_MAX];
	const char *proto = o->is_udp ? "udp" : "tcp";

	addr_format(to, to_text);
	if (!o->source.family)
		return err_errno(e, -error, "cannot connect to %s/%s", to_text,
				 proto);
	addr_format_ip(&o->source, from_text);
	if (way->is_foreign && error == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT,
			       "cannot connect to %s/%s from %s: no answer "
			       "came; answers to a foreign address reach this "
			       "host only if its routers send them here, and "
			       "are kept here by an interception: see --from",
			       to_text, proto, from_text);
	return err_errno(e, -error, "cannot connect to %s/%s from %s", to_text,
			 proto, from_text);
}

/* --- by the library ------------------------------------------------------ */

static int open_foreign(const struct nc_way *way, const struct addr *to,
			struct err *e)
{
	struct waylay_options options = WAYLAY_OPTIONS_INIT;
	struct waylay_error error = WAYLAY_ERROR_INIT;
	struct sockaddr_storage from_ss, to_ss;
	int fd;

	options.flags = WAYLAY_NONBLOCK;
	(void)addr_to_sockaddr(&way->options->source, &from_ss);
	(void)addr_to_sockaddr(to, &to_ss);
	fd = waylay_connect(way->options->is_udp ? SOCK_DGRAM : SOCK_STREAM,
			    (const struct sockaddr *)&from_ss,
			    (const struct sockaddr *)&to_ss, &options, &error);
	return fd < 0 ? err_set(e, -fd, "%s", error.text) : fd;
}

/* --- from this host ------------------------------------------------------ */

/* Programs know of no error queue, and long datagrams go in pieces. */
static int be_usual_udp(int fd, int family)
{
	int error = sock_set_option(fd, family, SOCK_RECVERR, 0);

	if (error < 0)
		return error;
	return sock_set_option(fd, family, SOCK_MTU_DISCOVER, IP_PMTUDISC_WANT);
}

static int start_own(const struct nc_options *o, const struct addr *from,
		     const struct addr *to)
{
	const struct addr *src = from->family ? from : NULL;
	int fd = o->is_udp ? sock_leg_udp(src, to, 0)
			   : sock_leg_tcp(to->family, src, 0);
	int error;

	if (fd < 0)
		return fd;
	error = o->is_udp ? be_usual_udp(fd, to->family) : sock_connect(fd, to);
	if (error == 0 || error == -EINPROGRESS)
		return fd;
	close(fd);
	return error;
}

static int open_own(const struct nc_way *way, const struct addr *to,
		    struct err *e)
{
	struct addr from = own_end(way->options, to);
	int fd = start_own(way->options, &from, to);

	return fd < 0 ? say(way, to, fd, e) : fd;
}

/* --- waiting ------------------------------------------------------------- */

static int wait_connected(const struct nc_way *way, int fd)
{
	int wait_ms = way->options->wait_ms;
	int ready =
		nc_poll_one(way->watch, fd, POLLOUT, wait_ms ? wait_ms : -1);

	if (ready < 0)
		return ready;
	return ready ? -sock_error(fd) : -ETIMEDOUT;
}

int nc_connect(const struct nc_way *way, const struct addr *to, struct err *e)
{
	int fd = way->is_foreign ? open_foreign(way, to, e)
				 : open_own(way, to, e);
	int error;

	if (fd < 0 || way->options->is_udp)
		return fd;
	error = wait_connected(way, fd);
	if (!error)
		return fd;
	close(fd);
	return error == -EINTR ? error : say(way, to, error, e);
}
