/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_udp_fuzz.c - any bytes as a datagram from a SOCKS5 proxy (libFuzzer).
 *
 * A header that was read and is written again reads as the same.
 */
#include "relay/socks_udp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[SOCKS_UDP_HEADER_MAX];
	struct addr server, again;
	size_t len = socks_udp_read(data, size, &server);

	if (len > size || len > SOCKS_UDP_HEADER_MAX)
		abort();
	if (!len || !server.family)
		return 0;
	len = socks_udp_write(&server, NULL, out);
	if (!len || socks_udp_read(out, len, &again) != len)
		abort();
	if (!addr_equal(&server, &again))
		abort();
	return 0;
}
