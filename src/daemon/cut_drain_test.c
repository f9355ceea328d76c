/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_drain_test.c - what comes late, one thing at a time; see
 * cut_drain_test.h.
 */
#include "daemon/cut_drain_test.h"

/* --- tests --------------------------------------------------------------- */

static void for_families(void (*run)(struct drain *d))
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct drain d;

		begin(&d, is_v6);
		run(&d);
		done(&d);
	}
}

static void run_nothing(struct drain *d)
{
	put_on(d);
	cut_drain_begin(&d->flow);
	end_well(d);
	talk_on(d);
}

static void nothing_late(void **state)
{
	(void)state;
	for_families(run_nothing);
}

/* Unread at the switch, and come behind it. */
static void run_bytes(struct drain *d)
{
	say(d->client, 'a', LATE);
	say(d->server, 'b', LATE);
	cut_drain_begin(&d->flow);
	hear(d, d->server, 'a', LATE);
	hear(d, d->client, 'b', LATE);
	say(d->client, 'c', LATE);
	hear(d, d->server, 'c', LATE);
	put_on(d);
	talk_on(d);
	end_well(d);
	talk_on(d);
	assert_int_equal(d->shop.shared->counters[COUNTER_cut_late_bytes],
			 3 * LATE);
}

static void bytes(void **state)
{
	(void)state;
	for_families(run_bytes);
}

/* What comes later has passed them on the other way, and waits. */
static void run_overtaken(struct drain *d)
{
	say(d->client, 'a', LATE);
	put_on(d);
	say(d->client, 'u', LATE);
	turns(d);
	cut_drain_begin(&d->flow);
	hear(d, d->server, 'a', LATE);
	hear(d, d->server, 'u', LATE);
	end_well(d);
	talk_on(d);
}

static void bytes_that_were_overtaken(void **state)
{
	(void)state;
	for_families(run_overtaken);
}

static void run_fin(struct drain *d)
{
	say(d->client, 'a', LATE);
	assert_int_equal(shutdown(d->client, SHUT_WR), 0);
	cut_drain_begin(&d->flow);
	hear(d, d->server, 'a', LATE);
	hear_end(d, d->server);
	put_on(d);
	say(d->server, 'd', LATE);
	hear(d, d->client, 'd', LATE);
	end_well(d);
	say(d->server, 'd', LATE);
	hear(d, d->client, 'd', LATE);
	assert_int_equal(shutdown(d->server, SHUT_WR), 0);
	hear_end(d, d->client);
}

static void a_fin(void **state)
{
	(void)state;
	for_families(run_fin);
}

static void run_two_fins(struct drain *d)
{
	assert_int_equal(shutdown(d->client, SHUT_WR), 0);
	assert_int_equal(shutdown(d->server, SHUT_WR), 0);
	cut_drain_begin(&d->flow);
	hear_end(d, d->server);
	hear_end(d, d->client);
	put_on(d);
	end_well(d);
}

static void fins_of_both_ends(void **state)
{
	(void)state;
	for_families(run_two_fins);
}

static void reset_by(int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
		0);
	close(fd);
}

static void check_ended(struct drain *d, enum flow_end why)
{
	struct wl_cut value;

	await_state(d, CUT_FLOW_FREE);
	assert_true(d->has_ended);
	assert_int_equal(d->why, why);
	assert_int_equal(cut_table_get(d->shop.table, &d->flow.key[0], &value),
			 -ENOENT);
}

static void run_client_reset(struct drain *d)
{
	reset_by(d->client);
	put_on(d);
	cut_drain_begin(&d->flow);
	hear_reset(d, d->server);
	check_ended(d, END_CLIENT_RESET);
	d->client = -1;
}

static void run_server_reset(struct drain *d)
{
	put_on(d);
	cut_drain_begin(&d->flow);
	turns(d);
	/* as if it had passed before: to the socket itself */
	assert_int_equal(cut_table_drop(d->shop.table, &d->flow.key[0]), 0);
	reset_by(d->server);
	hear_reset(d, d->client);
	check_ended(d, END_SERVER_RESET);
	d->server = -1;
}

static void a_reset(void **state)
{
	(void)state;
	for_families(run_client_reset);
	for_families(run_server_reset);
}

/* The socket's number is old by then. */
static void run_reset_after_traffic(struct drain *d)
{
	put_on(d);
	cut_drain_begin(&d->flow);
	talk_on(d);
	cut_drain_abort(&d->flow, END_ERROR);
	hear_reset(d, d->client);
	hear_reset(d, d->server);
	check_ended(d, END_ERROR);
}

static void an_abort_reaches_both_ends(void **state)
{
	(void)state;
	for_families(run_reset_after_traffic);
}

static void run_entry_gone(struct drain *d)
{
	put_on(d);
	cut_drain_begin(&d->flow);
	assert_int_equal(cut_table_drop(d->shop.table, &d->flow.key[0]), 0);
	let_grace_pass(d);
	hear_reset(d, d->client);
	hear_reset(d, d->server);
	check_ended(d, END_ERROR);
}

static void an_entry_that_has_gone(void **state)
{
	(void)state;
	for_families(run_entry_gone);
}

/* More than the server and its leg hold: it waits in the client's. */
static void run_full(struct drain *d)
{
	uint32_t sent = 0;
	int least = 1;

	assert_int_equal(setsockopt(d->flow.fd[1], SOL_SOCKET, SO_SNDBUF,
				    &least, sizeof(least)),
			 0);
	cut_drain_begin(&d->flow);
	while (await(d, d->client, POLLOUT) & POLLOUT && sent < 12u << 20) {
		char bytes[LATE];
		ssize_t n;

		memset(bytes, 'f', sizeof(bytes));
		n = send(d->client, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n <= 0)
			break;
		sent += (uint32_t)n;
		if (d->flow.edge[1] != d->flow.written[1])
			break;
	}
	/* promised, and not all written */
	assert_int_not_equal(d->flow.edge[1], d->flow.written[1]);
	put_on(d);
	let_grace_pass(d);
	turns(d);
	assert_int_equal(d->flow.state, CUT_FLOW_ON);
	hear(d, d->server, 'f', sent);
	await_state(d, CUT_FLOW_SETTLE);
	let_grace_pass(d);
	await_state(d, CUT_FLOW_FREE);
	talk_on(d);
}

static void bytes_that_find_no_room(void **state)
{
	(void)state;
	for_families(run_full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_late),
		cmocka_unit_test(bytes),
		cmocka_unit_test(bytes_that_were_overtaken),
		cmocka_unit_test(a_fin),
		cmocka_unit_test(fins_of_both_ends),
		cmocka_unit_test(a_reset),
		cmocka_unit_test(an_abort_reaches_both_ends),
		cmocka_unit_test(an_entry_that_has_gone),
		cmocka_unit_test(bytes_that_find_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
