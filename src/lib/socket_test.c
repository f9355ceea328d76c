/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_test.c - listeners, connections and where they were going.
 *
 * A connection to a foreign address is made on lo alone: what carries a mark
 * is routed to this host, and the listener is bound to that address.
 */
#include "lib/face_test.h"

#include "net/route.h"
#include "net/rule.h"

#include <linux/netlink.h>
#include <netinet/tcp.h>

enum { FOREIGN_MARK = 0x77, FOREIGN_TABLE = 77 };

struct family {
	const char *own, *foreign, *stranger;
	int number;
};

static const struct family families[] = {
	{ "127.0.0.1", "198.51.100.7", "192.0.2.9", AF_INET },
	{ "::1", "2001:db8:2::7", "2001:db8:1::9", AF_INET6 },
};

static void for_families(void (*run)(const struct family *))
{
	netns_begin();
	for (int i = 0; i < 1 + netns_has_v6(); i++)
		run(&families[i]);
}

static int must_listen(const char *ip, struct at *where)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at wanted = at(ip, 0);
	int fd = waylay_listen_tcp(at_sockaddr(&wanted), NULL, &e);

	if (fd < 0)
		fail_msg("%s", e.text);
	*where = at_of(fd);
	return fd;
}

/* --- listeners ----------------------------------------------------------- */

typedef int (*listen_fn)(const struct sockaddr *at,
			 const struct waylay_options *options,
			 struct waylay_error *error);

static const listen_fn listens[] = { waylay_listen_tcp, waylay_listen_udp };

static void run_marks(const struct family *f)
{
	bool is_v6 = f->number == AF_INET6;
	struct at where = at(f->own, 0);

	for (int i = 0; i < 2; i++) {
		int fd = listens[i](at_sockaddr(&where), NULL, NULL);

		assert_true(fd >= 0);
		assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), WAYLAY_MARK);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
		assert_int_equal(
			option(fd, is_v6 ? SOL_IPV6 : SOL_IP,
			       is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT),
			1);
		close(fd);
	}
}

static void test_listeners_are_marked_and_transparent(void **state)
{
	(void)state; /* unused */
	for_families(run_marks);
}

static void run_shared(const struct family *f)
{
	struct waylay_options shared = { .size = sizeof(shared),
					 .mark = 5,
					 .flags = WAYLAY_REUSEPORT |
						  WAYLAY_NONBLOCK };
	struct waylay_error e = WAYLAY_ERROR_INIT;

	for (int i = 0; i < 2; i++) {
		struct at where = at(f->own, 0);
		int a = listens[i](at_sockaddr(&where), &shared, NULL), b;

		assert_true(a >= 0);
		assert_int_equal(option(a, SOL_SOCKET, SO_MARK), 5);
		assert_true(fcntl(a, F_GETFL) & O_NONBLOCK);
		where = at_of(a);
		b = listens[i](at_sockaddr(&where), &shared, NULL);
		assert_true(b >= 0);
		expect_error(listens[i](at_sockaddr(&where), NULL, &e), &e,
			     EADDRINUSE, f->own);
		close(a);
		close(b);
	}
}

static void test_only_those_who_say_so_share_an_address(void **state)
{
	(void)state; /* unused */
	for_families(run_shared);
}

static void test_ipv6_leaves_ipv4_to_another_listener(void **state)
{
	struct at six = at("::", 0), four;

	(void)state; /* unused */
	netns_begin();
	if (!netns_has_v6())
		skip();
	for (int i = 0; i < 2; i++) {
		int a = listens[i](at_sockaddr(&six), NULL, NULL), b;

		assert_true(a >= 0);
		four = at_of(a);
		four = at("0.0.0.0", port_of(&four.ss));
		b = listens[i](at_sockaddr(&four), NULL, NULL);
		assert_true(b >= 0);
		close(a);
		close(b);
	}
}

static void test_what_is_closed_is_not_reset(void **state)
{
	struct at where;
	int fd, leg, accepted;
	char byte;

	(void)state; /* unused */
	netns_begin();
	fd = must_listen("127.0.0.1", &where);
	leg = waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where), NULL,
			     NULL);
	accepted = accept(fd, NULL, NULL);
	assert_true(leg >= 0 && accepted >= 0);
	assert_int_equal(write(accepted, "!", 1), 1);
	close(accepted);
	assert_int_equal(read(leg, &byte, 1), 1);
	assert_int_equal(read(leg, &byte, 1), 0);
	close(leg);
	close(fd);
}

/* --- connections --------------------------------------------------------- */

static void run_connect(const struct family *f)
{
	struct at where;
	int fd = must_listen(f->own, &where), leg;
	struct linger linger = { .l_onoff = 1 };
	socklen_t len = sizeof(linger);

	leg = waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where), NULL,
			     NULL);
	assert_true(leg >= 0);
	assert_int_equal(option(leg, SOL_SOCKET, SO_MARK), WAYLAY_MARK);
	assert_int_equal(fcntl(leg, F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(leg, F_GETFL) & O_NONBLOCK);
	assert_int_equal(option(leg, SOL_SOCKET, SO_ERROR), 0);
	assert_int_equal(getsockopt(leg, SOL_SOCKET, SO_LINGER, &linger, &len),
			 0);
	assert_int_equal(linger.l_onoff, 0);
	close(leg);
	close(fd);
}

static void test_a_connection_is_there_when_it_is_returned(void **state)
{
	(void)state; /* unused */
	for_families(run_connect);
}

static void run_refused(const struct family *f)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at where;
	int before, fd = must_listen(f->own, &where);

	close(fd);
	before = descriptors();
	expect_error(waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where),
				    NULL, &e),
		     &e, ECONNREFUSED, f->own);
	assert_int_equal(descriptors(), before);
}

static void test_a_refused_connection_leaves_no_descriptor(void **state)
{
	(void)state; /* unused */
	for_families(run_refused);
}

static const struct waylay_options at_once = {
	.size = sizeof(at_once),
	.flags = WAYLAY_NONBLOCK,
};

static void run_stranger(const struct family *f)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct at where, from = at(f->stranger, 4444);
	int fd = must_listen(f->own, &where);

	for (int i = 0; i < 2; i++) {
		int leg = waylay_connect(types[i], at_sockaddr(&from),
					 at_sockaddr(&where), &at_once, NULL);
		struct at own;

		assert_true(leg >= 0);
		own = at_of(leg);
		expect_address(&own.ss, f->stranger, 4444);
		assert_true(fcntl(leg, F_GETFL) & O_NONBLOCK);
		close(leg);
	}
	from = at(f->stranger, 0);
	for (int i = 0; i < 2; i++) {
		int leg = waylay_connect(types[i], at_sockaddr(&from),
					 at_sockaddr(&where), &at_once, NULL);
		struct at own;

		assert_true(leg >= 0);
		own = at_of(leg);
		assert_int_not_equal(port_of(&own.ss), 0);
		close(leg);
	}
	close(fd);
}

static void test_a_connection_speaks_as_somebody_else(void **state)
{
	(void)state; /* unused */
	for_families(run_stranger);
}

/* The answer to a stranger has no way: the kernel would try for minutes. */
static void run_timeout(const struct family *f)
{
	struct waylay_options soon = { .size = sizeof(soon), .timeout_ms = 1 };
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at where, from = at(f->stranger, 0);
	int fd = must_listen(f->own, &where), before = descriptors();

	expect_error(waylay_connect(SOCK_STREAM, at_sockaddr(&from),
				    at_sockaddr(&where), &soon, &e),
		     &e, ETIMEDOUT, f->stranger);
	assert_int_equal(descriptors(), before);
	close(fd);
}

static void test_a_connection_ends_with_its_time(void **state)
{
	(void)state; /* unused */
	for_families(run_timeout);
}

static void test_connect_refuses_what_cannot_be(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at v4 = at("127.0.0.1", 80), v6 = at("::1", 80);
	struct at portless = at("127.0.0.1", 0);
	struct sockaddr other = { .sa_family = AF_UNIX };
	int before = descriptors();

	(void)state; /* unused */
	expect_error(waylay_connect(SOCK_STREAM, NULL, NULL, NULL, &e), &e,
		     EINVAL, "no address");
	expect_error(waylay_connect(SOCK_STREAM, NULL, &other, NULL, &e), &e,
		     EAFNOSUPPORT, "family 1");
	expect_error(
		waylay_connect(SOCK_STREAM, &other, at_sockaddr(&v4), NULL, &e),
		&e, EAFNOSUPPORT, "family 1");
	expect_error(waylay_connect(SOCK_STREAM, at_sockaddr(&v6),
				    at_sockaddr(&v4), NULL, &e),
		     &e, EAFNOSUPPORT, "IPv6");
	expect_error(waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&portless),
				    NULL, &e),
		     &e, EINVAL, "port 0");
	expect_error(waylay_connect(SOCK_RAW, NULL, at_sockaddr(&v4), NULL, &e),
		     &e, EPROTOTYPE, "SOCK_STREAM");
	assert_int_equal(descriptors(), before);
}

static void test_listen_refuses_what_cannot_be(void **state)
{
	struct waylay_options small = { .size = 4 };
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct at v4 = at("127.0.0.1", 0);
	int before = descriptors();

	(void)state; /* unused */
	for (int i = 0; i < 2; i++) {
		expect_error(listens[i](NULL, NULL, &e), &e, EINVAL,
			     "no address");
		expect_error(listens[i](&other, NULL, &e), &e, EAFNOSUPPORT,
			     "family 1");
		expect_error(listens[i](at_sockaddr(&v4), &small, &e), &e,
			     EINVAL, "size");
	}
	assert_int_equal(descriptors(), before);
}

/* --- destinations -------------------------------------------------------- */

static void run_plain(const struct family *f)
{
	struct sockaddr_storage to;
	struct at where;
	int fd = must_listen(f->own, &where), leg, accepted;

	leg = waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where), NULL,
			     NULL);
	accepted = accept(fd, NULL, NULL);
	assert_true(leg >= 0 && accepted >= 0);
	assert_int_equal(waylay_destination(accepted, &to, NULL), WAYLAY_PLAIN);
	expect_address(&to, f->own, port_of(&where.ss));
	close(leg);
	close(accepted);
	close(fd);
}

static void test_who_calls_the_listener_itself_is_plain(void **state)
{
	(void)state; /* unused */
	for_families(run_plain);
}

/* What carries FOREIGN_MARK stays here, wherever it goes. */
static void route_here(int family)
{
	struct ip_rule rule = {
		.family = family,
		.priority = 77,
		.action = RULE_LOOKUP,
		.target = FOREIGN_TABLE,
		.mark = FOREIGN_MARK,
		.mask = 0xff,
		.protocol = 77,
	};
	struct nl nl;
	struct err e;

	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_int_equal(rule_add(&nl, &rule, &e), 0);
	assert_int_equal(
		route_add_local_default(&nl, family, FOREIGN_TABLE, 77, &e), 0);
	nl_close(&nl);
}

static void run_foreign(const struct family *f)
{
	struct waylay_options there = { .size = sizeof(there),
					.mark = FOREIGN_MARK };
	struct sockaddr_storage to;
	struct at where, from = at(f->own, 0);
	int fd, leg, accepted;

	route_here(f->number);
	fd = must_listen(f->foreign, &where);
	leg = waylay_connect(SOCK_STREAM, at_sockaddr(&from),
			     at_sockaddr(&where), &there, NULL);
	assert_true(leg >= 0);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(waylay_destination(accepted, &to, NULL),
			 WAYLAY_TPROXY);
	expect_address(&to, f->foreign, port_of(&where.ss));
	close(leg);
	close(accepted);
	close(fd);
}

static void test_a_foreign_destination_is_on_the_socket(void **state)
{
	(void)state; /* unused */
	for_families(run_foreign);
}

/* :: without IPV6_V6ONLY: the kernel says ::ffff:127.0.0.1. */
static void test_ipv4_on_an_ipv6_socket_comes_as_ipv4(void **state)
{
	int fd, leg, accepted;
	struct at any = at("::", 0), where;
	struct sockaddr_storage to;

	(void)state; /* unused */
	netns_begin();
	if (!netns_has_v6())
		skip();
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(fd, at_sockaddr(&any), sizeof(struct sockaddr_in6)), 0);
	assert_int_equal(listen(fd, 1), 0);
	any = at_of(fd);
	where = at("127.0.0.1", port_of(&any.ss));
	leg = waylay_connect(SOCK_STREAM, NULL, at_sockaddr(&where), NULL,
			     NULL);
	assert_true(leg >= 0);
	accepted = accept(fd, NULL, NULL);
	assert_int_equal(waylay_destination(accepted, &to, NULL), WAYLAY_PLAIN);
	expect_address(&to, "127.0.0.1", port_of(&where.ss));
	close(leg);
	close(accepted);
	close(fd);
}

static void test_what_is_no_connection_has_no_destination(void **state)
{
	struct sockaddr_storage to;
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct at where, any = at("127.0.0.1", 0);
	int fd, udp, file, pair[2], before = descriptors();

	(void)state; /* unused */
	netns_begin();
	fd = must_listen("127.0.0.1", &where);
	udp = waylay_listen_udp(at_sockaddr(&any), NULL, NULL);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	memset(&to, 0x55, sizeof(to));
	expect_error(waylay_destination(fd, &to, &e), &e, ENOTCONN, "peer");
	expect_error(waylay_destination(udp, &to, &e), &e, EPROTOTYPE,
		     "waylay_recv");
	expect_error(waylay_destination(file, &to, &e), &e, ENOTSOCK,
		     "no socket");
	expect_error(waylay_destination(pair[0], &to, &e), &e, EAFNOSUPPORT,
		     "IPv4 or IPv6");
	expect_error(waylay_destination(-1, &to, &e), &e, EBADF, "-1");
	expect_error(waylay_destination(fd, NULL, &e), &e, EINVAL, "no place");
	assert_int_equal(to.ss_family, 0x5555);
	close(fd);
	close(udp);
	close(file);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listeners_are_marked_and_transparent),
		cmocka_unit_test(test_only_those_who_say_so_share_an_address),
		cmocka_unit_test(test_ipv6_leaves_ipv4_to_another_listener),
		cmocka_unit_test(test_what_is_closed_is_not_reset),
		cmocka_unit_test(
			test_a_connection_is_there_when_it_is_returned),
		cmocka_unit_test(
			test_a_refused_connection_leaves_no_descriptor),
		cmocka_unit_test(test_a_connection_speaks_as_somebody_else),
		cmocka_unit_test(test_a_connection_ends_with_its_time),
		cmocka_unit_test(test_connect_refuses_what_cannot_be),
		cmocka_unit_test(test_listen_refuses_what_cannot_be),
		cmocka_unit_test(test_who_calls_the_listener_itself_is_plain),
		cmocka_unit_test(test_a_foreign_destination_is_on_the_socket),
		cmocka_unit_test(test_ipv4_on_an_ipv6_socket_comes_as_ipv4),
		cmocka_unit_test(test_what_is_no_connection_has_no_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
