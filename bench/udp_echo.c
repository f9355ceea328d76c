/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_echo.c - sends every datagram back to where it came from.
 *
 *	udp_echo ADDRESS PORT
 *
 * The far end of udp_ping.c.
 */
#include "helper.h"

enum { DATAGRAM_BYTES = 2048 };

int main(int argc, char **argv)
{
	struct endpoint at;
	int fd;

	if (argc != 3)
		return 2;
	at = helper_endpoint(argv[1], argv[2]);
	fd = helper_bound_socket(&at, SOCK_DGRAM);
	helper_say("ready");
	for (;;) {
		struct endpoint from = { .len = sizeof(from.addr) };
		char text[DATAGRAM_BYTES];
		ssize_t len =
			recvfrom(fd, text, sizeof(text), 0,
				 (struct sockaddr *)&from.addr, &from.len);

		/* A client that has gone shows up as an error: not ours. */
		if (len >= 0)
			(void)sendto(fd, text, (size_t)len, 0,
				     (struct sockaddr *)&from.addr, from.len);
	}
}
