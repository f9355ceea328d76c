/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_test.c - what workers ask the cutter for, and what comes of it.
 */
#include "daemon/cutter.h"

#include "daemon/cutter_world_test.h"

/* --- datagrams ----------------------------------------------------------- */

static void test_datagrams_go_through_when_both_ends_were_seen(void **state)
{
	const uint8_t all = WL_CUT_SEEN | WL_CUT_ROUTED;
	struct cut_ask watch = datagrams(CUT_WATCH), cut = datagrams(CUT_CUT);
	struct flow_record r;

	(void)state;
	say(&watch);
	expect_silence();
	assert_int_equal(state_of(&watch), WL_CUT_WATCH);
	say(&cut);
	expect_answer(&cut, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	learn(&cut, 0, all);
	say(&cut);
	expect_answer(&cut, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	learn(&cut, 1, WL_CUT_SEEN);
	say(&cut);
	expect_answer(&cut, CUT_NOT_YET, CUT_CAUSE_NO_ROUTE);
	assert_int_equal(state_of(&watch), WL_CUT_WATCH);
	assert_false(shared_read(w.args.shared, 0, &r));
	learn(&cut, 1, all);
	say(&cut);
	expect_answer(&cut, CUT_DONE, CUT_CAUSE_NONE);
	assert_int_equal(state_of(&watch), WL_CUT_ON);
	assert_true(shared_read(w.args.shared, 0, &r));
	assert_int_equal(r.state, FLOW_CUT);
	assert_int_equal(r.generation, 7);
	assert_int_equal(r.rule, 4);
	assert_int_equal(r.bytes[0], 11);
	assert_int_equal(w.cutter->pool.used, 0); /* nothing is in hand */
}

static void test_fragments_are_not_let_through(void **state)
{
	struct cut_ask cut = datagrams(CUT_CUT);

	(void)state;
	say(&cut);
	expect_answer(&cut, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
	learn(&cut, 0, WL_CUT_SEEN | WL_CUT_ROUTED);
	learn(&cut, 1, WL_CUT_SEEN | WL_CUT_ROUTED | WL_CUT_ODD);
	say(&cut);
	expect_answer(&cut, CUT_REFUSED, CUT_CAUSE_FRAGMENTS);
}

/* --- forgetting ---------------------------------------------------------- */

static void test_forgotten_by_name(void **state)
{
	struct cut_ask watch = datagrams(CUT_WATCH);
	struct cut_ask forget = datagrams(CUT_FORGET);

	(void)state;
	say(&watch);
	forget.name++; /* the slot's next flow, or the one before */
	say(&forget);
	assert_int_equal(state_of(&watch), WL_CUT_WATCH);
	forget.name--;
	say(&forget);
	assert_int_equal(state_of(&watch), 0);
	assert_int_equal(w.cutter->pool.used, 0);
	expect_silence();
}

static void test_a_slot_that_is_used_again_is_another_flow(void **state)
{
	struct cut_ask one = datagrams(CUT_WATCH);
	struct cut_ask next = flow(CUT_WATCH, PROTO_UDP, "192.0.2.9:4000",
				   "198.51.100.1:443");

	(void)state;
	next.name++;
	say(&one);
	say(&next);
	assert_int_equal(state_of(&one), 0);
	assert_int_equal(state_of(&next), WL_CUT_WATCH);
	assert_int_equal(w.cutter->pool.used, 1);
}

static void test_the_end_of_a_worker_ends_what_is_watched_only(void **state)
{
	const uint8_t all = WL_CUT_SEEN | WL_CUT_ROUTED;
	struct cut_ask cut = datagrams(CUT_CUT);
	struct cut_ask watch = flow(CUT_WATCH, PROTO_TCP, "192.0.2.9:4000",
				    "198.51.100.1:443");

	(void)state;
	say(&cut);
	learn(&cut, 0, all);
	learn(&cut, 1, all);
	say(&cut);
	watch.slot++;
	say(&watch);
	close(w.worker);
	w.worker = -1;
	turn();
	assert_int_equal(state_of(&watch), 0);
	assert_int_equal(state_of(&cut), WL_CUT_ON);
	assert_null(w.cutter->workers);
}

/* --- a worker that does not read ----------------------------------------- */

static bool try_say(const struct cut_ask *ask)
{
	const struct parcel p = { .bytes = (void *)ask, .size = sizeof(*ask) };

	return parcel_send(w.worker, &p) == 0;
}

/* The answer that finds no room waits, and so do the questions behind it. */
static void test_no_answer_is_lost(void **state)
{
	struct cut_ask ask = datagrams(CUT_CUT);
	unsigned asked = 0, answered = 0;
	struct cut_answer a;

	(void)state;
	while (asked < 20000 && try_say(&ask)) {
		asked++;
		turn();
	}
	assert_true(asked < 20000); /* it was full */
	while (answered < asked) {
		ssize_t len = recv(w.worker, &a, sizeof(a), MSG_DONTWAIT);

		if (len == sizeof(a))
			answered++;
		else
			assert_int_equal(errno, EAGAIN);
		turn();
	}
	expect_silence();
	say(&ask);
	expect_answer(&ask, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
}

/* --- the end ------------------------------------------------------------- */

static void expect_to_leave_flows(void)
{
	struct cut_ask cut = datagrams(CUT_CUT);

	assert_int_equal(cutter_run(w.cutter), 0);
	assert_int_equal(state_of(&cut), WL_CUT_ON);
}

static void let_one_through(void)
{
	const uint8_t all = WL_CUT_SEEN | WL_CUT_ROUTED;
	struct cut_ask cut = datagrams(CUT_CUT);

	say(&cut);
	learn(&cut, 0, all);
	learn(&cut, 1, all);
	say(&cut);
}

static void test_it_stops_when_told(void **state)
{
	(void)state;
	let_one_through();
	order(CUTTER_STOP, -1);
	expect_to_leave_flows();
}

static void test_it_goes_when_the_supervisor_has_gone(void **state)
{
	struct cut_ask watch = flow(CUT_WATCH, PROTO_UDP, "192.0.2.9:4000",
				    "198.51.100.1:443");

	(void)state;
	let_one_through();
	watch.slot++;
	say(&watch);
	assert_int_equal(shutdown(w.supervisor, SHUT_RDWR), 0);
	expect_to_leave_flows();
	assert_int_equal(state_of(&watch), 0);
}

static void test_a_wish_is_heard(void **state)
{
	struct flow_record r;
	char byte;

	(void)state;
	let_one_through();
	assert_true(shared_read(w.args.shared, 0, &r));
	cut_orders_end(w.args.orders, 0, r.name, END_UPSTREAM_DISABLED);
	order(CUTTER_LOOK, -1);
	turn();
	assert_true(shared_next_ended(w.args.shared, &r));
	assert_int_equal(r.end, END_UPSTREAM_DISABLED);
	assert_int_equal(recv(w.supervisor, &byte, 1, MSG_DONTWAIT), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_datagrams_go_through_when_both_ends_were_seen),
		IN_WORLD(test_fragments_are_not_let_through),
		IN_WORLD(test_forgotten_by_name),
		IN_WORLD(test_a_slot_that_is_used_again_is_another_flow),
		IN_WORLD(test_the_end_of_a_worker_ends_what_is_watched_only),
		IN_WORLD(test_no_answer_is_lost),
		IN_WORLD(test_it_stops_when_told),
		IN_WORLD(test_it_goes_when_the_supervisor_has_gone),
		IN_WORLD(test_a_wish_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
