/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock_test.c - listeners, legs and the raw sender in a network of their own.
 */
#include "net/sock.h"

#include "net/dgram.h"
#include "net/netns_test.h"
#include "net/packet.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { MARK = 0x2000 };

static const struct row {
	const char *own, *foreign;
} families[] = { { "127.0.0.1", "198.51.100.7" }, { "::1", "2001:db8::7" } };

/* Run a test for both families, in one fresh namespace. */
static void for_families(void (*run)(const struct row *))
{
	netns_begin();
	for (int i = 0; i < 1 + netns_has_v6(); i++)
		run(&families[i]);
}

static struct addr at(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	return a;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static int must_listen(const char *ip, struct addr *where)
{
	struct err e;
	int fd;

	*where = at(ip, 0);
	fd = sock_listen_tcp(where, MARK, &e);
	assert_true(fd >= 0);
	assert_int_not_equal(where->port, 0);
	return fd;
}

/* A connected pair: the leg, and what the listener accepted. */
static void make_pair(const char *ip, int *leg, int *accepted)
{
	struct addr where;
	int fd = must_listen(ip, &where), error;

	*leg = sock_leg_tcp(where.family, NULL, MARK);
	assert_true(*leg >= 0);
	error = sock_connect(*leg, &where);
	assert_true(error == 0 || error == -EINPROGRESS);
	await(fd, POLLIN);
	*accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*accepted >= 0);
	await(*leg, POLLOUT);
	assert_int_equal(sock_error(*leg), 0);
	close(fd);
}

/* --- what sockets carry -------------------------------------------------- */

static void expect_tcp_options(int fd)
{
	struct linger l;
	socklen_t len = sizeof(l);

	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), MARK);
	assert_int_equal(option(fd, SOL_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len), 0);
	assert_int_equal(l.l_onoff, 1);
	assert_int_equal(l.l_linger, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void run_options(const struct row *row)
{
	bool is_v6 = strchr(row->own, ':') != NULL;
	int leg, accepted, fd;
	struct addr where;

	make_pair(row->own, &leg, &accepted);
	expect_tcp_options(leg);
	close(leg);
	close(accepted);
	fd = must_listen(row->own, &where);
	expect_tcp_options(fd);
	assert_int_equal(option(fd, is_v6 ? SOL_IPV6 : SOL_IP,
				is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT),
			 1);
	close(fd);
}

/* Nothing but the mark of the network's own SYN is missing on what was
 * accepted: sysctl tcp_fwmark_accept would change that one. */
static void run_inheritance(const struct row *row)
{
	int leg, accepted;

	make_pair(row->own, &leg, &accepted);
	expect_tcp_options(accepted);
	close(leg);
	close(accepted);
}

static void test_options(void **state)
{
	(void)state; /* unused */
	for_families(run_options);
}

static void test_inheritance(void **state)
{
	(void)state; /* unused */
	for_families(run_inheritance);
}

/* --- how connections end ------------------------------------------------- */

static void run_endings(const struct row *row)
{
	int leg, accepted;
	char bytes[8];

	make_pair(row->own, &leg, &accepted);
	close(accepted);
	await(leg, POLLIN);
	assert_int_equal(recv(leg, bytes, 8, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(leg);
	make_pair(row->own, &leg, &accepted);
	assert_int_equal(send(accepted, "last", 4, MSG_NOSIGNAL), 4);
	sock_close_orderly(accepted);
	await(leg, POLLIN);
	assert_int_equal(recv(leg, bytes, 8, MSG_WAITALL), 4);
	await(leg, POLLIN);
	assert_int_equal(recv(leg, bytes, 8, 0), 0);
	close(leg);
}

static void test_endings(void **state)
{
	(void)state; /* unused */
	for_families(run_endings);
}

/* --- listeners ----------------------------------------------------------- */

static void run_sharing(const struct row *row)
{
	struct addr where, again;
	struct err e;
	int first = must_listen(row->own, &where), second;

	again = where;
	second = sock_listen_tcp(&again, MARK, &e);
	assert_true(second >= 0);
	assert_true(addr_equal(&where, &again));
	close(first);
	close(second);
}

static void run_probe(const struct row *row)
{
	struct addr where,
		wild = at(strchr(row->own, ':') ? "::" : "0.0.0.0", 0);
	char text[ADDR_TEXT_MAX];
	struct err e;
	int fd = must_listen(row->own, &where);

	assert_int_equal(sock_probe_free(SOCK_STREAM, &where, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, addr_format(&where, text)));
	assert_non_null(strstr(e.text, "/tcp"));
	assert_int_equal(sock_probe_free(SOCK_DGRAM, &where, &e), 0);
	close(fd);
	assert_int_equal(sock_probe_free(SOCK_STREAM, &where, &e), 0);
	fd = sock_listen_tcp(&wild, MARK, &e);
	assert_true(fd >= 0);
	where.port = wild.port;
	assert_int_equal(sock_probe_free(SOCK_STREAM, &where, &e), -EADDRINUSE);
	close(fd);
	where.port = 0;
	fd = sock_listen_udp(&where, MARK, &e);
	assert_true(fd >= 0);
	assert_int_equal(sock_probe_free(SOCK_DGRAM, &where, &e), -EADDRINUSE);
	close(fd);
	assert_int_equal(sock_probe_free(SOCK_DGRAM, &where, &e), 0);
}

static void test_sharing(void **state)
{
	(void)state; /* unused */
	for_families(run_sharing);
}

static void test_probe(void **state)
{
	(void)state; /* unused */
	for_families(run_probe);
}

/* A port that cannot be had is named, and *at stays as it was. */
static void test_listen_refused(void **state)
{
	struct addr where, before;
	struct sockaddr_storage ss;
	struct err e;
	socklen_t len;
	int fd;

	(void)state; /* unused */
	netns_begin();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	where = at("127.0.0.1", 3128);
	len = addr_to_sockaddr(&where, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	before = where;
	assert_int_equal(sock_listen_tcp(&where, MARK, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, "127.0.0.1:3128/tcp"));
	assert_true(addr_equal(&where, &before));
	close(fd);
}

/* --- legs ---------------------------------------------------------------- */

/* No route, no interface has it, and still it is ours to speak from. */
static void run_foreign(const struct row *row)
{
	struct addr src = at(row->foreign, 40000), local, where;
	int first = sock_leg_tcp(src.family, &src, MARK), second;

	assert_true(first >= 0);
	assert_int_equal(sock_local_addr(first, &local), 0);
	assert_true(addr_equal(&local, &src));
	expect_tcp_options(first);
	second = sock_leg_tcp(src.family, &src, MARK); /* another server */
	assert_true(second >= 0);
	close(first);
	close(second);
	src.port = 0;
	first = sock_leg_tcp(src.family, &src, MARK);
	assert_true(first >= 0);
	assert_int_equal(sock_local_addr(first, &local), 0);
	assert_true(addr_equal(&local, &src)); /* not before connect */
	close(first);
	second = must_listen(row->own, &where);
	assert_int_equal(sock_leg_tcp(where.family, &where, MARK), -EADDRINUSE);
	close(second);
}

static void test_foreign(void **state)
{
	(void)state; /* unused */
	for_families(run_foreign);
}

/* After connect the leg hears its server, and nobody else. */
static void run_udp_leg(const struct row *row)
{
	struct addr server = at(row->own, 0), other = server;
	struct addr src = at(row->own, 40001), local;
	struct dgram_batch b;
	struct err e;
	int in = sock_listen_udp(&server, MARK, &e);
	int stranger = sock_listen_udp(&other, MARK, &e), leg;

	assert_int_equal(dgram_init(&b), 0);
	leg = sock_leg_udp(&src, &server, MARK);
	assert_true(in >= 0 && stranger >= 0 && leg >= 0);
	assert_int_equal(option(leg, SOL_SOCKET, SO_MARK), MARK);
	assert_int_equal(sock_local_addr(leg, &local), 0);
	assert_true(addr_equal(&local, &src));
	assert_int_equal(sock_connect(stranger, &src), 0);
	assert_int_equal(send(stranger, "no", 2, 0), 2);
	assert_int_equal(sock_connect(in, &src), 0);
	assert_int_equal(send(in, "yes", 3, 0), 3);
	assert_int_equal(dgram_recv(leg, &b), 1);
	assert_int_equal(b.dgrams[0].len, 3);
	close(leg);
	server = at(row->foreign, 53);
	leg = sock_leg_udp(&server, &src, MARK); /* a foreign source */
	assert_true(leg >= 0);
	assert_int_equal(sock_local_addr(leg, &local), 0);
	assert_true(addr_equal(&local, &server));
	close(leg);
	close(in);
	close(stranger);
	dgram_done(&b);
}

static void test_udp_leg(void **state)
{
	(void)state; /* unused */
	for_families(run_udp_leg);
}

/* --- the raw sender ------------------------------------------------------ */

static void send_packet(int fd, const struct addr *to,
			const struct packet_head *head, const uint8_t *part,
			size_t len)
{
	struct iovec iov[] = { { (void *)head->bytes, head->len },
			       { (void *)part, len } };
	struct addr ip = *to;
	struct sockaddr_storage ss;
	struct msghdr msg = { .msg_name = &ss,
			      .msg_iov = iov,
			      .msg_iovlen = 2 };

	ip.port = 0;
	msg.msg_namelen = addr_to_sockaddr(&ip, &ss);
	assert_int_equal(sendmsg(fd, &msg, 0), head->len + len);
}

/* The kernel takes apart what packet.c put together, fragments too. */
static void run_raw(const struct row *row)
{
	static const size_t lens[] = { 0, 1, 1000, 1001, 1300, 9000, 65507 };
	static uint8_t payload[65507];
	struct addr server = at(row->foreign, 53), client = at(row->own, 0);
	struct packet_head whole, head;
	struct dgram_batch b;
	struct err e;
	int in = sock_listen_udp(&client, MARK, &e);
	int fd = sock_raw_sender(client.family, MARK, &e);

	assert_int_equal(dgram_init(&b), 0);
	assert_true(in >= 0 && fd >= 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), MARK);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		size_t at = 0, len = lens[i], part_len;
		const uint8_t *part;

		memset(payload, (int)i + 1, len);
		packet_udp(&server, &client, payload, len, &whole);
		if (len < 1280)
			send_packet(fd, &client, &whole, payload, len);
		else
			do {
				at = packet_fragment(&whole, payload, len, 1280,
						     (uint32_t)i + 1, at, &head,
						     &part, &part_len);
				send_packet(fd, &client, &head, part, part_len);
			} while (at);
		assert_int_equal(dgram_recv(in, &b), 1);
		assert_int_equal(b.dgrams[0].len, len);
		assert_memory_equal(b.dgrams[0].bytes, payload, len);
		assert_true(addr_equal(&b.dgrams[0].src, &server));
	}
	close(in);
	close(fd);
	dgram_done(&b);
}

static void test_raw(void **state)
{
	(void)state; /* unused */
	for_families(run_raw);
}

/* An error told by us reaches the client's own socket. */
static void run_raw_icmp(const struct row *row)
{
	struct addr client = at(row->own, 40002), server = at(row->own, 9);
	bool is_v6 = client.family == AF_INET6;
	struct packet_icmp m = { .offender = server,
				 .client = client,
				 .server = server,
				 .quoted_len = 5 };
	struct packet_head head;
	struct err e;
	int fd = sock_raw_sender(client.family, MARK, &e);
	int leg = sock_leg_udp(&client, &server, MARK);

	m.type = is_v6 ? 1 : 3;
	m.code = is_v6 ? 4 : 3;
	assert_true(fd >= 0 && leg >= 0);
	packet_icmp_error(&m, &head);
	send_packet(fd, &client, &head, NULL, 0);
	assert_int_equal(sock_error(leg), ECONNREFUSED);
	close(fd);
	close(leg);
}

static void test_raw_icmp(void **state)
{
	(void)state; /* unused */
	for_families(run_raw_icmp);
}

/* --- what NAT rules bring ------------------------------------------------ */

/* False: it cannot be had here. */
static bool run_nft(const char *text)
{
	FILE *nft = popen("nft -f - 2>/dev/null", "w");

	assert_non_null(nft);
	(void)fputs(text, nft); /* pclose() tells */
	return pclose(nft) == 0;
}

/* What the listener accepts when somebody calls `to`. */
static int accept_from(int fd, const struct addr *to, int *leg)
{
	int error, accepted;

	*leg = sock_leg_tcp(to->family, NULL, MARK);
	error = sock_connect(*leg, to);
	assert_true(error == 0 || error == -EINPROGRESS);
	await(fd, POLLIN);
	accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	return accepted;
}

static void run_redirected(const struct row *row)
{
	struct addr here = at(row->own, 4080), called = at(row->own, 9), out;
	int leg, accepted, fd, error;
	struct err e;

	fd = sock_listen_plain(&here, 0, &e);
	assert_true(fd >= 0);
	accepted = accept_from(fd, &here, &leg);
	error = sock_redirected_addr(accepted, &out);
	assert_true(error == -ENOENT || error == -ENOPROTOOPT);
	close(leg);
	close(accepted);
	if (!run_nft("table inet t { chain c { type nat hook output priority "
		     "-100; tcp dport 9 redirect to :4080; }; }"))
		skip();
	accepted = accept_from(fd, &called, &leg);
	assert_int_equal(sock_redirected_addr(accepted, &out), 0);
	assert_true(addr_equal(&out, &called));
	close(leg);
	close(accepted);
	accepted = accept_from(fd, &here, &leg); /* tracked now, by no rule */
	assert_int_equal(sock_redirected_addr(accepted, &out), 0);
	assert_true(addr_equal(&out, &here));
	close(leg);
	close(accepted);
	close(fd);
	assert_true(run_nft("delete table inet t"));
}

static void test_redirected(void **state)
{
	(void)state; /* unused */
	for_families(run_redirected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_inheritance),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_listen_refused),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_udp_leg),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_raw_icmp),
		cmocka_unit_test(test_redirected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
