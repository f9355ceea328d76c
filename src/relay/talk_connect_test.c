/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_connect_test.c - CONNECT as it is said, and what may come back.
 */
#include "relay/talk_run_test.h"

#include "relay/socks_address.h"

#include <stdio.h>

/* --- what we say --------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name, *server, *host;
	bool has_user;
	const char *says;
} requests[] = {
	{ "R-CONN-1, R-CONN-2: IPv4", "198.51.100.7:443", NULL, false,
	  "CONNECT 198.51.100.7:443 HTTP/1.1\r\n"
	  "Host: 198.51.100.7:443\r\n"
	  "Connection: close\r\n\r\n" },
	{ "R-CONN-1: IPv6 in brackets", "[2001:db8::7]:80", NULL, false,
	  "CONNECT [2001:db8::7]:80 HTTP/1.1\r\n"
	  "Host: [2001:db8::7]:80\r\n"
	  "Connection: close\r\n\r\n" },
	{ "the scope is of this host", "[fe80::7%3]:80", NULL, false,
	  "CONNECT [fe80::7]:80 HTTP/1.1\r\n"
	  "Host: [fe80::7]:80\r\n"
	  "Connection: close\r\n\r\n" },
	{ "a name", "[2001:db8::7]:65535", "www.example.org", false,
	  "CONNECT www.example.org:65535 HTTP/1.1\r\n"
	  "Host: www.example.org:65535\r\n"
	  "Connection: close\r\n\r\n" },
	{ "R-CONN-8: credentials at once", "198.51.100.7:443", NULL, true,
	  "CONNECT 198.51.100.7:443 HTTP/1.1\r\n"
	  "Host: 198.51.100.7:443\r\n"
	  "Proxy-Authorization: Basic YWxpY2U6aHVudGVyMg==\r\n"
	  "Connection: close\r\n\r\n" },
};
/* clang-format on */

static void test_R_CONN_1_requests(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct talk_run r;
		struct scene s;

		scene_begin(&s, UPSTREAM_HTTP_CONNECT, requests[i].has_user);
		s.server = run_addr(requests[i].server);
		s.request.name = requests[i].host;
		run_begin(&r, &s.request);
		if (r.talk.out_len != strlen(requests[i].says) ||
		    memcmp(r.talk.out, requests[i].says, r.talk.out_len) != 0)
			fail_msg("%s: %.*s", requests[i].name,
				 (int)r.talk.out_len, (char *)r.talk.out);
		scene_end(&s);
	}
}

static void test_the_longest_request(void **state)
{
	char host[SOCKS_NAME_MAX + 1], user[CREDENTIAL_BYTES_MAX + 1];
	static const char end[] = "\r\nConnection: close\r\n\r\n";
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	scene_begin(&s, UPSTREAM_HTTP_CONNECT, false);
	memset(host, 'h', SOCKS_NAME_MAX);
	memset(user, 'u', CREDENTIAL_BYTES_MAX);
	host[SOCKS_NAME_MAX] = user[CREDENTIAL_BYTES_MAX] = '\0';
	s.upstream.user = user;
	s.upstream.password.secret = secret_new(user, CREDENTIAL_BYTES_MAX);
	s.server.port = 65535;
	s.request.name = host;
	run_begin(&r, &s.request);
	/* the words, twice host:65535, 511 bytes as base64 */
	assert_int_equal(r.talk.out_len,
			 8 + 261 + 17 + 261 + 2 + 27 + 684 + sizeof(end) - 1);
	assert_memory_equal(r.talk.out + r.talk.out_len - (sizeof(end) - 1),
			    end, sizeof(end) - 1);
	assert_memory_equal(r.talk.out + 8 + 255, ":65535 HTTP", 11);
	scene_end(&s);
}

/* --- what comes back ----------------------------------------------------- */

#define OK	"HTTP/1.1 200 OK\r\n\r\n"
#define GO_ON	"HTTP/1.1 100 Continue\r\n\r\n"
#define GO_ON_4 GO_ON GO_ON GO_ON GO_ON

struct answer {
	const char *name;
	const uint8_t *bytes;
	size_t len; /* all of it belongs to the talk, if it succeeds */
};

/* clang-format off */
static const struct answer tunnels[] = {
	{ "the usual one", BYTES(OK) },
	{ "HTTP/1.0", BYTES("HTTP/1.0 200 Connection established\r\n\r\n") },
	{ "R-CONN-3: any 2xx, the first", BYTES("HTTP/1.1 201 \r\n\r\n") },
	{ "R-CONN-3: any 2xx, the last", BYTES("HTTP/1.1 299 x\r\n\r\n") },
	{ "no reason and no space", BYTES("HTTP/1.1 200\r\n\r\n") },
	{ "LF alone (RFC 9112 section 2.2)",
	  BYTES("HTTP/1.1 200 OK\nVia: x\n\n") },
	{ "LF alone, and no reason", BYTES("HTTP/1.1 200\n\n") },
	{ "line ends of both kinds",
	  BYTES("HTTP/1.1 200 OK\nVia: x\r\nVary: y\n\r\n") },
	{ "R-CONN-4: a length", BYTES("HTTP/1.1 200 OK\r\n"
	  "Content-Length: 5\r\n\r\n") },
	{ "R-CONN-4: chunks", BYTES("HTTP/1.1 200 OK\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n") },
	{ "fields of any form", BYTES("HTTP/1.1 200 OK\r\n"
	  "!#$%&'*+-.^_`|~09azAZ: \t\r\nEmpty:\r\nColons:::\r\n"
	  "Old: \377\200\r\n\r\n") },
	{ "a line that goes on", BYTES("HTTP/1.1 200 OK\r\n"
	  "Via: a\r\n\tb: c\r\n  \r\n d\r\n\r\n") },
	{ "a reason of any bytes", BYTES("HTTP/1.1 200 \t\377 :x\r\n\r\n") },
	{ "R-CONN-5: 1xx first", BYTES(GO_ON OK) },
	{ "R-CONN-5: 1xx with fields", BYTES("HTTP/1.1 103 Early Hints\r\n"
	  "Link: </x>\r\nHTTP: 407\r\n\r\n" "HTTP/1.1 102\n\n" OK) },
	{ "R-CONN-5: as many 1xx as are borne",
	  BYTES(GO_ON_4 GO_ON_4 GO_ON_4 GO_ON_4 OK) },
};

static const struct {
	struct answer answer;
	struct run_failure why;
} refusals[] = {
#define NONSENSE { END_UPSTREAM_PROTOCOL, 0, true, true }
	{ { "nothing of HTTP", BYTES("SSH-2.0-OpenSSH_9.2\r\n") }, NONSENSE },
	{ { "zeros", BYTES("\0\0\0\0") }, NONSENSE },
	{ { "SOCKS", BYTES("\5\0") }, NONSENSE },
	{ { "HTTP/2", BYTES("HTTP/2.0 200 OK\r\n\r\n") }, NONSENSE },
	{ { "no version", BYTES("HTTP 200 OK\r\n\r\n") }, NONSENSE },
	{ { "lower case", BYTES("http/1.1 200 OK\r\n\r\n") }, NONSENSE },
	{ { "a version of two digits", BYTES("HTTP/1.10 200 OK\r\n\r\n") },
	  NONSENSE },
	{ { "an empty line first", BYTES("\r\n" OK) }, NONSENSE },
	{ { "two spaces", BYTES("HTTP/1.1  200 OK\r\n\r\n") }, NONSENSE },
	{ { "a status of two digits", BYTES("HTTP/1.1 20 OK\r\n\r\n") },
	  NONSENSE },
	{ { "a status of four digits", BYTES("HTTP/1.1 2000 OK\r\n\r\n") },
	  NONSENSE },
	{ { "a refusal of four digits", BYTES("HTTP/1.1 4070\r\n\r\n") },
	  NONSENSE },
	{ { "a status with a sign", BYTES("HTTP/1.1 +20 OK\r\n\r\n") },
	  NONSENSE },
	{ { "a comma behind the status", BYTES("HTTP/1.1 200, OK\r\n\r\n") },
	  NONSENSE },
	{ { "R-CONN-6: a bare CR behind the status",
	    BYTES("HTTP/1.1 200\rOK\r\n\r\n") }, NONSENSE },
	{ { "R-CONN-6: a bare CR in the reason",
	    BYTES("HTTP/1.1 200 O\rK\r\n\r\n") }, NONSENSE },
	{ { "R-CONN-6: a bare CR in a field",
	    BYTES("HTTP/1.1 200 OK\r\nVia: a\rb\r\n\r\n") }, NONSENSE },
	{ { "R-CONN-6: a bare CR in a name",
	    BYTES("HTTP/1.1 200 OK\r\nVi\ra: b\r\n\r\n") }, NONSENSE },
	{ { "R-CONN-6: a bare CR for the empty line",
	    BYTES("HTTP/1.1 200 OK\r\n\rVia: b\r\n\r\n") }, NONSENSE },
	{ { "R-CONN-6: CR twice", BYTES("HTTP/1.1 200 OK\r\r\n\r\n") },
	  NONSENSE },
	{ { "NUL in the reason", BYTES("HTTP/1.1 200 \0\r\n\r\n") }, NONSENSE },
	{ { "NUL in a name", BYTES("HTTP/1.1 200 OK\r\nVi\0a: b\r\n\r\n") },
	  NONSENSE },
	{ { "NUL in a value", BYTES("HTTP/1.1 200 OK\r\nVia: \0\r\n\r\n") },
	  NONSENSE },
	{ { "a line without colon", BYTES("HTTP/1.1 200 OK\r\nVia\r\n\r\n") },
	  NONSENSE },
	{ { "a line without name", BYTES("HTTP/1.1 200 OK\r\n: x\r\n\r\n") },
	  NONSENSE },
	{ { "a space before the colon",
	    BYTES("HTTP/1.1 200 OK\r\nVia : x\r\n\r\n") }, NONSENSE },
	{ { "the first line goes on", BYTES("HTTP/1.1 200 OK\r\n x\r\n\r\n") },
	  NONSENSE },
	{ { "R-CONN-5: one 1xx too many",
	    BYTES(GO_ON_4 GO_ON_4 GO_ON_4 GO_ON_4 GO_ON OK) }, NONSENSE },
	{ { "R-CONN-5: garbage behind a 1xx", BYTES(GO_ON "200 OK\r\n\r\n") },
	  NONSENSE },
	{ { "R-CONN-5: 101", BYTES("HTTP/1.1 101 Switching\r\n\r\n" OK) },
	  { END_UPSTREAM_PROTOCOL, 101, true, true } },
	{ { "R-CONN-5: 407 behind a 1xx", BYTES(GO_ON "HTTP/1.1 407\r\n") },
	  { END_UPSTREAM_AUTH, 407, true, true } },
	{ { "302", BYTES("HTTP/1.1 302 Found\r\nLocation: /login\r\n"
	    "Content-Length: 6\r\n\r\n<html>" OK) },
	  { END_UPSTREAM_REFUSED, 302, true, false } },
	{ { "R-CONN-8: 407", BYTES("HTTP/1.1 407 Authentication\r\n"
	    "Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n" OK) },
	  { END_UPSTREAM_AUTH, 407, true, true } },
	{ { "a refusal is not read to its end", BYTES("HTTP/1.1 403 ") },
	  { END_UPSTREAM_REFUSED, 403, true, false } },
	{ { "nor to the end of its line", BYTES("HTTP/1.1 504\r") },
	  { END_CONNECT_TIMEOUT, 504, false, false } },
#undef NONSENSE
};
/* clang-format on */

enum {
	TUNNELS = sizeof(tunnels) / sizeof(*tunnels),
	REFUSALS = sizeof(refusals) / sizeof(*refusals),
};

static void begin(struct talk_run *r, struct scene *s)
{
	scene_begin(s, UPSTREAM_HTTP_CONNECT, false);
	run_begin(r, &s->request);
}

/* At once; then T18: split at every byte, and byte by byte. */
static void run_all_ways(struct talk_run *r, const struct answer *a)
{
	struct talk_run other;
	struct scene s;

	begin(r, &s);
	run_input(r, a->bytes, a->len);
	begin(&other, &s);
	run_bytewise(&other, a->bytes, a->len);
	run_expect_same(r, &other, a->name);
	for (size_t cut = 1; cut < a->len; cut++) {
		begin(&other, &s);
		run_cut(&other, a->bytes, a->len, cut);
		run_expect_same(r, &other, a->name);
	}
}

static void test_R_CONN_3_tunnels(void **state)
{
	struct talk_run r;

	(void)state; /* unused */
	for (size_t i = 0; i < TUNNELS; i++) {
		run_all_ways(&r, &tunnels[i]);
		if (r.result != TALK_DONE || r.used != tunnels[i].len)
			fail_msg("%s: result %d, %zu bytes taken",
				 tunnels[i].name, r.result, r.used);
	}
}

static void test_T18_refusals(void **state)
{
	struct talk_run r;

	(void)state; /* unused */
	for (size_t i = 0; i < REFUSALS; i++) {
		run_all_ways(&r, &refusals[i].answer);
		run_expect_failure(&r, &refusals[i].why,
				   refusals[i].answer.name);
	}
}

static void test_nothing_less_is_a_tunnel(void **state)
{
	static const struct run_failure closed = { END_UPSTREAM_PROTOCOL, 0,
						   true, true };
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	for (size_t i = 0; i < TUNNELS; i++) {
		for (size_t len = 0; len < tunnels[i].len; len++) {
			begin(&r, &s);
			run_input(&r, tunnels[i].bytes, len);
			assert_int_equal(r.result, TALK_MORE);
			assert_int_equal(r.used, len);
			talk_broken(&r.talk);
			r.result = TALK_FAILED;
			run_expect_failure(&r, &closed, tunnels[i].name);
		}
	}
}

/* What is glued to the head is the server's, also if it looks like us. */
static void test_T18_glued_data_is_left(void **state)
{
	static const char *const glued[] = { "220 mail\r\n", "\r\n\r\n", OK,
					     "\n", " folded" };
	uint8_t bytes[1024];
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	for (size_t i = 0; i < TUNNELS * 5; i++) {
		const struct answer *a = &tunnels[i / 5];
		size_t more = strlen(glued[i % 5]);

		assert_true(a->len + more <= sizeof(bytes));
		memcpy(bytes, a->bytes, a->len);
		memcpy(bytes + a->len, glued[i % 5], more);
		begin(&r, &s);
		run_input(&r, bytes, a->len + more);
		assert_int_equal(r.result, TALK_DONE);
		assert_int_equal(r.used, a->len);
	}
}

/* --- every status -------------------------------------------------------- */

static struct run_failure failure_of(unsigned status)
{
	struct run_failure f = { END_UPSTREAM_REFUSED, status, true, false };

	if (status == 101)
		f = (struct run_failure){ END_UPSTREAM_PROTOCOL, 101, true,
					  true };
	if (status == 401 || status == 407)
		f = (struct run_failure){ END_UPSTREAM_AUTH, status, true,
					  true };
	if (status == 502 || status == 503)
		f.end = END_SERVER_UNREACHABLE;
	if (status == 504)
		f = (struct run_failure){ END_CONNECT_TIMEOUT, 504, false,
					  false };
	return f;
}

static void test_T18_every_status(void **state)
{
	(void)state; /* unused */
	for (unsigned status = 0; status < 1000; status++) {
		struct run_failure f = failure_of(status);
		struct talk_run r;
		struct scene s;
		char text[64];
		int len = snprintf(text, sizeof(text),
				   "HTTP/1.1 %03u x\r\n\r\n", status);

		begin(&r, &s);
		run_input(&r, (uint8_t *)text, (size_t)len);
		if (status / 100 == 2)
			assert_int_equal(r.result, TALK_DONE);
		else if (status / 100 == 1 && status != 101)
			assert_int_equal(r.result, TALK_MORE);
		else
			run_expect_failure(&r, &f, text);
	}
}

/* --- limits -------------------------------------------------------------- */

/* `before`, then 'x' without end: how much of it is borne? */
static size_t bytes_borne(const char *before)
{
	static uint8_t bytes[TALK_HEAD_MAX * 2];
	size_t len = strlen(before), come;
	struct talk_run r;
	struct scene s;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, before, len);
	begin(&r, &s);
	for (come = len; r.result == TALK_MORE && come < sizeof(bytes); come++)
		run_input(&r, bytes, come);
	assert_int_equal(r.result, TALK_FAILED);
	assert_int_equal(r.talk.end, END_UPSTREAM_PROTOCOL);
	return r.used - 1; /* the last one was too many */
}

static void test_R_CONN_6_endless_heads(void **state)
{
	(void)state; /* unused */
	assert_int_equal(bytes_borne("HTTP/1.1 200 "), TALK_HEAD_MAX);
	assert_int_equal(bytes_borne("HTTP/1.1 200\r\n"), TALK_HEAD_MAX);
	assert_int_equal(bytes_borne("HTTP/1.1 200\r\nVia: "), TALK_HEAD_MAX);
	/* heads share one limit */
	assert_int_equal(bytes_borne(GO_ON "HTTP/1.1 200 "), TALK_HEAD_MAX);
}

static void test_R_CONN_6_the_longest_head(void **state)
{
	static const char begins[] = "HTTP/1.1 200 OK\r\nVia: ";
	static uint8_t bytes[TALK_HEAD_MAX + 1];
	struct talk_run r;
	struct scene s;

	(void)state; /* unused */
	for (size_t len = TALK_HEAD_MAX; len <= TALK_HEAD_MAX + 1; len++) {
		memset(bytes, 'x', sizeof(bytes));
		memcpy(bytes, begins, sizeof(begins) - 1);
		memcpy(bytes + len - 4, "\r\n\r\n", 4);
		begin(&r, &s);
		run_input(&r, bytes, len);
		assert_int_equal(r.result, len == TALK_HEAD_MAX ? TALK_DONE
								: TALK_FAILED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_CONN_1_requests),
		cmocka_unit_test(test_the_longest_request),
		cmocka_unit_test(test_R_CONN_3_tunnels),
		cmocka_unit_test(test_T18_refusals),
		cmocka_unit_test(test_nothing_less_is_a_tunnel),
		cmocka_unit_test(test_T18_glued_data_is_left),
		cmocka_unit_test(test_T18_every_status),
		cmocka_unit_test(test_R_CONN_6_endless_heads),
		cmocka_unit_test(test_R_CONN_6_the_longest_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
