/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_socks5_no_test.c - SOCKS5 proxies that refuse, or talk nonsense.
 */
#include "relay/talk_run_test.h"

static const struct run_failure nonsense = { END_UPSTREAM_PROTOCOL, 0, true,
					     true };
static const struct run_failure bad_auth = { END_UPSTREAM_AUTH, 0, true, true };

/* The answer with one byte of it in every value. */
struct sweep {
	const char *name;
	bool has_user, is_udp;
	const uint8_t *bytes;
	size_t len, at;
	/* For this value of it; NULL: the talk succeeds. */
	const struct run_failure *(*expect)(const struct sweep *w,
					    unsigned value);
};

static const struct run_failure *expect_version(const struct sweep *w,
						unsigned value)
{
	return value == w->bytes[w->at] ? NULL : &nonsense;
}

static const struct run_failure *expect_method(const struct sweep *w,
					       unsigned value)
{
	if (value == w->bytes[w->at])
		return NULL;
	return value == 0xff || value == 2 ? &bad_auth : &nonsense;
}

static const struct run_failure *expect_status(const struct sweep *w,
					       unsigned value)
{
	(void)w; /* the same for all */
	return value == 0 ? NULL : &bad_auth;
}

static const struct run_failure *expect_rep(const struct sweep *w,
					    unsigned value)
{
	static struct run_failure f; /* until the next call */

	(void)w; /* the same for all */
	if (value == 0)
		return NULL;
	f = (struct run_failure){ END_UPSTREAM_REFUSED, value, true, false };
	if (value == 3 || value == 4)
		f.end = END_SERVER_UNREACHABLE;
	if (value == 5)
		f.end = END_SERVER_REFUSED;
	if (value == 6)
		f.end = END_CONNECT_TIMEOUT;
	f.can_retry = value != 5 && value != 6;
	return &f;
}

static const struct run_failure *expect_none(const struct sweep *w,
					     unsigned value)
{
	(void)w;     /* the same for all */
	(void)value; /* the same for all */
	return NULL;
}

/* 19 bytes are behind ATYP: a name of 16 bytes, whose length is the first of
 * them, or an address of 16, or one of 4 and what is glued to it. */
#define REPLY "\5\0\0\1\20\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"

static const struct run_failure *expect_atyp(const struct sweep *w,
					     unsigned value)
{
	(void)w; /* the same for all */
	return value == 1 || value == 3 || value == 4 ? NULL : &nonsense;
}

/* clang-format off */
static const struct sweep sweeps[] = {
	{ "version of the method", false, false, BYTES("\5\0" REPLY), 0,
	  expect_version },
	{ "R-SOCKS-1: method, without a user", false, false,
	  BYTES("\5\0" REPLY), 1, expect_method },
	{ "R-SOCKS-1: method, with a user", true, false,
	  BYTES("\5\2" "\1\0" REPLY), 1, expect_method },
	{ "R-SOCKS-10: version of the status", true, false,
	  BYTES("\5\2" "\1\0" REPLY), 2, expect_version },
	{ "R-SOCKS-10: status", true, false, BYTES("\5\2" "\1\0" REPLY), 3,
	  expect_status },
	{ "version of the reply", false, false, BYTES("\5\0" REPLY), 2,
	  expect_version },
	{ "version of the reply, with a user", true, false,
	  BYTES("\5\2" "\1\0" REPLY), 4, expect_version },
	{ "REP", false, false, BYTES("\5\0" REPLY), 3, expect_rep },
	{ "REP, with a user", true, false, BYTES("\5\2" "\1\0" REPLY), 5,
	  expect_rep },
	{ "REP, of an association", false, true, BYTES("\5\0" REPLY), 3,
	  expect_rep },
	{ "R-SOCKS-2: RSV", false, false, BYTES("\5\0" REPLY), 4, expect_none },
	{ "ATYP", false, false, BYTES("\5\0" REPLY), 5, expect_atyp },
	{ "ATYP, of an association", false, true, BYTES("\5\0" REPLY), 5,
	  expect_atyp },
};
/* clang-format on */

static void sweep_value(const struct sweep *w, const struct scene *s,
			const uint8_t *bytes)
{
	const struct run_failure *want = w->expect(w, bytes[w->at]);
	struct talk_run r, alone, cut;

	run_begin(&r, &s->request);
	run_input(&r, bytes, w->len);
	if (want)
		run_expect_failure(&r, want, w->name);
	else if (r.result != TALK_DONE)
		fail_msg("%s: %u fails", w->name, bytes[w->at]);
	run_begin(&alone, &s->request);
	run_bytewise(&alone, bytes, w->len);
	run_expect_same(&r, &alone, w->name);
	for (size_t at = 1; at < w->len; at++) {
		run_begin(&cut, &s->request);
		run_cut(&cut, bytes, w->len, at);
		run_expect_same(&r, &cut, w->name);
	}
}

static void test_T19_every_value_of_every_field(void **state)
{
	uint8_t bytes[64];

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(*sweeps); i++) {
		const struct sweep *w = &sweeps[i];
		struct scene s;

		scene_begin(&s, UPSTREAM_SOCKS5, w->has_user);
		s.request.is_udp = w->is_udp;
		s.request.is_pipelined = true;
		memcpy(bytes, w->bytes, w->len);
		for (unsigned value = 0; value < 256; value++) {
			bytes[w->at] = (uint8_t)value;
			sweep_value(w, &s, bytes);
		}
		scene_end(&s);
	}
}

/* R-SOCKS-5: we need not see all of a refusal. */
static void test_R_SOCKS_5_refused_at_once(void **state)
{
	static const struct run_failure refused = { END_SERVER_REFUSED, 5,
						    false, false };
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	s.request.is_pipelined = true;
	run_begin(&r, &s.request);
	run_input(&r, BYTES("\5\0\5\5"));
	run_expect_failure(&r, &refused, "two bytes of the reply");
}

/* A server of something else that waits for more of our words. */
static void test_nonsense_is_seen_in_its_first_byte(void **state)
{
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	run_begin(&r, &s.request);
	run_input(&r, BYTES("H"));
	run_expect_failure(&r, &nonsense, "a byte");
}

static void test_R_SOCKS_7_an_association_needs_a_port(void **state)
{
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	s.request.is_udp = s.request.is_pipelined = true;
	run_begin(&r, &s.request);
	run_input(&r, BYTES("\5\0\5\0\0\1\12\0\0\1\0\0"));
	run_expect_failure(&r, &nonsense, "port 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T19_every_value_of_every_field),
		cmocka_unit_test(test_R_SOCKS_5_refused_at_once),
		cmocka_unit_test(test_nonsense_is_seen_in_its_first_byte),
		cmocka_unit_test(test_R_SOCKS_7_an_association_needs_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
