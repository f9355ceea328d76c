/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - transparent listeners; see waylay.h.
 *
 * Not those of net/sock.h, which are as the relay wants them: they share their
 * port with every process of the user, and reset what is closed.
 */
#include "lib/args.h"
#include "lib/error.h"
#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct wish {
	int type;
	struct addr at;
	struct waylay_options options;
};

static int set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

static int open_marked(const struct wish *w, struct err *e)
{
	const char *type = args_type_name(w->type);
	int fd =
		socket(w->at.family, w->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return err_errno(e, errno, "cannot open a %s socket", type);
	error = set(fd, SOL_SOCKET, SO_MARK, (int)w->options.mark);
	if (!error)
		error = sock_set_option(fd, w->at.family, SOCK_TRANSPARENT, 1);
	if (!error)
		return fd;
	close(fd);
	if (error == -EPERM)
		return err_set(
			e, EPERM,
			"cannot make a %s listener transparent: it needs "
			"CAP_NET_RAW, or CAP_NET_ADMIN",
			type);
	return err_errno(e, -error, "cannot make a %s listener transparent",
			 type);
}

/* Of TCP only, as it is usual there: a UDP socket would share its port. */
static int prepare_tcp(int fd)
{
	int error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!error)
		error = set(fd, SOL_TCP, TCP_NODELAY, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	return error;
}

static int prepare(int fd, const struct wish *w)
{
	int error = 0;

	if (w->at.family == AF_INET6)
		error = set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
	if (!error && (w->options.flags & WAYLAY_REUSEPORT))
		error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (error < 0)
		return error;
	if (w->type == SOCK_STREAM)
		return prepare_tcp(fd);
	return sock_set_option(fd, w->at.family, SOCK_RECVORIGDST, 1);
}

static int begin(int fd, const struct wish *w, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&w->at, &ss);
	char text[ADDR_TEXT_MAX];

	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
	    (w->type == SOCK_STREAM && listen(fd, w->options.backlog) < 0))
		return err_errno(e, errno, "cannot listen on %s/%s",
				 addr_format(&w->at, text),
				 args_type_name(w->type));
	return args_blocking(fd, &w->options, e);
}

static int open_listener(int type, const struct sockaddr *at,
			 const struct waylay_options *options, struct err *e)
{
	struct wish w = { .type = type };
	int fd, error = args_options(options, &w.options, e);

	if (!error)
		error = args_address(at, "address to listen on", &w.at, e);
	if (error < 0)
		return error;
	fd = open_marked(&w, e);
	if (fd < 0)
		return fd;
	error = prepare(fd, &w);
	error = error < 0 ? err_errno(e, -error, "cannot prepare a listener")
			  : begin(fd, &w, e);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

int waylay_listen_tcp(const struct sockaddr *at,
		      const struct waylay_options *options,
		      struct waylay_error *error)
{
	struct err e = { 0 };

	return error_pass(error, &e,
			  open_listener(SOCK_STREAM, at, options, &e));
}

int waylay_listen_udp(const struct sockaddr *at,
		      const struct waylay_options *options,
		      struct waylay_error *error)
{
	struct err e = { 0 };

	return error_pass(error, &e,
			  open_listener(SOCK_DGRAM, at, options, &e));
}
