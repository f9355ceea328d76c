/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_socks5_test.c - what is said to a SOCKS5 proxy that agrees.
 *
 * talk_socks5_no_test.c is about those that do not.
 */
#include "relay/talk_run_test.h"

#include "relay/socks_address.h"

/* --- talks that succeed -------------------------------------------------- */

#define HELLO	   "\5\1\0"
#define HELLO_USER "\5\1\2"
#define USER	   "\1\5alice\7hunter2"
#define TO_IPV4	   "\5\1\0\1\306\63\144\7\1\273"
#define TO_IPV6	   "\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7\1\273"
#define TO_NAME	   "\5\1\0\3\13example.org\1\273"
#define ASSOCIATE  "\5\3\0\1\0\0\0\0\0\0"
#define ASSOCIATE6 "\5\3\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* clang-format off */
static const struct success {
	const char *name;
	bool has_user, is_udp;
	const char *server, *host;
	const uint8_t *asks;
	size_t asks_len;
	const uint8_t *answers;
	size_t answers_len;
	const char *bound; /* UDP: NULL is unknown */
} successes[] = {
	{ "an address", false, false, "198.51.100.7:443", NULL,
	  BYTES(HELLO TO_IPV4), BYTES("\5\0" "\5\0\0\1\12\0\0\1\4\70"), NULL },
	{ "user and password", true, false, "198.51.100.7:443", NULL,
	  BYTES(HELLO_USER USER TO_IPV4),
	  BYTES("\5\2" "\1\0" "\5\0\0\1\12\0\0\1\4\70"), NULL },
	{ "IPv6, bound to IPv6", false, false, "[2001:db8::7]:443", NULL,
	  BYTES(HELLO TO_IPV6),
	  BYTES("\5\0" "\5\0\0\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\4\70"),
	  NULL },
	{ "a name, bound to a name", true, false, "198.51.100.7:443",
	  "example.org", BYTES(HELLO_USER USER TO_NAME),
	  BYTES("\5\2" "\1\0" "\5\0\0\3\4here\4\70"), NULL },
	{ "bound to a name of no bytes", false, false, "198.51.100.7:443",
	  NULL, BYTES(HELLO TO_IPV4), BYTES("\5\0" "\5\0\0\3\0\0\0"), NULL },
	{ "bound to port 0 does not matter for TCP", false, false,
	  "198.51.100.7:443", NULL, BYTES(HELLO TO_IPV4),
	  BYTES("\5\0" "\5\0\0\1\0\0\0\0\0\0"), NULL },
	{ "R-SOCKS-2: reserved bits are not insisted upon", false, false,
	  "198.51.100.7:443", NULL, BYTES(HELLO TO_IPV4),
	  BYTES("\5\0" "\5\0\377\1\12\0\0\1\4\70"), NULL },
	{ "an association", false, true, "198.51.100.7:443", NULL,
	  BYTES(HELLO ASSOCIATE), BYTES("\5\0" "\5\0\0\1\12\0\0\1\4\70"),
	  "10.0.0.1:1080" },
	{ "an association names no server, only the family", true, true,
	  "[2001:db8::7]:443", "example.org",
	  BYTES(HELLO_USER USER ASSOCIATE6),
	  BYTES("\5\2" "\1\0" "\5\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"
		"\4\70"), "[2001:db8::1]:1080" },
	{ "IPv4 of a socket for both", false, true, "198.51.100.7:443", NULL,
	  BYTES(HELLO ASSOCIATE),
	  BYTES("\5\0" "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\1\4\70"),
	  "10.0.0.1:1080" },
	{ "R-SOCKS-7: unspecified IPv4", false, true, "198.51.100.7:443",
	  NULL, BYTES(HELLO ASSOCIATE),
	  BYTES("\5\0" "\5\0\0\1\0\0\0\0\4\70"), NULL },
	{ "R-SOCKS-7: unspecified IPv6", false, true, "198.51.100.7:443",
	  NULL, BYTES(HELLO ASSOCIATE),
	  BYTES("\5\0" "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\70"),
	  NULL },
	{ "R-SOCKS-7: a name is no address", false, true, "198.51.100.7:443",
	  NULL, BYTES(HELLO ASSOCIATE), BYTES("\5\0" "\5\0\0\3\4here\4\70"),
	  NULL },
};
/* clang-format on */

enum {
	SUCCESSES = sizeof(successes) / sizeof(*successes),
	GLUED_MAX = 64,
};

static void scene_of(struct scene *s, const struct success *row,
		     bool is_pipelined)
{
	scene_begin(s, UPSTREAM_SOCKS5, row->has_user);
	s->server = run_addr(row->server);
	s->request.name = row->host;
	s->request.is_udp = row->is_udp;
	s->request.is_pipelined = is_pipelined;
}

static void expect_success(const struct success *row, const struct talk_run *r)
{
	const struct talk *t = &r->talk;
	struct addr bound = { .family = 0, .port = 1080 };

	if (r->result != TALK_DONE || r->used != row->answers_len)
		fail_msg("%s: result %d, %zu bytes taken", row->name, r->result,
			 r->used);
	if (t->out_len != row->asks_len ||
	    memcmp(t->out, row->asks, row->asks_len) != 0)
		fail_msg("%s: we said something else", row->name);
	if (row->bound)
		bound = run_addr(row->bound);
	if (row->is_udp && !addr_equal(&t->bound, &bound))
		fail_msg("%s: datagrams go elsewhere", row->name);
}

/* T19: cut at every byte, and all bytes alone. */
static void test_R_SOCKS_4_cut_anywhere(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		const struct success *row = &successes[i];
		struct talk_run r;
		struct scene s;

		scene_of(&s, row, true);
		for (size_t cut = 0; cut <= row->answers_len; cut++) {
			run_begin(&r, &s.request);
			run_cut(&r, row->answers, row->answers_len, cut);
			expect_success(row, &r);
		}
		run_begin(&r, &s.request);
		run_bytewise(&r, row->answers, row->answers_len);
		expect_success(row, &r);
		scene_end(&s);
	}
}

static void test_one_word_after_the_other(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		const struct success *row = &successes[i];
		struct talk_run r;
		struct scene s;

		scene_of(&s, row, false);
		run_begin(&r, &s.request);
		assert_int_equal(r.talk.out_len, 3); /* the greeting alone */
		run_bytewise(&r, row->answers, row->answers_len);
		expect_success(row, &r);
		scene_end(&s);
	}
}

static void test_pipelined_says_all_at_once(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		struct talk_run r;
		struct scene s;

		scene_of(&s, &successes[i], true);
		run_begin(&r, &s.request);
		assert_int_equal(r.talk.out_len, successes[i].asks_len);
		scene_end(&s);
	}
}

/* What the server says at once is not ours, whatever it looks like. */
static void test_R_SOCKS_4_glued_data_is_left(void **state)
{
	uint8_t bytes[GLUED_MAX + 64];

	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		const struct success *row = &successes[i];
		struct talk_run r;
		struct scene s;

		memset(bytes, 5, sizeof(bytes));
		assert_true(row->answers_len <= GLUED_MAX);
		memcpy(bytes, row->answers, row->answers_len);
		scene_of(&s, row, true);
		run_begin(&r, &s.request);
		run_input(&r, bytes, sizeof(bytes));
		expect_success(row, &r);
		scene_end(&s);
	}
}

static void test_R_SOCKS_4_nothing_less_is_enough(void **state)
{
	static const struct run_failure closed = { END_UPSTREAM_PROTOCOL, 0,
						   true, true };

	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		const struct success *row = &successes[i];
		struct talk_run r;
		struct scene s;

		scene_of(&s, row, true);
		for (size_t len = 0; len < row->answers_len; len++) {
			run_begin(&r, &s.request);
			run_input(&r, row->answers, len);
			assert_int_equal(r.result, TALK_MORE);
			assert_int_equal(r.talk.end, END_NONE);
			talk_broken(&r.talk);
			r.result = TALK_FAILED;
			run_expect_failure(&r, &closed, row->name);
		}
		scene_end(&s);
	}
}

/* A length of ATYP 3 in every value, and not a byte more is taken. */
static void test_R_SOCKS_4_bound_to_names(void **state)
{
	uint8_t bytes[2 + 5 + SOCKS_NAME_MAX + 2 + 1] = { 5, 0, 5, 0, 0, 3 };
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	s.request.is_pipelined = true;
	for (unsigned len = 0; len <= SOCKS_NAME_MAX; len++) {
		bytes[6] = (uint8_t)len;
		run_begin(&r, &s.request);
		run_input(&r, bytes, 2 + 5 + len + 2 - 1);
		assert_int_equal(r.result, TALK_MORE);
		run_input(&r, bytes, sizeof(bytes));
		assert_int_equal(r.result, TALK_DONE);
		assert_int_equal(r.used, 2 + 5 + len + 2);
	}
}

/* It cannot know what we want before we have said it. */
static void test_answers_before_questions(void **state)
{
	static const struct run_failure early = { END_UPSTREAM_PROTOCOL, 0,
						  true, true };

	(void)state; /* unused */
	for (size_t i = 0; i < SUCCESSES; i++) {
		const struct success *row = &successes[i];
		struct talk_run r;
		struct scene s;

		scene_of(&s, row, false);
		run_begin(&r, &s.request);
		run_input(&r, row->answers, row->answers_len);
		run_expect_failure(&r, &early, row->name);
		scene_end(&s);
	}
}

/* --- limits -------------------------------------------------------------- */

/* The longest name, user and password: said whole, with right lengths. */
static void test_R_SOCKS_10_the_longest_words(void **state)
{
	char host[SOCKS_NAME_MAX + 1], user[CREDENTIAL_BYTES_MAX + 1];
	uint8_t want[3 + 513 + 4 + 1 + SOCKS_NAME_MAX + 2] = { 5, 1, 2, 1 };
	uint8_t *p = want + 4;
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	memset(host, 'h', SOCKS_NAME_MAX);
	memset(user, 'u', CREDENTIAL_BYTES_MAX);
	host[SOCKS_NAME_MAX] = user[CREDENTIAL_BYTES_MAX] = '\0';
	s.upstream.user = user;
	s.upstream.password.secret = secret_new(user, CREDENTIAL_BYTES_MAX);
	s.request.name = host;
	s.request.is_pipelined = true;
	for (int i = 0; i < 2; i++) {
		*p++ = CREDENTIAL_BYTES_MAX;
		p = (uint8_t *)mempcpy(p, user, CREDENTIAL_BYTES_MAX);
	}
	p = (uint8_t *)mempcpy(p, "\5\1\0\3\377", 5);
	p = (uint8_t *)mempcpy(p, host, SOCKS_NAME_MAX);
	p = (uint8_t *)mempcpy(p, "\1\273", 2);
	run_begin(&r, &s.request);
	assert_int_equal(r.talk.out_len, p - want);
	assert_memory_equal(r.talk.out, want, (size_t)(p - want));
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_SOCKS_4_cut_anywhere),
		cmocka_unit_test(test_one_word_after_the_other),
		cmocka_unit_test(test_pipelined_says_all_at_once),
		cmocka_unit_test(test_R_SOCKS_4_glued_data_is_left),
		cmocka_unit_test(test_R_SOCKS_4_nothing_less_is_enough),
		cmocka_unit_test(test_R_SOCKS_4_bound_to_names),
		cmocka_unit_test(test_answers_before_questions),
		cmocka_unit_test(test_R_SOCKS_10_the_longest_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
