/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_nonsense_test.c - a worker that was broken into says what it likes.
 */
#include "daemon/cutter_world_test.h"

/* --- nonsense ------------------------------------------------------------ */

enum { BAD_KIND = 9 };

static void bad_kind(struct cut_ask *a)
{
	a->kind = BAD_KIND;
}

static void no_kind(struct cut_ask *a)
{
	a->kind = 0;
}

static void bad_proto(struct cut_ask *a)
{
	a->proto = PROTO_COUNT;
}

static void no_family(struct cut_ask *a)
{
	memset(a->peer, 0, sizeof(a->peer));
	memset(a->own, 0, sizeof(a->own));
}

static void two_families(struct cut_ask *a)
{
	a->peer[SERVER] = at("[2001:db8::1]:443");
	a->own[SERVER] = at("[2001:db8::2]:4000");
}

static void mixed_leg(struct cut_ask *a)
{
	a->own[CLIENT] = at("[2001:db8::2]:4000");
}

static void no_port(struct cut_ask *a)
{
	a->own[CLIENT].port = a->peer[SERVER].port = 0;
}

static void link_local(struct cut_ask *a)
{
	*a = flow(CUT_WATCH, PROTO_UDP, "[fe80::1]:1", "[fe80::2]:2");
	a->peer[CLIENT].scope = a->own[SERVER].scope = 1;
}

static void no_bool(struct cut_ask *a)
{
	memset(a->is_bulk, 2, sizeof(a->is_bulk));
}

static void readdressed_datagrams(struct cut_ask *a)
{
	a->own[SERVER] = at("198.51.100.9:4000");
}

static const struct bad {
	const char *name;
	void (*spoil)(struct cut_ask *a);
} bads[] = {
	{ "a kind that is none", bad_kind },
	{ "no kind", no_kind },
	{ "a protocol that is none", bad_proto },
	{ "no addresses", no_family },
	{ "legs of two families", two_families },
	{ "a leg of two families", mixed_leg },
	{ "port 0", no_port },
	{ "link-local addresses", link_local },
	{ "a bool of 2", no_bool },
	{ "datagrams that would be readdressed", readdressed_datagrams },
};

static void test_what_makes_no_sense_does_nothing(void **state)
{
	struct cut_ask good = datagrams(CUT_WATCH);

	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
		struct cut_ask ask = good;

		print_message("%s\n", bads[i].name);
		bads[i].spoil(&ask);
		say(&ask);
		expect_silence();
		assert_int_equal(w.cutter->pool.used, 0);
	}
	say(&good);
	assert_int_equal(w.cutter->pool.used, 1);
}

static void test_descriptors_that_nobody_asked_for_are_closed(void **state)
{
	struct cut_ask watch = datagrams(CUT_WATCH), cut = datagrams(CUT_CUT);
	int pair[2];
	char byte;

	(void)state;
	make_pair(pair);
	say_with(&watch, sizeof(watch), &pair[0], 1);
	say_with(&cut, sizeof(cut), pair, 2);
	assert_int_equal(w.cutter->pool.used, 0);
	close(pair[0]);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	close(pair[1]);
}

/* Each length but the right one, and who says it is not heard any more. */
static void test_a_message_of_another_length_ends_the_channel(void **state)
{
	static const size_t steps = 37;
	char bytes[sizeof(struct cut_ask) + 1] = { 0 };

	(void)state;
	for (size_t len = 1; len <= sizeof(bytes);
	     len += len < sizeof(bytes) - steps ? steps : 1) {
		char byte;

		if (len == sizeof(struct cut_ask))
			continue;
		say_with(bytes, len, NULL, 0);
		assert_int_equal(recv(w.worker, &byte, 1, MSG_DONTWAIT), 0);
		assert_null(w.cutter->workers);
		end();
		begin();
	}
}

/* --- sockets ------------------------------------------------------------- */

/* A connection over lo: both ends are here. */
static void connect_pair(int pair[2])
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	assert_int_equal(bind(listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &len),
			 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&in, len), 0);
	pair[1] = accept(listener, NULL, NULL);
	assert_true(pair[1] >= 0);
	close(listener);
}

/* A worker that was broken into must not have a stranger's flow cut. */
static void test_sockets_of_another_flow_are_refused(void **state)
{
	struct cut_ask ask =
		flow(CUT_CUT, PROTO_TCP, "192.0.2.1:4000", "198.51.100.1:443");
	int pair[2], datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int wrong[2] = { datagram, datagram };
	char byte;

	(void)state;
	connect_pair(pair);
	say_with(&ask, sizeof(ask), pair, 2);
	expect_answer(&ask, CUT_REFUSED, CUT_CAUSE_ERROR);
	say_with(&ask, sizeof(ask), wrong, 2);
	expect_answer(&ask, CUT_REFUSED, CUT_CAUSE_ERROR);
	assert_int_equal(state_of(&ask), 0);
	assert_int_equal(w.cutter->pool.used, 0);
	close(pair[0]); /* the cutter's are closed too: this is the end of it */
	assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
	close(pair[1]);
	close(datagram);
}

static void test_without_sockets_no_connection_is_cut(void **state)
{
	struct cut_ask ask =
		flow(CUT_CUT, PROTO_TCP, "192.0.2.1:4000", "198.51.100.1:443");

	(void)state;
	say(&ask);
	expect_answer(&ask, CUT_REFUSED, CUT_CAUSE_ERROR);
	assert_int_equal(w.cutter->pool.used, 0);
}

static void test_addresses_that_are_taken(void **state)
{
	struct cut_ask one = datagrams(CUT_WATCH), other = datagrams(CUT_CUT);

	(void)state;
	say(&one);
	other.slot++;
	other.name++;
	say(&other);
	expect_answer(&other, CUT_REFUSED, CUT_CAUSE_TAKEN);
	assert_int_equal(state_of(&one), WL_CUT_WATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_what_makes_no_sense_does_nothing),
		IN_WORLD(test_descriptors_that_nobody_asked_for_are_closed),
		IN_WORLD(test_a_message_of_another_length_ends_the_channel),
		IN_WORLD(test_sockets_of_another_flow_are_refused),
		IN_WORLD(test_without_sockets_no_connection_is_cut),
		IN_WORLD(test_addresses_that_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
