/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_udp.c - datagrams and standard streams; see nc_udp.h.
 */
#include "cli/nc_udp.h"

#include "base/loop.h"
#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_BYTES = 16384 }; /* of OpenBSD's netcat, too */

struct run {
	struct nc_udp *u;
	struct err *e;
	struct nc_visit peer; /* of a listener, once it has one */
	bool has_peer;	      /* standard input can be sent */
	bool has_input;	      /* standard input has not ended */
	int sender;
	uint64_t moved_ms, ended_ms; /* ended_ms: of standard input, or 0 */
	char bytes[NC_DATAGRAM_MAX];
};

/* --- one datagram -------------------------------------------------------- */

/* NAT leaves no trace of where a datagram was sent to, so there are two. */
static enum waylay_way way_of(const struct addr *to)
{
	return to->family && !sock_is_local(to) ? WAYLAY_TPROXY : WAYLAY_PLAIN;
}

int nc_udp_receive(int fd, char *bytes, struct nc_visit *out, struct err *e)
{
	struct waylay_datagram d = { .size = sizeof(d),
				     .bytes = bytes,
				     .capacity = NC_DATAGRAM_MAX };
	struct waylay_error error = WAYLAY_ERROR_INIT;
	struct nc_visit v = { .is_udp = true };
	int result = waylay_recv(fd, &d, &error);

	if (result == -EAGAIN || result == -EINTR)
		return -EAGAIN;
	if (result < 0)
		return err_set(e, -result, "%s", error.text);
	addr_from_sockaddr((struct sockaddr *)&d.from, &v.client);
	addr_from_sockaddr((struct sockaddr *)&d.to, &v.destination);
	v.way = way_of(&v.destination);
	*out = v;
	return (int)d.len;
}

int nc_udp_sender(const struct nc_options *o, int family, int *out,
		  struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	int fd;

	*out = -1;
	if (!o->is_transparent)
		return 0;
	fd = waylay_sender(family, NULL, &error);
	if (fd < 0)
		return err_set(e, -fd, "%s", error.text);
	*out = fd;
	return 0;
}

int nc_udp_answer(int sender, int listener, const struct nc_visit *v,
		  const char *bytes, size_t len, struct err *e)
{
	struct waylay_datagram d = { .size = sizeof(d),
				     .bytes = (char *)bytes,
				     .len = len };
	struct waylay_error error = WAYLAY_ERROR_INIT;
	socklen_t to_len = addr_to_sockaddr(&v->client, &d.to);
	int result;

	if (sender < 0) {
		if (sendto(listener, bytes, len, MSG_NOSIGNAL,
			   (struct sockaddr *)&d.to, to_len) < 0)
			return err_errno(e, errno, "cannot send an answer");
		return 0;
	}
	(void)addr_to_sockaddr(&v->destination, &d.from);
	result = waylay_send(sender, &d, &error);
	return result < 0 ? err_set(e, -result, "%s", error.text) : 0;
}

/* --- standard streams ---------------------------------------------------- */

static int write_all(struct run *r, const char *bytes, size_t len)
{
	while (len) {
		ssize_t done = write(STDOUT_FILENO, bytes, len);

		if (done < 0 && errno == EAGAIN) {
			if (nc_poll_one(r->u->watch, STDOUT_FILENO, POLLOUT,
					-1) == -EINTR)
				return -EINTR;
			continue;
		}
		if (done < 0 && errno != EINTR)
			return err_errno(r->e, errno,
					 "cannot write standard output");
		if (done < 0)
			continue;
		bytes += done;
		len -= (size_t)done;
	}
	return 0;
}

static int send_connected(struct run *r, const char *bytes, size_t len)
{
	int fd = r->u->sockets.fds[0];

	while (send(fd, bytes, len, MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(r->e, errno, "cannot send a datagram");
		if (nc_poll_one(r->u->watch, fd, POLLOUT, -1) == -EINTR)
			return -EINTR;
	}
	return 0;
}

static int take_input(struct run *r)
{
	ssize_t len = read(STDIN_FILENO, r->bytes, INPUT_BYTES);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0 && errno != EBADF)
		return err_errno(r->e, errno, "cannot read standard input");
	if (len <= 0) {
		r->has_input = false;
		r->ended_ms = clock_ms();
		return 0;
	}
	if (r->sender < 0)
		return send_connected(r, r->bytes, (size_t)len);
	return nc_udp_answer(r->sender, -1, &r->peer, r->bytes, (size_t)len,
			     r->e);
}

/* --- who it is ----------------------------------------------------------- */

static bool is_peer(const struct run *r, const struct nc_visit *v)
{
	return addr_equal(&v->client, &r->peer.client) &&
	       (r->sender < 0 ||
		addr_equal(&v->destination, &r->peer.destination));
}

/* An ordinary socket is connected to its peer: the kernel refuses others.  The
 * other listener goes. */
static int adopt_plain(struct run *r, size_t which)
{
	struct nc_listeners *l = &r->u->sockets;
	int error;

	if (which)
		l->fds[0] = dup3(l->fds[which], l->fds[0], O_CLOEXEC);
	if (l->count > 1)
		close(l->fds[1]);
	l->count = 1;
	error = sock_connect(l->fds[0], &r->peer.client);
	return error < 0 ? err_errno(r->e, -error, "cannot answer") : 0;
}

static int adopt(struct run *r, const struct nc_visit *v, size_t which)
{
	int error = nc_udp_sender(r->u->options, v->client.family, &r->sender,
				  r->e);

	r->peer = *v;
	r->has_peer = true;
	return !error && r->sender < 0 ? adopt_plain(r, which) : error;
}

static int take_datagram(struct run *r, size_t which)
{
	const struct nc_options *o = r->u->options;
	struct nc_visit v;
	int len = nc_udp_receive(r->u->sockets.fds[which], r->bytes, &v, r->e);
	int error = 0;

	if (len < 0)
		return len == -EAGAIN ? 0 : len;
	if (r->u->is_connected)
		return write_all(r, r->bytes, (size_t)len);
	if (r->has_peer && !is_peer(r, &v))
		return 0;
	if (!r->has_peer && !o->is_kept)
		error = adopt(r, &v, which);
	if (error < 0)
		return error;
	nc_listen_say_visit(o, &v, (size_t)len);
	return write_all(r, r->bytes, (size_t)len);
}

/* --- all of it ----------------------------------------------------------- */

enum { SLOT_SIGNAL, SLOT_IN, SLOT_NET, SLOT_COUNT = 2 + NC_LISTENERS_MAX };

static void choose(const struct run *r, struct pollfd *p)
{
	bool reads_input = r->has_peer && r->has_input;

	p[SLOT_IN] = (struct pollfd){ .fd = reads_input ? STDIN_FILENO : -1,
				      .events = POLLIN };
	for (size_t i = 0; i < NC_LISTENERS_MAX; i++)
		p[SLOT_NET + i] = (struct pollfd){
			.fd = i < r->u->sockets.count ? r->u->sockets.fds[i]
						      : -1,
			.events = POLLIN,
		};
}

/* -w counts from the first datagram, -q from the end of standard input. */
static int next_wait(const struct run *r)
{
	const struct nc_options *o = r->u->options;
	uint64_t end_ms = UINT64_MAX, now_ms = clock_ms();

	if (o->wait_ms && r->has_peer)
		end_ms = r->moved_ms + (uint64_t)o->wait_ms;
	if (o->quit_ms >= 0 && r->ended_ms &&
	    r->ended_ms + (uint64_t)o->quit_ms < end_ms)
		end_ms = r->ended_ms + (uint64_t)o->quit_ms;
	if (end_ms == UINT64_MAX)
		return -1;
	return end_ms > now_ms ? (int)(end_ms - now_ms) : 0;
}

static int serve(struct run *r, const struct pollfd *p)
{
	int error = 0;

	r->moved_ms = clock_ms();
	for (size_t i = 0; i < NC_LISTENERS_MAX && !error; i++)
		if (p[SLOT_NET + i].revents)
			error = take_datagram(r, i);
	if (!error && p[SLOT_IN].revents)
		error = take_input(r);
	return error;
}

static enum nc_pumped turn_all(struct run *r)
{
	struct pollfd p[SLOT_COUNT];

	for (;;) {
		int wait_ms = next_wait(r), result;

		choose(r, p);
		result = nc_poll(r->u->watch, p, SLOT_COUNT, wait_ms);
		if (result == 0)
			return NC_FINISHED;
		if (result > 0)
			result = serve(r, p);
		if (result == -EINTR)
			return NC_STOPPED;
		if (result < 0)
			return NC_CUT;
	}
}

enum nc_pumped nc_udp_run(struct nc_udp *u, struct err *e)
{
	struct run r = {
		.u = u,
		.e = e,
		.has_peer = u->is_connected,
		.has_input = !u->options->has_no_input,
		.sender = -1,
		.moved_ms = clock_ms(),
	};
	enum nc_pumped result = turn_all(&r);

	if (r.sender >= 0)
		close(r.sender);
	nc_listen_close(&u->sockets);
	return result;
}
