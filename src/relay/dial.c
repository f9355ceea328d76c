/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - connect, and talk if the upstream wants it; see dial.h.
 */
#include "relay/dial.h"

#include "net/sock.h"
#include "relay/leg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PEEK_BYTES = 2048, /* longer than any word that must come whole */
	BROKEN = (int)(EPOLLERR | EPOLLHUP),
	CLOSED = BROKEN | (int)EPOLLRDHUP,
};

/* --- ends ---------------------------------------------------------------- */

static void free_talk(struct dial *d)
{
	talk_end(d->talk);
	free(d->talk);
	d->talk = NULL;
}

static void give_up(struct dial *d)
{
	if (d->fd >= 0)
		close(d->fd); /* SO_LINGER 0: RST */
	d->fd = -1;
	free_talk(d);
}

static void fail(struct dial *d, enum flow_end why, int error)
{
	give_up(d);
	d->state = DIAL_FAILED;
	d->end = (uint8_t)why;
	d->error = error;
}

/* Nothing was sent to anybody: no port, no route, no memory. */
static void fail_open(struct dial *d, int error)
{
	d->is_to_blame = false;
	switch (error) {
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EACCES:
		fail(d, END_NO_PORT, error);
		return;
	case EHOSTUNREACH:
	case ENETUNREACH:
		fail(d,
		     d->talk ? END_UPSTREAM_UNREACHABLE
			     : END_SERVER_UNREACHABLE,
		     error);
		return;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		d->can_retry = false;
		break;
	default:
		break;
	}
	fail(d, END_ERROR, error);
}

/* The network answered; EACCES and EPERM are ICMP's "prohibited". */
static void fail_connect(struct dial *d, int error)
{
	enum flow_end why = END_SERVER_UNREACHABLE;

	if (d->talk)
		why = END_UPSTREAM_UNREACHABLE;
	else if (error == ECONNREFUSED || error == ECONNRESET)
		why = END_SERVER_REFUSED;
	else if (error == ETIMEDOUT)
		why = END_CONNECT_TIMEOUT;
	fail(d, why, error);
}

/* The talk knows why. */
static void fail_talk(struct dial *d, int error)
{
	enum flow_end why = d->talk->end;

	d->reply = d->talk->reply;
	d->can_retry = d->talk->can_retry;
	d->is_to_blame = d->talk->is_to_blame;
	fail(d, why, error);
}

static void break_talk(struct dial *d, int error)
{
	talk_broken(d->talk);
	fail_talk(d, error);
}

/* --- beginning ----------------------------------------------------------- */

static bool wants_pipelining(const struct dial_request *r)
{
	const struct upstream *u = &r->config->upstreams[r->upstream];
	uint8_t known;

	if (u->kind != UPSTREAM_SOCKS5 || u->pipeline == PIPELINE_OFF)
		return false;
	if (u->pipeline == PIPELINE_ON)
		return true;
	known = atomic_load_explicit(&r->board->upstreams[r->upstream].pipeline,
				     memory_order_relaxed);
	return known == BOARD_PIPELINE_YES ||
	       (r->is_check && known == BOARD_PIPELINE_UNKNOWN);
}

/* A talk with what it borrows: a request may be said long after the caller's
 * words are gone. */
struct own_talk {
	struct talk talk; /* first: free() of it frees all */
	struct addr server;
	char name[HOST_TEXT_MAX];
};

/* 0 or -errno; no talk is wanted: 0.  to: the proxy, or NULL. */
static int prepare_talk(struct dial *d, const struct dial_request *r,
			const struct addr *to)
{
	const struct upstream *u = &r->config->upstreams[r->upstream];
	bool is_named = r->name && (u->is_resolving || r->is_check);
	struct talk_request request = { .upstream = u, .is_udp = r->is_udp };
	struct own_talk *own;

	if (!talk_is_needed(u))
		return 0;
	if (is_named && strlen(r->name) >= sizeof(own->name))
		return -ENAMETOOLONG;
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	d->talk = &own->talk;
	d->is_pipelined = wants_pipelining(r);
	request.is_pipelined = d->is_pipelined;
	own->server = *r->server;
	/* An association is for datagrams of the family that reaches the
	 * proxy, whatever the servers have. */
	if (r->is_udp)
		own->server = (struct addr){ .family = to->family };
	request.server = &own->server;
	if (is_named)
		request.name = memcpy(own->name, r->name, strlen(r->name) + 1);
	return talk_begin(d->talk, &request);
}

static bool is_going_round(const struct dial_request *r, const struct addr *to)
{
	return r->is_taken && addr_same_ip(r->client, to);
}

void dial_begin(struct dial *d, const struct dial_request *r)
{
	const struct upstream *u = &r->config->upstreams[r->upstream];
	struct leg_request leg = { .upstream = u,
				   .client = r->is_check ? NULL : r->client,
				   .server = r->server,
				   .mark = r->mark,
				   .is_from_host = r->is_from_host,
				   .is_redirected = r->is_redirected };
	struct addr to;
	int fd;

	*d = (struct dial){ .fd = -1,
			    .state = DIAL_CONNECTING,
			    .can_retry = true,
			    .is_to_blame = u->has_to,
			    .has_to = u->has_to };
	if (u->kind != UPSTREAM_DIRECT) {
		leg.to = &to;
		if (!board_address(r->board, r->config, r->upstream, r->pick,
				   &to)) {
			fail(d, END_UPSTREAM_UNREACHABLE, EHOSTUNREACH);
			return;
		}
		if (is_going_round(r, &to)) {
			d->can_retry = d->is_to_blame = false;
			fail(d, END_LOOP, 0);
			return;
		}
	}
	fd = prepare_talk(d, r, leg.to);
	if (!fd)
		fd = leg_open(&leg, r->counters, &d->source);
	if (fd < 0)
		fail_open(d, -fd);
	else
		d->fd = fd;
}

/* --- talking ------------------------------------------------------------- */

/* An error shows at the next read, behind what the proxy said before it. */
static void say(struct dial *d)
{
	struct talk *t = d->talk;
	ssize_t len;

	if (t->out_at == t->out_len)
		return;
	len = send(d->fd, t->out + t->out_at, t->out_len - t->out_at,
		   MSG_NOSIGNAL | MSG_DONTWAIT);
	if (len > 0)
		t->out_at += (uint32_t)len;
}

/* An unspecified BND.ADDR is the proxy's own address. */
static void find_bound(struct dial *d)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	uint16_t port;

	d->bound = d->talk->bound;
	if (d->bound.family ||
	    getpeername(d->fd, (struct sockaddr *)&ss, &len) < 0)
		return;
	port = d->bound.port;
	addr_from_sockaddr((struct sockaddr *)&ss, &d->bound);
	d->bound.port = port;
}

static void finish(struct dial *d)
{
	if (d->talk)
		find_bound(d);
	free_talk(d);
	d->state = DIAL_DONE;
}

/* They are in the socket: this cannot fail, nor give fewer. */
static void consume(struct dial *d, size_t len)
{
	if (len && recv(d->fd, NULL, len, MSG_TRUNC | MSG_DONTWAIT) > 0)
		d->is_heard = true;
}

/* One look at what came.  True: look again. */
static bool listen_once(struct dial *d, bool is_closed)
{
	uint8_t bytes[PEEK_BYTES];
	ssize_t len =
		recv(d->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	enum talk_result result;
	size_t used = 0;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (len <= 0) {
		break_talk(d, len < 0 ? errno : 0);
		return false;
	}
	result = talk_input(d->talk, bytes, (size_t)len, &used);
	consume(d, used);
	switch (result) {
	case TALK_DONE:
		finish(d);
		return false;
	case TALK_FAILED:
		fail_talk(d, 0);
		return false;
	case TALK_MORE:
		break;
	}
	say(d);
	if (used)
		return is_closed || len == sizeof(bytes);
	/* Half a word: no more will come, or no more can be looked at. */
	if (is_closed || len == sizeof(bytes))
		break_talk(d, 0);
	return false;
}

static void talk_on(struct dial *d, uint32_t events)
{
	bool is_closed = events & CLOSED;

	say(d);
	if (!(events & (EPOLLIN | CLOSED)))
		return;
	while (listen_once(d, is_closed))
		; /* bounded: each look uses bytes, and talks have limits */
}

enum dial_state dial_on_event(struct dial *d, uint32_t events)
{
	if (d->state == DIAL_CONNECTING) {
		if (events & BROKEN) {
			fail_connect(d, sock_error(d->fd));
			return d->state;
		}
		if (!(events & EPOLLOUT))
			return d->state;
		if (!d->talk) {
			finish(d);
			return d->state;
		}
		d->state = DIAL_TALKING;
	}
	if (d->state == DIAL_TALKING)
		talk_on(d, events);
	return d->state;
}

/* --- ends, by the owner -------------------------------------------------- */

void dial_time_out(struct dial *d)
{
	/* The first word of SOCKS5 is answered at once by whoever is well; an
	 * answer to CONNECT may wait for the server's. */
	if (d->state == DIAL_TALKING)
		d->is_to_blame = !d->is_heard && d->talk->kind == &talk_socks5;
	fail(d, d->talk ? END_UPSTREAM_TIMEOUT : END_CONNECT_TIMEOUT, 0);
}

int dial_take(struct dial *d)
{
	int fd = d->fd;

	d->fd = -1;
	give_up(d);
	return fd;
}

void dial_end(struct dial *d)
{
	give_up(d);
	d->state = DIAL_IDLE;
}
