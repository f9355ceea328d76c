/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_tls_record_test.c - ClientHellos in the records that carry them.
 */
#include "relay/name_hello_test.h"
#include "relay/name_read_test.h"
#include "relay/name_real_test.h"

#include "relay/hex_test.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

static const char host[] = "www.example.org";

static void make_small(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_end(o);
}

static void test_R_TLS_1_over_records_of_any_length(void **state)
{
	static const size_t most[] = { 1, 2, 3, 4, 5, 63, 100, 512, 1 << 14 };
	static uint8_t bytes[6 * 4096];
	static struct hello_out o;
	size_t len;

	(void)state;
	hello_make_large(&o, host);
	for (size_t i = 0; i < COUNT(most); i++) {
		len = hello_cut_records(o.bytes, o.len, most[i], bytes);
		expect_name_when_whole(name_tls, bytes, len, host);
	}
}

static void test_R_TLS_1_the_longest_record(void **state)
{
	static uint8_t bytes[NAME_HELLO_MAX + 16];
	static struct hello_out o;
	size_t len;

	(void)state;
	hello_begin(&o);
	hello_put_name(&o, host);
	hello_put_extension(&o, 21, (1 << 14) - o.len - 4);
	hello_end(&o);
	len = hello_cut_records(o.bytes, o.len, 1 << 14, bytes);
	assert_int_equal(len, (1 << 14) + 5);
	expect_name(name_tls, bytes, len, host);
}

static void test_R_TLS_1_the_records_version_is_ignored(void **state)
{
	static uint8_t bytes[4096];
	static struct hello_out o;
	size_t len;

	(void)state;
	make_small(&o);
	len = hello_cut_records(o.bytes, o.len, 100, bytes);
	bytes[1] = 0x42;
	bytes[2] = 0xff;
	bytes[106] = 0;
	expect_name_when_whole(name_tls, bytes, len, host);
}

static const struct {
	const char *name;
	size_t at; /* of a small hello in records of 20 bytes */
	uint8_t value;
	size_t shortest; /* that is known to be none */
} bad_records[] = {
	{ "no handshake", 0, 23, 1 },
	{ "something else", 0, 'G', 1 },
	{ "another type in the second record", 25, 21, 26 },
	{ "an empty first record", 4, 0, 5 },
	{ "an empty second record", 29, 0, 30 },
	{ "a record of 2^14 + 20 bytes", 3, 0x40, 5 },
};

static void test_R_TLS_1_bad_records(void **state)
{
	static uint8_t bytes[4096];
	static struct hello_out o;
	char out[HOST_TEXT_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_records); i++) {
		size_t shortest = bad_records[i].shortest;

		print_message("  %s\n", bad_records[i].name);
		make_small(&o);
		len = hello_cut_records(o.bytes, o.len, 20, bytes);
		bytes[bad_records[i].at] = bad_records[i].value;
		expect_name(name_tls, bytes, len, NULL);
		expect_name(name_tls, bytes, shortest, NULL);
		assert_int_equal(read_exact(name_tls, bytes, shortest - 1, out),
				 NAME_MORE);
	}
}

static void test_changed_bytes_are_steady(void **state)
{
	static uint8_t bytes[4096];
	static struct hello_out o;
	size_t len;

	(void)state;
	make_small(&o);
	len = hello_cut_records(o.bytes, o.len, 30, bytes);
	expect_steady_when_changed(name_tls, bytes, len, 3000);
	len = unhex(real_openssl, bytes);
	expect_steady_when_changed(name_tls, bytes, len, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_TLS_1_over_records_of_any_length),
		cmocka_unit_test(test_R_TLS_1_the_longest_record),
		cmocka_unit_test(test_R_TLS_1_the_records_version_is_ignored),
		cmocka_unit_test(test_R_TLS_1_bad_records),
		cmocka_unit_test(test_changed_bytes_are_steady),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
