/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_test.c - which reader a stream is given to, and how far.
 */
#include "relay/name_hello_test.h"
#include "relay/name_read_test.h"

static const char request[] = "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
static const struct sniff all = { .is_tls = true, .is_http = true };
static const struct sniff only_tls = { .is_tls = true };
static const struct sniff only_http = { .is_http = true };
static const struct sniff only_quic = { .is_quic = true };

static size_t hello(uint8_t *out)
{
	static struct hello_out o;

	hello_make_large(&o, "www.example.org");
	return hello_cut_records(o.bytes, o.len, 1 << 14, out);
}

static enum name_result ask(const struct sniff *what, const void *bytes,
			    size_t len, enum name_kind *kind)
{
	char out[HOST_TEXT_MAX] = "";
	enum name_result r;

	*kind = NAME_KIND_NONE;
	r = name_of_stream(what, bytes, len, out, kind);
	assert_string_equal(out, r == NAME_FOUND ? "www.example.org" : "");
	return r;
}

static void test_only_what_is_asked_for_is_looked_for(void **state)
{
	static uint8_t bytes[8192];
	size_t len = hello(bytes);
	enum name_kind kind;

	(void)state;
	assert_int_equal(ask(&all, bytes, len, &kind), NAME_FOUND);
	assert_int_equal(kind, NAME_KIND_TLS);
	assert_int_equal(ask(&only_tls, bytes, len, &kind), NAME_FOUND);
	assert_int_equal(ask(&only_http, bytes, len, &kind), NAME_NONE);
	assert_int_equal(ask(&all, request, strlen(request), &kind),
			 NAME_FOUND);
	assert_int_equal(kind, NAME_KIND_HTTP);
	assert_int_equal(ask(&only_tls, request, 1, &kind), NAME_NONE);
	assert_int_equal(ask(&only_http, request, 1, &kind), NAME_MORE);
	assert_int_equal(ask(&only_quic, request, 0, &kind), NAME_NONE);
	assert_int_equal(ask(&all, request, 0, &kind), NAME_MORE);
}

/* A head without an end costs no more than this. */
static void test_T12_a_long_beginning_has_none(void **state)
{
	static char text[NAME_STREAM_MAX + 100];
	enum name_kind kind;
	int len;

	(void)state;
	len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nX: ");
	memset(text + len, 'x', sizeof(text) - (size_t)len);
	assert_int_equal(ask(&all, text, NAME_STREAM_MAX - 1, &kind),
			 NAME_MORE);
	assert_int_equal(ask(&all, text, NAME_STREAM_MAX, &kind), NAME_NONE);
	assert_int_equal(ask(&all, text, sizeof(text), &kind), NAME_NONE);
}

static void test_every_kind_has_a_word(void **state)
{
	(void)state;
	assert_string_equal(name_kind_name(NAME_KIND_NONE), "-");
	assert_string_equal(name_kind_name(NAME_KIND_TLS), "tls");
	assert_string_equal(name_kind_name(NAME_KIND_HTTP), "http");
	assert_string_equal(name_kind_name(NAME_KIND_QUIC), "quic");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_is_asked_for_is_looked_for),
		cmocka_unit_test(test_T12_a_long_beginning_has_none),
		cmocka_unit_test(test_every_kind_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
