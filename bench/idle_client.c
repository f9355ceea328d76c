/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_client.c - opens connections, uses each once, holds them.
 *
 *	idle_client ADDRESS PORT COUNT
 *
 * Each connection carries one request and its answer before it counts, so that
 * both legs of a proxy are open and its buffers have been in use.  At most
 * IN_FLIGHT are being opened at a time: no listen queue is tested here.  Says
 * `ready` when all COUNT are idle, holds until stdin ends, then resets them,
 * which leaves no TIME_WAIT behind.  Talks to http_server.c.
 */
#include "helper.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { IN_FLIGHT = 64, ANSWER_BYTES = 512 };

static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

struct opener {
	struct endpoint peer;
	int epoll_fd;
	int *fds;
	long count;
	long started;
	long finished;
};

static void start_one(struct opener *o)
{
	struct epoll_event want = { .events = EPOLLOUT };
	int fd = socket(o->peer.addr.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		helper_die("socket");
	if (connect(fd, (struct sockaddr *)&o->peer.addr, o->peer.len) < 0 &&
	    errno != EINPROGRESS)
		helper_die("connect");
	want.data.fd = fd;
	if (epoll_ctl(o->epoll_fd, EPOLL_CTL_ADD, fd, &want) < 0)
		helper_die("epoll_ctl");
	o->fds[o->started++] = fd;
}

static void ask(const struct opener *o, int fd)
{
	struct epoll_event want = { .events = EPOLLIN, .data.fd = fd };

	if (send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)(sizeof(REQUEST) - 1))
		helper_die("request");
	if (epoll_ctl(o->epoll_fd, EPOLL_CTL_MOD, fd, &want) < 0)
		helper_die("epoll_ctl");
}

static void take_answer(struct opener *o, int fd)
{
	char text[ANSWER_BYTES];
	ssize_t got = recv(fd, text, sizeof(text), 0);

	if (got == 0)
		errno = ECONNRESET;
	if (got <= 0)
		helper_die("answer");
	if (epoll_ctl(o->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
		helper_die("epoll_ctl");
	o->finished++;
}

static void open_all(struct opener *o)
{
	while (o->finished < o->count) {
		struct epoll_event events[IN_FLIGHT];
		int got;

		while (o->started < o->count &&
		       o->started - o->finished < IN_FLIGHT)
			start_one(o);
		got = epoll_wait(o->epoll_fd, events, IN_FLIGHT, -1);
		if (got < 0 && errno != EINTR)
			helper_die("epoll_wait");
		for (int i = 0; i < got; i++) {
			if (events[i].events & EPOLLOUT)
				ask(o, events[i].data.fd);
			else
				take_answer(o, events[i].data.fd);
		}
	}
}

static void hold(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static void reset_all(const struct opener *o)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	for (long i = 0; i < o->count; i++) {
		setsockopt(o->fds[i], SOL_SOCKET, SO_LINGER, &at_once,
			   sizeof(at_once));
		close(o->fds[i]);
	}
}

int main(int argc, char **argv)
{
	struct opener o = { 0 };

	if (argc != 4)
		return 2;
	o.peer = helper_endpoint(argv[1], argv[2]);
	o.count = helper_number(argv[3], 1, 1000000);
	o.fds = calloc((size_t)o.count, sizeof(*o.fds));
	o.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (o.fds == NULL || o.epoll_fd < 0)
		helper_die("idle_client");
	open_all(&o);
	helper_say("ready");
	hold();
	reset_all(&o);
	return 0;
}
