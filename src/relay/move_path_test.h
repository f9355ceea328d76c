/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move_path_test.h - one direction of a flow, with a test at both ends.
 *
 *	source ==> [from]  direction  [to] ==> sink
 *
 * The test is source and sink, and the loop that tells the mover of edges.
 * begin() ties the path to its place in memory: it is not copied.
 */
#ifndef WL_RELAY_MOVE_PATH_TEST_H
#define WL_RELAY_MOVE_PATH_TEST_H

#include "relay/tcp_move.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct path {
	struct mover mover;
	struct move_dir dir;
	struct move_side from, to;
	int source, sink;
	int epoll; /* edge-triggered, as in a worker */
	enum move_result last;
	uint64_t moved;
	int error;
};

/* Segments as on Ethernet, and queues that are full soon. */
static inline void make_small(int fd)
{
	int segment = 1400, queue = 32 << 10;

	assert_int_equal(
		setsockopt(fd, SOL_TCP, TCP_MAXSEG, &segment, sizeof(segment)),
		0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue)),
		0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue)),
		0);
}

/* A connected TCP pair over loopback. */
static inline void make_tcp_pair(int fd[2])
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *sa = (struct sockaddr *)&in;
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	make_small(listener);
	assert_int_equal(bind(listener, sa, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, sa, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	make_small(fd[0]);
	assert_int_equal(connect(fd[0], sa, len), 0);
	fd[1] = accept(listener, NULL, NULL);
	assert_true(fd[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(fd[i], F_SETFL, O_NONBLOCK), 0);
}

static inline void make_unix_pair(int fd[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static inline void watch_edges(struct path *p, struct move_side *side)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					    EPOLLET,
				  .data.ptr = side };

	assert_int_equal(epoll_ctl(p->epoll, EPOLL_CTL_ADD, side->fd, &ev), 0);
}

static inline void begin(struct path *p, void (*make_pair)(int fd[2]))
{
	int in[2], out[2];

	*p = (struct path){ .dir = { .pipe = -1, .mover = MOVER_COPY } };
	make_pair(in);
	make_pair(out);
	assert_int_equal(mover_init(&p->mover, shared_new(0)), 0);
	assert_non_null(p->mover.shared);
	p->source = in[0];
	p->from = (struct move_side){ .fd = in[1], .is_writable = true };
	p->to = (struct move_side){ .fd = out[0], .is_writable = true };
	p->sink = out[1];
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	watch_edges(p, &p->from);
	watch_edges(p, &p->to);
}

static inline void end(struct path *p)
{
	move_done(&p->mover, &p->dir);
	assert_int_equal(p->mover.spilled, 0);
	for (int i = 0; i < MOVE_PIPES_MAX; i++)
		if (p->mover.pipes[i].fd[0] >= 0) {
			close(p->mover.pipes[i].fd[0]);
			close(p->mover.pipes[i].fd[1]);
		}
	free(p->mover.buffer);
	shared_free(p->mover.shared);
	close(p->epoll);
	close(p->source);
	close(p->from.fd);
	close(p->to.fd);
	if (p->sink >= 0)
		close(p->sink);
}

/* Take over what epoll tells; true if there was anything. */
static inline bool look(struct path *p)
{
	struct epoll_event events[2];
	int count = epoll_wait(p->epoll, events, 2, 0);

	for (int i = 0; i < count; i++) {
		struct move_side *side = events[i].data.ptr;

		uint32_t ends = events[i].events & (EPOLLHUP | EPOLLERR);
		uint32_t hup = events[i].events & EPOLLRDHUP;

		side->is_readable |=
			(events[i].events & EPOLLIN) || hup || ends;
		side->is_writable |= (events[i].events & EPOLLOUT) || ends;
		side->has_hup |= hup || ends;
	}
	return count > 0;
}

/* As the loop does it: nothing is called without an edge or a promise. */
static inline enum move_result run(struct path *p)
{
	uint64_t moved = 0;

	if (!look(p) && p->last != MOVE_AGAIN)
		return MOVE_WAIT;
	p->last = move_run(&p->mover, &p->dir, &p->from, &p->to, &moved,
			   &p->error);
	p->moved += moved;
	return p->last;
}

static inline size_t waiting(int fd)
{
	int bytes = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
	return (size_t)bytes;
}

static inline size_t held(const struct path *p)
{
	return p->dir.spill_len - p->dir.spill_at + p->dir.pipe_held;
}

/* Fill the source; how much went. */
static inline size_t fill(struct path *p)
{
	static uint8_t bytes[1 << 16];
	size_t total = 0;
	ssize_t len;

	while ((len = send(p->source, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0)
		total += (size_t)len;
	return total;
}

#endif
