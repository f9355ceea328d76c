/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destination.c - where a client wanted to go; see waylay.h.
 *
 * TPROXY leaves the address as it is: the accepted socket has it.  REDIRECT
 * and DNAT change it to one of this host and only conntrack knows the first.
 * So conntrack is asked only about connections whose address is this host's:
 * an entry that is older than an intercepted connection is never believed.
 */
#include "lib/args.h"
#include "lib/error.h"
#include "net/local.h"
#include "net/sock.h"

#include <errno.h>
#include <linux/netlink.h>

static int check_connection(int fd, struct err *e)
{
	int type = args_socket_is(fd, SO_TYPE);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (type < 0)
		return err_errno(e, -type, "descriptor %d is no socket", fd);
	if (type != SOCK_STREAM)
		return err_set(
			e, EPROTOTYPE,
			"descriptor %d is no TCP connection: waylay_recv "
			"tells where each datagram was sent to",
			fd);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return err_errno(e, errno, "descriptor %d has no peer", fd);
	return 0;
}

static int get_own(int fd, struct addr *out, struct err *e)
{
	int error = sock_local_addr(fd, out);

	if (error < 0)
		return err_errno(e, -error, "descriptor %d has no address", fd);
	if (!out->family)
		return err_set(e, EAFNOSUPPORT,
			       "descriptor %d is no socket of IPv4 or IPv6",
			       fd);
	(void)addr_unmap(out); /* of IPv4, on an IPv6 socket */
	return 0;
}

static int is_of_this_host(const struct addr *a, struct err *e)
{
	struct nl nl;
	int is_own, error = nl_open(&nl, NETLINK_ROUTE, 0);

	if (error < 0)
		return err_errno(e, -error, "cannot open a netlink socket");
	is_own = local_has(&nl, a, e);
	nl_close(&nl);
	return is_own;
}

/* An entry of what came by itself has the socket's own address. */
static bool was_redirected(int fd, const struct addr *own, struct addr *before)
{
	return sock_redirected_addr(fd, before) == 0 && before->family &&
	       !addr_equal(own, before);
}

static int find(int fd, struct addr *out, struct err *e)
{
	struct addr own, before;
	int error = check_connection(fd, e), is_own;

	if (!error)
		error = get_own(fd, &own, e);
	if (error < 0)
		return error;
	is_own = is_of_this_host(&own, e);
	if (is_own < 0)
		return is_own;
	if (!is_own) {
		*out = own;
		return WAYLAY_TPROXY;
	}
	if (was_redirected(fd, &own, &before)) {
		*out = before;
		return WAYLAY_REDIRECT;
	}
	*out = own;
	return WAYLAY_PLAIN;
}

int waylay_destination(int fd, struct sockaddr_storage *destination,
		       struct waylay_error *error)
{
	struct sockaddr_storage ss = { 0 };
	struct err e = { 0 };
	struct addr found;
	int way;

	if (!destination) {
		(void)err_set(&e, EINVAL, "no place for the destination");
		return error_tell(error, &e);
	}
	way = find(fd, &found, &e);
	if (way < 0)
		return error_tell(error, &e);
	(void)addr_to_sockaddr(&found, &ss);
	*destination = ss;
	return way;
}
