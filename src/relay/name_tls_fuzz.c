/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_tls_fuzz.c - any bytes as a TLS client's first ones (libFuzzer).
 *
 * They are read as records, and as the handshake itself: that has the same
 * name in records of any length, and once it is whole nothing more is wanted.
 */
#include "relay/name_fuzz.h"
#include "relay/name_hello_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD_HEADER_BYTES = 5, HEADER_BYTES = 4 };

static bool is_whole(const uint8_t *hello, size_t len)
{
	return len >= HEADER_BYTES &&
	       len - HEADER_BYTES >= ((size_t)hello[1] << 16 |
				      (size_t)hello[2] << 8 | hello[3]);
}

static void expect_same_in_records(const uint8_t *hello, size_t len,
				   size_t most)
{
	char alone[HOST_TEXT_MAX], cut[HOST_TEXT_MAX];
	uint8_t *records = malloc(len * (1 + RECORD_HEADER_BYTES) + 1);
	enum name_result r = fuzz_read_steady(name_hello, hello, len, alone);
	size_t records_len;

	if (!records || (r == NAME_MORE && is_whole(hello, len)))
		abort();
	records_len = hello_cut_records(hello, len, most, records);
	if (fuzz_read(name_tls, records, records_len, cut) != r ||
	    strcmp(alone, cut) != 0)
		abort();
	free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[HOST_TEXT_MAX];

	if (!size)
		return 0;
	(void)fuzz_read_steady(name_tls, data + 1, size - 1, name);
	expect_same_in_records(data + 1, size - 1, 1 + data[0]);
	return 0;
}
