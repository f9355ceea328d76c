/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger_world_test.h - a ledger, and a map that no program writes.
 *
 * What a program would learn, the test writes there.
 */
#ifndef WL_DAEMON_CUT_LEDGER_WORLD_TEST_H
#define WL_DAEMON_CUT_LEDGER_WORLD_TEST_H

#include "base/loop.h"
#include "daemon/cut_ledger.h"
#include "engine/cut_world_test.h"

#include <stdlib.h>

/* Whichever end is the low one. */
static const char *const clients[] = { "192.0.2.1", "198.51.100.9" };
static const char *const servers[] = { "198.51.100.1", "192.0.2.7" };

enum { FLOW_MAX = 16, IDLE_S = 50, UDP_S = 20, DNS_S = 5, BIG = 60000 };

static struct world {
	struct cut_table table;
	struct shared *shared;
	struct cut_orders *orders;
	struct cut_entry *entries;
	struct cut_ledger ledger;
	uint64_t now_ms;
	uint32_t flow_max;
	int raw_fd[2];
} w;

/* --- the world ----------------------------------------------------------- */

static inline void begin_ledger(void)
{
	const struct cut_ledger_args args = {
		.table = &w.table,
		.shared = w.shared,
		.orders = w.orders,
		.entries = w.entries,
		.generation = 3,
		.raw_fd = w.raw_fd,
	};

	assert_int_equal(cut_ledger_init(&w.ledger, &args), 0);
}

static inline void open_world(uint32_t flow_max)
{
	const struct timeouts times = { .idle_ms = IDLE_S * 1000,
					.half_closed_ms = IDLE_S * 1000,
					.udp_ms = UDP_S * 1000,
					.dns_ms = DNS_S * 1000 };

	w = (struct world){ .table = make_table(2 * flow_max),
			    .shared = shared_new(flow_max),
			    .orders = cut_orders_new(flow_max),
			    .entries = cut_entries_new(flow_max),
			    .now_ms = clock_ms(),
			    .flow_max = flow_max,
			    .raw_fd = { -1, -1 } };
	cut_orders_set_times(w.orders, &times);
}

static inline int open_small(void **state)
{
	(void)state;
	open_world(FLOW_MAX);
	return 0;
}

static inline int close_world(void **state)
{
	(void)state;
	cut_ledger_done(&w.ledger);
	close_table(&w.table);
	shared_free(w.shared);
	cut_orders_free(w.orders);
	cut_entries_free(w.entries, w.flow_max);
	return 0;
}

static inline uint32_t now_s(void)
{
	return (uint32_t)(w.now_ms / 1000);
}

/* So often that a whole walk is in it. */
static inline void tick(uint32_t seconds)
{
	w.now_ms += seconds * 1000ull;
	for (int i = 0; i < 8; i++)
		cut_ledger_tick(&w.ledger, w.now_ms);
}

/* --- flows --------------------------------------------------------------- */

struct pair {				 /* one flow in the map */
	struct addr client, server, own; /* own: source of the server leg */
	struct wl_cut_key key[2];
	struct wl_cut value[2];
	bool has_two;
};

static inline struct addr at(const char *ip, unsigned port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = (uint16_t)port;
	return a;
}

/* The way that comes on this leg. */
static inline struct wl_cut_way *way(struct pair *p, int leg)
{
	bool is_low = p->value[0].shape & WL_CUT_LOW;

	if (p->has_two)
		return &p->value[leg].only;
	return &p->value[0].way[leg ? is_low : !is_low];
}

static inline void see_packet(struct pair *p, int leg, uint64_t bytes,
			      uint8_t marks)
{
	struct wl_cut_way *of = way(p, leg);

	of->marks |= WL_CUT_SEEN | marks;
	of->seen_s = now_s();
	of->bytes += bytes;
}

static inline struct pair equal_flow(int proto, const char *client,
				     const char *server, unsigned port)
{
	struct pair p = { .client = at(client, 40000),
			  .server = at(server, port) };

	p.own = p.client;
	if (cut_key(proto, &p.client, &p.server, &p.key[0]))
		p.value[0].shape = WL_CUT_LOW;
	p.key[1] = p.key[0];
	p.value[0].begun_s = now_s();
	p.value[0].state = WL_CUT_ON;
	p.value[0].intercept = 4;
	p.value[0].rule = 5;
	p.value[0].upstream = 6;
	return p;
}

static inline struct pair two_entries(const char *client, const char *server)
{
	struct pair p = equal_flow(IPPROTO_TCP, client, server, 443);
	uint8_t shape = WL_CUT_READDRESSED;

	p.has_two = true;
	p.own = at(server, 50000);
	p.own.ip[3] = 254;
	p.value[1] = p.value[0];
	p.value[0].shape |= shape;
	cut_tuple(&p.own, &p.server, &p.value[0].to);
	p.value[1].shape = shape | WL_CUT_SERVER_LEG;
	if (cut_key(IPPROTO_TCP, &p.server, &p.own, &p.key[1]))
		p.value[1].shape |= WL_CUT_LOW;
	cut_tuple(&p.server, &p.client, &p.value[1].to);
	return p;
}

static inline void put(const struct pair *p)
{
	for (int leg = 0; leg <= p->has_two; leg++)
		assert_int_equal(bpf_map_update_elem(w.table.flows_fd,
						     &p->key[leg],
						     &p->value[leg], BPF_ANY),
				 0);
}

static inline bool is_in_map(const struct wl_cut_key *key)
{
	struct wl_cut value;

	return cut_table_get(&w.table, key, &value) == 0;
}

static inline int add(const struct pair *p, unsigned proto)
{
	struct flow_record r = { .proto = (uint8_t)proto,
				 .client = p->client,
				 .server = p->server,
				 .source = p->own,
				 .rule = 9,
				 .begun_ms = w.now_ms,
				 .last_ms = w.now_ms,
				 .bytes = { 1000, 2000 } };
	int slot;

	put(p);
	slot = cut_ledger_add(&w.ledger, &r, p->key, p->has_two);
	assert_true(slot >= 0);
	return slot;
}

static inline struct flow_record record_at(int slot)
{
	struct flow_record r;

	assert_true(shared_read(w.shared, (uint32_t)slot, &r));
	return r;
}

static inline uint32_t count_records(void)
{
	uint32_t count = 0;
	struct flow_record r;

	for (uint32_t i = 0; i < w.flow_max; i++)
		count += shared_read(w.shared, i, &r);
	assert_int_equal(count, atomic_load(&w.shared->tcp_flows) +
					atomic_load(&w.shared->udp_flows));
	return count;
}

static inline void expect_end(enum flow_end why)
{
	struct flow_record r;

	assert_true(shared_next_ended(w.shared, &r));
	assert_int_equal(r.end, why);
	assert_true(w.ledger.has_ended);
	w.ledger.has_ended = false;
}

static inline void expect_no_end(void)
{
	struct flow_record r;

	assert_false(shared_next_ended(w.shared, &r));
	assert_false(w.ledger.has_ended);
}

static inline uint64_t counter(enum counter c)
{
	return atomic_load(&w.shared->counters[c]);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_small, close_world)

#endif
