/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial_ask_test.c - where a dial goes, and what it asks for.
 */
#include "relay/dial.h"

#include "relay/dial_stage_test.h"

/* --- connecting ---------------------------------------------------------- */

static const struct {
	const char *name;
	enum upstream_kind kind;
	bool has_to;
	enum flow_end refused, late;
	bool is_to_blame;
} connects[] = {
	{ "a server", UPSTREAM_DIRECT, false, END_SERVER_REFUSED,
	  END_CONNECT_TIMEOUT, false },
	{ "a server of the upstream's own", UPSTREAM_DIRECT, true,
	  END_SERVER_REFUSED, END_CONNECT_TIMEOUT, true },
	{ "a server that wants a header", UPSTREAM_PROXY_V2, true,
	  END_SERVER_REFUSED, END_CONNECT_TIMEOUT, true },
	{ "a proxy", UPSTREAM_SOCKS5, true, END_UPSTREAM_UNREACHABLE,
	  END_UPSTREAM_TIMEOUT, true },
	{ "a web proxy", UPSTREAM_HTTP_CONNECT, true, END_UPSTREAM_UNREACHABLE,
	  END_UPSTREAM_TIMEOUT, true },
};

static void check_failed(const struct stage *s, const char *name,
			 enum flow_end why, int error, bool is_to_blame)
{
	if (s->dial.state != DIAL_FAILED || s->dial.end != why ||
	    s->dial.error != error || s->dial.is_to_blame != is_to_blame ||
	    !s->dial.can_retry || s->dial.fd >= 0 || s->dial.talk)
		fail_msg("%s: state %d, end %s, error %d, blame %d, retry %d",
			 name, s->dial.state, flow_end_name(s->dial.end),
			 s->dial.error, s->dial.is_to_blame, s->dial.can_retry);
}

static void test_connecting(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(connects) / sizeof(*connects); i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
		struct stage s;

		begin(&s, connects[i].kind);
		s.upstream.has_to = connects[i].has_to;
		s.server = s.proxy;
		dial_begin(&s.dial, &s.request);
		assert_int_equal(s.dial.state, DIAL_CONNECTING);
		dial_time_out(&s.dial);
		check_failed(&s, connects[i].name, connects[i].late, 0,
			     connects[i].is_to_blame);
		close(s.listener);
		dial_begin(&s.dial, &s.request);
		if (s.dial.state == DIAL_CONNECTING) {
			assert_int_equal(epoll_ctl(s.epoll, EPOLL_CTL_ADD,
						   s.dial.fd, &ev),
					 0);
			(void)turn(&s);
		}
		check_failed(&s, connects[i].name, connects[i].refused,
			     ECONNREFUSED, connects[i].is_to_blame);
		s.listener = -1;
		end(&s);
	}
}

/* No talk: open as soon as it is connected, and nothing was sent or taken. */
static void test_direct(void **state)
{
	struct stage s;

	(void)state; /* unused */
	begin(&s, UPSTREAM_DIRECT);
	s.upstream.has_to = false;
	s.server = s.proxy;
	call(&s);
	assert_int_equal(s.dial.state, DIAL_DONE);
	assert_false(s.dial.is_heard);
	hear_nothing(&s);
	end(&s);
}

/* T04: the proxy's own connection would be sent to the proxy. */
static void test_T04_the_client_is_the_proxy(void **state)
{
	struct stage s;

	(void)state; /* unused */
	begin(&s, UPSTREAM_SOCKS5);
	s.client = s.proxy;
	s.client.port = 40000;
	s.request.is_taken = true;
	dial_begin(&s.dial, &s.request);
	assert_int_equal(s.dial.state, DIAL_FAILED);
	assert_int_equal(s.dial.end, END_LOOP);
	assert_false(s.dial.can_retry);
	assert_false(s.dial.is_to_blame);
	s.request.is_taken = false; /* a process of this very host */
	call(&s);
	assert_int_equal(s.dial.state, DIAL_TALKING);
	end(&s);
}

/* A proxy known by name cannot be reached before the name is known. */
static void test_name_of_the_proxy(void **state)
{
	struct addr where;
	struct stage s;

	(void)state; /* unused */
	begin(&s, UPSTREAM_SOCKS5);
	where = s.proxy;
	s.upstream.to = (struct addr){ .port = s.proxy.port };
	s.upstream.to_name = "proxy.example";
	dial_begin(&s.dial, &s.request);
	check_failed(&s, "an unknown name", END_UPSTREAM_UNREACHABLE,
		     EHOSTUNREACH, true);
	board_set_addresses(s.board, 0, &where, 1);
	call(&s);
	assert_int_equal(s.dial.state, DIAL_TALKING);
	end(&s);
}

/* --- what is asked ------------------------------------------------------- */

/* R-SOCKS-7: a proxy that does not say where datagrams go means itself. */
static void test_R_SOCKS_7_bound(void **state)
{
	struct addr own = at("127.0.0.5:5000"), said = at("192.0.2.9:5000");
	struct stage s;

	(void)state; /* unused */
	begin(&s, UPSTREAM_SOCKS5);
	s.upstream.pipeline = PIPELINE_ON;
	s.upstream.is_udp = s.request.is_udp = true;
	call(&s);
	hear(&s, "\5\1\0\5\3\0\1\0\0\0\0\0\0", 13);
	say(&s, "\5\0\5\0\0\1\0\0\0\0\23\210", 12);
	assert_int_equal(turn(&s), DIAL_DONE);
	assert_true(addr_equal(&s.dial.bound, &own));
	hang_up(&s);
	call(&s);
	hear(&s, "\5\1\0\5\3\0\1\0\0\0\0\0\0", 13);
	say(&s, "\5\0\5\0\0\1\300\0\2\11\23\210", 12);
	assert_int_equal(turn(&s), DIAL_DONE);
	assert_true(addr_equal(&s.dial.bound, &said));
	end(&s);
}

/* The caller's words may be gone when the request is said. */
static void test_words_are_kept(void **state)
{
	char name[] = "www.example.org";
	struct stage s;

	(void)state; /* unused */
	begin(&s, UPSTREAM_SOCKS5);
	s.upstream.pipeline = PIPELINE_OFF;
	s.upstream.is_resolving = true;
	s.request.name = name;
	call(&s);
	memset(name, '!', sizeof(name));
	s.server = at("9.9.9.9:9");
	hear(&s, "\5\1\0", 3);
	say(&s, "\5\0", 2);
	assert_int_equal(turn(&s), DIAL_TALKING);
	hear(&s, "\5\1\0\3\17www.example.org\1\273", 22);
	end(&s);
}

static const struct {
	const char *name;
	bool is_resolving, is_check, is_told;
} names[] = {
	{ "a name that was seen stays here", false, false, false },
	{ "`resolve on`: the proxy is told", true, false, true },
	{ "a check of a name asks for it", false, true, true },
};

static void test_who_is_told_the_name(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct stage s;
		char got[64];

		begin(&s, UPSTREAM_SOCKS5);
		s.upstream.pipeline = PIPELINE_ON;
		s.upstream.is_resolving = names[i].is_resolving;
		s.request.is_check = names[i].is_check;
		s.request.name = "a.example";
		call(&s);
		assert_true(recv(s.peer, got, sizeof(got), 0) > 6);
		if ((got[6] == 3) != names[i].is_told)
			fail_msg("%s: ATYP %d", names[i].name, got[6]);
		end(&s);
	}
}

/* R-SOCKS-3: longer than any name is: refused here, not cut. */
static void test_R_SOCKS_3_long_name(void **state)
{
	char name[300];
	struct stage s;

	(void)state; /* unused */
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	begin(&s, UPSTREAM_SOCKS5);
	s.upstream.is_resolving = true;
	s.request.name = name;
	dial_begin(&s.dial, &s.request);
	assert_int_equal(s.dial.state, DIAL_FAILED);
	assert_int_equal(s.dial.end, END_ERROR);
	assert_int_equal(s.dial.error, ENAMETOOLONG);
	assert_false(s.dial.is_to_blame);
	end(&s);
}

static const struct {
	const char *name;
	enum pipeline pipeline;
	enum board_pipeline known;
	bool is_check, is_pipelined;
} pipelines[] = {
	{ "off", PIPELINE_OFF, BOARD_PIPELINE_YES, true, false },
	{ "on", PIPELINE_ON, BOARD_PIPELINE_NO, false, true },
	{ "auto, not known", PIPELINE_AUTO, BOARD_PIPELINE_UNKNOWN, false,
	  false },
	{ "auto, known not to", PIPELINE_AUTO, BOARD_PIPELINE_NO, false,
	  false },
	{ "auto, known to", PIPELINE_AUTO, BOARD_PIPELINE_YES, false, true },
	{ "auto, a check finds out", PIPELINE_AUTO, BOARD_PIPELINE_UNKNOWN,
	  true, true },
	{ "auto, a check has found out", PIPELINE_AUTO, BOARD_PIPELINE_NO, true,
	  false },
};

static void test_pipelining(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(pipelines) / sizeof(*pipelines); i++) {
		struct stage s;

		begin(&s, UPSTREAM_SOCKS5);
		s.upstream.pipeline = pipelines[i].pipeline;
		s.request.is_check = pipelines[i].is_check;
		atomic_store(&s.board->upstreams[0].pipeline,
			     (uint8_t)pipelines[i].known);
		call(&s);
		if (s.dial.is_pipelined != pipelines[i].is_pipelined)
			fail_msg("%s: otherwise", pipelines[i].name);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connecting),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_T04_the_client_is_the_proxy),
		cmocka_unit_test(test_name_of_the_proxy),
		cmocka_unit_test(test_R_SOCKS_7_bound),
		cmocka_unit_test(test_words_are_kept),
		cmocka_unit_test(test_who_is_told_the_name),
		cmocka_unit_test(test_R_SOCKS_3_long_name),
		cmocka_unit_test(test_pipelining),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
