/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex_test.h - bytes as a test writes them.
 */
#ifndef WL_RELAY_HEX_TEST_H
#define WL_RELAY_HEX_TEST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes; `out` has room. */
static inline size_t unhex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		const char digits[] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return len;
}

#endif
