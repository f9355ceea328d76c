/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association.c - flows by way of a SOCKS5 proxy; see udp_path.h.
 *
 *	OPENING   a dial asks the proxy for an association; flows that want it
 *	  |       have joined and hold what their clients send
 *	OPEN      datagrams go both ways, each behind its header, through one
 *	  |       socket that is connected to where the proxy said
 *	ENDED     nothing is open any more; freed at the end of the batch
 *
 * It ends with its last flow, or when the proxy closes the TCP connection on
 * which it was asked for: that ends its flows (R-SOCKS-6).  An association that
 * cannot be opened sends its flows on to wherever their rules say.
 *
 * Both sockets speak from the same address: the proxy knows us by it.
 */
#include "relay/udp_association.h"

#include "net/sock.h"
#include "policy/eval.h"
#include "relay/udp_flow.h"
#include "relay/udp_open.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

enum { ASSOCIATION_FDS = 2 };

static const uint32_t control_events =
	EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

static void leave(struct udp_flow *f)
{
	udp_association_leave(&f->udp->associations, &f->udp->table, f);
}

/* --- ending -------------------------------------------------------------- */

static void give_back(struct deferred *d)
{
	struct udp_association *a =
		(struct udp_association *)((char *)d -
					   offsetof(struct udp_association,
						    later));

	udp_association_table_give(&a->udp->associations, a);
}

/* Its flows are the caller's affair. */
static void end_association(struct udp_association *a)
{
	struct worker *w = a->udp->worker;

	wheel_cancel(&w->loop.wheel, &a->timer);
	dial_end(&a->dial);
	if (a->control_fd >= 0)
		close(a->control_fd); /* SO_LINGER 0: RST */
	if (a->fd >= 0)
		close(a->fd);
	a->control_fd = a->fd = -1;
	udp_association_table_hide(&a->udp->associations, a);
	worker_use_fds(w, -ASSOCIATION_FDS);
	loop_defer(&w->loop, &a->later, give_back);
}

static void note_failure(struct udp_association *a)
{
	struct worker *w = a->udp->worker;
	const struct dial *d = &a->dial;

	count(w->args.shared,
	      d->end == END_LOOP ? COUNTER_loop : COUNTER_upstream_failed);
	if (d->is_to_blame)
		board_failed(w->args.board, a->key.upstream, d->end, d->reply,
			     a->fall, w->loop.now_ms);
}

/* No server has a part in it: what one proxy refuses another one may grant. */
static struct udp_failure failure_of(const struct dial *d)
{
	return (struct udp_failure){ .end = d->end,
				     .reply = d->reply,
				     .error = d->error,
				     .can_retry = d->can_retry || d->reply };
}

/* It was not to be: its flows go elsewhere. */
static void fail(struct udp_association *a)
{
	struct udp_failure why = failure_of(&a->dial);
	struct udp_flow *f;

	note_failure(a);
	end_association(a);
	while ((f = udp_association_first(a)) != NULL) {
		leave(f);
		udp_open_failed(f, &why);
	}
}

/* --- opening ------------------------------------------------------------- */

/* From the address by which the proxy knows us, to where it said.  An address
 * that only a host can reach by itself is no other host's (T07). */
static int open_socket(const struct udp_association *a)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr proxy, own;

	if (getpeername(a->control_fd, (struct sockaddr *)&ss, &len) < 0 ||
	    sock_local_addr(a->control_fd, &own) < 0)
		return -errno;
	addr_from_sockaddr((struct sockaddr *)&ss, &proxy);
	if (!a->bound.port ||
	    (eval_is_special(&a->bound) && !addr_same_ip(&a->bound, &proxy)))
		return -EPROTO;
	own.port = 0;
	return sock_leg_udp(own.family == a->bound.family ? &own : NULL,
			    &a->bound, worker_own_mark(a->udp->worker));
}

static void fail_socket(struct udp_association *a, int error)
{
	a->dial.end = error == EPROTO ? END_UPSTREAM_PROTOCOL : END_ERROR;
	a->dial.is_to_blame = error == EPROTO;
	a->dial.can_retry = true;
	a->dial.error = error;
	fail(a);
}

static void finish(struct udp_association *a)
{
	struct worker *w = a->udp->worker;

	wheel_cancel(&w->loop.wheel, &a->timer);
	a->bound = a->dial.bound;
	a->control_fd = dial_take(&a->dial);
	a->fd = open_socket(a);
	if (a->fd < 0) {
		fail_socket(a, -a->fd);
		return;
	}
	if (loop_add(&w->loop, a->fd, EPOLLIN, &a->leg_watch) < 0) {
		fail_socket(a, ENOMEM);
		return;
	}
	a->state = ASSOCIATION_OPEN;
	count(w->args.shared, COUNTER_udp_associations);
	board_opened(w->args.board, a->key.upstream,
		     (uint32_t)(clock_us() - a->opening_us));
	for (struct udp_flow *f = udp_association_first(a); f;
	     f = udp_association_next(f)) {
		f->to = a->bound;
		udp_open_done(f);
	}
}

static void show_handshake(struct udp_association *a)
{
	for (struct udp_flow *f = udp_association_first(a); f;
	     f = udp_association_next(f))
		if (f->state == FLOW_CONNECTING)
			udp_flow_set_state(f, FLOW_HANDSHAKE);
}

static void go_on(struct udp_association *a, uint32_t events)
{
	switch (dial_on_event(&a->dial, events)) {
	case DIAL_IDLE:
	case DIAL_CONNECTING:
		return;
	case DIAL_TALKING:
		show_handshake(a);
		return;
	case DIAL_DONE:
		finish(a);
		return;
	case DIAL_FAILED:
		fail(a);
		return;
	}
}

/* --- events -------------------------------------------------------------- */

static void lose(struct udp_association *a)
{
	struct udp_flow *f;

	count(udp_shared(a->udp), COUNTER_udp_association_lost);
	udp_association_read(a);
	end_association(a);
	while ((f = udp_association_first(a)) != NULL) {
		leave(f);
		f->path = NULL;
		udp_flow_end(f, END_UPSTREAM_LOST, 0);
	}
}

static void on_control(struct loop *l, struct watch *w, uint32_t events)
{
	struct udp_association *a = (struct udp_association *)w;

	(void)l;
	if (a->state == ASSOCIATION_OPENING)
		go_on(a, events);
	/* The edge may have come with the proxy's last word. */
	if (a->state == ASSOCIATION_OPEN &&
	    events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		lose(a);
}

static void on_leg(struct loop *l, struct watch *w, uint32_t events)
{
	struct udp_association *a =
		(struct udp_association *)((char *)w -
					   offsetof(struct udp_association,
						    leg_watch));

	(void)l;
	if (a->state != ASSOCIATION_OPEN)
		return;
	if (events & EPOLLERR)
		udp_association_read_errors(a);
	if (events & EPOLLIN)
		udp_association_read(a);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct udp_association *a =
		(struct udp_association *)((char *)t -
					   offsetof(struct udp_association,
						    timer));

	(void)now_ms;
	dial_time_out(&a->dial);
	fail(a);
}

/* --- beginning ----------------------------------------------------------- */

static void begin_dial(struct udp_association *a, const struct udp_flow *f)
{
	struct worker *w = a->udp->worker;
	const struct config *c = w->args.config;
	bool is_from_host =
		c->intercepts[udp_flow_record(f)->intercept].from_host;
	struct dial_request request = {
		.config = c,
		.board = w->args.board,
		.counters = w->args.shared,
		.upstream = a->key.upstream,
		.client = &a->key.client,
		.server = &f->server,
		.mark = worker_own_mark(w),
		.pick = a->udp->turn++,
		.is_from_host = is_from_host,
		.is_taken = !is_from_host,
		.is_udp = true,
	};

	a->opening_us = clock_us();
	a->fall = group_fall(c, &f->tried);
	dial_begin(&a->dial, &request);
}

/* 0, or the proxy cannot even be asked: *why is filled. */
static int begin(struct udp_association *a, const struct udp_flow *f,
		 struct udp_failure *why)
{
	struct worker *w = a->udp->worker;

	begin_dial(a, f);
	if (a->dial.state != DIAL_FAILED &&
	    loop_add(&w->loop, a->dial.fd, control_events, &a->control_watch) <
		    0) {
		a->dial.end = END_ERROR;
		a->dial.error = ENOMEM;
		a->dial.is_to_blame = a->dial.can_retry = false;
		a->dial.state = DIAL_FAILED;
	}
	if (a->dial.state == DIAL_FAILED) {
		*why = failure_of(&a->dial);
		note_failure(a);
		end_association(a);
		return -EIO;
	}
	wheel_set(&w->loop.wheel, &a->timer,
		  w->loop.now_ms + w->args.config->timeouts.upstream_ms);
	return 0;
}

static struct udp_association *add(struct udp_flow *f,
				   const struct udp_association_key *key,
				   struct udp_failure *why)
{
	struct udp *u = f->udp;
	struct udp_association *a = NULL;

	if (udp_open_has_room(f, ASSOCIATION_FDS))
		a = udp_association_table_add(&u->associations, key);
	if (!a) {
		*why = (struct udp_failure){ .end = END_ERROR,
					     .error = EMFILE };
		return NULL;
	}
	a->udp = u;
	a->control_watch.fn = on_control;
	a->leg_watch.fn = on_leg;
	a->timer.fn = on_timer;
	worker_use_fds(u->worker, ASSOCIATION_FDS);
	return begin(a, f, why) < 0 ? NULL : a;
}

static int join(struct udp_flow *f, struct udp_failure *why)
{
	struct udp *u = f->udp;
	bool is_named = udp_flow_upstream(f)->is_resolving &&
			udp_flow_record(f)->host[0];
	struct udp_association_key key = { .client = f->client,
					   .upstream = f->upstream };
	struct udp_association *a;

	if (is_named)
		key.server = f->server;
	a = udp_association_table_find(&u->associations, &key);
	if (!a)
		a = add(f, &key, why);
	if (!a)
		return -EIO;
	udp_association_join(&u->associations, a, &u->table, f);
	f->to = a->bound;
	return a->state == ASSOCIATION_OPEN ? 0 : -EINPROGRESS;
}

/* --- the path ------------------------------------------------------------ */

static void read_answers(struct udp_flow *f)
{
	udp_association_read(udp_association_of(f));
}

static void part(struct udp_flow *f)
{
	struct udp_association *a = udp_association_of(f);

	leave(f);
	if (!udp_association_first(a))
		end_association(a);
}

const struct udp_path udp_path_association = {
	.open = join,
	.send = udp_association_send,
	.read = read_answers,
	.close = part,
};
