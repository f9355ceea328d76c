/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver_test.h - a name server, and a resolver that asks it.
 *
 * Each test has a network and an /etc/resolv.conf and /etc/hosts of its own;
 * the name server is the test itself, on 127.0.0.1.
 */
#ifndef WL_DAEMON_RESOLVER_TEST_H
#define WL_DAEMON_RESOLVER_TEST_H

#include "daemon/resolver.h"

#include "base/log.h"
#include "base/loop.h"
#include "net/netns_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>

enum { PORT = 3128, ROUNDS_MAX = 1000, IPS_MAX = 20, SILENCE_MAX_S = 20 };

/* What the server says. */
struct zone {
	const char *ips[IPS_MAX]; /* of both families */
	uint32_t ttl, ttl_step;	  /* of the first, and how it grows */
	uint8_t rcode;		  /* not 0: no addresses */
	int cut;		  /* bytes left away at the end */
	const struct zone *then;  /* a second answer to the same question */
};

static struct {
	char dir[64];
	int server, log;
	const struct zone *zone;
	unsigned questions, strange; /* strange: for another name */
	struct upstream upstreams[1];
	struct config config;
	struct board *board;
	struct resolver *resolver;
} world;

/* --- the name server ----------------------------------------------------- */

static const uint8_t qname[] = "\x05proxy\x04"
			       "corp\x07"
			       "example";

static inline size_t put_record(uint8_t *to, const struct addr *a, uint32_t ttl)
{
	size_t ip_len = addr_ip_len(a);
	uint8_t head[] = { 0xc0,
			   12, /* the name of the question */
			   0,
			   a->family == AF_INET6 ? 28 : 1,
			   0,
			   1,
			   (uint8_t)(ttl >> 24),
			   (uint8_t)(ttl >> 16),
			   (uint8_t)(ttl >> 8),
			   (uint8_t)ttl,
			   0,
			   (uint8_t)ip_len };

	memcpy(to, head, sizeof(head));
	memcpy(to + sizeof(head), a->ip, ip_len);
	return sizeof(head) + ip_len;
}

/* The question is bytes[0..len) and becomes the answer; its new length. */
static inline size_t make_answer(const struct zone *z, uint8_t *bytes,
				 size_t len, uint8_t type)
{
	uint32_t ttl = z->ttl;
	uint8_t count = 0;

	for (int i = 0; i < IPS_MAX && z->ips[i] && !z->rcode; i++) {
		struct addr a;

		assert_int_equal(addr_parse_ip(z->ips[i], &a), 0);
		if ((type == 28) != (a.family == AF_INET6))
			continue;
		len += put_record(bytes + len, &a, ttl);
		ttl += z->ttl_step;
		count++;
	}
	bytes[2] = 0x81;
	bytes[3] = 0x80 | z->rcode;
	bytes[7] = count;
	bytes[11] = 0; /* no records behind the answers */
	return (size_t)z->cut < len ? len - (size_t)z->cut : 0;
}

static inline bool answer_questions(void)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t bytes[2048];
	ssize_t n;

	while ((n = recvfrom(world.server, bytes, 512, MSG_DONTWAIT,
			     (struct sockaddr *)&from, &from_len)) > 0) {
		size_t question = 12 + sizeof(qname) + 4;

		world.questions++;
		if ((size_t)n < question ||
		    memcmp(bytes + 12, qname, sizeof(qname)) != 0) {
			world.strange++;
			continue;
		}
		for (const struct zone *z = world.zone; z; z = z->then) {
			uint8_t type = bytes[question - 3];
			size_t len = make_answer(z, bytes, question, type);

			n = sendto(world.server, bytes, len, 0,
				   (struct sockaddr *)&from, from_len);
			if (n != (ssize_t)len)
				return false;
		}
		from_len = sizeof(from);
	}
	return true;
}

/* --- the world ----------------------------------------------------------- */

static inline void put_file(const char *name, const char *text)
{
	char path[128], etc[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", world.dir, name);
	(void)snprintf(etc, sizeof(etc), "/etc/%s", name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	if (mount(path, etc, NULL, MS_BIND, NULL) < 0)
		fail_msg("cannot replace %s: %s", etc, strerror(errno));
}

static inline int open_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void new_resolver(void)
{
	struct err e = { 0 };

	if (resolver_new(&world.config, world.board, 0x2000, &world.resolver,
			 &e))
		fail_msg("%s", e.text);
}

static inline void begin_with(const char *resolv, const char *hosts)
{
	netns_begin();
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	memset(&world, 0, sizeof(world));
	(void)strcpy(world.dir, "/tmp/waylay-resolver-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	assert_int_equal(mount("none", world.dir, "tmpfs", 0, NULL), 0);
	put_file("resolv.conf", resolv);
	put_file("hosts", hosts);
	world.server = open_server();
	world.log = memfd_create("log", MFD_CLOEXEC);
	world.upstreams[0] = (struct upstream){
		.name = "corp",
		.kind = UPSTREAM_SOCKS5,
		.has_to = true,
		.to.port = PORT,
		.to_name = "proxy.corp.example",
	};
	world.config = (struct config){ .upstreams = world.upstreams,
					.upstream_count = 1,
					.mark = 0x1000,
					.mask = 0x3000 };
	world.board = board_new(&world.config, NULL, NULL);
	assert_non_null(world.board);
	new_resolver();
}

static inline void begin(void)
{
	begin_with("nameserver 127.0.0.1\n", "127.0.0.1 localhost\n");
}

static inline void end(void)
{
	resolver_free(world.resolver);
	resolver_free(NULL);
	board_free(world.board);
	close(world.server);
	close(world.log);
	(void)umount2("/etc/resolv.conf", MNT_DETACH);
	(void)umount2("/etc/hosts", MNT_DETACH);
	(void)umount2(world.dir, MNT_DETACH);
	(void)rmdir(world.dir);
}

/* Standard error goes to world.log while the resolver works. */
static inline void ask(const struct zone *zone, uint64_t now_ms)
{
	int old = dup(STDERR_FILENO), rounds = 0;

	assert_true(old >= 0);
	assert_true(dup2(world.log, STDERR_FILENO) >= 0);
	world.zone = zone;
	resolver_ask(world.resolver, now_ms);
	while (resolver_wait_ms(world.resolver, 0) < 0 && rounds++ < ROUNDS_MAX)
		if (!answer_questions() ||
		    !resolver_serve(world.resolver, -1, 100))
			rounds = ROUNDS_MAX;
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	assert_true(rounds < ROUNDS_MAX);
}

static inline uint64_t when_due(void)
{
	int wait_ms = resolver_wait_ms(world.resolver, clock_ms());

	assert_true(wait_ms >= 0);
	return clock_ms() + (uint64_t)wait_ms;
}

/* All addresses of the board: "127.0.0.8 ::1". */
static const char *known(void)
{
	static char text[BOARD_ADDRS_MAX * ADDR_TEXT_MAX];
	char one[ADDR_TEXT_MAX];
	struct addr a;

	text[0] = '\0';
	for (uint32_t i = 0; i < BOARD_ADDRS_MAX; i++) {
		if (!board_address(world.board, &world.config, 0, i, &a))
			break;
		assert_int_equal(a.port, PORT);
		if (strstr(text, addr_format_ip(&a, one)))
			break;
		(void)strcat(strcat(text, i ? " " : ""), one);
	}
	return text;
}

static inline int count_lines(const char *with)
{
	char text[65536];
	ssize_t n = pread(world.log, text, sizeof(text) - 1, 0);
	int lines = 0;

	assert_true(n >= 0);
	text[n] = '\0';
	for (char *at = strstr(text, with); at; at = strstr(at + 1, with))
		lines++;
	return lines;
}

#endif
