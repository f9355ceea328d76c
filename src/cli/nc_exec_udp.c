/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_exec_udp.c - a command for each UDP flow; see nc_exec.h.
 *
 * A command has one end of a pair of SOCK_SEQPACKET sockets: a read gives one
 * datagram, a write sends one, and the end of the flow is an end of file.  An
 * empty datagram would look like that end: it is not passed on.  A command that
 * does not read loses datagrams, as any UDP program does.
 */
#include "cli/nc_exec.h"

#include "base/loop.h"
#include "cli/nc_spawn.h"
#include "cli/nc_udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWERS_AT_ONCE = 64 };

struct flow {
	struct nc_child child;
	struct nc_visit visit;
	int fd;	      /* our end; -1: the flow is over, the command not yet */
	int listener; /* that it came by */
	uint64_t moved_ms;
	bool has_lost; /* it was said */
};

struct table {
	struct nc_exec *x;
	struct flow *flows;
	size_t count;
	int senders[NC_LISTENERS_MAX]; /* by family; -1: not opened */
	bool is_open;		       /* for further flows */
	bool is_full;		       /* it was said */
	int status;
	char bytes[NC_DATAGRAM_MAX];
};

/* --- to the command ------------------------------------------------------ */

static struct flow *find(struct table *t, const struct nc_visit *v)
{
	for (size_t i = 0; i < t->count; i++) {
		struct flow *f = &t->flows[i];

		if (f->fd >= 0 && addr_equal(&f->visit.client, &v->client) &&
		    addr_equal(&f->visit.destination, &v->destination))
			return f;
	}
	return NULL;
}

static int start(struct table *t, struct flow *f, struct err *e)
{
	const int room = 1 << 20;
	int fds[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_errno(e, errno, "cannot make a pair of sockets");
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	error = nc_spawn(t->x->options, fds[1], &f->visit, &t->x->watch->before,
			 &f->child, e);
	close(fds[1]);
	if (error < 0)
		close(fds[0]);
	else
		f->fd = fds[0];
	return error;
}

static struct flow *begin(struct table *t, int listener,
			  const struct nc_visit *v)
{
	struct flow f = { .visit = *v, .fd = -1, .listener = listener };
	struct err e;

	if (!t->is_open)
		return NULL;
	if (t->count == NC_CHILDREN_MAX) {
		if (!t->is_full)
			(void)cli_fail(CLI_FAILED,
				       "nc: %d commands run; datagrams of "
				       "further flows are lost",
				       NC_CHILDREN_MAX);
		t->is_full = true;
		return NULL;
	}
	if (start(t, &f, &e) < 0) {
		(void)cli_fail(CLI_FAILED, "nc: %s", e.text);
		return NULL;
	}
	t->is_open = t->x->options->is_kept;
	t->flows[t->count] = f;
	return &t->flows[t->count++];
}

static void give(struct table *t, struct flow *f, size_t len)
{
	char client[ADDR_TEXT_MAX];

	f->moved_ms = clock_ms();
	if (!len ||
	    send(f->fd, t->bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	if (errno == EPIPE || errno == ECONNRESET || f->has_lost)
		return; /* it ends, or was said */
	f->has_lost = true;
	(void)cli_fail(CLI_FAILED,
		       "nc: the command for %s does not read: datagrams are "
		       "lost",
		       addr_format(&f->visit.client, client));
}

static int take_datagram(struct table *t, int listener, struct err *e)
{
	struct nc_visit v;
	int len = nc_udp_receive(listener, t->bytes, &v, e);
	struct flow *f;

	if (len < 0)
		return len == -EAGAIN ? 0 : len;
	f = find(t, &v);
	if (!f)
		f = begin(t, listener, &v);
	if (!f)
		return 0;
	nc_listen_say_visit(t->x->options, &v, (size_t)len);
	give(t, f, (size_t)len);
	return 0;
}

/* --- from the command ---------------------------------------------------- */

static int sender_for(struct table *t, int family, struct err *e)
{
	int *sender = &t->senders[family == AF_INET6];

	if (*sender < 0 && nc_udp_sender(t->x->options, family, sender, e) < 0)
		return -e->code;
	return *sender;
}

static void answer(struct table *t, struct flow *f, size_t len)
{
	struct err e = { 0 };
	int sender = sender_for(t, f->visit.client.family, &e);

	f->moved_ms = clock_ms();
	if (!e.code)
		(void)nc_udp_answer(sender, f->listener, &f->visit, t->bytes,
				    len, &e);
	if (e.code)
		(void)cli_fail(CLI_FAILED, "nc: %s", e.text);
}

static void end_flow(struct flow *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* So many at a time: who writes without end is not alone.  Of a command that
 * has ended, all: no more will come. */
static void take_answers(struct table *t, struct flow *f, bool has_ended)
{
	size_t left = has_ended ? SIZE_MAX : ANSWERS_AT_ONCE;
	ssize_t len = 1;

	for (; left && len > 0; left--) {
		len = recv(f->fd, t->bytes, sizeof(t->bytes), MSG_DONTWAIT);
		if (len > 0)
			answer(t, f, (size_t)len);
	}
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		end_flow(f);
}

/* --- all of them --------------------------------------------------------- */

enum {
	SLOT_LISTENER = 1,
	SLOT_FLOW = SLOT_LISTENER + NC_LISTENERS_MAX,
	SLOTS = SLOT_FLOW + 2 * NC_CHILDREN_MAX,
};

static void choose(const struct table *t, struct pollfd *p)
{
	for (size_t i = 0; i < NC_LISTENERS_MAX; i++)
		p[SLOT_LISTENER + i] = (struct pollfd){
			.fd = i < t->x->listeners->count
				      ? t->x->listeners->fds[i]
				      : -1,
			.events = POLLIN,
		};
	for (size_t i = 0; i < t->count; i++) {
		p[SLOT_FLOW + 2 * i] =
			(struct pollfd){ t->flows[i].fd, POLLIN, 0 };
		p[SLOT_FLOW + 2 * i + 1] =
			(struct pollfd){ t->flows[i].child.pidfd, POLLIN, 0 };
	}
}

static bool is_silent(const struct table *t, const struct flow *f)
{
	int wait_ms = t->x->options->wait_ms;

	return wait_ms && f->fd >= 0 &&
	       clock_ms() >= f->moved_ms + (uint64_t)wait_ms;
}

static int next_wait(const struct table *t)
{
	uint64_t now_ms = clock_ms(), next_ms = UINT64_MAX;

	for (size_t i = 0; i < t->count && t->x->options->wait_ms; i++) {
		const struct flow *f = &t->flows[i];
		uint64_t end_ms =
			f->moved_ms + (uint64_t)t->x->options->wait_ms;

		if (f->fd >= 0 && end_ms < next_ms)
			next_ms = end_ms;
	}
	if (next_ms == UINT64_MAX)
		return -1;
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

/* From the last to the first: see nc_exec_tcp.c. */
static void serve_flows(struct table *t, const struct pollfd *p)
{
	for (size_t i = t->count; i-- > 0;) {
		struct flow *f = &t->flows[i];
		bool has_ended = p[SLOT_FLOW + 2 * i + 1].revents;

		if (f->fd >= 0 && (has_ended || p[SLOT_FLOW + 2 * i].revents))
			take_answers(t, f, has_ended);
		if (is_silent(t, f))
			end_flow(f);
		if (!has_ended)
			continue;
		end_flow(f);
		t->status = nc_spawn_reap(&f->child);
		t->is_full = false;
		t->flows[i] = t->flows[--t->count];
	}
}

static int serve(struct table *t, struct err *e)
{
	struct pollfd p[SLOTS];
	int result;

	while (t->is_open || t->count) {
		choose(t, p);
		result = nc_poll(t->x->watch, p, SLOT_FLOW + 2 * t->count,
				 next_wait(t));
		if (result == -EINTR)
			return result;
		if (result < 0)
			return err_errno(e, -result, "cannot wait");
		serve_flows(t, p);
		for (size_t i = 0; i < NC_LISTENERS_MAX; i++) {
			if (!p[SLOT_LISTENER + i].revents)
				continue;
			result = take_datagram(t, t->x->listeners->fds[i], e);
			if (result < 0)
				return result;
		}
	}
	return t->status;
}

static void close_table(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		end_flow(&t->flows[i]);
		nc_spawn_abandon(&t->flows[i].child);
	}
	for (size_t i = 0; i < NC_LISTENERS_MAX; i++)
		if (t->senders[i] >= 0)
			close(t->senders[i]);
	free(t->flows);
	free(t);
}

int nc_exec_udp(struct nc_exec *x, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));
	int result;

	if (!t)
		return err_set(e, ENOMEM, "no memory for flows");
	t->x = x;
	t->is_open = true;
	t->senders[0] = t->senders[1] = -1;
	t->flows = calloc(NC_CHILDREN_MAX, sizeof(*t->flows));
	result = t->flows ? serve(t, e)
			  : err_set(e, ENOMEM, "no memory for flows");
	close_table(t);
	return result;
}
