/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns_test.h - a network of its own for a test that changes one.
 *
 * Each test that calls netns_begin() gets a fresh namespace in which only lo
 * is up; the one before is gone with its last user.  Without the privilege
 * the test is skipped.
 */
#ifndef WL_NET_NETNS_TEST_H
#define WL_NET_NETNS_TEST_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static inline void netns_begin(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("skipped: cannot make a network namespace\n");
		skip();
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
}

/* A descriptor of the namespace this thread is in. */
static inline int netns_open(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Is there IPv6?  If not, what a test says about it is left out. */
static inline int netns_has_v6(void)
{
	return access("/proc/self/net/if_inet6", F_OK) == 0;
}

#endif
