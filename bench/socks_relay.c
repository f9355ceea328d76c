/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_relay.c - bytes of TCP, from one end to the other; see socks_end.h.
 *
 * Bulk goes through pipes, the rest is copied through one buffer; what does not
 * fit into the other side waits there in its own.
 */
#include "socks_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	COPY_BYTES = 64 * 1024,
	BULK_BYTES = 32 * 1024, /* a read of so much is followed by splice */
	PIPE_BYTES = 1024 * 1024,
};

/* What a side waits for: room if something is held for it, bytes unless
 * something is held for the other. */
static bool has_held(int fd)
{
	return ends[fd].held_len || ends[fd].piped;
}

static void watch_relay(int fd)
{
	const struct end *e = &ends[fd];

	end_watch(fd, (has_held(fd) ? EPOLLOUT : 0u) |
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

bool socks_relay(int fd, uint32_t events)
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
