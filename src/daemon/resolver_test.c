/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver_test.c - what the resolver makes of a name server's answers.
 */
#include "daemon/resolver_test.h"

/* --- answers ------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *what;
	struct zone zone;
	const char *known;
} answers[] = {
	{ "one address", { .ips = { "127.0.0.7" }, .ttl = 60 }, "127.0.0.7" },
	{ "both families", { .ips = { "127.0.0.7", "::1" }, .ttl = 60 }, "127.0.0.7 ::1" },
	{ "IPv6 alone", { .ips = { "::1" }, .ttl = 60 }, "::1" },
	{ "several, sorted", { .ips = { "127.0.0.9", "127.0.0.8" }, .ttl = 60 },
	  "127.0.0.8 127.0.0.9" },
	{ "what this host has no way to is left out",
	  { .ips = { "192.0.2.1", "127.0.0.7", "2001:db8::1" }, .ttl = 60 }, "127.0.0.7" },
	{ "unless nothing else is there", { .ips = { "192.0.2.1" }, .ttl = 60 },
	  "192.0.2.1" },
	{ "more than there is room for",
	  { .ips = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5",
	      "127.0.0.6", "127.0.0.7", "127.0.0.8", "127.0.0.9" }, .ttl = 60 },
	  "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6 "
	  "127.0.0.7 127.0.0.8" },
	{ "none at all", { .ips = { NULL }, .ttl = 60 }, "" },
	{ "no such name", { .rcode = 3 }, "" },
	{ "a server that cannot", { .rcode = 2 }, "" },
};
/* clang-format on */

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		begin();
		ask(&answers[i].zone, clock_ms());
		if (strcmp(known(), answers[i].known) != 0)
			fail_msg("%s: \"%s\"", answers[i].what, known());
		end();
	}
}

/* A valid answer, cut at every byte: the library takes it for none or for a
 * bad one, and behind it comes the true answer. */
static void test_cut_answers(void **state)
{
	static const struct zone whole = { .ips = { "127.0.0.7" }, .ttl = 60 };
	int answer = 12 + 4 + (int)sizeof(qname) + 12 + 4;

	(void)state;
	begin();
	for (int cut = 1; cut <= answer; cut++) {
		struct zone zone = { .ips = { "127.0.0.8" },
				     .ttl = 60,
				     .cut = cut,
				     .then = &whole };

		ask(&zone, when_due());
		assert_null(strstr(known(), "127.0.0.8"));
	}
	ask(&whole, when_due());
	assert_string_equal(known(), "127.0.0.7");
	end();
}

/* --- times --------------------------------------------------------------- */

static void test_ttl(void **state)
{
	static const struct {
		struct zone zone;
		int least_ms, most_ms; /* a slow test sees less */
	} rows[] = {
		{ { .ips = { "127.0.0.7" }, .ttl = 0 }, 20000, 30000 },
		{ { .ips = { "127.0.0.7" }, .ttl = 29 }, 20000, 30000 },
		{ { .ips = { "127.0.0.7" }, .ttl = 100 }, 90000, 100000 },
		{ { .ips = { "127.0.0.7" }, .ttl = 86400 }, 590000, 600000 },
		{ { .ips = { "127.0.0.7" }, .ttl = 0xffffffff },
		  20000,
		  600000 },
		/* of several the least counts */
		{ { .ips = { "127.0.0.7", "127.0.0.8" },
		    .ttl = 100,
		    .ttl_step = 400 },
		  90000,
		  100000 },
		{ { .ips = { "127.0.0.7", "127.0.0.8" },
		    .ttl = 500,
		    .ttl_step = (uint32_t)-400 },
		  90000,
		  100000 },
	};

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int wait_ms;

		ask(&rows[i].zone, when_due());
		wait_ms = resolver_wait_ms(world.resolver, clock_ms());
		assert_in_range(wait_ms, rows[i].least_ms, rows[i].most_ms);
	}
	/* the same address: said once */
	assert_int_equal(count_lines("proxy.corp.example is 127.0.0.7\n"), 1);
	end();
}

/* After a failure the old addresses stay, and both ends of it are said. */
static void test_failures(void **state)
{
	static const struct zone good = { .ips = { "127.0.0.7" }, .ttl = 60 };
	static const struct zone bad = { .rcode = 2 };
	static const int most_ms[] = {
		5000, 10000, 20000, 40000, 60000, 60000
	};

	(void)state;
	begin();
	ask(&good, clock_ms());
	for (size_t i = 0; i < sizeof(most_ms) / sizeof(*most_ms); i++) {
		int wait_ms;

		ask(&bad, when_due());
		wait_ms = resolver_wait_ms(world.resolver, clock_ms());
		assert_in_range(wait_ms, most_ms[i] - 4000, most_ms[i]);
		assert_string_equal(known(), "127.0.0.7");
		assert_int_equal(count_lines("cannot look"), 1);
	}
	assert_int_equal(count_lines("last addresses stay in use"), 1);
	ask(&good, when_due());
	assert_int_equal(count_lines("proxy.corp.example is 127.0.0.7"), 2);
	ask(&bad, when_due());
	assert_int_equal(count_lines("cannot look"), 2);
	end();
}

/* Nobody else would end the wait: the server is asked again, and given up. */
static void test_a_silent_server_is_given_up(void **state)
{
	(void)state;
	begin();
	resolver_ask(world.resolver, clock_ms());
	assert_int_equal(resolver_wait_ms(world.resolver, clock_ms()), -1);
	(void)alarm(SILENCE_MAX_S);
	assert_true(resolver_serve(world.resolver, -1, -1));
	(void)alarm(0);
	end();
}

static void test_nothing_before_it_is_due(void **state)
{
	static const struct zone zone = { .ips = { "127.0.0.7" }, .ttl = 60 };

	(void)state;
	begin();
	ask(&zone, clock_ms());
	assert_int_equal(world.questions, 2); /* A and AAAA */
	ask(&zone, clock_ms());
	assert_int_equal(world.questions, 2);
	ask(&zone, when_due());
	assert_int_equal(world.questions, 4);
	end();
}

/* A resolver that begins again knows what the one before has found. */
static void test_begins_again(void **state)
{
	static const struct zone good = { .ips = { "127.0.0.8", "127.0.0.7" },
					  .ttl = 60 };
	static const struct zone bad = { .rcode = 2 };

	(void)state;
	begin();
	ask(&good, clock_ms());
	resolver_free(world.resolver);
	new_resolver();
	ask(&good, clock_ms());
	assert_int_equal(count_lines("proxy.corp.example is"), 1);
	resolver_free(world.resolver);
	new_resolver();
	ask(&bad, clock_ms());
	assert_string_equal(known(), "127.0.0.7 127.0.0.8");
	assert_int_equal(count_lines("last addresses stay in use"), 1);
	end();
}

/* --- files and sockets --------------------------------------------------- */

static void test_hosts(void **state)
{
	static const struct zone zone = { .ips = { "127.0.0.7" }, .ttl = 60 };

	(void)state;
	begin_with("nameserver 127.0.0.1\n",
		   "127.0.0.5 other proxy.corp.example\n"
		   "::1 proxy.corp.example\n");
	assert_string_equal(known(), "127.0.0.5 ::1");
	world.zone = &zone;
	resolver_ask(world.resolver, clock_ms() + (1ull << 40));
	assert_true(answer_questions());
	assert_int_equal(world.questions, 0);
	assert_int_equal(resolver_wait_ms(world.resolver, clock_ms()), -1);
	end();
}

/* The name of the configuration is asked for, and no longer one. */
static void test_no_search_list(void **state)
{
	static const struct zone zone = { .rcode = 3 };

	(void)state;
	begin_with("nameserver 127.0.0.1\nsearch evil.example\n"
		   "options ndots:5\n",
		   "");
	ask(&zone, clock_ms());
	assert_true(world.questions > 0);
	assert_int_equal(world.strange, 0);
	end();
}

/* Sockets of this process that speak with a name server. */
static int count_marked(uint32_t mark, int *all)
{
	int marked = 0;

	*all = 0;
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer), mark_len = sizeof(mark);
		uint32_t is;

		if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
		    peer.sin_port != htons(53))
			continue;
		assert_int_equal(
			getsockopt(fd, SOL_SOCKET, SO_MARK, &is, &mark_len), 0);
		++*all;
		marked += is == mark;
	}
	return marked;
}

static void test_questions_are_marked(void **state)
{
	static const struct zone zone = { .ips = { "127.0.0.7" }, .ttl = 60 };
	int all, marked;

	(void)state;
	begin();
	world.zone = &zone;
	resolver_ask(world.resolver, clock_ms());
	marked = count_marked(0x2000, &all);
	assert_int_equal(marked, all);
	assert_true(all > 0);
	end();
}

static void test_end_of_the_channel(void **state)
{
	int ends[2];

	(void)state;
	begin();
	assert_int_equal(pipe(ends), 0);
	assert_true(resolver_serve(world.resolver, ends[0], 0));
	close(ends[1]);
	resolver_run(world.resolver, ends[0]);
	assert_false(resolver_serve(world.resolver, ends[0], -1));
	close(ends[0]);
	end();
}

static void test_is_needed(void **state)
{
	struct upstream u[] = {
		{ .kind = UPSTREAM_DIRECT },
		{ .has_to = true, .to = { .family = AF_INET } },
	};
	struct config c = { .upstreams = u, .upstream_count = 2 };

	(void)state;
	assert_false(resolver_is_needed(&c));
	u[1] = (struct upstream){ .has_to = true, .to_name = "a.example" };
	assert_true(resolver_is_needed(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cut_answers),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_a_silent_server_is_given_up),
		cmocka_unit_test(test_nothing_before_it_is_due),
		cmocka_unit_test(test_begins_again),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_no_search_list),
		cmocka_unit_test(test_questions_are_marked),
		cmocka_unit_test(test_end_of_the_channel),
		cmocka_unit_test(test_is_needed),
	};

	log_setup(LOG_INFO_LINE, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
