/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners_test.c - who holds which socket, in a network of its own.
 */
#include "daemon/listeners_test.h"

#include <errno.h>
#include <sys/resource.h>

static const char two[] = "intercept a { from a0; tcp any }\n"
			  "intercept d { from a0; tcp 80; deliver "
			  "127.0.0.1:3129 }\n"
			  "intercept b { from b0; tcp any; udp any }\n";

/* --- shares -------------------------------------------------------------- */

static void test_shares(void **state)
{
	static const uint32_t workers[] = { 3, 1, 2, 5, 4, 5 };
	struct config *c = parse(two);
	struct listeners l;
	uint32_t most = 0;

	(void)state; /* unused */
	begin(&l);
	for (size_t i = 0; i < sizeof(workers) / sizeof(*workers); i++) {
		open_for(&l, c, workers[i]);
		most = workers[i] > most ? workers[i] : most;
		/* nothing is closed: who is left serves it */
		expect_shares(&l, c, workers[i], 2 * most * kinds());
	}
	listeners_close(&l);
	listeners_close(&l);
	config_free(c);
}

/* --- ports --------------------------------------------------------------- */

static void test_plan(void **state)
{
	struct config *c = parse(two);
	struct plan p, again;
	struct listeners l;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 2);
	listeners_plan(&l, c, &p);
	assert_ptr_equal(p.config, c);
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		for (int f = 0; f < FAMILY_COUNT; f++) {
			assert_int_equal(p.ports[0][proto][f] != 0,
					 l.has_family[f]);
			assert_int_equal(p.ports[1][proto][f], 0);
			assert_int_equal(p.ports[2][proto][f] != 0,
					 l.has_family[f]);
		}
	assert_int_not_equal(p.ports[0][0][0], p.ports[2][0][0]);
	open_for(&l, c, 4); /* more workers, the same ports */
	listeners_plan(&l, c, &again);
	assert_memory_equal(&p, &again, sizeof(p));
	listeners_close(&l);
	config_free(c);
}

/* Where there is a port there is a socket, and nowhere else. */
static void test_plan_sockets(void **state)
{
	struct config *c = parse(two);
	struct listeners l;
	struct plan p;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 2);
	listeners_plan(&l, c, &p);
	for (int i = 0; i < INTERCEPTS_MAX; i++)
		for (enum proto proto = 0; proto < PROTO_COUNT; proto++)
			for (int f = 0; f < FAMILY_COUNT; f++)
				if (p.ports[i][proto][f])
					expect_socket(p.fds[i][proto][f], proto,
						      p.ports[i][proto][f]);
				else
					assert_int_equal(p.fds[i][proto][f],
							 -1);
	listeners_close(&l);
	config_free(c);
}

/* A reload: names decide who keeps a port, not the order. */
static void test_reload(void **state)
{
	struct config *c = parse(two);
	struct config *other = parse("intercept b { from b0; tcp any }\n"
				     "intercept n { from n0; tcp any }\n");
	struct plan p, after;
	struct listeners l;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 2);
	listeners_plan(&l, c, &p);
	open_for(&l, other, 2);
	listeners_plan(&l, other, &after);
	assert_memory_equal(after.ports[0], p.ports[2], sizeof(p.ports[0]));
	assert_int_not_equal(after.ports[1][0][0], 0);
	expect_shares(&l, other, 2, 2 * 2 * kinds());
	expect_shares(&l, c, 2, 2 * 2 * kinds());
	listeners_close(&l);
	config_free(c);
	config_free(other);
}

static void test_fixed_port(void **state)
{
	struct config *c = parse("port 4000\n"
				 "intercept a { from a0; tcp any }\n"
				 "intercept b { from b0; tcp any }\n");
	struct listeners l;
	struct plan p;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 3);
	listeners_plan(&l, c, &p);
	for (int proto = 0; proto < PROTO_COUNT; proto++) {
		assert_int_equal(p.ports[0][proto][FAMILY_V4], 4000);
		assert_int_equal(p.ports[1][proto][FAMILY_V4], 4001);
	}
	listeners_close(&l);
	config_free(c);
}

/* --- what fails ---------------------------------------------------------- */

static void test_taken_port(void **state)
{
	struct config *c = parse("port 4000\n"
				 "intercept a { from a0; tcp any }\n");
	struct addr at = { .ip = { 127, 0, 0, 1 },
			   .port = 4000,
			   .family = AF_INET };
	struct listeners l;
	struct err e = { 0 };
	int theirs;

	(void)state; /* unused */
	begin(&l);
	theirs = sock_listen_tcp(&at, 0, &e);
	assert_true(theirs >= 0);
	assert_int_equal(listeners_open(&l, c, 2, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, "`port N`"));
	assert_non_null(strstr(e.text, "127.0.0.1:4000/tcp"));
	close(theirs);
	open_for(&l, c, 2); /* free now */
	listeners_close(&l);
	config_free(c);
}

/* Refused because of UDP: the TCP sockets of the try must not stay, they
 * would be taken for somebody else's at the next try. */
static void test_taken_udp_port(void **state)
{
	struct config *c = parse("port 4000\n"
				 "intercept a { from a0; tcp any }\n");
	struct addr at = { .ip = { 127, 0, 0, 1 },
			   .port = 4000,
			   .family = AF_INET };
	struct listeners l;
	struct err e = { 0 };
	int theirs;

	(void)state; /* unused */
	begin(&l);
	theirs = sock_listen_udp(&at, 0, &e);
	assert_true(theirs >= 0);
	assert_int_equal(listeners_open(&l, c, 1, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, "127.0.0.1:4000/udp"));
	close(theirs);
	open_for(&l, c, 1);
	expect_shares(&l, c, 1, kinds());
	listeners_close(&l);
	config_free(c);
}

/* Out of descriptors half-way: sockets of slots that nobody serves would take
 * their share of the flows and never accept one. */
static void test_no_descriptors(void **state)
{
	struct config *c = parse("intercept a { from a0; tcp any }\n");
	struct rlimit old, low;
	struct listeners l;
	struct err e = { 0 };
	int next;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 1);
	next = dup(0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)next + 5;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_true(listeners_open(&l, c, 4, &e) < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(dup(0), next); /* all of the try is closed */
	close(next);
	expect_shares(&l, c, 1, kinds());
	open_for(&l, c, 4);
	expect_shares(&l, c, 4, 4 * kinds());
	listeners_close(&l);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_plan_sockets),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_fixed_port),
		cmocka_unit_test(test_taken_port),
		cmocka_unit_test(test_taken_udp_port),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
