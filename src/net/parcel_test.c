/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcel_test.c - bytes and descriptors arrive together, and nothing else is
 * taken for a parcel.
 */
#include "net/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT = 16 };

static int pair[2];
static char in[TEXT];

static int open_pair(void **state)
{
	(void)state;
	memset(in, 0, sizeof(in));
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static int receive(struct parcel *p)
{
	*p = (struct parcel){ .bytes = in, .size = sizeof(in) };
	return parcel_receive(pair[1], p);
}

static void send_text(const char *text, size_t len, const int *fd,
		      unsigned count)
{
	struct parcel p = { .bytes = (void *)text, .size = len };

	for (unsigned i = 0; i < count; i++)
		p.fd[i] = fd[i];
	p.fd_count = count;
	assert_int_equal(parcel_send(pair[0], &p), 0);
}

static unsigned count_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_arrive_together(void **state)
{
	int fd[2] = { open("/dev/null", O_RDONLY), open("/", O_RDONLY) };
	struct stat was, is;
	struct parcel p;

	(void)state;
	for (unsigned count = 0; count <= 2; count++) {
		send_text("fifteen letters", TEXT, fd, count);
		assert_int_equal(receive(&p), 1);
		assert_string_equal(in, "fifteen letters");
		assert_int_equal(p.fd_count, count);
		for (unsigned i = 0; i < count; i++) {
			assert_int_not_equal(p.fd[i], fd[i]);
			assert_int_equal(fcntl(p.fd[i], F_GETFD), FD_CLOEXEC);
			assert_int_equal(fstat(fd[i], &was), 0);
			assert_int_equal(fstat(p.fd[i], &is), 0);
			assert_int_equal(was.st_ino, is.st_ino);
		}
		parcel_close(&p);
	}
	close(fd[0]);
	close(fd[1]);
}

static void test_every_other_length_is_refused(void **state)
{
	char text[TEXT + 1] = { 0 };
	int fd = open("/dev/null", O_RDONLY);
	unsigned open_before = count_open();
	struct parcel p;

	(void)state;
	for (size_t len = 1; len <= TEXT + 1; len++) {
		send_text(text, len, &fd, 1);
		if (len == TEXT) {
			assert_int_equal(receive(&p), 1);
			parcel_close(&p);
		} else {
			assert_int_equal(receive(&p), -EBADMSG);
		}
		assert_int_equal(p.fd_count, 0);
		assert_int_equal(count_open(), open_before);
	}
	close(fd);
}

/* By hand: parcel_send() cannot. */
static void send_three(int fd)
{
	char control[CMSG_SPACE(3 * sizeof(int))] = { 0 }, text[TEXT] = { 0 };
	struct iovec iov = { text, sizeof(text) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int fds[3] = { fd, fd, fd };

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(h), fds, sizeof(fds));
	assert_int_equal(sendmsg(pair[0], &m, 0), TEXT);
}

static void test_too_many_descriptors_are_closed(void **state)
{
	int fd = open("/dev/null", O_RDONLY);
	unsigned open_before = count_open();
	struct parcel p;

	(void)state;
	send_three(fd);
	assert_int_equal(receive(&p), -EBADMSG);
	assert_int_equal(count_open(), open_before);
	close(fd);
}

static void test_nothing_and_the_end_differ(void **state)
{
	struct parcel p;

	(void)state;
	assert_int_equal(receive(&p), -EAGAIN);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(receive(&p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_arrive_together, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(
			test_every_other_length_is_refused, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(
			test_too_many_descriptors_are_closed, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(test_nothing_and_the_end_differ,
						open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
