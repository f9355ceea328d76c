/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_drain_test.h - a flow that is cut step by step.
 *
 * Grace periods pass when the test says so.  A packet that has passed the
 * program before the switch is one that comes while the entry is not yet on,
 * and the flow is: the numbers are taken, the late packets sent, and then the
 * entry is put on.  All four sockets are this process's, in the network of
 * cut_world_test.h.
 */
#ifndef WL_DAEMON_CUT_DRAIN_TEST_H
#define WL_DAEMON_CUT_DRAIN_TEST_H

#include "daemon/cut_drain.h"
#include "daemon/cut_world_test.h"
#include "net/repair.h"

enum { LATE = 5000, SLOT = 3 };

struct drain {
	struct world world;
	struct loop loop;
	struct timer tick;
	struct cut_ledger ledger;
	struct cut_shop shop;
	struct cut_flow flow;
	struct wl_cut_way way[2]; /* to be put on */
	int client, server;	  /* sockets of the ends */
	bool has_ended;
	enum flow_end why;
};

/* --- grace and ledger ---------------------------------------------------- */

struct cut_grace { /* asked, and no more */
	uint64_t asked;
};

uint64_t cut_grace_ask(struct cut_grace *g)
{
	return ++g->asked;
}

void cut_ledger_end(struct cut_ledger *l, uint32_t slot, enum flow_end why)
{
	struct drain *d =
		(struct drain *)((char *)l - offsetof(struct drain, ledger));

	assert_int_equal(slot, SLOT);
	assert_false(d->has_ended);
	d->has_ended = true;
	d->why = why;
}

/* --- time ---------------------------------------------------------------- */

static inline void on_tick(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
}

static inline void turn(struct drain *d)
{
	wheel_set(&d->loop.wheel, &d->tick, d->loop.now_ms + 1);
	loop_turn(&d->loop);
}

/* Long enough for whatever would wrongly be done. */
static inline void turns(struct drain *d)
{
	for (int i = 0; i < 6; i++)
		turn(d);
}

static inline void await_state(struct drain *d, enum cut_flow_state state)
{
	uint64_t until_ms = clock_ms() + WORLD_WAIT_MS;

	while (d->flow.state != state && clock_ms() < until_ms)
		turn(d);
	assert_int_equal(d->flow.state, state);
}

static inline void let_grace_pass(struct drain *d)
{
	cut_drain_on_grace(&d->flow, d->shop.grace->asked);
}

/* --- sockets ------------------------------------------------------------- */

static inline int await(struct drain *d, int fd, short events)
{
	uint64_t until_ms = clock_ms() + WORLD_WAIT_MS;
	struct pollfd p = { .fd = fd, .events = events };

	while (poll(&p, 1, 0) == 0 && clock_ms() < until_ms)
		turn(d);
	return p.revents;
}

static inline void say(int fd, char what, size_t len)
{
	char bytes[LATE];

	memset(bytes, what, sizeof(bytes));
	assert_true(len <= sizeof(bytes));
	assert_int_equal(send(fd, bytes, len, MSG_DONTWAIT), len);
}

/* So many bytes, all alike. */
static inline void hear(struct drain *d, int fd, char what, size_t len)
{
	char bytes[LATE];

	while (len) {
		ssize_t n;

		assert_true(await(d, fd, POLLIN) & POLLIN);
		n = recv(fd, bytes, len < LATE ? len : LATE, 0);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], what);
		len -= (size_t)n;
	}
}

static inline void hear_end(struct drain *d, int fd)
{
	char byte;

	assert_true(await(d, fd, POLLIN) & POLLIN);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static inline void hear_reset(struct drain *d, int fd)
{
	assert_true(await(d, fd, 0) & (POLLERR | POLLHUP));
	assert_int_equal(sock_error(fd), ECONNRESET);
}

static inline int listen_at(const char *ip, bool is_server)
{
	struct addr at = world_address(ip, WORLD_PORT);
	struct err e;
	int fd = is_server ? sock_listen_plain(&at, 0, &e)
			   : sock_listen_tcp(&at, WORLD_MARK, &e);

	assert_true(fd >= 0);
	return fd;
}

static inline int accept_one(struct drain *d, int listener)
{
	int fd;

	assert_true(await(d, listener, POLLIN) & POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

static inline int connect_to(const char *ip, const struct addr *src)
{
	struct addr to = world_address(ip, WORLD_PORT);
	int fd = sock_leg_tcp(to.family, src, src ? WORLD_MARK : 0), error;

	assert_true(fd >= 0);
	error = sock_connect(fd, &to);
	assert_true(error == 0 || error == -EINPROGRESS);
	return fd;
}

/* --- the switch ---------------------------------------------------------- */

/* Client, leg, leg, server; each end has spoken, so that its way is known. */
static inline void make_flow(struct drain *d, bool is_v6)
{
	const char *ip = world_servers[is_v6];
	struct cut_ask ask = { .proto = PROTO_TCP };
	int at_router, at_server;

	world_enter(d->world.server);
	at_server = listen_at(ip, true);
	world_enter(d->world.router);
	at_router = listen_at(is_v6 ? "::" : "0.0.0.0", false);
	world_enter(d->world.client);
	d->client = connect_to(ip, NULL);
	world_enter(d->world.router);
	d->flow.fd[CUT_CLIENT] = accept_one(d, at_router);
	assert_int_equal(sock_local_addr(d->flow.fd[0], &ask.own[0]), 0);
	world_enter(d->world.client);
	assert_int_equal(sock_local_addr(d->client, &ask.peer[0]), 0);
	world_enter(d->world.router);
	d->flow.fd[CUT_SERVER] = connect_to(ip, &ask.peer[0]);
	d->server = accept_one(d, at_server);
	ask.peer[1] = ask.own[0];
	ask.own[1] = ask.peer[0];
	d->flow.slot = SLOT;
	d->flow.shop = &d->shop;
	d->flow.place[0] = !cut_key(IPPROTO_TCP, &ask.peer[0], &ask.own[0],
				    &d->flow.key[0]);
	d->flow.place[1] = !d->flow.place[0];
	d->flow.key[1] = d->flow.key[0];
}

static inline void add_entry(struct drain *d)
{
	struct wl_cut value = { .state = WL_CUT_WATCH,
				.shape = d->flow.place[0] ? 0 : WL_CUT_LOW };

	assert_int_equal(cut_table_add(d->shop.table, &d->flow.key[0], &value),
			 0);
	for (int leg = 0; leg < 2; leg++) {
		int end = leg ? d->server : d->client;

		say(end, 'x', 1);
		hear(d, d->flow.fd[leg], 'x', 1);
		say(d->flow.fd[!leg], 'x', 1);
		hear(d, leg ? d->client : d->server, 'x', 1);
	}
}

static inline void take(struct drain *d)
{
	const bool is_bulk[2] = { false, false };
	struct repair_facts facts[2];
	struct wl_cut_way learnt[2];
	struct wl_cut value;

	for (int leg = 0; leg < 2; leg++)
		assert_int_equal(repair_look(d->flow.fd[leg], &facts[leg]), 0);
	assert_int_equal(cut_table_get(d->shop.table, &d->flow.key[0], &value),
			 0);
	for (int leg = 0; leg < 2; leg++)
		learnt[leg] = value.way[d->flow.place[leg]];
	assert_int_equal(
		cut_take(facts, learnt, is_bulk, d->flow.key[0].family, d->way),
		CUT_CAUSE_NONE);
	for (int leg = 0; leg < 2; leg++)
		d->flow.written[leg] = d->flow.edge[leg] = d->way[leg].edge;
}

/* With the edges as they stand now. */
static inline void put_on(struct drain *d)
{
	struct wl_cut_change c = { .key = d->flow.key[0],
				   .op = WL_CUT_OP_START };

	for (int leg = 0; leg < 2; leg++) {
		d->way[leg].edge = d->flow.edge[leg];
		c.way[d->flow.place[leg]] = d->way[leg];
	}
	assert_int_equal(cut_table_change(d->shop.table, &c), 0);
}

static inline void begin(struct drain *d, bool is_v6)
{
	static struct cut_grace grace;

	*d = (struct drain){ .tick = { .fn = on_tick } };
	grace = (struct cut_grace){ 0 };
	world_begin(&d->world);
	assert_int_equal(loop_open(&d->loop), 0);
	d->ledger.args.raw_fd = d->world.raw_fd;
	d->shop = (struct cut_shop){ .loop = &d->loop,
				     .table = d->world.table,
				     .ledger = &d->ledger,
				     .grace = &grace,
				     .shared = shared_new(1) };
	assert_non_null(d->shop.shared);
	make_flow(d, is_v6);
	add_entry(d);
	take(d);
}

static inline void done(struct drain *d)
{
	close(d->client);
	close(d->server);
	shared_free(d->shop.shared);
	loop_close(&d->loop);
	world_done(&d->world);
}

/* Both grace periods pass, and then the flow goes without us. */
static inline void end_well(struct drain *d)
{
	turns(d);
	assert_int_equal(d->flow.state, CUT_FLOW_ON);
	let_grace_pass(d);
	await_state(d, CUT_FLOW_SETTLE);
	turns(d);
	assert_int_equal(d->flow.state, CUT_FLOW_SETTLE);
	let_grace_pass(d);
	await_state(d, CUT_FLOW_FREE);
	assert_int_equal(d->flow.fd[0], -1);
	assert_int_equal(d->flow.fd[1], -1);
	assert_false(d->has_ended);
}

static inline void talk_on(struct drain *d)
{
	say(d->client, 'u', LATE);
	hear(d, d->server, 'u', LATE);
	say(d->server, 'd', LATE);
	hear(d, d->client, 'd', LATE);
}

#endif
