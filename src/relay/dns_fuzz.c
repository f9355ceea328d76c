/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_fuzz.c - any bytes as a query and as an answer (libFuzzer).
 *
 * Nothing is both; a query whose first flag is turned is an answer to it.
 */
#include "relay/dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_answered(const uint8_t *data, size_t size,
			    const struct dns_query *asked)
{
	struct dns_asked a = { .is_open = 0 };
	struct dns_query answer;
	uint8_t *copy = malloc(size);

	if (!copy)
		return;
	memcpy(copy, data, size);
	copy[2] |= 0x80;
	if (!dns_read_answer(copy, size, &answer))
		abort();
	dns_asked_add(&a, asked);
	if (!dns_asked_take(&a, &answer) || dns_asked_take(&a, &answer))
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_query query, answer;
	bool is_query = dns_read_query(data, size, &query);
	bool is_answer = dns_read_answer(data, size, &answer);

	if (is_query && is_answer)
		abort();
	if (is_query)
		expect_answered(data, size, &query);
	return 0;
}
