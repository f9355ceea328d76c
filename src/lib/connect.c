/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - connections from a foreign address; see waylay.h.
 */
#include "base/loop.h"
#include "lib/args.h"
#include "lib/error.h"
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

struct route {
	int type;
	const struct addr *from; /* NULL: own */
	struct addr to;
	struct waylay_options options;
};

static int say(const struct route *r, int error, struct err *e)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	const char *type = args_type_name(r->type);

	addr_format(&r->to, to);
	if (error == -EPERM)
		return err_set(e, EPERM,
			       "cannot connect to %s/%s from a marked socket: "
			       "it needs CAP_NET_RAW, or CAP_NET_ADMIN",
			       to, type);
	if (!r->from)
		return err_errno(e, -error, "cannot connect to %s/%s", to,
				 type);
	return err_errno(e, -error, "cannot connect to %s/%s from %s", to, type,
			 addr_format(r->from, from));
}

/* The relay's legs reset when they are closed; a program's sockets do not. */
static int be_usual_tcp(int fd)
{
	struct linger off = { 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off)) < 0)
		return -errno;
	return 0;
}

/* Nor does a program know of error queues, and long datagrams may go in
 * pieces. */
static int be_usual_udp(int fd, int family)
{
	int error = sock_set_option(fd, family, SOCK_RECVERR, 0);

	if (error < 0)
		return error;
	return sock_set_option(fd, family, SOCK_MTU_DISCOVER, IP_PMTUDISC_WANT);
}

/* 0, -ETIMEDOUT, or what became of it. */
static int wait_connected(int fd, int timeout_ms)
{
	uint64_t end_ms = clock_ms() + (uint64_t)timeout_ms, now_ms;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int left_ms = -1, count;

	do {
		if (timeout_ms) {
			now_ms = clock_ms();
			left_ms = now_ms < end_ms ? (int)(end_ms - now_ms) : 0;
		}
		count = poll(&p, 1, left_ms);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return count ? -sock_error(fd) : -ETIMEDOUT;
}

static int finish_tcp(int fd, const struct route *r)
{
	int error = be_usual_tcp(fd);

	if (!error)
		error = sock_connect(fd, &r->to);
	if (error != -EINPROGRESS)
		return error;
	if (r->options.flags & WAYLAY_NONBLOCK)
		return 0;
	return wait_connected(fd, r->options.timeout_ms);
}

static int open_connection(const struct route *r, struct err *e)
{
	bool is_tcp = r->type == SOCK_STREAM;
	int fd, error;

	fd = is_tcp ? sock_leg_tcp(r->to.family, r->from, r->options.mark)
		    : sock_leg_udp(r->from, &r->to, r->options.mark);
	if (fd < 0)
		return say(r, fd, e);
	error = is_tcp ? finish_tcp(fd, r) : be_usual_udp(fd, r->to.family);
	error = error < 0 ? say(r, error, e)
			  : args_blocking(fd, &r->options, e);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

static int check_route(const struct route *r, struct err *e)
{
	if (r->type != SOCK_STREAM && r->type != SOCK_DGRAM)
		return err_set(e, EPROTOTYPE,
			       "a connection of type %d: neither SOCK_STREAM "
			       "nor SOCK_DGRAM",
			       r->type);
	if (!r->to.port)
		return err_set(e, EINVAL, "a connection to port 0");
	if (r->from && r->from->family != r->to.family)
		return err_set(e, EAFNOSUPPORT,
			       "a connection from IPv4 to IPv6, or the other "
			       "way round");
	return 0;
}

int waylay_connect(int type, const struct sockaddr *from,
		   const struct sockaddr *to,
		   const struct waylay_options *options,
		   struct waylay_error *error)
{
	struct route r = { .type = type };
	struct err e = { 0 };
	struct addr src;
	int result = args_options(options, &r.options, &e);

	if (!result)
		result = args_address(to, "address to connect to", &r.to, &e);
	if (!result && from) {
		result =
			args_address(from, "address to connect from", &src, &e);
		r.from = &src;
	}
	if (!result)
		result = check_route(&r, &e);
	if (!result)
		result = open_connection(&r, &e);
	return error_pass(error, &e, result);
}
