/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_server.c - a SOCKS5 server too small to be the bottleneck.
 *
 *	socks_server ADDRESS PORT
 *
 * One thread, one epoll set.  It knows CONNECT and UDP ASSOCIATE by address,
 * no user, no name, and trusts what it reads: a request comes in one piece, as
 * all clients of the bench send it.  Every gateway that is compared speaks to
 * this one.  Requests are answered here; next: socks_relay.c and socks_udp.c.
 */
#include "socks_end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	EVENTS = 256,
	UDP_BUFFER_BYTES = 4 * 1024 * 1024,
};

struct end *ends;
static size_t limit;
static int epoll_fd;
static struct endpoint own;

void end_watch(int fd, uint32_t events)
{
	struct epoll_event want = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &want) < 0 &&
	    (errno != ENOENT ||
	     epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &want) < 0))
		helper_die("epoll_ctl");
}

static bool add(int fd, enum role role, int other, uint32_t events)
{
	if (fd < 0 || (size_t)fd >= limit)
		return false;
	ends[fd] = (struct end){ .role = role, .other = other };
	end_watch(fd, events);
	return true;
}

static void drop(int fd)
{
	int other = ends[fd].other;

	free(ends[fd].held);
	if (ends[fd].has_pipe) {
		close(ends[fd].pipe[0]);
		close(ends[fd].pipe[1]);
	}
	ends[fd] = (struct end){ .other = -1 };
	close(fd);
	if (other >= 0) {
		ends[other].other = -1;
		drop(other);
	}
}

/* --- requests ------------------------------------------------------------- */

static void no_delay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		no_delay(fd);
		if (!add(fd, GREETING, -1, EPOLLIN))
			close(fd);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		helper_die("accept");
}

static bool answer(int fd, const struct endpoint *bound)
{
	char text[3 + SOCKS_ADDRESS_MAX] = { 5, 0, 0 };
	size_t len = 3 + socks_write_address(bound, text + 3);

	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool begin_connect(int fd, const struct endpoint *to)
{
	int far = socket(to->addr.ss_family,
			 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (far < 0)
		return false;
	no_delay(far);
	if ((connect(far, (const struct sockaddr *)&to->addr, to->len) < 0 &&
	     errno != EINPROGRESS) ||
	    !add(far, CONNECTING, fd, EPOLLOUT)) {
		close(far);
		return false;
	}
	ends[fd].other = far;
	ends[fd].role = RELAY;
	end_watch(fd, 0);
	return true;
}

static int udp_socket(const struct endpoint *at)
{
	int fd = helper_bound_socket(at, SOCK_DGRAM | SOCK_NONBLOCK);
	int bytes = UDP_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) <
	    0)
		helper_die("SO_RCVBUFFORCE");
	return fd;
}

static struct endpoint any_port(void)
{
	struct endpoint at = own;

	((struct sockaddr_in *)&at.addr)->sin_port = 0; /* as in sockaddr_in6 */
	return at;
}

/* near and far belong together; the control connection ends both. */
static bool associate(int fd)
{
	struct endpoint at = any_port();
	int near = udp_socket(&at), far = udp_socket(&at);
	struct endpoint bound = { .len = sizeof(bound.addr) };

	if (!add(near, UDP_NEAR, far, EPOLLIN) ||
	    !add(far, UDP_FAR, near, EPOLLIN) ||
	    getsockname(near, (struct sockaddr *)&bound.addr, &bound.len) < 0)
		helper_die("associate");
	ends[fd].role = CONTROL;
	ends[fd].held_len = (size_t)near;
	return answer(fd, &bound);
}

static bool ask(int fd, const char *text, size_t len)
{
	struct endpoint to;

	if (len < 3 || text[0] != 5)
		return false;
	if (text[1] == 3)
		return associate(fd);
	return socks_read_address(text + 3, len - 3, &to) &&
	       begin_connect(fd, &to);
}

/* The request may come with the greeting. */
static bool greet(int fd, const char *text, size_t len)
{
	size_t own = len < 2 ? 2 : 2 + (size_t)text[1];

	if (len < own || text[0] != 5 || send(fd, "\5\0", 2, MSG_NOSIGNAL) != 2)
		return false;
	ends[fd].role = REQUEST;
	return len == own || ask(fd, text + own, len - own);
}

static bool listen_to(int fd)
{
	char text[600];
	ssize_t len = recv(fd, text, sizeof(text), 0);

	if (len < 0)
		return errno == EAGAIN;
	if (ends[fd].role == CONTROL) {
		drop((int)ends[fd].held_len); /* the association */
		return false;
	}
	if (ends[fd].role == GREETING)
		return greet(fd, text, (size_t)len);
	return ask(fd, text, (size_t)len);
}

static bool finish_connect(int far)
{
	int near = ends[far].other, error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(far, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return false;
	ends[far].role = RELAY;
	end_watch(far, EPOLLIN);
	end_watch(near, EPOLLIN);
	return answer(near, &own);
}

/* --- the whole ------------------------------------------------------------ */

static void serve(int fd, uint32_t events)
{
	bool is_alive = true;

	switch (ends[fd].role) {
	case GREETING:
	case REQUEST:
	case CONTROL:
		is_alive = listen_to(fd);
		break;
	case CONNECTING:
		is_alive = finish_connect(fd);
		break;
	case RELAY:
		is_alive = socks_relay(fd, events);
		break;
	case UDP_NEAR:
		socks_udp_near(fd);
		break;
	case UDP_FAR:
		socks_udp_far(fd);
		break;
	}
	if (!is_alive)
		drop(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rlimit files;
	int listener;

	if (argc != 3)
		return 2;
	own = helper_endpoint(argv[1], argv[2]);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		helper_die("RLIMIT_NOFILE");
	limit = files.rlim_cur;
	ends = calloc(limit, sizeof(*ends));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!ends || epoll_fd < 0)
		helper_die("socks_server");
	for (size_t i = 0; i < limit; i++)
		ends[i].other = -1;
	listener = helper_bound_socket(&own, SOCK_STREAM | SOCK_NONBLOCK);
	if (listen(listener, BACKLOG) < 0)
		helper_die("listen");
	end_watch(listener, EPOLLIN);
	helper_say("ready");

	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			helper_die("epoll_wait");
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_all(listener);
			else if (ends[fd].other >= 0 ||
				 ends[fd].role <= REQUEST ||
				 ends[fd].role == CONTROL)
				serve(fd, events[i].events);
		}
	}
}
