/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_exec_tcp.c - a command for each TCP connection; see nc_exec.h.
 *
 * We keep a descriptor of the connection, so the end of the command does not
 * end it: only here is known whether the command came to its end.  After it we
 * send FIN, read and forget what the client still says for a moment (a close
 * with unread bytes would be an RST, which can cost the client our last ones),
 * and wait until all is acknowledged.
 */
#include "cli/nc_exec.h"

#include "base/loop.h"
#include "cli/nc_end.h"
#include "cli/nc_spawn.h"
#include "net/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LISTEN_ON_MS = 2000,
	ACKNOWLEDGED_MS = 60000,
	LOOK_EVERY_MS = 20,
	READS_AT_ONCE = 16,
};

struct guest {
	struct nc_child child; /* pid 0: has ended, the connection ends */
	int fd;
	int status;	   /* of the command */
	bool has_finished; /* the client has sent FIN */
	uint64_t ended_ms; /* when the command had ended */
};

struct house {
	struct nc_exec *x;
	struct guest *guests;
	size_t count;
	bool is_open; /* for further ones */
	int status;   /* of the last command */
};

static bool is_running(const struct guest *g)
{
	return g->child.pid;
}

/* --- come ---------------------------------------------------------------- */

/* Takes fd. */
static int admit(struct house *h, int fd, const struct nc_visit *v,
		 struct err *e)
{
	struct guest g = { .fd = fd };
	int error = nc_spawn(h->x->options, fd, v, &h->x->watch->before,
			     &g.child, e);

	if (error < 0) {
		close(fd);
		return error;
	}
	h->guests[h->count++] = g;
	return 0;
}

static int welcome(struct house *h, int listener, struct err *e)
{
	const struct nc_options *o = h->x->options;
	struct nc_visit v;
	int fd = nc_listen_take(listener, &v, e), error;

	if (fd < 0)
		return fd == -EAGAIN ? 0 : fd;
	nc_listen_say_visit(o, &v, 0);
	error = admit(h, fd, &v, e);
	if (o->is_kept) {
		if (error < 0) /* others may have more luck */
			(void)cli_fail(CLI_FAILED, "nc: %s", e->text);
		return 0;
	}
	h->is_open = false;
	nc_listen_close(h->x->listeners);
	return error;
}

/* --- go ------------------------------------------------------------------ */

static void dismiss(struct house *h, size_t i)
{
	h->guests[i] = h->guests[--h->count];
}

static void say_unacknowledged(int error)
{
	struct err e;

	(void)err_errno(&e, error,
			"the client has not acknowledged all that "
			"the command sent");
	(void)cli_fail(CLI_FAILED, "nc: %s", e.text);
}

static void command_has_ended(struct house *h, struct guest *g)
{
	h->status = g->status = nc_spawn_reap(&g->child);
	g->ended_ms = clock_ms();
	if (nc_spawn_is_whole(g->status))
		(void)shutdown(g->fd, SHUT_WR); /* if not: is told below */
}

static void forget_input(struct guest *g)
{
	static char nothing[16384];
	ssize_t len = 1;

	for (int i = 0; i < READS_AT_ONCE && len > 0; i++)
		len = recv(g->fd, nothing, sizeof(nothing), MSG_DONTWAIT);
	g->has_finished |= len == 0;
}

/* Is it over?  The descriptor is closed then. */
static bool end_connection(struct house *h, struct guest *g)
{
	uint64_t since_ms = clock_ms() - g->ended_ms;
	int result;

	if (h->x->options->is_udp || !nc_spawn_is_whole(g->status)) {
		close(g->fd); /* of TCP: RST */
		return true;
	}
	forget_input(g);
	result = nc_end_acknowledged(g->fd);
	if (result == 0 && since_ms >= ACKNOWLEDGED_MS)
		result = -ETIMEDOUT;
	if (result < 0) {
		say_unacknowledged(-result);
		close(g->fd);
		if (!h->status)
			h->status = CLI_FAILED;
		return true;
	}
	if (!result || (!g->has_finished && since_ms < LISTEN_ON_MS))
		return false;
	sock_close_orderly(g->fd);
	return true;
}

/* --- all of them --------------------------------------------------------- */

enum { SLOTS = 1 + NC_LISTENERS_MAX + NC_CHILDREN_MAX };

static void choose(const struct house *h, struct pollfd *p, int *wait_ms)
{
	bool has_room = h->is_open && h->count < NC_CHILDREN_MAX;

	*wait_ms = -1;
	for (size_t i = 0; i < NC_LISTENERS_MAX; i++) {
		bool is_there = has_room && i < h->x->listeners->count;

		p[1 + i] = (struct pollfd){
			.fd = is_there ? h->x->listeners->fds[i] : -1,
			.events = POLLIN,
		};
	}
	for (size_t i = 0; i < h->count; i++) {
		bool runs = is_running(&h->guests[i]);

		p[1 + NC_LISTENERS_MAX + i] = (struct pollfd){
			.fd = runs ? h->guests[i].child.pidfd : -1,
			.events = POLLIN,
		};
		if (!runs)
			*wait_ms = LOOK_EVERY_MS;
	}
}

/* From the last to the first: who goes is replaced by one that was asked. */
static void serve_guests(struct house *h, const struct pollfd *p)
{
	for (size_t i = h->count; i-- > 0;) {
		struct guest *g = &h->guests[i];

		if (p[1 + NC_LISTENERS_MAX + i].revents)
			command_has_ended(h, g);
		if (!is_running(g) && end_connection(h, g))
			dismiss(h, i);
	}
}

static int serve_listeners(struct house *h, const struct pollfd *p,
			   struct err *e)
{
	int error = 0;

	for (size_t i = 0; i < NC_LISTENERS_MAX && !error; i++)
		if (p[1 + i].revents && h->is_open &&
		    h->count < NC_CHILDREN_MAX)
			error = welcome(h, h->x->listeners->fds[i], e);
	return error;
}

static int serve(struct house *h, struct err *e)
{
	struct pollfd p[SLOTS];
	int wait_ms, result;

	while (h->is_open || h->count) {
		choose(h, p, &wait_ms);
		result = nc_poll(h->x->watch, p,
				 1 + NC_LISTENERS_MAX + h->count, wait_ms);
		if (result == -EINTR)
			return result;
		if (result < 0)
			return err_errno(e, -result, "cannot wait");
		serve_guests(h, p);
		result = serve_listeners(h, p, e);
		if (result < 0)
			return result;
	}
	return h->status;
}

static void close_house(struct house *h)
{
	for (size_t i = 0; i < h->count; i++) {
		nc_spawn_abandon(&h->guests[i].child);
		close(h->guests[i].fd); /* RST, when the command lets go too */
	}
	free(h->guests);
}

static int open_house(struct house *h, struct nc_exec *x, struct err *e)
{
	*h = (struct house){ .x = x };
	h->guests = calloc(NC_CHILDREN_MAX, sizeof(*h->guests));
	return h->guests ? 0 : err_set(e, ENOMEM, "no memory for connections");
}

int nc_exec_tcp(struct nc_exec *x, struct err *e)
{
	struct house h;
	int result = open_house(&h, x, e);

	if (result < 0)
		return result;
	h.is_open = true;
	result = serve(&h, e);
	close_house(&h);
	return result;
}

int nc_exec_one(struct nc_exec *x, int net, const struct nc_visit *v,
		struct err *e)
{
	struct house h;
	int result = open_house(&h, x, e);

	if (result < 0) {
		close(net);
		return result;
	}
	result = admit(&h, net, v, e);
	if (!result)
		result = serve(&h, e);
	close_house(&h);
	return result;
}
