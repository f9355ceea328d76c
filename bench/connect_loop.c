/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect_loop.c - one connection after the other, until stdin ends.
 *
 *	connect_loop ADDRESS PORT
 *
 * Each carries a request and its answer.  Says `ready` after the first, and at
 * the end {"connections","failed","slowest_us"}: what a change of something on
 * the way has cost.  A SYN that was lost shows as a second or more.  Talks to
 * http_server.c.
 */
#include "helper.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 512, LIMIT_S = 10 };

static const char REQUEST[] =
	"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

static bool ask(int fd, const struct endpoint *peer)
{
	const struct timeval limit = { .tv_sec = LIMIT_S };
	char text[ANSWER_BYTES];

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) <
		    0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		helper_die("socket");
	return connect(fd, (const struct sockaddr *)&peer->addr, peer->len) ==
		       0 &&
	       send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL) ==
		       sizeof(REQUEST) - 1 &&
	       recv(fd, text, sizeof(text), 0) > 0;
}

/* Reset at the end, which leaves no TIME_WAIT behind. */
static bool connect_once(const struct endpoint *peer)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	int fd = socket(peer->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_answered;

	if (fd < 0)
		helper_die("socket");
	is_answered = ask(fd, peer);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
	return is_answered;
}

static bool has_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) != 0;
}

int main(int argc, char **argv)
{
	unsigned long connections = 0, failed = 0;
	uint64_t slowest_ns = 0;
	struct endpoint peer;

	if (argc != 3)
		return 2;
	peer = helper_endpoint(argv[1], argv[2]);
	do {
		uint64_t start_ns = helper_now_ns(), took_ns;

		failed += !connect_once(&peer);
		took_ns = helper_now_ns() - start_ns;
		if (took_ns > slowest_ns)
			slowest_ns = took_ns;
		if (++connections == 1)
			helper_say("ready");
	} while (!has_ended());
	helper_say("{\"connections\": %lu, \"failed\": %lu, "
		   "\"slowest_us\": %.0f}",
		   connections, failed, (double)slowest_ns / 1e3);
	return 0;
}
