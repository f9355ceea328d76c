/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_relay_test.h - a relay that copies, and hands its flows to the cutter.
 *
 * As small as one can be that keeps what relay/cut_wire.h promises: while the
 * cutter is asked nothing is read or written, and nothing is held.
 */
#ifndef WL_DAEMON_CUT_RELAY_TEST_H
#define WL_DAEMON_CUT_RELAY_TEST_H

#include "daemon/cut_flow.h"
#include "daemon/cut_world_test.h"

#include <sys/random.h>

enum {
	RELAY_FLOWS = 4096,
	RELAY_PIECE = 8192,
	RELAY_TRIES = 400,
	RELAY_ROOM = 24 << 10, /* SO_RCVBUF: what an end may have on its way */
};

struct relay_flow {
	struct watch watch[2];
	struct timer timer;
	struct relay *relay;
	int fd[2];
	uint8_t *held[2]; /* by where it came from */
	uint32_t len[2];
	bool is_fin[2], is_shut[2], is_over, is_connecting;
	bool is_lazy; /* is cut with bytes unread */
	uint64_t moved, cut_at;
	uint32_t tries;
	enum cut_cause cause; /* the last one */
	struct cut_ask ask;
	struct cut_flow cut;
	bool is_watched, is_cut;
};

struct relay {
	struct loop loop;
	struct world *world;
	struct cut_shop shop;
	struct cut_ledger ledger; /* args.raw_fd alone: see below */
	struct watch grace_watch;
	struct watch *accept_watches;
	int *listeners;
	struct relay_flow *flows;
	uint32_t count, ended, added;
	const uint32_t *cut_at_max; /* by port; bytes */
	bool keeps_sockets;	    /* the worker is slow to close */
	uint32_t cut, causes[CUT_CAUSE_COUNT];
};

/* --- a ledger that only counts ------------------------------------------- */

int cut_ledger_add(struct cut_ledger *l, const struct flow_record *r,
		   const struct wl_cut_key key[2], bool has_two)
{
	(void)l;
	(void)r;
	(void)key;
	(void)has_two;
	return 7;
}

void cut_ledger_cancel(struct cut_ledger *l, uint32_t slot)
{
	(void)l;
	assert_int_equal(slot, 7);
}

void cut_ledger_end(struct cut_ledger *l, uint32_t slot, enum flow_end why)
{
	struct relay *r =
		(struct relay *)((char *)l - offsetof(struct relay, ledger));

	(void)why;
	assert_int_equal(slot, 7);
	r->ended++;
}

/* --- the relay ----------------------------------------------------------- */

static inline uint32_t relay_draw(uint32_t below)
{
	uint32_t n;

	assert_int_equal(getrandom(&n, sizeof(n), 0), sizeof(n));
	return n % below;
}

static inline void relay_end(struct relay_flow *f, bool is_reset)
{
	if (f->is_over)
		return;
	f->is_over = true;
	wheel_cancel(&f->relay->loop.wheel, &f->timer);
	cut_flow_forget(&f->cut);
	for (int i = 0; i < 2; i++) {
		loop_del(&f->relay->loop, f->fd[i]);
		if (is_reset)
			close(f->fd[i]);
		else
			sock_close_orderly(f->fd[i]);
		free(f->held[i]);
	}
}

static inline bool relay_move(struct relay_flow *f, int from)
{
	int to = !from;
	ssize_t n;

	for (;;) {
		if (f->len[from]) {
			n = send(f->fd[to], f->held[from], f->len[from],
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN;
			f->len[from] -= (uint32_t)n;
			f->moved += (uint32_t)n;
			memmove(f->held[from], f->held[from] + n, f->len[from]);
			continue;
		}
		if (f->is_fin[from] && !f->is_shut[to]) {
			f->is_shut[to] = true;
			return shutdown(f->fd[to], SHUT_WR) == 0;
		}
		if (f->is_fin[from])
			return true;
		n = recv(f->fd[from], f->held[from],
			 1 + relay_draw(RELAY_PIECE), MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN;
		f->is_fin[from] = n == 0;
		f->len[from] = (uint32_t)n;
	}
}

static inline void relay_leave(struct relay_flow *f)
{
	f->is_over = f->is_cut = true;
	f->relay->cut++;
	for (int i = 0; i < 2; i++) {
		loop_del(&f->relay->loop, f->fd[i]);
		free(f->held[i]);
		if (!f->relay->keeps_sockets)
			close(f->fd[i]);
	}
}

static inline void relay_try_cut(struct relay_flow *f)
{
	const int fd[2] = { dup(f->fd[0]), dup(f->fd[1]) };

	assert_true(fd[0] >= 0 && fd[1] >= 0);
	f->tries++;
	f->cause = cut_flow_cut(&f->cut, &f->ask, fd);
	if (f->cause == CUT_CAUSE_NONE) {
		relay_leave(f);
		return;
	}
	if (!cut_cause_is_passing(f->cause))
		f->tries = RELAY_TRIES;
	f->relay->causes[f->cause]++;
	wheel_set(&f->relay->loop.wheel, &f->timer, f->relay->loop.now_ms + 1);
}

static inline bool relay_is_due(const struct relay_flow *f)
{
	return !f->is_over && f->moved >= f->cut_at && !f->len[0] &&
	       !f->len[1] && f->tries < RELAY_TRIES;
}

static inline void relay_go_on(struct relay_flow *f)
{
	if (f->is_over || f->is_connecting)
		return;
	if (f->is_lazy && relay_is_due(f)) /* with what waits, unread */
		relay_try_cut(f);
	if (f->is_over)
		return;
	if (!relay_move(f, 0) || !relay_move(f, 1))
		relay_end(f, true);
	else if (f->is_shut[0] && f->is_shut[1])
		relay_end(f, false);
	else if (!f->is_lazy && relay_is_due(f))
		relay_try_cut(f);
}

static inline void relay_on_timer(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	relay_go_on((struct relay_flow *)((char *)t -
					  offsetof(struct relay_flow, timer)));
}

static inline void relay_begin_moving(struct relay_flow *f)
{
	struct addr far;

	assert_int_equal(sock_local_addr(f->fd[1], &f->ask.own[1]), 0);
	f->is_connecting = false;
	far = f->ask.own[0];
	f->ask.peer[1] = far;
	f->is_watched = cut_flow_watch(&f->cut, &f->relay->shop, &f->ask) ==
			CUT_CAUSE_NONE;
	if (!f->is_watched)
		f->tries = RELAY_TRIES + 1;
}

static inline void relay_on_event(struct relay_flow *f, int leg,
				  uint32_t events)
{
	if (f->is_over)
		return;
	if (f->is_connecting && leg == 1 && events & (EPOLLOUT | EPOLLERR)) {
		if (sock_error(f->fd[1])) {
			relay_end(f, true);
			return;
		}
		relay_begin_moving(f);
	}
	relay_go_on(f);
}

static inline void relay_on_client(struct loop *l, struct watch *w, uint32_t e)
{
	(void)l;
	relay_on_event((struct relay_flow *)w, 0, e);
}

static inline void relay_on_server(struct loop *l, struct watch *w, uint32_t e)
{
	(void)l;
	relay_on_event((struct relay_flow *)(w - 1), 1, e);
}

static inline void relay_open_server(struct relay_flow *f)
{
	bool is_own = relay_draw(3) == 0;
	int error;

	f->fd[1] = sock_leg_tcp(f->ask.peer[0].family,
				is_own ? NULL : &f->ask.peer[0], WORLD_MARK);
	assert_true(f->fd[1] >= 0);
	error = sock_connect(f->fd[1], &f->ask.own[0]);
	assert_true(error == 0 || error == -EINPROGRESS);
}

static inline void relay_take(struct relay *r, int fd)
{
	struct relay_flow *f = &r->flows[r->count];
	const int room = RELAY_ROOM;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_true(r->count < RELAY_FLOWS);
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0) {
		close(fd); /* it has been reset meanwhile */
		return;
	}
	r->count++;
	*f = (struct relay_flow){
		.relay = r,
		.fd = { fd, -1 },
		.watch = { { relay_on_client }, { relay_on_server } },
		.timer = { .fn = relay_on_timer },
		.is_connecting = true,
		.is_lazy = relay_draw(2),
		.ask = { .kind = CUT_WATCH,
			 .proto = PROTO_TCP,
			 .is_bulk = { relay_draw(2), relay_draw(2) } },
	};
	addr_from_sockaddr((struct sockaddr *)&ss, &f->ask.peer[0]);
	assert_int_equal(sock_local_addr(fd, &f->ask.own[0]), 0);
	f->cut_at = relay_draw(r->cut_at_max[f->ask.own[0].port - WORLD_PORT]);
	relay_open_server(f);
	for (int i = 0; i < 2; i++) {
		f->held[i] = malloc(RELAY_PIECE);
		assert_non_null(f->held[i]);
		assert_int_equal(setsockopt(f->fd[i], SOL_SOCKET, SO_RCVBUF,
					    &room, sizeof(room)),
				 0);
		assert_int_equal(
			loop_add(&r->loop, f->fd[i],
				 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 &f->watch[i]),
			0);
	}
}

static inline void relay_on_accept(struct loop *l, struct watch *w, uint32_t e)
{
	/* watch i belongs to listener i */
	struct relay *r =
		(struct relay *)((char *)l - offsetof(struct relay, loop));
	int fd, listener = r->listeners[w - r->accept_watches];

	(void)e;
	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		relay_take(r, fd);
}

static inline void relay_on_grace(struct loop *l, struct watch *w, uint32_t e)
{
	struct relay *r =
		(struct relay *)((char *)l - offsetof(struct relay, loop));
	uint64_t passed = cut_grace_passed(r->shop.grace);

	(void)w;
	(void)e;
	for (uint32_t i = 0; i < r->count; i++)
		cut_flow_on_grace(&r->flows[i].cut, passed);
}

/* --- its life ------------------------------------------------------------ */

static inline void relay_listen(struct relay *r, uint32_t ports)
{
	struct err e;

	r->listeners = calloc(2 * ports, sizeof(int));
	r->accept_watches = calloc(2 * ports, sizeof(struct watch));
	assert_true(r->listeners && r->accept_watches);
	for (uint32_t i = 0; i < 2 * ports; i++) {
		struct addr at = world_address(i % 2 ? "::" : "0.0.0.0",
					       (uint16_t)(WORLD_PORT + i / 2));

		r->listeners[i] = sock_listen_tcp(&at, WORLD_MARK, &e);
		assert_true(r->listeners[i] >= 0);
		r->accept_watches[i].fn = relay_on_accept;
		assert_int_equal(loop_add(&r->loop, r->listeners[i], EPOLLIN,
					  &r->accept_watches[i]),
				 0);
	}
}

static inline void relay_begin(struct relay *r, struct world *w, uint32_t ports)
{
	*r = (struct relay){ .world = w };
	r->flows = calloc(RELAY_FLOWS, sizeof(*r->flows));
	r->shop.shared = shared_new(1);
	assert_true(r->flows && r->shop.shared);
	assert_int_equal(loop_open(&r->loop), 0);
	assert_int_equal(cut_grace_new(&r->shop.grace), 0);
	r->ledger.args.raw_fd = w->raw_fd;
	r->shop.loop = &r->loop;
	r->shop.table = w->table;
	r->shop.ledger = &r->ledger;
	r->grace_watch.fn = relay_on_grace;
	assert_int_equal(loop_add(&r->loop, cut_grace_fd(r->shop.grace),
				  EPOLLIN, &r->grace_watch),
			 0);
	relay_listen(r, ports);
}

static inline uint32_t relay_in_hand(const struct relay *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++)
		n += r->flows[i].cut.state != CUT_FLOW_FREE;
	return n;
}

static inline void relay_done(struct relay *r, uint32_t ports)
{
	for (uint32_t i = 0; i < r->count; i++) {
		relay_end(&r->flows[i], true);
		for (int leg = 0; leg < 2 && r->keeps_sockets; leg++)
			if (r->flows[i].is_cut)
				close(r->flows[i].fd[leg]);
	}
	for (uint32_t i = 0; i < 2 * ports; i++)
		close(r->listeners[i]);
	cut_grace_free(r->shop.grace);
	loop_close(&r->loop);
	shared_free(r->shop.shared);
	free(r->listeners);
	free(r->accept_watches);
	free(r->flows);
}

#endif
