/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_test.c - what all talks with proxies have in common.
 */
#include "relay/talk_run_test.h"

#include "relay/socks_address.h"

#include <errno.h>

/* --- which upstreams ----------------------------------------------------- */

static const struct {
	enum upstream_kind kind;
	bool is_needed;
} kinds[] = {
	{ UPSTREAM_DIRECT, false },	 { UPSTREAM_REJECT, false },
	{ UPSTREAM_DROP, false },	 { UPSTREAM_PROXY_V1, false },
	{ UPSTREAM_PROXY_V2, false },	 { UPSTREAM_SOCKS5, true },
	{ UPSTREAM_HTTP_CONNECT, true }, { UPSTREAM_GROUP, false },
};

static void test_who_talks(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct upstream u = { .kind = kinds[i].kind };

		assert_int_equal(talk_is_needed(&u), kinds[i].is_needed);
	}
}

/* --- what is not said ---------------------------------------------------- */

#define CHARS_64                                                               \
	"hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
#define CHARS_255                                                              \
	CHARS_64 CHARS_64 CHARS_64 "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh" \
				   "hhhhhhhhhhhhhhhhhhhhhh"

/* clang-format off */
static const struct {
	const char *name, *host;
	int error;
} names[] = {
	{ "a name", "www.example.org", 0 },
	{ "all that names are made of", "_x-1.Example.ORG", 0 },
	{ "the longest", CHARS_255, 0 },
	{ "R-SOCKS-3: a byte more is not cut", CHARS_255 "h", -ENAMETOOLONG },
	{ "no bytes", "", -EINVAL },
	{ "another line", "a\r\nX: y", -EINVAL },
	{ "a line end", "a\n", -EINVAL },
	{ "another word", "a b", -EINVAL },
	{ "a port", "a:80", -EINVAL },
	{ "a user", "u@a", -EINVAL },
	{ "a path", "a/b", -EINVAL },
	{ "brackets", "[::1]", -EINVAL },
	{ "a byte above 127", "b\374cher.example", -EINVAL },
	{ "a control byte", "a\177", -EINVAL },
};
/* clang-format on */

static void expect_refusal(const struct scene *s, int error, const char *name)
{
	static const enum upstream_kind both[] = { UPSTREAM_SOCKS5,
						   UPSTREAM_HTTP_CONNECT };
	struct talk_request request = s->request;

	for (size_t i = 0; i < 2; i++) {
		struct upstream u = s->upstream;
		struct talk t;

		u.kind = both[i];
		request.upstream = &u;
		memset(&t, 0xa5, sizeof(t));
		if (talk_begin(&t, &request) != error)
			fail_msg("%s: expected %d", name, error);
		if (error)
			assert_int_equal(t.out_len, 0);
		talk_end(&t);
	}
}

static void test_R_SOCKS_3_names(void **state)
{
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		s.request.name = names[i].host;
		expect_refusal(&s, names[i].error, names[i].name);
	}
}

static void test_R_SOCKS_10_credentials(void **state)
{
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_SOCKS5, false);
	s.upstream.user = "alice";
	expect_refusal(&s, -ENOKEY, "a password that was not read");
	s.upstream.password.secret = secret_new(CHARS_255 "h", 256);
	expect_refusal(&s, -ENAMETOOLONG, "a password that is too long");
	secret_free(s.upstream.password.secret);
	s.upstream.password.secret = secret_new(CHARS_255, 255);
	expect_refusal(&s, 0, "the longest password");
	s.upstream.user = CHARS_255;
	expect_refusal(&s, 0, "the longest user");
	s.upstream.user = CHARS_255 "h";
	expect_refusal(&s, -ENAMETOOLONG, "a user that is too long");
	scene_end(&s);
}

/* --- answers ------------------------------------------------------------- */

/* R-SOCKS-4, R-CONN-7: whoever agrees before it was asked has not heard us. */
static void test_agreement_to_what_was_not_sent(void **state)
{
	static const struct {
		const char *name;
		enum upstream_kind kind;
		const uint8_t *bytes;
		size_t len;
	} answers[] = {
		{ "SOCKS5", UPSTREAM_SOCKS5,
		  BYTES("\5\0\5\0\0\1\0\0\0\0\0\0") },
		{ "CONNECT", UPSTREAM_HTTP_CONNECT,
		  BYTES("HTTP/1.1 200 OK\r\n\r\n") },
	};
	static const struct run_failure early = { END_UPSTREAM_PROTOCOL, 0,
						  true, true };

	(void)state; /* unused */
	for (size_t i = 0; i < 2; i++) {
		struct talk_run r;
		struct scene s;

		scene_begin(&s, answers[i].kind, false);
		s.request.is_pipelined = true;
		run_begin(&r, &s.request);
		r.is_sending = false;
		r.talk.out_at = r.talk.out_len - 1;
		run_input(&r, answers[i].bytes, answers[i].len);
		run_expect_failure(&r, &early, answers[i].name);
	}
}

static bool holds(const struct talk *t, const char *word)
{
	return memmem(t, sizeof(*t), word, strlen(word)) != NULL;
}

static void test_nothing_is_left_of_the_password(void **state)
{
	static const struct {
		enum upstream_kind kind;
		const char *word;
	} words[] = {
		{ UPSTREAM_SOCKS5, "hunter2" },
		{ UPSTREAM_HTTP_CONNECT, "YWxpY2U6aHVudGVyMg" },
	};

	(void)state; /* unused */
	talk_end(NULL);
	for (size_t i = 0; i < 2; i++) {
		struct talk_run r;
		struct scene s;

		scene_begin(&s, words[i].kind, true);
		s.request.is_pipelined = true;
		run_begin(&r, &s.request);
		assert_true(holds(&r.talk, words[i].word));
		talk_end(&r.talk);
		assert_false(holds(&r.talk, words[i].word));
		scene_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_talks),
		cmocka_unit_test(test_R_SOCKS_3_names),
		cmocka_unit_test(test_R_SOCKS_10_credentials),
		cmocka_unit_test(test_agreement_to_what_was_not_sent),
		cmocka_unit_test(test_nothing_is_left_of_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
