/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_adopt_test.c - what a daemon or a cutter that was killed has left.
 */
#include "daemon/cut_adopt.h"

#include "daemon/cut_ledger_world_test.h"

/* --- adopting ------------------------------------------------------------ */

static void expect_adopted(const struct pair *p)
{
	struct flow_record r = record_at(0);

	assert_int_equal(count_records(), 1);
	assert_true(addr_equal(&r.client, &p->client));
	assert_true(addr_equal(&r.server, &p->server));
	assert_true(addr_equal(&r.source, &p->own));
	assert_int_equal(r.intercept, 4);
	assert_int_equal(r.rule, 5);
	assert_int_equal(r.upstream, 6);
	assert_int_equal(r.generation, 3);
	assert_int_equal(r.bytes[0], 300);
	assert_int_equal(r.bytes[1], 70);
	assert_int_equal(counter(COUNTER_cut_adopted), 1);
}

static void adopt(struct pair *p)
{
	see_packet(p, 0, 300, 0);
	see_packet(p, 1, 70, 0);
	put(p);
	begin_ledger();
	expect_adopted(p);
	tick(1);
	expect_adopted(p); /* once */
}

static void test_flows_of_a_killed_daemon_are_adopted(void **state)
{
	static const char *const v6[] = { "2001:db8::1", "2001:db8::2" };

	for (int i = 0; i < 2; i++) {
		struct pair p =
			equal_flow(IPPROTO_TCP, clients[i], servers[i], 443);

		adopt(&p);
		close_world(state);
		open_small(state);
		p = two_entries(clients[i], servers[i]);
		adopt(&p);
		close_world(state);
		open_small(state);
		p = equal_flow(IPPROTO_UDP, v6[i], v6[!i], 443);
		adopt(&p);
		assert_int_equal(record_at(0).proto, PROTO_UDP);
		close_world(state);
		open_small(state);
	}
	begin_ledger();
}

/* The walk meets them in an order of its own. */
static void test_either_entry_tells_the_same(void **state)
{
	struct pair p = two_entries("192.0.2.1", "198.51.100.1");
	struct cut_adoption a;

	(void)state;
	begin_ledger();
	put(&p);
	for (int leg = 0; leg < 2; leg++) {
		assert_int_equal(cut_adopt(&w.table, &p.key[leg], &p.value[leg],
					   now_s(), &a),
				 0);
		assert_true(a.has_two);
		assert_memory_equal(a.key, p.key, sizeof(a.key));
		assert_true(addr_equal(&a.record.client, &p.client));
		assert_true(addr_equal(&a.record.server, &p.server));
		assert_true(addr_equal(&a.record.source, &p.own));
	}
}

static void test_what_was_only_watched_or_is_half_is_removed(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	struct pair half = two_entries("192.0.2.9", "198.51.100.1");

	(void)state;
	p.value[0].state = WL_CUT_WATCH;
	put(&p);
	put(&half);
	assert_int_equal(cut_table_drop(&w.table, &half.key[0]), 0);
	begin_ledger();
	assert_false(is_in_map(&p.key[0]));
	assert_false(is_in_map(&half.key[1]));
	assert_int_equal(count_records(), 0);
	expect_no_end();
}

/* Records, and how much of the map's bytes they have, outlive a cutter. */
static void test_the_next_cutter_takes_over(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);
	struct pair gone = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 8);
	int slot;

	(void)state;
	begin_ledger();
	(void)add(&gone, PROTO_TCP);
	slot = add(&p, PROTO_TCP);
	see_packet(&p, 0, 300, 0);
	put(&p);
	tick(0);
	cut_ledger_done(&w.ledger);
	assert_int_equal(cut_table_drop(&w.table, &gone.key[0]), 0);
	see_packet(&p, 0, 10, 0);
	put(&p);
	begin_ledger();
	expect_end(END_ERROR); /* gone */
	assert_int_equal(record_at(slot).bytes[0], 1310);
	assert_int_equal(record_at(slot).rule, 9);
	assert_int_equal(count_records(), 1);
	assert_int_equal(counter(COUNTER_cut_adopted), 0);
	tick(IDLE_S); /* it is in nobody's hand */
	expect_end(END_IDLE_TIMEOUT);
}

/* Its sockets were the dead cutter's: nobody sends again what is lost. */
static void test_who_drains_without_sockets_is_ended(void **state)
{
	struct pair p = equal_flow(IPPROTO_TCP, "192.0.2.1", "192.0.2.2", 443);

	(void)state;
	way(&p, 1)->is_draining = 1;
	put(&p);
	begin_ledger();
	assert_int_equal(count_records(), 1);
	tick(CUT_STRAY_S - 1);
	expect_no_end();
	tick(2);
	tick(4); /* RST is sent as often as an end may need */
	expect_end(END_ERROR);
	assert_int_equal(count_records(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_flows_of_a_killed_daemon_are_adopted),
		IN_WORLD(test_either_entry_tells_the_same),
		IN_WORLD(test_what_was_only_watched_or_is_half_is_removed),
		IN_WORLD(test_the_next_cutter_takes_over),
		IN_WORLD(test_who_drains_without_sockets_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
