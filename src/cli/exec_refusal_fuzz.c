/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_refusal_fuzz.c - any bytes as a frame (libFuzzer).
 *
 * What is found has ends of one family, as the frame had them.
 */
#include "cli/exec_refusal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct addr gateways[2] = {
		{ .family = AF_INET, .ip = { 192, 0, 0, 1 } },
		{ .family = AF_INET6, .ip = { 0xfd, 0x77, [15] = 1 } },
	};
	struct exec_refusal r;

	if (!exec_refusal_read(data, size, gateways, &r))
		return 0;
	if (size < 54 || r.client.family != r.server.family)
		abort();
	if (r.client.family != AF_INET && r.client.family != AF_INET6)
		abort();
	return 0;
}
