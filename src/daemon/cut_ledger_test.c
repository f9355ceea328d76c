/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_ledger_test.c - records follow what is in the map, and end with it.
 */
#include "daemon/cut_ledger.h"

#include "daemon/cut_ledger_world_test.h"

/* --- bytes and silence --------------------------------------------------- */

static void follow(struct pair *p)
{
	int slot = add(p, PROTO_TCP);

	cut_ledger_settle(&w.ledger, (uint32_t)slot);
	see_packet(p, 0, 300, 0);
	see_packet(p, 1, 70, 0);
	put(p);
	tick(0);
	assert_int_equal(record_at(slot).bytes[0], 1300);
	assert_int_equal(record_at(slot).bytes[1], 2070);
	assert_int_equal(record_at(slot).state, FLOW_CUT);
	assert_int_equal(record_at(slot).mover, MOVER_CUT);
	w.now_ms += 5000;
	see_packet(p, 1, 30, 0);
	put(p);
	tick(0);
	assert_int_equal(record_at(slot).bytes[0], 1300);
	assert_int_equal(record_at(slot).bytes[1], 2100);
	assert_true(record_at(slot).last_ms / 1000 == now_s());
	tick(IDLE_S - 1);
	expect_no_end();
	tick(1);
	expect_end(END_IDLE_TIMEOUT);
	assert_false(is_in_map(&p->key[0]));
	assert_false(is_in_map(&p->key[1]));
	assert_int_equal(count_records(), 0);
}

/* Whichever end is the low one. */
static void test_bytes_by_direction_and_silence(void **state)
{
	(void)state;
	begin_ledger();
	for (int i = 0; i < 2; i++) {
		struct pair p =
			equal_flow(IPPROTO_TCP, clients[i], servers[i], 443);

		follow(&p);
		p = two_entries(clients[i], servers[i]);
		follow(&p);
	}
	assert_int_equal(counter(COUNTER_cut_bytes_up), 4 * 300);
	assert_int_equal(counter(COUNTER_cut_bytes_down), 4 * 100);
	assert_int_equal(counter(COUNTER_tcp_timeout), 4);
}

static void test_datagrams_have_times_of_their_own(void **state)
{
	struct pair dns = equal_flow(IPPROTO_UDP, "192.0.2.1", "192.0.2.2", 53);
	struct pair other =
		equal_flow(IPPROTO_UDP, "192.0.2.1", "192.0.2.2", 443);

	(void)state;
	begin_ledger();
	cut_ledger_settle(&w.ledger, (uint32_t)add(&dns, PROTO_UDP));
	cut_ledger_settle(&w.ledger, (uint32_t)add(&other, PROTO_UDP));
	assert_int_equal(atomic_load(&w.shared->udp_flows), 2);
	tick(DNS_S);
	expect_end(END_IDLE_TIMEOUT);
	assert_false(is_in_map(&dns.key[0]));
	assert_true(is_in_map(&other.key[0]));
	tick(UDP_S - DNS_S);
	expect_end(END_IDLE_TIMEOUT);
	assert_int_equal(count_records(), 0);
}

static void test_a_flow_in_hand_is_left_alone(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	int slot;

	(void)state;
	begin_ledger();
	slot = add(&p, PROTO_TCP);
	tick(IDLE_S + 1);
	assert_true(is_in_map(&p.key[0]));
	assert_int_equal(cut_table_drop(&w.table, &p.key[0]), 0);
	tick(1);
	expect_no_end(); /* who has it in hand will see */
	cut_ledger_end(&w.ledger, (uint32_t)slot, END_ERROR);
	expect_end(END_ERROR);
	assert_int_equal(count_records(), 0);
}

static void test_what_came_to_nothing_is_not_told(void **state)
{
	struct pair p = two_entries("192.0.2.1", "198.51.100.1");

	(void)state;
	begin_ledger();
	cut_ledger_cancel(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
	expect_no_end();
	assert_int_equal(count_records(), 0);
	assert_false(is_in_map(&p.key[0]));
	assert_false(is_in_map(&p.key[1]));
}

/* --- FIN, and what comes after ------------------------------------------- */

static void test_a_finished_flow_is_told_at_once_and_lingers(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);

	(void)state;
	begin_ledger();
	cut_ledger_settle(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
	see_packet(&p, 0, 40, WL_CUT_FIN);
	see_packet(&p, 1, 40, WL_CUT_FIN);
	put(&p);
	tick(0);
	expect_end(END_FINISHED);
	assert_int_equal(count_records(), 0);
	assert_int_equal(counter(COUNTER_tcp_finished), 1);
	assert_true(is_in_map(&p.key[0]));
	tick(CUT_LINGER_S - 1);
	assert_true(is_in_map(&p.key[0]));
	tick(1);
	assert_false(is_in_map(&p.key[0]));
	expect_no_end();
	assert_int_equal(w.ledger.pool.used, 0);
}

/* --- entries that go ----------------------------------------------------- */

static void test_half_a_flow_is_none(void **state)
{
	(void)state;
	begin_ledger();
	for (int gone = 0; gone < 2; gone++) {
		struct pair p = two_entries("192.0.2.1", "198.51.100.1");

		cut_ledger_settle(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
		assert_int_equal(cut_table_drop(&w.table, &p.key[gone]), 0);
		tick(0);
		expect_end(END_ERROR);
		assert_false(is_in_map(&p.key[!gone]));
		assert_int_equal(count_records(), 0);
	}
}

static void test_a_flow_whose_entry_is_gone_has_ended(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);

	(void)state;
	begin_ledger();
	cut_ledger_settle(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
	tick(0);
	see_packet(&p, 1, 40, WL_CUT_RESET);
	put(&p);
	tick(0);
	expect_no_end();
	assert_int_equal(cut_table_drop(&w.table, &p.key[0]), 0);
	tick(0);
	expect_end(END_SERVER_RESET);
	assert_int_equal(count_records(), 0);
}

/* The program removes the entry of a flow that had ended, for a SYN; the next
 * flow of these addresses is watched before anybody has looked. */
static void test_the_next_flow_is_not_the_old_one(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	struct pair next = p;

	(void)state;
	begin_ledger();
	cut_ledger_settle(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
	see_packet(&p, 0, 40, WL_CUT_FIN);
	put(&p);
	tick(0);
	next.value[0].state = WL_CUT_WATCH;
	put(&next);
	tick(0);
	expect_end(END_FINISHED);
	assert_true(is_in_map(&next.key[0])); /* it is not ours */
	assert_int_equal(count_records(), 0);
}

static void take_place(struct pair *p)
{
	uint32_t before = count_records();
	int slot = add(p, PROTO_TCP);

	cut_ledger_settle(&w.ledger, (uint32_t)slot);
	way(p, 0)->bytes = 500; /* of the old one: not looked at any more */
	slot = add(p, PROTO_TCP);
	expect_end(END_ERROR); /* no FIN had been seen */
	assert_int_equal(count_records(), before + 1);
	assert_int_equal(w.ledger.pool.used, before + 1);
	assert_true(is_in_map(&p->key[0]) && is_in_map(&p->key[1]));
	assert_int_equal(record_at(slot).bytes[0], 1000);
}

static void test_a_flow_takes_the_place_of_one_that_has_gone(void **state)
{
	struct pair two = two_entries("192.0.2.1", "198.51.100.1");
	struct pair one = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 8);

	(void)state;
	begin_ledger();
	take_place(&two);
	take_place(&one);
}

/* --- wishes -------------------------------------------------------------- */

static void test_a_wish_ends_one_flow(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	struct pair other =
		equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 8);
	int slot;

	(void)state;
	begin_ledger();
	slot = add(&p, PROTO_TCP);
	cut_ledger_settle(&w.ledger, (uint32_t)add(&other, PROTO_TCP));
	cut_orders_end(w.orders, (uint32_t)slot, record_at(slot).name,
		       END_UPSTREAM_DISABLED);
	cut_ledger_fulfil(&w.ledger);
	tick(1);
	expect_no_end(); /* in hand yet */
	cut_ledger_settle(&w.ledger, (uint32_t)slot);
	tick(1);
	tick(4);
	expect_end(END_UPSTREAM_DISABLED);
	assert_int_equal(count_records(), 1);
	assert_true(is_in_map(&other.key[0]));
}

static void test_a_wish_does_not_meet_the_next_in_the_slot(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	struct pair next = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 8);
	uint64_t name;
	int slot;

	(void)state;
	begin_ledger();
	slot = add(&p, PROTO_TCP);
	name = record_at(slot).name;
	cut_ledger_end(&w.ledger, (uint32_t)slot, END_ERROR);
	expect_end(END_ERROR);
	assert_int_equal(add(&next, PROTO_TCP), slot);
	cut_ledger_settle(&w.ledger, (uint32_t)slot);
	cut_orders_end(w.orders, (uint32_t)slot, name, END_SHUTDOWN);
	cut_ledger_fulfil(&w.ledger);
	tick(4);
	expect_no_end();
}

/* --- many ---------------------------------------------------------------- */

static struct pair numbered(uint32_t i)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "10.0.0.0", 443);

	p.server.ip[2] = (uint8_t)(i >> 8);
	p.server.ip[3] = (uint8_t)i;
	p.value[0].shape = cut_key(IPPROTO_TCP, &p.client, &p.server, &p.key[0])
				   ? WL_CUT_LOW
				   : 0;
	return p;
}

static void walk_once(void)
{
	uint32_t walks = w.ledger.walks;

	for (int ticks = 0; w.ledger.walks == walks; ticks++) {
		assert_true(ticks < CUT_LEDGER_WALK_TICKS);
		w.now_ms += CUT_LEDGER_TICK_MS;
		cut_ledger_tick(&w.ledger, w.now_ms);
	}
}

static void test_all_of_many_are_met_in_one_walk(void **state)
{
	uint32_t walks;

	(void)state;
	open_world(BIG);
	begin_ledger();
	for (uint32_t i = 0; i < BIG; i++) {
		struct pair p = numbered(i);

		cut_ledger_settle(&w.ledger, (uint32_t)add(&p, PROTO_TCP));
	}
	walks = w.ledger.walks;
	walk_once();
	for (uint32_t i = 0; i < BIG; i++)
		assert_int_equal(w.entries[i].walk, walks);
	assert_int_equal(count_records(), BIG);
	w.now_ms += IDLE_S * 1000;
	walk_once(); /* begun before, perhaps */
	walk_once();
	assert_int_equal(count_records(), 0);
	assert_int_equal(counter(COUNTER_tcp_timeout), BIG);
}

static void test_no_room(void **state)
{
	struct flow_record r = { .proto = PROTO_TCP };
	struct pair p;

	(void)state;
	begin_ledger();
	for (uint32_t i = 0; i < FLOW_MAX; i++) {
		p = numbered(i);
		(void)add(&p, PROTO_TCP);
	}
	p = numbered(FLOW_MAX);
	assert_int_equal(cut_ledger_add(&w.ledger, &r, p.key, false), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_bytes_by_direction_and_silence),
		IN_WORLD(test_datagrams_have_times_of_their_own),
		IN_WORLD(test_a_flow_in_hand_is_left_alone),
		IN_WORLD(test_what_came_to_nothing_is_not_told),
		IN_WORLD(test_a_finished_flow_is_told_at_once_and_lingers),
		IN_WORLD(test_half_a_flow_is_none),
		IN_WORLD(test_a_flow_whose_entry_is_gone_has_ended),
		IN_WORLD(test_the_next_flow_is_not_the_old_one),
		IN_WORLD(test_a_flow_takes_the_place_of_one_that_has_gone),
		IN_WORLD(test_a_wish_ends_one_flow),
		IN_WORLD(test_a_wish_does_not_meet_the_next_in_the_slot),
		cmocka_unit_test_teardown(test_all_of_many_are_met_in_one_walk,
					  close_world),
		IN_WORLD(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
