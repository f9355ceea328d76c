/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap_test.c - a capture file, byte for byte.
 */
#include "cli/pcap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pcap_frame small = {
	.seconds = 0x01020304,
	.microseconds = 999999,
	.bytes = (const uint8_t *)"frame",
	.len = 5,
	.wire_bytes = 1500,
};

static uint32_t word(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void test_a_file_with_one_frame(void **state)
{
	char bytes[128];
	FILE *f = fmemopen(bytes, sizeof(bytes), "w");
	uint16_t minor;

	(void)state; /* unused */
	assert_int_equal(pcap_write_head(f), 0);
	assert_int_equal(pcap_write_frame(f, &small), 0);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(ftell(f), 24 + 16 + 5);
	assert_int_equal(word(bytes), 0xa1b2c3d4);
	memcpy(&minor, bytes + 6, sizeof(minor));
	assert_int_equal(minor, 4);
	assert_int_equal(word(bytes + 16), 262144);
	assert_int_equal(word(bytes + 20), 1);
	assert_int_equal(word(bytes + 24), 0x01020304);
	assert_int_equal(word(bytes + 28), 999999);
	assert_int_equal(word(bytes + 32), 5);
	assert_int_equal(word(bytes + 36), 1500);
	assert_memory_equal(bytes + 40, "frame", 5);
	(void)fclose(f);
}

static void test_a_frame_longer_than_the_file_promises(void **state)
{
	enum { LONG = PCAP_SNAPLEN + 1 };
	struct pcap_frame f = small;
	char *bytes = calloc(1, LONG + 64);
	FILE *out = fmemopen(bytes, LONG + 64, "w");

	(void)state; /* unused */
	f.bytes = calloc(1, LONG);
	f.len = f.wire_bytes = LONG;
	assert_int_equal(pcap_write_frame(out, &f), 0);
	assert_int_equal(fflush(out), 0);
	assert_int_equal(ftell(out), 16 + PCAP_SNAPLEN);
	assert_int_equal(word(bytes + 8), PCAP_SNAPLEN);
	assert_int_equal(word(bytes + 12), LONG);
	(void)fclose(out);
	free((void *)f.bytes);
	free(bytes);
}

static void test_a_full_disk_is_told(void **state)
{
	FILE *f = fopen("/dev/full", "we");

	(void)state; /* unused */
	assert_non_null(f);
	(void)setvbuf(f, NULL, _IONBF, 0);
	assert_int_equal(pcap_write_head(f), -ENOSPC);
	assert_int_equal(pcap_write_frame(f, &small), -ENOSPC);
	(void)fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_with_one_frame),
		cmocka_unit_test(test_a_frame_longer_than_the_file_promises),
		cmocka_unit_test(test_a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
