/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.c - what a program hands in; see args.h.
 */
#include "lib/args.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
	FLAGS_KNOWN = WAYLAY_NONBLOCK | WAYLAY_REUSEPORT,
	OPTIONS_MAX = 4096, /* no version will have more: a wrong size */
};

/* Bytes behind what is known here must be zero: they ask for nothing. */
static int copy_known(const struct waylay_options *in,
		      struct waylay_options *out, struct err *e)
{
	const char *bytes = (const char *)in;

	if (in->size < sizeof(in->size))
		return err_set(e, EINVAL,
			       "the size of the options is not set: %zu",
			       in->size);
	if (in->size > OPTIONS_MAX)
		return err_set(e, E2BIG, "options of %zu bytes", in->size);
	for (size_t i = sizeof(*out); i < in->size; i++)
		if (bytes[i])
			return err_set(e, E2BIG,
				       "the options ask for what this version "
				       "(%s) does not have",
				       WAYLAY_VERSION);
	memcpy(out, in, in->size < sizeof(*out) ? in->size : sizeof(*out));
	return 0;
}

static int check_values(const struct waylay_options *o, struct err *e)
{
	if (o->flags & ~(uint32_t)FLAGS_KNOWN)
		return err_set(e, EINVAL, "unknown flags 0x%x in the options",
			       o->flags & ~(uint32_t)FLAGS_KNOWN);
	if (o->backlog < 0)
		return err_set(e, EINVAL, "the backlog is negative: %d",
			       o->backlog);
	if (o->timeout_ms < 0)
		return err_set(e, EINVAL, "the timeout is negative: %d",
			       o->timeout_ms);
	return 0;
}

int args_options(const struct waylay_options *in, struct waylay_options *out,
		 struct err *e)
{
	struct waylay_options o = { 0 };
	int error = in ? copy_known(in, &o, e) : 0;

	if (!error)
		error = check_values(&o, e);
	if (error < 0)
		return error;
	if (!o.mark)
		o.mark = WAYLAY_MARK;
	if (!o.backlog)
		o.backlog = WAYLAY_BACKLOG;
	*out = o;
	return 0;
}

int args_address(const struct sockaddr *in, const char *what, struct addr *out,
		 struct err *e)
{
	struct addr a;

	if (!in)
		return err_set(e, EINVAL, "no %s is given", what);
	addr_from_sockaddr(in, &a);
	if (!a.family)
		return err_set(e, EAFNOSUPPORT,
			       "the %s is of family %d, neither AF_INET nor "
			       "AF_INET6",
			       what, in->sa_family);
	*out = a;
	return 0;
}

int args_blocking(int fd, const struct waylay_options *options, struct err *e)
{
	int flags;

	if (options->flags & WAYLAY_NONBLOCK)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_errno(e, errno, "cannot make a socket blocking");
	return 0;
}

const char *args_type_name(int type)
{
	return type == SOCK_STREAM ? "tcp" : "udp";
}

int args_socket_is(int fd, int option)
{
	int value;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0)
		return -errno;
	return value;
}
