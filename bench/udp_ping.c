/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_ping.c - round-trip time of one datagram at a time.
 *
 *	udp_ping ADDRESS PORT BYTES SECONDS
 *
 * Prints {"samples","lost","p50_ns","p99_ns"}.  Each datagram carries its
 * number; a late answer to an earlier one is thrown away.  The first WARM_UP
 * round trips set up the flow and do not count.  Talks to udp_echo.c.
 */
#include "helper.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
	BYTES_MAX = 1472,
	SAMPLES_MAX = 4 * 1024 * 1024,
	WARM_UP = 100,
	WAIT_MS = 200, /* then a datagram is lost */
};

static bool is_answered(int fd, uint64_t number, char *text, size_t len)
{
	for (;;) {
		ssize_t got = recv(fd, text, len, 0);

		if (got < 0 && (errno == EAGAIN || errno == ECONNREFUSED))
			return false;
		if (got < 0)
			helper_die("recv");
		if ((size_t)got == len &&
		    memcmp(text, &number, sizeof(number)) == 0)
			return true;
	}
}

/* In nanoseconds; 0 when no answer came. */
static uint64_t round_trip(int fd, uint64_t number, size_t len)
{
	char text[BYTES_MAX] = { 0 };
	uint64_t start = helper_now_ns();

	memcpy(text, &number, sizeof(number));
	if (send(fd, text, len, 0) < 0 && errno != ECONNREFUSED)
		helper_die("send");
	if (!is_answered(fd, number, text, len))
		return 0;
	return helper_now_ns() - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const struct timeval wait = { .tv_usec = WAIT_MS * 1000 };
	uint64_t *samples = calloc(SAMPLES_MAX, sizeof(*samples));
	uint64_t end_ns, number = 0;
	size_t count = 0, lost = 0, len;
	struct endpoint peer;
	int fd;

	if (argc != 5)
		return 2;
	if (samples == NULL)
		helper_die("samples");
	peer = helper_endpoint(argv[1], argv[2]);
	len = (size_t)helper_number(argv[3], sizeof(number), BYTES_MAX);
	fd = helper_udp_to(&peer);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		helper_die("SO_RCVTIMEO");
	while (number < WARM_UP)
		(void)round_trip(fd, ++number, len); /* warm-up: no result */

	end_ns = helper_now_ns() +
		 (uint64_t)helper_number(argv[4], 1, 3600) * 1000000000u;
	while (helper_now_ns() < end_ns && count < SAMPLES_MAX) {
		uint64_t took_ns = round_trip(fd, ++number, len);

		if (took_ns == 0)
			lost++;
		else
			samples[count++] = took_ns;
	}
	if (count == 0) {
		errno = ETIMEDOUT;
		helper_die("no answer at all");
	}
	qsort(samples, count, sizeof(*samples), compare);
	helper_say("{\"samples\": %zu, \"lost\": %zu, "
		   "\"p50_ns\": %lu, \"p99_ns\": %lu}",
		   count, lost, samples[count / 2], samples[count * 99 / 100]);
	return 0;
}
