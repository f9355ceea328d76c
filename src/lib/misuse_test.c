/* SPDX-License-Identifier: Apache-2.0 */
/*
 * misuse_test.c - every function, given what it cannot use.
 *
 * Whatever is wrong, the result is an error with a sentence, no descriptor is
 * left, and the process lives.  What each function says of its own arguments
 * is tested beside it; here are the mistakes that all can be given.
 */
#include "lib/face_test.h"

#include <limits.h>
#include <linux/netlink.h>
#include <sys/mman.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t bytes[8];

/* --- descriptors --------------------------------------------------------- */

static int destination(int fd, struct waylay_error *e)
{
	struct sockaddr_storage to;

	return waylay_destination(fd, &to, e);
}

static int receive(int fd, struct waylay_error *e)
{
	struct waylay_datagram d = { .size = sizeof(d),
				     .bytes = bytes,
				     .capacity = sizeof(bytes) };

	return waylay_recv(fd, &d, e);
}

static struct waylay_datagram datagram(void)
{
	return (struct waylay_datagram){
		.size = sizeof(struct waylay_datagram),
		.bytes = bytes,
		.len = sizeof(bytes),
		.from = at("192.0.2.9", 53).ss,
		.to = at("127.0.0.1", 53).ss,
	};
}

static int send_from(int fd, struct waylay_error *e)
{
	struct waylay_datagram d = datagram();

	return waylay_send(fd, &d, e);
}

static int deliver(int fd, struct waylay_error *e)
{
	struct waylay_intercept *i = waylay_intercept_new();
	int result = waylay_intercept_deliver(i, fd, e);

	waylay_intercept_free(i);
	return result;
}

static const struct fd_call {
	const char *name;
	int (*call)(int fd, struct waylay_error *e);
} fd_calls[] = {
	{ "waylay_destination", destination },
	{ "waylay_recv", receive },
	{ "waylay_send", send_from },
	{ "waylay_intercept_deliver", deliver },
};

static void expect_refusal(const char *name, const char *what, int result,
			   const struct waylay_error *e, int code)
{
	if (result != -code || e->code != code || !e->text[0])
		fail_msg("%s, %s: %d, not %d: %s", name, what, result, -code,
			 e->text);
}

static void expect_all(int fd, const char *what, int code)
{
	for (size_t i = 0; i < COUNT(fd_calls); i++) {
		struct waylay_error e = WAYLAY_ERROR_INIT;

		expect_refusal(fd_calls[i].name, what, fd_calls[i].call(fd, &e),
			       &e, code);
	}
}

static void test_a_descriptor_that_is_not_open(void **state)
{
	int closed = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state; /* unused */
	close(closed);
	expect_all(closed, "closed", EBADF);
	expect_all(-1, "none", EBADF);
	expect_all(INT_MAX, "the largest", EBADF);
	expect_all(INT_MIN, "the smallest", EBADF);
}

static void test_a_descriptor_of_no_socket(void **state)
{
	int pipes[2];

	(void)state; /* unused */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	expect_all(pipes[0], "a pipe", ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
}

/* Of each kind that is neither TCP nor UDP.  Which error it is differs. */
static void test_a_socket_of_another_kind(void **state)
{
	static const struct {
		int family, type, protocol;
	} kinds[] = {
		{ AF_UNIX, SOCK_STREAM, 0 },
		{ AF_UNIX, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_SEQPACKET, 0 },
		{ AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE },
	};

	(void)state; /* unused */
	for (size_t k = 0; k < COUNT(kinds); k++) {
		int fd = socket(kinds[k].family, kinds[k].type | SOCK_CLOEXEC,
				kinds[k].protocol);

		assert_true(fd >= 0);
		for (size_t i = 0; i < COUNT(fd_calls); i++) {
			struct waylay_error e = WAYLAY_ERROR_INIT;
			int result = fd_calls[i].call(fd, &e);

			expect_refusal(fd_calls[i].name, "another kind", result,
				       &e, e.code);
			if (result == -EAGAIN || result == 0)
				fail_msg("%s takes kind %zu", fd_calls[i].name,
					 k);
		}
		close(fd);
	}
}

/* --- structures ---------------------------------------------------------- */

static int listen_tcp(const struct waylay_options *o, struct waylay_error *e)
{
	struct at any = at("127.0.0.1", 0);

	return waylay_listen_tcp(at_sockaddr(&any), o, e);
}

static int listen_udp(const struct waylay_options *o, struct waylay_error *e)
{
	struct at any = at("127.0.0.1", 0);

	return waylay_listen_udp(at_sockaddr(&any), o, e);
}

static int connect_to(const struct waylay_options *o, struct waylay_error *e)
{
	struct at to = at("127.0.0.1", 53);

	return waylay_connect(SOCK_DGRAM, NULL, at_sockaddr(&to), o, e);
}

static int sender(const struct waylay_options *o, struct waylay_error *e)
{
	return waylay_sender(AF_INET, o, e);
}

static const struct options_call {
	const char *name;
	int (*call)(const struct waylay_options *o, struct waylay_error *e);
} options_calls[] = {
	{ "waylay_listen_tcp", listen_tcp },
	{ "waylay_listen_udp", listen_udp },
	{ "waylay_connect", connect_to },
	{ "waylay_sender", sender },
};

/* Options at the end of what can be read: no size leads behind it. */
static struct waylay_options *options_before_nothing(void)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(munmap(pages + page, page), 0);
	return (struct waylay_options *)pages;
}

static void test_options_whose_size_is_none(void **state)
{
	static const struct {
		size_t size;
		int code;
	} sizes[] = {
		{ 0, EINVAL },
		{ 1, EINVAL },
		{ sizeof(size_t) - 1, EINVAL },
		{ (size_t)1 << 40, E2BIG },
		{ SIZE_MAX, E2BIG },
	};
	struct waylay_options *o = options_before_nothing();
	int before = descriptors();

	(void)state; /* unused */
	for (size_t s = 0; s < COUNT(sizes); s++) {
		o->size = sizes[s].size;
		for (size_t i = 0; i < COUNT(options_calls); i++) {
			struct waylay_error e = WAYLAY_ERROR_INIT;
			int result = options_calls[i].call(o, &e);

			expect_refusal(options_calls[i].name, "a size", result,
				       &e, sizes[s].code);
		}
	}
	assert_int_equal(descriptors(), before);
	assert_int_equal(munmap(o, (size_t)sysconf(_SC_PAGESIZE)), 0);
}

static void test_a_datagram_that_is_too_short(void **state)
{
	(void)state; /* unused */
	for (size_t size = 0; size < sizeof(struct waylay_datagram); size++) {
		struct waylay_error e = WAYLAY_ERROR_INIT;
		struct waylay_datagram d = datagram();

		d.size = size;
		expect_refusal("waylay_recv", "short", waylay_recv(-1, &d, &e),
			       &e, EINVAL);
		e.code = 0;
		expect_refusal("waylay_send", "short", waylay_send(-1, &d, &e),
			       &e, EINVAL);
	}
}

/* Each function fails as before, and writes no byte behind it. */
static void test_an_error_that_is_too_short(void **state)
{
	(void)state; /* unused */
	for (size_t size = 0; size <= sizeof(struct waylay_error); size++) {
		for (size_t i = 0; i < COUNT(fd_calls); i++) {
			struct waylay_error e;

			memset(&e, 0x55, sizeof(e));
			e.size = size;
			assert_int_equal(fd_calls[i].call(-1, &e), -EBADF);
			for (size_t b = size < sizeof(e.size) ? sizeof(e.size)
							      : size;
			     b < sizeof(e); b++)
				assert_int_equal(((uint8_t *)&e)[b], 0x55);
		}
	}
}

/* --- families ------------------------------------------------------------ */

static void test_an_address_of_another_family(void **state)
{
	static const sa_family_t families[] = { AF_UNSPEC, AF_UNIX, AF_NETLINK,
						AF_PACKET, 255,	    0xffff };
	struct waylay_intercept *take = waylay_intercept_new();
	struct at good = at("127.0.0.1", 53), wrong = good;
	int before = descriptors();

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(families); i++) {
		const struct sockaddr *sa = at_sockaddr(&wrong);
		const struct sockaddr *to = at_sockaddr(&good);
		struct waylay_datagram from = datagram(), dest = datagram();

		wrong.ss.ss_family = families[i];
		from.from = dest.to = wrong.ss;
		assert_int_equal(waylay_listen_tcp(sa, NULL, NULL),
				 -EAFNOSUPPORT);
		assert_int_equal(waylay_listen_udp(sa, NULL, NULL),
				 -EAFNOSUPPORT);
		assert_int_equal(
			waylay_connect(SOCK_STREAM, sa, to, NULL, NULL),
			-EAFNOSUPPORT);
		assert_int_equal(waylay_connect(SOCK_DGRAM, to, sa, NULL, NULL),
				 -EAFNOSUPPORT);
		assert_int_equal(waylay_sender(families[i], NULL, NULL),
				 -EAFNOSUPPORT);
		assert_int_equal(waylay_send(-1, &from, NULL), -EAFNOSUPPORT);
		assert_int_equal(waylay_send(-1, &dest, NULL), -EAFNOSUPPORT);
		assert_int_equal(waylay_intercept_deliver_to(take, SOCK_STREAM,
							     sa, NULL),
				 -EAFNOSUPPORT);
	}
	assert_int_equal(descriptors(), before);
	waylay_intercept_free(take);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_descriptor_that_is_not_open),
		cmocka_unit_test(test_a_descriptor_of_no_socket),
		cmocka_unit_test(test_a_socket_of_another_kind),
		cmocka_unit_test(test_options_whose_size_is_none),
		cmocka_unit_test(test_a_datagram_that_is_too_short),
		cmocka_unit_test(test_an_error_that_is_too_short),
		cmocka_unit_test(test_an_address_of_another_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
