// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * packet_fuzz.c - any bytes as a packet (libFuzzer).
 *
 * The first byte says whether the frame is one of IPv4 or IPv6, the others are
 * the packet.  The cursor reads nothing outside (packet_load() sees each
 * access, and is watched itself), and says what the naive reader says, of the
 * packet and of what it quotes.
 */
#include "packet_naive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_quote(struct bytes *b, const struct packet *error)
{
	struct packet quoted, naive;
	enum packet_kind kind = packet_parse_quote(b, error, &quoted);

	if (kind != naive_quote(b, error, &naive) ||
	    !naive_is_same(kind, &quoted, &naive))
		abort();
	if (kind == PACKET_ICMP_ERROR)
		abort(); /* nobody follows a quote in a quote */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p, naive;
	enum packet_kind kind;
	struct bytes b;
	bool is_v6;

	if (!size)
		return 0;
	b = (struct bytes){ data + 1, size - 1 };
	is_v6 = data[0] & 1;
	kind = packet_parse(&b, packet_be16(is_v6 ? ETH_P_IPV6 : ETH_P_IP), &p);
	if (kind != naive_parse(&b, is_v6, &naive) ||
	    !naive_is_same(kind, &p, &naive))
		abort();
	if (kind == PACKET_ICMP_ERROR)
		try_quote(&b, &p);
	return 0;
}
