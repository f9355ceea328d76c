/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_world_test.h - a cutter with one worker, which is the test.
 *
 * The programs are the real ones; what they would learn of packets is written
 * into the map here.  TCP flows that are cut are in cut_flow_test.c.
 */
#ifndef WL_DAEMON_CUTTER_WORLD_TEST_H
#define WL_DAEMON_CUTTER_WORLD_TEST_H

#include "daemon/cutter_priv.h"
#include "engine/cut.h"
#include "net/netns_test.h"

#include <errno.h>
#include <stdlib.h>

enum { FLOW_MAX = 64, CLIENT = 0, SERVER = 1 };

static struct world {
	struct cut *cut;
	struct cutter_args args;
	struct cutter *cutter;
	int supervisor; /* its end */
	int worker;	/* the same */
} w;

/* --- the world ----------------------------------------------------------- */

static inline void order(uint8_t command, int fd)
{
	struct cutter_order o = { .command = command, .generation = 7 };
	const struct parcel p = { .bytes = &o,
				  .size = sizeof(o),
				  .fd = { fd },
				  .fd_count = fd >= 0 };

	assert_int_equal(parcel_send(w.supervisor, &p), 0);
}

static inline void make_pair(int pair[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

/* Everything that has been said is heard: the loop has nothing else to do. */
static inline void turn(void)
{
	struct epoll_event one;

	while (epoll_wait(w.cutter->loop.epoll_fd, &one, 1, 0) > 0)
		loop_turn(&w.cutter->loop);
}

static inline void begin(void)
{
	int pair[2];

	make_pair(pair);
	w.supervisor = pair[0];
	w.args.channel_fd = pair[1];
	assert_int_equal(cutter_new(&w.args, &w.cutter), 0);
	make_pair(pair);
	w.worker = pair[0];
	order(CUTTER_WORKER, pair[1]);
	close(pair[1]);
	turn();
}

static inline int open_world(void **state)
{
	const struct timeouts times = { .idle_ms = 9000,
					.half_closed_ms = 9000,
					.udp_ms = 9000,
					.dns_ms = 9000 };
	struct err e = { 0 };

	(void)state;
	netns_begin();
	w = (struct world){ .cut = cut_open(FLOW_MAX, 0, &e) };
	if (!w.cut)
		fail_msg("%s", e.text);
	w.args = (struct cutter_args){
		.table = *cut_get_table(w.cut),
		.shared = shared_new(FLOW_MAX),
		.orders = cut_orders_new(FLOW_MAX),
		.entries = cut_entries_new(FLOW_MAX),
		.generation = 5,
		.raw_fd = { -1, -1 },
	};
	cut_orders_set_times(w.args.orders, &times);
	begin();
	return 0;
}

static inline void end(void)
{
	cutter_free(w.cutter);
	close(w.args.channel_fd);
	close(w.supervisor);
	if (w.worker >= 0)
		close(w.worker);
}

static inline int close_world(void **state)
{
	struct err e = { 0 };
	uint32_t count;

	(void)state;
	end();
	cut_close(w.cut);
	assert_int_equal(cut_remove(0, &count, &e), 0);
	shared_free(w.args.shared);
	cut_orders_free(w.args.orders);
	cut_entries_free(w.args.entries, FLOW_MAX);
	return 0;
}

/* --- words --------------------------------------------------------------- */

static inline struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline struct cut_ask flow(uint8_t kind, uint8_t proto,
				  const char *client, const char *server)
{
	struct cut_ask ask = { .kind = kind,
			       .proto = proto,
			       .slot = 3,
			       .name = 0x100000003,
			       .peer = { at(client), at(server) },
			       .own = { at(server), at(client) } };

	ask.record.proto = proto;
	ask.record.client = ask.peer[CLIENT];
	ask.record.server = ask.peer[SERVER];
	ask.record.bytes[0] = 11;
	ask.record.rule = 4;
	return ask;
}

static inline struct cut_ask datagrams(uint8_t kind)
{
	return flow(kind, PROTO_UDP, "192.0.2.1:4000", "198.51.100.1:443");
}

static inline void say_with(const void *bytes, size_t len, const int *fd,
			    unsigned count)
{
	struct parcel p = { .bytes = (void *)bytes,
			    .size = len,
			    .fd_count = count };

	for (unsigned i = 0; i < count; i++)
		p.fd[i] = fd[i];
	assert_int_equal(parcel_send(w.worker, &p), 0);
	turn();
}

static inline void say(const struct cut_ask *ask)
{
	say_with(ask, sizeof(*ask), NULL, 0);
}

static inline void expect_silence(void)
{
	char byte;

	assert_int_equal(recv(w.worker, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void expect_answer(const struct cut_ask *ask,
				 enum cut_answer_kind kind,
				 enum cut_cause cause)
{
	struct cut_answer a;

	assert_int_equal(recv(w.worker, &a, sizeof(a), MSG_DONTWAIT),
			 sizeof(a));
	assert_int_equal(a.kind, kind);
	assert_int_equal(a.cause, cause);
	assert_int_equal(a.slot, ask->slot);
	assert_int_equal(a.name, ask->name);
}

/* The state of its entry; 0: there is none. */
static inline unsigned entry_of(const struct cut_ask *ask, struct wl_cut *out)
{
	int proto = ask->proto == PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	struct wl_cut_key key;

	(void)cut_key(proto, &ask->peer[CLIENT], &ask->own[CLIENT], &key);
	return cut_table_get(&w.args.table, &key, out) < 0 ? 0 : out->state;
}

static inline unsigned state_of(const struct cut_ask *ask)
{
	struct wl_cut value;

	return entry_of(ask, &value);
}

/* As the program would. */
static inline void learn(const struct cut_ask *ask, int way, uint8_t marks)
{
	struct wl_cut value;
	struct wl_cut_key key;

	assert_int_not_equal(entry_of(ask, &value), 0);
	value.way[way].marks |= marks;
	(void)cut_key(IPPROTO_UDP, &ask->peer[CLIENT], &ask->own[CLIENT], &key);
	assert_int_equal(cut_table_drop(&w.args.table, &key), 0);
	assert_int_equal(cut_table_add(&w.args.table, &key, &value), 0);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

#endif
