/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.c - a responder too small to be the bottleneck.
 *
 *	http_server ADDRESS PORT
 *
 * One thread, one epoll set, one answer for every request; closes after the
 * answer when the request says `Connection: close`, else keeps the connection.
 * It knows just enough HTTP for wrk and idle_client.c: no bodies in requests,
 * no pipelining, a request head below REQUEST_BYTES.
 */
#include "helper.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REQUEST_BYTES = 1024, BACKLOG = 4096, EVENTS = 256 };

/* Indexed by descriptor; `used` returns to 0 after each answer. */
struct connection {
	uint16_t used;
	char request[REQUEST_BYTES];
};

struct server {
	int epoll_fd;
	int listener;
	struct connection *connections;
	size_t limit; /* of descriptors */
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
			     "Content-Length: 13\r\n"
			     "\r\n"
			     "Hello, world\n";
static const char ANSWER_LAST[] = "HTTP/1.1 200 OK\r\n"
				  "Connection: close\r\n"
				  "Content-Length: 13\r\n"
				  "\r\n"
				  "Hello, world\n";

static void watch(const struct server *s, int fd)
{
	struct epoll_event want = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &want) < 0)
		helper_die("epoll_ctl");
}

static void accept_all(struct server *s)
{
	int on = 1;
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if ((size_t)fd >= s->limit) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		s->connections[fd].used = 0;
		watch(s, fd);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		helper_die("accept");
}

/* False: the connection is finished. */
static bool answer(int fd, struct connection *c)
{
	const char close_field[] = "\r\nConnection: close\r\n";
	bool is_last = memmem(c->request, c->used, close_field,
			      sizeof(close_field) - 1) != NULL;
	const char *text = is_last ? ANSWER_LAST : ANSWER;
	size_t len = is_last ? sizeof(ANSWER_LAST) - 1 : sizeof(ANSWER) - 1;

	c->used = 0;
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len && !is_last;
}

/* False: the connection is finished. */
static bool serve(int fd, struct connection *c)
{
	size_t room = REQUEST_BYTES - c->used;
	ssize_t got = recv(fd, c->request + c->used, room, 0);

	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0)
		return false;
	c->used += (uint16_t)got;
	if (memmem(c->request, c->used, "\r\n\r\n", 4) != NULL)
		return answer(fd, c);
	return c->used < REQUEST_BYTES;
}

int main(int argc, char **argv)
{
	struct server s = { 0 };
	struct epoll_event events[EVENTS];
	struct endpoint at;
	struct rlimit files;

	if (argc != 3)
		return 2;
	at = helper_endpoint(argv[1], argv[2]);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		helper_die("RLIMIT_NOFILE");
	s.limit = files.rlim_cur;
	s.connections = calloc(s.limit, sizeof(*s.connections));
	s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s.connections == NULL || s.epoll_fd < 0)
		helper_die("http_server");
	s.listener = helper_bound_socket(&at, SOCK_STREAM | SOCK_NONBLOCK);
	if (listen(s.listener, BACKLOG) < 0)
		helper_die("listen");
	watch(&s, s.listener);
	helper_say("ready");

	for (;;) {
		int count = epoll_wait(s.epoll_fd, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			helper_die("epoll_wait");
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == s.listener)
				accept_all(&s);
			else if (!serve(fd, &s.connections[fd]))
				close(fd);
		}
	}
}
