/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_byte.c - from the first byte of a connection to the first answer.
 *
 *	first_byte ADDRESS PORT SECONDS
 *
 * One connection after another: connect, send a TLS ClientHello, wait for the
 * first byte that comes back, end with RST.  Prints {"samples","p50_ns",
 * "p99_ns"} of the time between connect() and that byte.  Its random bytes end
 * a request for http_server.c, which therefore answers; what a gateway on the
 * way looks at is the hello.
 */
#include "helper.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 20, HELLO_BYTES = 517 };

static const char NAME[] = "bench.example.net";

static char *put(char *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

static char *put16(char *p, size_t value)
{
	*p++ = (char)(value >> 8);
	*p++ = (char)value;
	return p;
}

/* RFC 8446 section 4.1.2; padded as browsers do (RFC 7685). */
static void hello(char out[HELLO_BYTES])
{
	const size_t name = sizeof(NAME) - 1;
	char *p = out, *extensions;
	size_t pad;

	memset(out, 0, HELLO_BYTES);
	p = put16(put(p, "\x16\x03\x01", 3), HELLO_BYTES - 5);
	p = put16(put(p, "\x01\x00", 2), HELLO_BYTES - 9);
	p = put(p, "\x03\x03", 2);
	memset(p, 'r', 32);
	memcpy(p, "\r\n\r\n", 4);
	p += 32;
	*p++ = 0; /* session id */
	p = put(p, "\x00\x02\x13\x01", 4);
	p = put(p, "\x01\x00", 2);
	extensions = p;
	p = put16(p, (size_t)(out + HELLO_BYTES - extensions) - 2);
	p = put16(put16(put16(p, 0), name + 5), name + 3);
	*p++ = 0;
	p = put(put16(p, name), NAME, name);
	pad = (size_t)(out + HELLO_BYTES - p) - 4;
	(void)put16(put16(p, 21), pad);
}

static uint64_t once(const struct endpoint *to, const char *text)
{
	const struct linger reset = { 1, 0 };
	int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t start_ns;
	int on = 1;
	char byte;

	if (fd < 0)
		helper_die("socket");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	start_ns = helper_now_ns();
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		helper_die("connect");
	if (send(fd, text, HELLO_BYTES, MSG_NOSIGNAL) != HELLO_BYTES)
		helper_die("send");
	if (recv(fd, &byte, 1, 0) != 1)
		helper_die("recv");
	start_ns = helper_now_ns() - start_ns;
	close(fd);
	return start_ns;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	uint64_t *samples = calloc(SAMPLES_MAX, sizeof(*samples));
	char text[HELLO_BYTES];
	struct endpoint to;
	uint64_t end_ns;
	size_t count = 0;

	if (argc != 4)
		return 2;
	if (!samples)
		helper_die("first_byte");
	to = helper_endpoint(argv[1], argv[2]);
	hello(text);
	end_ns = helper_now_ns() +
		 (uint64_t)helper_number(argv[3], 1, 3600) * 1000000000u;
	while (count < SAMPLES_MAX && helper_now_ns() < end_ns)
		samples[count++] = once(&to, text);
	qsort(samples, count, sizeof(*samples), compare);
	helper_say("{\"samples\": %zu, \"p50_ns\": %llu, \"p99_ns\": %llu}",
		   count, (unsigned long long)samples[count / 2],
		   (unsigned long long)samples[count * 99 / 100]);
	free(samples);
	return 0;
}
