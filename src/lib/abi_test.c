/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi_test.c - what a program outside of this tree has: the header and one of
 * the libraries.
 *
 * Sizes and places are those of version 0.1 for ever; fields may only follow.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <waylay.h>

#include <cmocka.h>

/* Names that the library uses inside.  A program may have its own. */
int err_set(void);
int str_add(void);
int nl_open(void);

int err_set(void)
{
	fail_msg("the library has called the program");
	return 0;
}

int str_add(void)
{
	return err_set();
}

int nl_open(void)
{
	return err_set();
}

static void test_structures_are_as_they_were(void **state)
{
	(void)state; /* unused */
	assert_int_equal(sizeof(struct waylay_error),
			 sizeof(size_t) + 4 + WAYLAY_ERROR_TEXT);
	assert_int_equal(offsetof(struct waylay_error, code), sizeof(size_t));
	assert_int_equal(offsetof(struct waylay_options, mark), sizeof(size_t));
	assert_int_equal(offsetof(struct waylay_options, flags),
			 sizeof(size_t) + 4);
	assert_int_equal(offsetof(struct waylay_options, backlog),
			 sizeof(size_t) + 8);
	assert_int_equal(offsetof(struct waylay_options, timeout_ms),
			 sizeof(size_t) + 12);
	assert_int_equal(offsetof(struct waylay_datagram, from),
			 4 * sizeof(size_t));
}

static void test_every_function_is_there(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_datagram d = { .size = 0 };
	struct sockaddr_storage ss = { 0 };
	struct waylay_intercept *take = waylay_intercept_new();

	(void)state; /* unused */
	assert_non_null(take);
	assert_string_equal(waylay_version(), "0.1.0");
	assert_int_equal(waylay_listen_tcp(NULL, NULL, &e), -EINVAL);
	assert_int_equal(waylay_listen_udp(NULL, NULL, &e), -EINVAL);
	assert_int_equal(waylay_destination(-1, &ss, &e), -EBADF);
	assert_int_equal(waylay_connect(SOCK_STREAM, NULL, NULL, NULL, &e),
			 -EINVAL);
	assert_int_equal(waylay_recv(-1, &d, &e), -EINVAL);
	assert_int_equal(waylay_sender(AF_UNIX, NULL, &e), -EAFNOSUPPORT);
	assert_int_equal(waylay_send(-1, &d, &e), -EINVAL);
	assert_int_equal(waylay_intercept_set(take, "colour", "red", &e),
			 -ENOENT);
	assert_int_equal(waylay_intercept_deliver(take, -1, &e), -EBADF);
	assert_int_equal(
		waylay_intercept_deliver_to(take, SOCK_STREAM, NULL, &e),
		-EINVAL);
	assert_int_equal(waylay_intercept_install(take, &e), -EINVAL);
	assert_int_equal(waylay_intercept_check(take, &e), -ENOENT);
	assert_int_equal(
		waylay_intercept_text(take, WAYLAY_TEXT_RULES, NULL, 0, &e),
		-ENOENT);
	assert_int_equal(waylay_intercept_remove(take, &e), 0);
	waylay_intercept_free(take);
	if (geteuid() != 0)
		assert_int_equal(waylay_clean(&e), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures_are_as_they_were),
		cmocka_unit_test(test_every_function_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
