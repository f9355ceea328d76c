/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_server.c - a SOCKS5 server too small to be the bottleneck.
 *
 *	socks_server ADDRESS PORT
 *
 * One thread, one epoll set.  It knows CONNECT and UDP ASSOCIATE by address,
 * no user, no name, and trusts what it reads: a request comes in one piece, as
 * all clients of the bench send it.  Every gateway that is compared speaks to
 * this one.  Bulk goes through pipes, the rest is copied through one buffer;
 * what does not fit into the other side waits there in its own.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	EVENTS = 256,
	COPY_BYTES = 64 * 1024,
	BULK_BYTES = 32 * 1024, /* a read of so much is followed by splice */
	PIPE_BYTES = 1024 * 1024,
	BATCH = 32,
	DATAGRAM_BYTES = 2048,
	HEADER_MAX = 22, /* of a datagram, with an IPv6 address */
	UDP_BUFFER_BYTES = 4 * 1024 * 1024,
};

enum role { GREETING, REQUEST, CONNECTING, RELAY, CONTROL, UDP_NEAR, UDP_FAR };

struct end { /* of a connection or an association, by descriptor */
	enum role role;
	int other;	  /* descriptor, -1: none */
	bool is_finished; /* its FIN was carried */
	char *held;	  /* for it, when it did not take all */
	size_t held_len;
	int pipe[2]; /* for it, once the other side sends in bulk */
	bool has_pipe;
	size_t piped;	      /* bytes in it */
	struct endpoint peer; /* UDP_NEAR: the client, once it spoke */
};

static struct end *ends;
static size_t limit;
static int epoll_fd;
static struct endpoint own;

static void watch(int fd, uint32_t events)
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
	watch(fd, events);
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

/* --- TCP -------------------------------------------------------------------
 */

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

/* ATYP, address and port; their length, 0 if it is a name or cut. */
static size_t read_address(const char *p, size_t len, struct endpoint *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;

	*out = (struct endpoint){ 0 };
	if (len >= 7 && p[0] == 1) {
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, p + 1, 4);
		memcpy(&in->sin_port, p + 5, 2);
		out->len = sizeof(*in);
		return 7;
	}
	if (len >= 19 && p[0] == 4) {
		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, p + 1, 16);
		memcpy(&in6->sin6_port, p + 17, 2);
		out->len = sizeof(*in6);
		return 19;
	}
	return 0;
}

static size_t write_address(const struct endpoint *a, char *p)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;

	if (a->addr.ss_family == AF_INET) {
		p[0] = 1;
		memcpy(p + 1, &in->sin_addr, 4);
		memcpy(p + 5, &in->sin_port, 2);
		return 7;
	}
	p[0] = 4;
	memcpy(p + 1, &in6->sin6_addr, 16);
	memcpy(p + 17, &in6->sin6_port, 2);
	return 19;
}

static bool answer(int fd, const struct endpoint *bound)
{
	char text[3 + HEADER_MAX] = { 5, 0, 0 };
	size_t len = 3 + write_address(bound, text + 3);

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
	watch(fd, 0);
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
	return read_address(text + 3, len - 3, &to) && begin_connect(fd, &to);
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
	watch(far, EPOLLIN);
	watch(near, EPOLLIN);
	return answer(near, &own);
}

/* What a side waits for: room if something is held for it, bytes unless
 * something is held for the other. */
static bool has_held(int fd)
{
	return ends[fd].held_len || ends[fd].piped;
}

static void watch_relay(int fd)
{
	const struct end *e = &ends[fd];

	watch(fd, (has_held(fd) ? EPOLLOUT : 0u) |
			  (has_held(e->other) || ends[e->other].is_finished
				   ? 0u
				   : EPOLLIN));
}

static bool hold(struct end *e, const char *bytes, size_t len)
{
	e->held = malloc(len);
	if (!e->held)
		return false;
	memcpy(e->held, bytes, len);
	e->held_len = len;
	return true;
}

static bool flush_pipe(int fd)
{
	struct end *e = &ends[fd];

	while (e->piped) {
		ssize_t sent = splice(e->pipe[0], NULL, fd, NULL, e->piped,
				      SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (sent < 0)
			return errno == EAGAIN;
		e->piped -= (size_t)sent;
	}
	return true;
}

static bool flush(int fd)
{
	struct end *e = &ends[fd];
	ssize_t sent;

	if (e->piped)
		return flush_pipe(fd);
	sent = send(fd, e->held, e->held_len, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN;
	e->held_len -= (size_t)sent;
	memmove(e->held, e->held + sent, e->held_len);
	if (!e->held_len) {
		free(e->held);
		e->held = NULL;
	}
	return true;
}

static bool finish(int from, int to)
{
	ends[to].is_finished = true;
	(void)shutdown(to, SHUT_WR);
	return !ends[from].is_finished;
}

static bool move(int from, int to)
{
	struct end *e = &ends[to];
	ssize_t len = splice(from, NULL, e->pipe[1], NULL, PIPE_BYTES,
			     SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (len < 0)
		return errno == EAGAIN;
	if (len == 0)
		return finish(from, to);
	e->piped = (size_t)len;
	return flush_pipe(to);
}

static void make_pipe(struct end *e)
{
	if (pipe2(e->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		helper_die("pipe2");
	(void)fcntl(e->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	e->has_pipe = true;
}

static bool copy(int from, int to)
{
	static char bytes[COPY_BYTES];
	ssize_t len = recv(from, bytes, sizeof(bytes), 0), sent;

	if (len < 0)
		return errno == EAGAIN;
	if (len == 0)
		return finish(from, to);
	if (len >= BULK_BYTES)
		make_pipe(&ends[to]);
	sent = send(to, bytes, (size_t)len, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return false;
	if (sent < 0)
		sent = 0;
	return sent == len ||
	       hold(&ends[to], bytes + sent, (size_t)(len - sent));
}

static bool relay(int fd, uint32_t events)
{
	int other = ends[fd].other;

	if (other < 0 || (events & EPOLLERR))
		return false;
	if (has_held(fd) && (events & EPOLLOUT) && !flush(fd))
		return false;
	if ((events & (EPOLLIN | EPOLLHUP)) && !has_held(other) &&
	    !ends[other].is_finished &&
	    !(ends[other].has_pipe ? move : copy)(fd, other))
		return false;
	watch_relay(fd);
	watch_relay(other);
	return true;
}

/* --- UDP -------------------------------------------------------------------
 */

static struct mmsghdr batch[BATCH];
static struct iovec parts[BATCH];
static struct endpoint names[BATCH];
static char text[BATCH][HEADER_MAX + DATAGRAM_BYTES];

static int receive(int fd, size_t room)
{
	for (size_t i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ text[i] + room, DATAGRAM_BYTES };
		batch[i].msg_hdr = (struct msghdr){
			.msg_name = &names[i].addr,
			.msg_namelen = sizeof(names[i].addr),
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
	}
	return recvmmsg(fd, batch, BATCH, 0, NULL);
}

/* From the client: the header says where to. */
static void relay_near(int fd)
{
	int got = receive(fd, 0), kept = 0;

	if (got > 0)
		ends[fd].peer =
			(struct endpoint){ names[0].addr,
					   batch[0].msg_hdr.msg_namelen };
	for (int i = 0; i < got; i++) {
		struct endpoint to;
		size_t len = batch[i].msg_len, head;

		head = len > 3 ? read_address(text[i] + 3, len - 3, &to) : 0;
		if (!head)
			continue;
		names[kept] = to;
		parts[kept] =
			(struct iovec){ text[i] + 3 + head, len - 3 - head };
		batch[kept].msg_hdr.msg_namelen = to.len;
		kept++;
	}
	if (kept)
		(void)sendmmsg(ends[fd].other, batch, (unsigned)kept, 0);
}

/* From servers: with a header in front. */
static void relay_far(int fd)
{
	const struct end *near = &ends[ends[fd].other];
	int got = receive(fd, HEADER_MAX);

	for (int i = 0; i < got; i++) {
		char head[HEADER_MAX] = { 0 };
		size_t len = 3 + write_address(&names[i], head + 3);
		char *at = text[i] + HEADER_MAX - len;

		memcpy(at, head, len);
		parts[i] = (struct iovec){ at, len + batch[i].msg_len };
		names[i] = near->peer;
		batch[i].msg_hdr.msg_namelen = near->peer.len;
	}
	if (got > 0 && near->peer.len)
		(void)sendmmsg(ends[fd].other, batch, (unsigned)got, 0);
}

/* --- the whole ---------------------------------------------------------------
 */

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
		is_alive = relay(fd, events);
		break;
	case UDP_NEAR:
		relay_near(fd);
		break;
	case UDP_FAR:
		relay_far(fd);
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
	watch(listener, EPOLLIN);
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
