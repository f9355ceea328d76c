/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - clients of the control socket; see server.h.
 *
 * Making and removing the socket itself is in socket.c.
 */
#include "control/server.h"

#include "base/err.h"
#include "control/socket.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CHUNK = 4096,
	RETRY_MS = 200, /* after descriptors ran out */
};

static const char internal_error[] =
	"{\"ok\":false,\"code\":\"failed\",\"error\":\"internal error\"}";

/* --- listener ------------------------------------------------------------ */

static void listener_rest(struct control_server *s)
{
	s->is_resting = loop_mod(s->loop, s->fd, 0, &s->watch) == 0;
}

static void listener_wake(struct control_server *s)
{
	if (s->fd >= 0 && s->is_resting)
		s->is_resting =
			loop_mod(s->loop, s->fd, EPOLLIN, &s->watch) != 0;
}

static void listener_retry(struct timer *t, uint64_t now_ms)
{
	size_t offset = offsetof(struct control_server, retry);

	(void)now_ms;
	listener_wake((struct control_server *)((char *)t - offset));
}

/* --- states of a client -------------------------------------------------- */

/* For each state the bits of those that may follow. */
static const uint8_t moves[] = {
	[CONTROL_CLIENT_FREE] = 1 << CONTROL_CLIENT_READING,
	[CONTROL_CLIENT_READING] =
		1 << CONTROL_CLIENT_WRITING | 1 << CONTROL_CLIENT_CLOSED,
	[CONTROL_CLIENT_WRITING] = 1 << CONTROL_CLIENT_CLOSED,
	[CONTROL_CLIENT_CLOSED] = 1 << CONTROL_CLIENT_FREE,
};

static void client_move(struct control_client *c,
			enum control_client_state next)
{
	assert(moves[c->state] & 1 << next);
	c->state = next;
	if (next == CONTROL_CLIENT_READING || next == CONTROL_CLIENT_WRITING)
		wheel_set(&c->server->loop->wheel, &c->deadline,
			  c->server->loop->now_ms + CONTROL_DEADLINE_MS);
}

static bool client_is_open(const struct control_client *c)
{
	return c->state == CONTROL_CLIENT_READING ||
	       c->state == CONTROL_CLIENT_WRITING;
}

static void client_free(struct deferred *d)
{
	size_t offset = offsetof(struct control_client, deferred);
	struct control_client *c =
		(struct control_client *)((char *)d - offset);

	client_move(c, CONTROL_CLIENT_FREE);
	listener_wake(c->server);
}

/* Leaves no memory behind, so that only the place waits for the batch. */
static void client_close(struct control_client *c)
{
	loop_del(c->server->loop, c->fd);
	close(c->fd);
	c->fd = -1;
	wheel_cancel(&c->server->loop->wheel, &c->deadline);
	str_done(&c->in);
	str_done(&c->out);
	client_move(c, CONTROL_CLIENT_CLOSED);
	loop_defer(c->server->loop, &c->deferred, client_free);
}

static void client_expire(struct timer *t, uint64_t now_ms)
{
	size_t offset = offsetof(struct control_client, deadline);

	(void)now_ms;
	client_close((struct control_client *)((char *)t - offset));
}

/* --- reply --------------------------------------------------------------- */

static void client_write(struct control_client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n =
			send(c->fd, c->out.text + c->sent, c->out.len - c->sent,
			     MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break; /* it hung up: nobody is left to tell */
		c->sent += (size_t)n;
	}
	client_close(c);
}

static int dump_chunk(const char *bytes, size_t len, void *out)
{
	struct str *text = out;

	str_addn(text, bytes, len);
	return str_ok(text) && text->len < CONTROL_REPLY_MAX ? 0 : -1;
}

/* Takes reply. */
static void client_reply(struct control_client *c, json_t *reply)
{
	if (!json_is_object(reply) ||
	    json_dump_callback(reply, dump_chunk, &c->out, JSON_COMPACT)) {
		str_done(&c->out);
		str_add(&c->out, internal_error);
	}
	json_decref(reply);
	str_add(&c->out, "\n");
	if (!str_ok(&c->out) ||
	    loop_mod(c->server->loop, c->fd, EPOLLOUT, &c->watch)) {
		client_close(c);
		return;
	}
	client_move(c, CONTROL_CLIENT_WRITING);
	client_write(c);
}

static void client_refuse(struct control_client *c, const char *why)
{
	client_reply(c, control_error(CONTROL_USAGE, why));
}

/* --- request ------------------------------------------------------------- */

static void client_answer(struct control_client *c, size_t line_len)
{
	struct control_server *s = c->server;
	struct err why;
	json_t *request;
	json_t *reply;

	request = control_parse(c->in.text, line_len, &why);
	if (!request) {
		client_refuse(c, why.text);
		return;
	}
	reply = s->handler(s->ctx, request);
	json_decref(request);
	client_reply(c, reply);
}

/* True: there may be more to read. */
static bool client_take(struct control_client *c, const char *bytes, size_t len)
{
	size_t before = c->in.len;
	const char *end;

	str_addn(&c->in, bytes, len);
	if (!str_ok(&c->in)) {
		client_close(c);
		return false;
	}
	end = memchr(c->in.text + before, '\n', len);
	if (!end && c->in.len < CONTROL_REQUEST_MAX)
		return true;
	if (!end || end - c->in.text >= CONTROL_REQUEST_MAX)
		client_refuse(c, "the request is longer than 64 KiB");
	else if (end + 1 != c->in.text + c->in.len)
		client_refuse(c, "more than one line in a request");
	else
		client_answer(c, (size_t)(end - c->in.text));
	return false;
}

static void client_read(struct control_client *c)
{
	char chunk[CHUNK];
	ssize_t n;

	do {
		n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n < 0)
			client_close(c);
		else if (n == 0)
			client_refuse(c, "the request ends before its newline");
		if (c->state != CONTROL_CLIENT_READING)
			return;
	} while (client_take(c, chunk, (size_t)n));
}

static void client_ready(struct loop *l, struct watch *w, uint32_t events)
{
	struct control_client *c = (struct control_client *)w;

	(void)l;
	(void)events; /* a hang-up shows when we read or write */
	switch (c->state) {
	case CONTROL_CLIENT_READING:
		client_read(c);
		break;
	case CONTROL_CLIENT_WRITING:
		client_write(c);
		break;
	case CONTROL_CLIENT_FREE:
	case CONTROL_CLIENT_CLOSED:
		break; /* closed earlier in the batch */
	}
}

/* --- accept -------------------------------------------------------------- */

static bool peer_is_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static struct control_client *client_find_free(struct control_server *s)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (s->clients[i].state == CONTROL_CLIENT_FREE)
			return &s->clients[i];
	return NULL;
}

/* Takes fd. */
static void client_open(struct control_client *c, int fd)
{
	c->fd = fd;
	c->sent = 0;
	if (loop_add(c->server->loop, fd, EPOLLIN, &c->watch) < 0) {
		close(fd);
		c->fd = -1;
		return;
	}
	client_move(c, CONTROL_CLIENT_READING);
	if (!peer_is_allowed(fd))
		client_refuse(c, "only root and waylayd's own user may ask");
}

static void listener_ready(struct loop *l, struct watch *w, uint32_t events)
{
	struct control_server *s = (struct control_server *)w;
	struct control_client *c;
	int fd;

	(void)events;
	while (s->fd >= 0) {
		c = client_find_free(s);
		if (!c) {
			listener_rest(s);
			return;
		}
		fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			client_open(c, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) { /* no descriptor: do not spin */
			listener_rest(s);
			wheel_set(&l->wheel, &s->retry, l->now_ms + RETRY_MS);
		}
		return;
	}
}

/* --- life ---------------------------------------------------------------- */

int control_server_open(struct control_server *s, struct loop *loop,
			const char *run_dir, control_fn handler, void *ctx,
			struct err *e)
{
	int rc;

	*s = (struct control_server){
		.watch.fn = listener_ready,
		.retry.fn = listener_retry,
		.loop = loop,
		.handler = handler,
		.ctx = ctx,
		.fd = -1,
	};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		s->clients[i] = (struct control_client){
			.watch.fn = client_ready,
			.deadline.fn = client_expire,
			.server = s,
			.fd = -1,
		};
	rc = control_socket_open(s, run_dir, e);
	if (rc < 0)
		return rc;
	rc = loop_add(loop, s->fd, EPOLLIN, &s->watch);
	if (rc < 0) {
		control_socket_close(s);
		return err_errno(e, -rc, "cannot watch the control socket");
	}
	return 0;
}

void control_server_close(struct control_server *s)
{
	if (s->fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (client_is_open(&s->clients[i]))
			client_close(&s->clients[i]);
	wheel_cancel(&s->loop->wheel, &s->retry);
	loop_del(s->loop, s->fd);
	control_socket_close(s);
}

void control_server_leave(struct control_server *s)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (client_is_open(&s->clients[i]))
			close(s->clients[i].fd);
		s->clients[i].fd = -1;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
