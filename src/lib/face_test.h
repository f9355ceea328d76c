/* SPDX-License-Identifier: Apache-2.0 */
/*
 * face_test.h - what the tests of the library's face share.
 */
#ifndef WL_LIB_FACE_TEST_H
#define WL_LIB_FACE_TEST_H

#include "net/addr.h"
#include "net/netns_test.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <waylay.h>

/* A sockaddr that a call can be given. */
struct at {
	struct sockaddr_storage ss;
};

static inline const struct sockaddr *at_sockaddr(const struct at *a)
{
	return (const struct sockaddr *)&a->ss;
}

static inline struct at at(const char *ip, uint16_t port)
{
	struct at a = { 0 };
	struct addr addr;

	assert_int_equal(addr_parse_ip(ip, &addr), 0);
	addr.port = port;
	(void)addr_to_sockaddr(&addr, &a.ss);
	return a;
}

static inline struct at at_of(int fd)
{
	struct at a = { 0 };
	socklen_t len = sizeof(a.ss);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.ss, &len), 0);
	return a;
}

static inline uint16_t port_of(const struct sockaddr_storage *ss)
{
	struct addr a;

	addr_from_sockaddr((const struct sockaddr *)ss, &a);
	return a.port;
}

static inline void expect_address(const struct sockaddr_storage *ss,
				  const char *ip, uint16_t port)
{
	char wanted[ADDR_TEXT_MAX], found[ADDR_TEXT_MAX];
	struct addr a, b;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	addr_from_sockaddr((const struct sockaddr *)ss, &b);
	assert_string_equal(addr_format(&b, found), addr_format(&a, wanted));
}

static inline int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	(void)closedir(d);
	return count;
}

static inline int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static inline void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

/* It failed so, with a sentence that has these words. */
static inline void expect_error(int result, const struct waylay_error *e,
				int code, const char *words)
{
	if (result != -code)
		print_message("%d, not %d: %s\n", result, -code, e->text);
	assert_int_equal(result, -code);
	assert_int_equal(e->code, code);
	if (!strstr(e->text, words))
		print_message("no \"%s\" in: %s\n", words, e->text);
	assert_non_null(strstr(e->text, words));
	assert_null(strchr(e->text, '\n'));
}

#endif
