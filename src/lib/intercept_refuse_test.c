/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept_refuse_test.c - interceptions that cannot be, and why.
 */
#include "lib/face_test.h"

#include <stdlib.h>

static int listen_on(const char *ip)
{
	struct at any = at(ip, 0);
	int fd = waylay_listen_tcp(at_sockaddr(&any), NULL, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void test_deliver_refuses_what_cannot_listen(void **state)
{
	struct waylay_intercept *i = waylay_intercept_new();
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at any = at("127.0.0.1", 0), scoped = at("fe80::1", 80);
	struct sockaddr other = { .sa_family = AF_UNIX };
	int closed, fresh, plain, quiet, file;

	(void)state; /* unused */
	netns_begin();
	closed = listen_on("127.0.0.1");
	close(closed);
	expect_error(waylay_intercept_deliver(i, closed, &e), &e, EBADF,
		     "no socket");
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect_error(waylay_intercept_deliver(i, file, &e), &e, ENOTSOCK,
		     "no socket");
	fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_error(waylay_intercept_deliver(i, fresh, &e), &e, EINVAL,
		     "not bound");
	quiet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(quiet, at_sockaddr(&any), sizeof(struct sockaddr_in)), 0);
	expect_error(waylay_intercept_deliver(i, quiet, &e), &e, EINVAL,
		     "listen(2)");
	plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(plain, at_sockaddr(&any), sizeof(struct sockaddr_in)), 0);
	expect_error(waylay_intercept_deliver(i, plain, &e), &e, EINVAL,
		     "not transparent");
	expect_error(waylay_intercept_deliver(NULL, plain, &e), &e, EINVAL,
		     "no interception");
	expect_error(waylay_intercept_deliver_to(i, SOCK_STREAM, &other, &e),
		     &e, EAFNOSUPPORT, "family 1");
	expect_error(waylay_intercept_deliver_to(i, SOCK_STREAM,
						 at_sockaddr(&any), &e),
		     &e, EINVAL, "no port");
	expect_error(
		waylay_intercept_deliver_to(i, SOCK_RAW, at_sockaddr(&any), &e),
		&e, EPROTOTYPE, "SOCK_DGRAM");
	((struct sockaddr_in6 *)&scoped.ss)->sin6_scope_id = 1;
	expect_error(waylay_intercept_deliver_to(i, SOCK_STREAM,
						 at_sockaddr(&scoped), &e),
		     &e, EINVAL, "link-local");
	close(file);
	close(fresh);
	close(quiet);
	close(plain);
	waylay_intercept_free(i);
}

/* :: for both families is delivered to by both. */
static void test_a_listener_for_both_families_gets_both(void **state)
{
	struct waylay_intercept *i = waylay_intercept_new();
	struct at any = at("::", 0);
	int fd, on = 1;
	char text[512];

	(void)state; /* unused */
	netns_begin();
	if (!netns_has_v6())
		skip();
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)), 0);
	assert_int_equal(
		bind(fd, at_sockaddr(&any), sizeof(struct sockaddr_in6)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(waylay_intercept_set(i, "from", "lan0", NULL), 0);
	assert_int_equal(waylay_intercept_set(i, "tcp", "80", NULL), 0);
	assert_int_equal(waylay_intercept_deliver(i, fd, NULL), 0);
	(void)waylay_intercept_text(i, WAYLAY_TEXT_CONFIG, text, sizeof(text),
				    NULL);
	assert_non_null(strstr(text, "deliver 127.0.0.1:"));
	assert_non_null(strstr(text, "deliver [::1]:"));
	close(fd);
	waylay_intercept_free(i);
}

static void test_nothing_is_done_without_an_object(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_intercept *i = waylay_intercept_new();
	char text[8];

	(void)state; /* unused */
	expect_error(waylay_intercept_set(NULL, "tcp", "1", &e), &e, EINVAL,
		     "no interception");
	expect_error(waylay_intercept_install(NULL, &e), &e, EINVAL,
		     "no interception");
	expect_error(waylay_intercept_check(NULL, &e), &e, EINVAL,
		     "no interception");
	expect_error(waylay_intercept_remove(NULL, &e), &e, EINVAL,
		     "no interception");
	expect_error(waylay_intercept_text(NULL, WAYLAY_TEXT_CONFIG, text,
					   sizeof(text), &e),
		     &e, EINVAL, "no interception");
	expect_error(waylay_intercept_text(i, WAYLAY_TEXT_CONFIG, NULL, 8, &e),
		     &e, EINVAL, "no room");
	expect_error(waylay_intercept_text(i, (enum waylay_text)9, text, 8, &e),
		     &e, EINVAL, "no such text");
	expect_error(waylay_intercept_text(i, WAYLAY_TEXT_ENGINE, text, 8, &e),
		     &e, ENOENT, "nothing is installed");
	waylay_intercept_free(i);
	waylay_intercept_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deliver_refuses_what_cannot_listen),
		cmocka_unit_test(test_a_listener_for_both_families_gets_both),
		cmocka_unit_test(test_nothing_is_done_without_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
