/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.c - what the traffic helpers of bench/ share; helper.h says it all.
 */
#include "helper.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One flow at full speed must not be lost in the receiver's queue alone. */
enum { UDP_BUFFER_BYTES = 4 * 1024 * 1024 };

void helper_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t helper_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

long helper_number(const char *text, long min, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && value >= min &&
	    value <= max)
		return value;
	fprintf(stderr, "%s: not a number from %ld to %ld\n", text, min, max);
	exit(2);
}

struct endpoint helper_endpoint(const char *addr, const char *port)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct endpoint out = { 0 };
	struct addrinfo *found;
	int rc = getaddrinfo(addr, port, &hints, &found);

	if (rc != 0) {
		fprintf(stderr, "%s port %s: %s\n", addr, port,
			gai_strerror(rc));
		exit(2);
	}
	memcpy(&out.addr, found->ai_addr, found->ai_addrlen);
	out.len = found->ai_addrlen;
	freeaddrinfo(found);
	return out;
}

int helper_bound_socket(const struct endpoint *at, int type)
{
	int fd = socket(at->addr.ss_family, type | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		helper_die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		helper_die("SO_REUSEADDR");
	if (bind(fd, (const struct sockaddr *)&at->addr, at->len) < 0)
		helper_die("bind");
	return fd;
}

int helper_udp_to(const struct endpoint *peer)
{
	int fd = socket(peer->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = UDP_BUFFER_BYTES;

	if (fd < 0)
		helper_die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) <
	    0)
		helper_die("SO_SNDBUFFORCE");
	if (connect(fd, (const struct sockaddr *)&peer->addr, peer->len) < 0)
		helper_die("connect");
	return fd;
}

void helper_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (fflush(stdout) != 0)
		helper_die("stdout");
}
