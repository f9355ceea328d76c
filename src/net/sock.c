/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.c - listeners, legs and the raw sender; see sock.h.
 */
#include "net/sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <linux/in6.h>

#ifndef IP_RECVFRAGSIZE
#define IP_RECVFRAGSIZE 25 /* linux/in.h clashes with netinet/in.h */
#endif

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; their headers clash with libc's */
enum { ORIGINAL_DST = 80 };

struct option_name {
	int level, name;
};

static const struct option_name v4_options[] = {
	[SOCK_TRANSPARENT] = { SOL_IP, IP_TRANSPARENT },
	[SOCK_RECVORIGDST] = { SOL_IP, IP_RECVORIGDSTADDR },
	[SOCK_RECVFRAGSIZE] = { SOL_IP, IP_RECVFRAGSIZE },
	[SOCK_RECVERR] = { SOL_IP, IP_RECVERR },
	[SOCK_MTU_DISCOVER] = { SOL_IP, IP_MTU_DISCOVER },
};

static const struct option_name v6_options[] = {
	[SOCK_TRANSPARENT] = { SOL_IPV6, IPV6_TRANSPARENT },
	[SOCK_RECVORIGDST] = { SOL_IPV6, IPV6_RECVORIGDSTADDR },
	[SOCK_RECVFRAGSIZE] = { SOL_IPV6, IPV6_RECVFRAGSIZE },
	[SOCK_RECVERR] = { SOL_IPV6, IPV6_RECVERR },
	[SOCK_MTU_DISCOVER] = { SOL_IPV6, IPV6_MTU_DISCOVER },
};

static int set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

int sock_set_option(int fd, int family, enum sock_option option, int value)
{
	const struct option_name *o =
		family == AF_INET6 ? v6_options : v4_options;

	return set(fd, o[option].level, o[option].name, value);
}

/* Close fd and hand the error on; for the end of a function that failed. */
static int fail(int fd, int error)
{
	close(fd);
	return error;
}

static int set_linger_reset(int fd, bool is_reset)
{
	struct linger l = { .l_onoff = is_reset, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) < 0)
		return -errno;
	return 0;
}

/* What every TCP socket of ours has.  Urgent data are bytes like all others,
 * and stay among them: R-TCP-11, RFC 6093 section 6. */
static int set_stream(int fd)
{
	int error = set_linger_reset(fd, true);

	if (!error)
		error = set(fd, SOL_TCP, TCP_NODELAY, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	return error;
}

static int open_marked(int family, int type, int proto, uint32_t mark)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	int error;

	if (fd < 0)
		return -errno;
	/* Without its mark our own traffic would be intercepted again. */
	error = mark ? set(fd, SOL_SOCKET, SO_MARK, (int)mark) : 0;
	return error < 0 ? fail(fd, error) : fd;
}

static int bind_to(int fd, const struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(at, &ss);

	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static const char *type_name(int type)
{
	return type == SOCK_STREAM ? "tcp" : "udp";
}

/* What both kinds of listener need, up to and with bind. */
static int open_listener(int type, bool is_transparent, struct addr *at,
			 uint32_t mark, struct err *e)
{
	char text[ADDR_TEXT_MAX];
	int error, fd = open_marked(at->family, type, 0, mark);

	addr_format(at, text);
	if (fd < 0)
		return err_errno(e, -fd, "cannot open a %s socket for %s",
				 type_name(type), text);
	error = is_transparent
			? sock_set_option(fd, at->family, SOCK_TRANSPARENT, 1)
			: 0;
	if (error < 0)
		return fail(fd, err_errno(e, -error,
					  "cannot make the %s "
					  "listener on %s transparent",
					  type_name(type), text));
	if (at->family == AF_INET6)
		error = set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!error)
		error = bind_to(fd, at);
	if (!error)
		error = sock_local_addr(fd, at);
	if (error < 0)
		return fail(fd, err_errno(e, -error, "cannot listen on %s/%s",
					  text, type_name(type)));
	return fd;
}

static int listen_tcp(bool is_transparent, struct addr *at, uint32_t mark,
		      struct err *e)
{
	int error, fd = open_listener(SOCK_STREAM, is_transparent, at, mark, e);

	if (fd < 0)
		return fd;
	error = set_stream(fd);
	if (!error && listen(fd, SOCK_BACKLOG) < 0)
		error = -errno;
	if (error < 0)
		return fail(fd, err_errno(e, -error, "cannot listen (tcp)"));
	return fd;
}

int sock_listen_tcp(struct addr *at, uint32_t mark, struct err *e)
{
	return listen_tcp(true, at, mark, e);
}

int sock_listen_plain(struct addr *at, uint32_t mark, struct err *e)
{
	return listen_tcp(false, at, mark, e);
}

int sock_listen_udp(struct addr *at, uint32_t mark, struct err *e)
{
	int error, fd = open_listener(SOCK_DGRAM, true, at, mark, e);

	if (fd < 0)
		return fd;
	error = sock_set_option(fd, at->family, SOCK_RECVORIGDST, 1);
	if (!error)
		error = sock_set_option(fd, at->family, SOCK_RECVFRAGSIZE, 1);
	if (error < 0)
		return fail(fd, err_errno(e, -error,
					  "cannot ask for original "
					  "destinations of datagrams"));
	/* A larger queue helps bursts; the limit of the host may cut it. */
	(void)set(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
	return fd;
}

int sock_probe_free(int type, const struct addr *at, struct err *e)
{
	char text[ADDR_TEXT_MAX];
	int error = 0, fd;

	fd = socket(at->family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, errno, "cannot open a %s socket",
				 type_name(type));
	if (at->family == AF_INET6)
		error = set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
	/* Passes over connections in TIME_WAIT, not over a listener. */
	if (!error && type == SOCK_STREAM)
		error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!error)
		error = bind_to(fd, at);
	close(fd);
	if (error < 0)
		return err_errno(e, -error, "cannot listen on %s/%s",
				 addr_format(at, text), type_name(type));
	return 0;
}

/* Bind a leg to an address that may not be ours.  Of UDP sockets with
 * SO_REUSEADDR the kernel gives the same "any port" to several: two with the
 * same destination would take each other's answers. */
static int bind_foreign(int fd, int type, const struct addr *src)
{
	int error = sock_set_option(fd, src->family, SOCK_TRANSPARENT, 1);

	if (error == -EPERM)
		error = 0; /* an address of our own needs no privilege */
	if (!error && (type == SOCK_STREAM || src->port))
		error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!error && !src->port)
		error = set(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return error < 0 ? error : bind_to(fd, src);
}

int sock_leg_tcp(int family, const struct addr *src, uint32_t mark)
{
	int error, fd = open_marked(family, SOCK_STREAM, 0, mark);

	if (fd < 0)
		return fd;
	error = set_stream(fd);
	if (!error && src)
		error = bind_foreign(fd, SOCK_STREAM, src);
	return error < 0 ? fail(fd, error) : fd;
}

int sock_connect(int fd, const struct addr *dst)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(dst, &ss);

	return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static int attach_drop_all(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) <
	    0)
		return -errno;
	return 0;
}

/* kernel-facts K19: bound but not yet connected, the socket would match
 * datagrams from any server to this client port. */
static int bind_and_connect(int fd, const struct addr *src,
			    const struct addr *dst)
{
	int error = attach_drop_all(fd);

	if (!error)
		error = bind_foreign(fd, SOCK_DGRAM, src);
	if (!error)
		error = sock_connect(fd, dst);
	if (!error)
		error = set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
	return error;
}

int sock_leg_udp(const struct addr *src, const struct addr *dst, uint32_t mark)
{
	int error, fd = open_marked(dst->family, SOCK_DGRAM, 0, mark);

	if (fd < 0)
		return fd;
	error = sock_set_option(fd, dst->family, SOCK_RECVERR, 1);
	/* What came in one piece leaves in one piece; see udp.c. */
	if (!error)
		error = sock_set_option(fd, dst->family, SOCK_MTU_DISCOVER,
					IP_PMTUDISC_PROBE);
	if (!error)
		error = src ? bind_and_connect(fd, src, dst)
			    : sock_connect(fd, dst);
	return error < 0 ? fail(fd, error) : fd;
}

int sock_raw_sender(int family, uint32_t mark, struct err *e)
{
	int fd = open_marked(family, SOCK_RAW, IPPROTO_RAW, mark);

	if (fd < 0)
		return err_errno(e, -fd, "cannot open a raw socket");
	/* A burst of answers should not be cut by the default of 208 KiB. */
	(void)set(fd, SOL_SOCKET, SO_SNDBUF, 1 << 20);
	return fd;
}

int sock_local_addr(int fd, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	addr_from_sockaddr((struct sockaddr *)&ss, out);
	return 0;
}

bool sock_is_local(const struct addr *ip)
{
	struct addr at = *ip;
	struct sockaddr_storage ss;
	socklen_t len;
	bool is_local;
	int fd = socket(at.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true; /* who cannot ask must not say no */
	at.port = 0;
	len = addr_to_sockaddr(&at, &ss);
	is_local = bind(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return is_local;
}

int sock_redirected_addr(int fd, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr own;
	int error = sock_local_addr(fd, &own);

	if (error < 0)
		return error;
	(void)addr_unmap(&own); /* of IPv4, on an IPv6 socket */
	if (getsockopt(fd, own.family == AF_INET6 ? SOL_IPV6 : SOL_IP,
		       ORIGINAL_DST, &ss, &len) < 0)
		return -errno;
	addr_from_sockaddr((struct sockaddr *)&ss, out);
	return 0;
}

int sock_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

void sock_close_orderly(int fd)
{
	(void)set_linger_reset(fd, false); /* fails only on a dead socket */
	close(fd);
}
