/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_http_test.c - requests with a host, without one, hostile, and cut.
 */
#include "relay/name_read_test.h"

static const struct row {
	const char *name;
	const char *request;
	const char *found; /* NULL: none */
} right[] = {
	{ "the host field", "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
	  "www.example.org" },
	{ "among other fields",
	  "GET /a HTTP/1.1\r\nAccept: */*\r\nHost: a.example\r\nX: y\r\n\r\n",
	  "a.example" },
	{ "in capitals, without a space",
	  "GET / HTTP/1.1\r\nHOST:WWW.Example.ORG\r\n\r\n", "www.example.org" },
	{ "with spaces around", "GET / HTTP/1.1\r\nHost: \t a.example \r\n\r\n",
	  "a.example" },
	{ "with a port", "GET / HTTP/1.1\r\nHost: a.example:65090\r\n\r\n",
	  "a.example" },
	{ "with an empty port", "GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n",
	  "a.example" },
	{ "lines that end with LF", "GET / HTTP/1.1\nHost: a.example\n\n",
	  "a.example" },
	{ "HTTP/1.0", "HEAD / HTTP/1.0\r\nHost: a.example\r\n\r\n",
	  "a.example" },
	{ "R-HTTP-1: an absolute target wins",
	  "GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
	  "b.example" },
	{ "an absolute target without a path",
	  "GET http://b.example?q HTTP/1.1\r\n\r\n", "b.example" },
	{ "an absolute target of a strange scheme",
	  "GET az+09-AZ.://b.example/ HTTP/1.9\r\n\r\n", "b.example" },
	{ "a target of CONNECT",
	  "CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
	  "b.example" },
	{ "OPTIONS of the whole server",
	  "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example" },
	{ "a method that nobody knows",
	  "M-SEARCH /x HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example" },
	{ "a method of 32 letters",
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n"
	  "Host: a.example\r\n\r\n",
	  "a.example" },
};

static const struct row wrong[] = {
	{ "no host", "GET / HTTP/1.0\r\nAccept: */*\r\n\r\n", NULL },
	{ "R-HTTP-1: two hosts",
	  "GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
	  NULL },
	{ "an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", NULL },
	{ "an IPv4 address", "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
	  NULL },
	{ "an IPv6 address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n",
	  NULL },
	{ "a port of six digits",
	  "GET / HTTP/1.1\r\nHost: a.example:123456\r\n\r\n", NULL },
	{ "a port of letters", "GET / HTTP/1.1\r\nHost: a.example:http\r\n\r\n",
	  NULL },
	{ "a port with a letter behind",
	  "GET / HTTP/1.1\r\nHost: a.example:808x\r\n\r\n", NULL },
	{ "user information", "GET / HTTP/1.1\r\nHost: me@a.example\r\n\r\n",
	  NULL },
	{ "a folded line", "GET / HTTP/1.1\r\nHost: a.example\r\n b\r\n\r\n",
	  NULL },
	{ "a space before the colon",
	  "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", NULL },
	{ "a control byte in a value",
	  "GET / HTTP/1.1\r\nX: \x1b[31m\r\nHost: a.example\r\n\r\n", NULL },
	{ "a CR alone", "GET / HTTP/1.1\rHost: a.example\r\n\r\n", NULL },
	{ "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL },
	{ "HTTP/1 with a letter", "GET / HTTP/1.x\r\nHost: a.example\r\n\r\n",
	  NULL },
	{ "a target without a scheme",
	  "GET b.example HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL },
	{ "a target of which only the end could be a name",
	  "GET b_.example HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL },
	{ "a target with an empty scheme",
	  "GET ://b.example HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL },
	{ "a target with half a scheme",
	  "GET http:/b.example HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL },
	{ "a target with an empty authority",
	  "GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n", NULL },
	{ "HTTP/0.9", "GET /\r\n", NULL },
	{ "two spaces", "GET  / HTTP/1.1\r\n", NULL },
	{ "a method of 33 letters",
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n", NULL },
};

/* What other protocols say first, and when it is clear that it is not HTTP. */
static const struct {
	const char *name, *bytes;
	size_t shortest; /* of these bytes, that is known to be none */
} others[] = {
	{ "SSH", "SSH-2.0-OpenSSH_9.2\r\n", 20 },
	{ "SMTP, a server", "220 mail.example ESMTP\r\n", 17 },
	{ "SMTP, a client", "EHLO me.example\r\n", 16 },
	{ "a NUL", "", 1 },
	{ "SOCKS", "\x05\x01", 1 },
	{ "PostgreSQL", "\x01\x02\x03", 1 },
};

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

static const uint8_t *bytes_of(const char *text)
{
	return (const uint8_t *)text;
}

static void test_right_requests_have_their_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(right); i++) {
		print_message("  %s\n", right[i].name);
		expect_name_when_whole(name_http, bytes_of(right[i].request),
				       strlen(right[i].request),
				       right[i].found);
	}
}

static void test_wrong_requests_have_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		const char *request = wrong[i].request;

		print_message("  %s\n", wrong[i].name);
		expect_name(name_http, bytes_of(request), strlen(request),
			    NULL);
		expect_steady(name_http, bytes_of(request), strlen(request));
	}
}

static void test_other_protocols_are_seen_at_once(void **state)
{
	char out[HOST_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		const uint8_t *bytes = bytes_of(others[i].bytes);

		print_message("  %s\n", others[i].name);
		expect_name(name_http, bytes, others[i].shortest, NULL);
		assert_int_equal(read_exact(name_http, bytes,
					    others[i].shortest - 1, out),
				 NAME_MORE);
	}
}

static void test_changed_bytes_are_steady(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(right); i++)
		expect_steady_when_changed(name_http,
					   bytes_of(right[i].request),
					   strlen(right[i].request), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_requests_have_their_name),
		cmocka_unit_test(test_wrong_requests_have_none),
		cmocka_unit_test(test_other_protocols_are_seen_at_once),
		cmocka_unit_test(test_changed_bytes_are_steady),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
