/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram_test.c - batches of datagrams over the loopback interface.
 */
#include "net/dgram.h"

#include "net/netns_test.h"
#include "net/sock.h"

#include <errno.h>

static void netns_set_mtu(const char *name, int mtu)
{
	struct ifreq link = { .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(link.ifr_name, name, sizeof(link.ifr_name) - 1);
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &link), 0);
	close(fd);
}

static const char *const hosts[] = { "127.0.0.1", "::1" };

static int send_plain(int fd, struct dgram_batch *b, size_t first, size_t count)
{
	return dgram_send_headed(fd, b, first, count,
				 &(struct dgram_head){ 0 });
}

/* A plain socket on a free port. */
static int open_plain(const char *host, struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	assert_int_equal(addr_parse_ip(host, at), 0);
	fd = socket(at->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT)
		return -1;
	len = addr_to_sockaddr(at, &ss);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		assert_int_equal(errno, EADDRNOTAVAIL); /* IPv6 is off */
		close(fd);
		return -1;
	}
	assert_int_equal(sock_local_addr(fd, at), 0);
	return fd;
}

/* Datagram i has i bytes, all of them i; the first is empty. */
static void fill(struct dgram_batch *b)
{
	for (size_t i = 0; i < DGRAM_BATCH; i++) {
		b->dgrams[i].len = i;
		memset(b->dgrams[i].bytes, (int)i, i);
	}
}

static void expect_batch(const struct dgram_batch *b, const struct addr *from)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct dgram *d = &b->dgrams[i];

		assert_int_equal(d->len, i);
		for (size_t at = 0; at < d->len; at++)
			assert_int_equal(d->bytes[at], i);
		assert_true(addr_equal(&d->src, from));
		assert_int_equal(d->origdst.family, 0);
	}
}

static void run_batches(const char *host)
{
	struct addr to, from;
	struct dgram_batch b;
	int in = open_plain(host, &to), out = open_plain(host, &from);

	if (in < 0 || out < 0)
		return;
	assert_int_equal(dgram_init(&b), 0);
	assert_int_equal(dgram_recv(in, &b), -EAGAIN);
	assert_int_equal(sock_connect(out, &to), 0);
	fill(&b);
	assert_int_equal(send_plain(out, &b, 0, 20), 20);
	assert_int_equal(send_plain(out, &b, 20, DGRAM_BATCH - 20),
			 DGRAM_BATCH - 20);
	assert_int_equal(send_plain(out, &b, 0, 1), 1); /* one too many */
	memset(b.dgrams[5].bytes, 0xee, 5);
	assert_int_equal(dgram_recv(in, &b), DGRAM_BATCH);
	assert_int_equal(b.count, DGRAM_BATCH);
	expect_batch(&b, &from);
	assert_int_equal(dgram_recv(in, &b), 1);
	assert_int_equal(b.count, 1);
	expect_batch(&b, &from);
	assert_int_equal(dgram_recv(in, &b), -EAGAIN);
	assert_int_equal(b.count, 0);
	dgram_done(&b);
	dgram_done(&b);
	close(in);
	close(out);
}

static void test_batches(void **state)
{
	(void)state; /* unused */
	for (int i = 0; i < 2; i++)
		run_batches(hosts[i]);
}

static void test_longest(void **state)
{
	struct addr to, from;
	struct dgram_batch b;
	int in = open_plain(hosts[0], &to), out = open_plain(hosts[0], &from);

	(void)state; /* unused */
	assert_int_equal(dgram_init(&b), 0);
	assert_int_equal(sock_connect(out, &to), 0);
	memset(b.dgrams[0].bytes, 'a', 65507);
	b.dgrams[0].len = 65507;
	assert_int_equal(send_plain(out, &b, 0, 1), 1);
	b.dgrams[0].len = 65508;
	assert_int_equal(send_plain(out, &b, 0, 1), -EMSGSIZE);
	assert_int_equal(dgram_recv(in, &b), 1);
	assert_int_equal(b.dgrams[0].len, 65507);
	assert_int_equal(b.dgrams[0].bytes[65506], 'a');
	dgram_done(&b);
	close(in);
	close(out);
}

/* A closed port answers by ICMP: pending error, then the queue tells all. */
static void run_closed_port(const char *host)
{
	struct dgram_error error;
	struct addr to, from;
	struct dgram_batch b;
	int in = open_plain(host, &to), out;

	if (in < 0)
		return;
	close(in);
	out = sock_leg_udp(NULL, &to, 0);
	assert_true(out >= 0);
	assert_int_equal(sock_local_addr(out, &from), 0);
	assert_int_equal(dgram_recv_error(out, &error), 0);
	assert_int_equal(dgram_init(&b), 0);
	b.dgrams[0].len = 4;
	memcpy(b.dgrams[0].bytes, "what", 4);
	assert_int_equal(send_plain(out, &b, 0, 1), 1);
	assert_int_equal(dgram_recv(out, &b), -ECONNREFUSED);
	memset(&error, 0xff, sizeof(error));
	assert_int_equal(dgram_recv_error(out, &error), 1);
	assert_int_equal(error.error, ECONNREFUSED);
	assert_true(error.is_icmp);
	assert_int_equal(error.quoted_len, 4);
	assert_memory_equal(error.quoted, "what", 4);
	assert_int_equal(error.type, to.family == AF_INET6 ? 1 : 3);
	assert_int_equal(error.code, to.family == AF_INET6 ? 4 : 3);
	assert_true(addr_same_ip(&error.offender, &to));
	assert_int_equal(dgram_recv_error(out, &error), 0);
	dgram_done(&b);
	close(out);
}

static void test_closed_port(void **state)
{
	(void)state;   /* unused */
	netns_begin(); /* marks need the privilege, and no firewall here */
	for (int i = 0; i < 1 + netns_has_v6(); i++)
		run_closed_port(hosts[i]);
}

/* The listener tells for whom a datagram was. */
static void test_original_destination(void **state)
{
	(void)state; /* unused */
	netns_begin();
	for (int i = 0; i < 1 + netns_has_v6(); i++) {
		struct addr at = { 0 }, from;
		struct dgram_batch b;
		struct err e;
		int in, out;

		assert_int_equal(addr_parse_ip(hosts[i], &at), 0);
		in = sock_listen_udp(&at, 0, &e);
		assert_true(in >= 0 && at.port);
		out = open_plain(hosts[i], &from);
		assert_int_equal(sock_connect(out, &at), 0);
		assert_int_equal(dgram_init(&b), 0);
		assert_int_equal(send_plain(out, &b, 0, 1), 1);
		assert_int_equal(dgram_recv(in, &b), 1);
		assert_true(addr_equal(&b.dgrams[0].origdst, &at));
		assert_true(addr_equal(&b.dgrams[0].src, &from));
		dgram_done(&b);
		close(in);
		close(out);
	}
}

/* --- headers ------------------------------------------------------------- */

/* Each datagram goes behind the same header, in the same packet; trimming
 * gives the payload back, and the next receive has whole buffers again. */
static void run_headed(const char *host)
{
	static const uint8_t header[] = "a header";
	struct dgram_head head = { header, sizeof(header) };
	struct addr to, from;
	struct dgram_batch b;
	int in = open_plain(host, &to), out = open_plain(host, &from);

	if (in < 0 || out < 0)
		return;
	assert_int_equal(dgram_init(&b), 0);
	assert_int_equal(sock_connect(out, &to), 0);
	for (int round = 0; round < 2; round++) {
		fill(&b);
		assert_int_equal(
			dgram_send_headed(out, &b, 0, DGRAM_BATCH, &head),
			DGRAM_BATCH);
		assert_int_equal(dgram_recv(in, &b), DGRAM_BATCH);
		for (size_t i = 0; i < b.count; i++) {
			assert_int_equal(b.dgrams[i].len, head.len + i);
			assert_memory_equal(b.dgrams[i].bytes, header,
					    head.len);
			dgram_trim(&b.dgrams[i], head.len);
		}
		expect_batch(&b, &from);
	}
	dgram_trim(&b.dgrams[3], 3); /* all of it */
	assert_int_equal(b.dgrams[3].len, 0);
	dgram_done(&b);
	close(in);
	close(out);
}

static void test_headed(void **state)
{
	(void)state; /* unused */
	for (int i = 0; i < 2; i++)
		run_headed(hosts[i]);
}

/* --- together ------------------------------------------------------------ */

/* Lengths of datagrams that go by one call; what is of one length may leave
 * the socket together, and must arrive apart. */
static const struct {
	const char *name;
	size_t lens[6];
	size_t count;
} mixtures[] = {
	{ "all of one length", { 100, 100, 100, 100, 100, 100 }, 6 },
	{ "pairs", { 7, 7, 8, 8, 7, 7 }, 6 },
	{ "one alone between others", { 1400, 1400, 9, 1400, 1400 }, 5 },
	{ "empty ones", { 0, 0, 0 }, 3 },
	{ "empty ones between others", { 5, 0, 0, 5 }, 4 },
	{ "too many bytes for one message", { 30000, 30000, 30000 }, 3 },
	{ "longer than a link can carry", { 65000, 65000, 10 }, 3 },
};

static void fill_mixture(struct dgram_batch *b, size_t row)
{
	for (size_t i = 0; i < mixtures[row].count; i++) {
		b->dgrams[i].len = mixtures[row].lens[i];
		memset(b->dgrams[i].bytes, (int)(i + 1), b->dgrams[i].len);
	}
}

/* Each call may send fewer than it is asked to. */
static void send_all(int fd, struct dgram_batch *b, size_t count,
		     const struct dgram_head *head)
{
	for (size_t at = 0; at < count;) {
		int sent = dgram_send_headed(fd, b, at, count - at, head);

		assert_in_range(sent, 1, count - at);
		at += (size_t)sent;
	}
}

static void expect_mixture(int in, struct dgram_batch *b, size_t row,
			   const struct dgram_head *head)
{
	size_t seen = 0;

	while (seen < mixtures[row].count) {
		assert_in_range(dgram_recv(in, b), 1, mixtures[row].count);
		for (size_t i = 0; i < b->count; i++, seen++) {
			const struct dgram *d = &b->dgrams[i];
			size_t len = mixtures[row].lens[seen];

			assert_int_equal(d->len, head->len + len);
			assert_memory_equal(d->bytes, head->bytes, head->len);
			for (size_t k = 0; k < len; k++)
				assert_int_equal(d->bytes[head->len + k],
						 seen + 1);
		}
	}
	assert_int_equal(dgram_recv(in, b), -EAGAIN);
}

/* mtu: of the loopback interface.  Where what is equal cannot go together, it
 * goes apart, and nothing is lost or sent twice. */
static void run_mixtures(int mtu, const struct dgram_head *head)
{
	struct addr to, from;
	struct dgram_batch b;
	int in, out, large = 8 << 20;

	netns_begin();
	netns_set_mtu("lo", mtu);
	in = open_plain(hosts[0], &to);
	out = open_plain(hosts[0], &from);
	assert_int_equal(setsockopt(in, SOL_SOCKET, SO_RCVBUFFORCE, &large,
				    sizeof(large)),
			 0);
	assert_int_equal(setsockopt(out, SOL_SOCKET, SO_SNDBUFFORCE, &large,
				    sizeof(large)),
			 0);
	assert_int_equal(dgram_init(&b), 0);
	assert_int_equal(sock_connect(out, &to), 0);
	for (size_t row = 0; row < sizeof(mixtures) / sizeof(*mixtures);
	     row++) {
		print_message("%s\n", mixtures[row].name);
		fill_mixture(&b, row);
		send_all(out, &b, mixtures[row].count, head);
		expect_mixture(in, &b, row, head);
	}
	dgram_done(&b);
	close(in);
	close(out);
}

static void test_together(void **state)
{
	static const struct dgram_head none = { (const uint8_t *)"", 0 };
	static const struct dgram_head some = { (const uint8_t *)"head", 4 };

	(void)state; /* unused */
	run_mixtures(65536, &none);
	run_mixtures(65536, &some);
	run_mixtures(1000, &none); /* in fragments */
	run_mixtures(1000, &some);
}

static bool is_odd(void *ctx, struct dgram *d)
{
	(*(size_t *)ctx)++;
	return d->len & 1;
}

static bool is_any(void *ctx, struct dgram *d)
{
	(void)d;
	return *(bool *)ctx;
}

/* Order stays, and no two places have one buffer. */
static void test_keep(void **state)
{
	size_t asked = 0;
	bool is_kept = true;
	struct dgram_batch b;

	(void)state; /* unused */
	assert_int_equal(dgram_init(&b), 0);
	fill(&b);
	b.count = DGRAM_BATCH;
	assert_int_equal(dgram_keep(&b, is_any, &is_kept), 0);
	assert_int_equal(b.count, DGRAM_BATCH);
	assert_int_equal(dgram_keep(&b, is_odd, &asked), DGRAM_BATCH / 2);
	assert_int_equal(asked, DGRAM_BATCH);
	assert_int_equal(b.count, DGRAM_BATCH / 2);
	for (size_t i = 0; i < b.count; i++) {
		assert_int_equal(b.dgrams[i].len, 2 * i + 1);
		assert_int_equal(b.dgrams[i].bytes[2 * i], 2 * i + 1);
	}
	for (size_t i = 0; i < DGRAM_BATCH; i++)
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(b.dgrams[i].bytes,
					     b.dgrams[k].bytes);
	is_kept = false;
	assert_int_equal(dgram_keep(&b, is_any, &is_kept), DGRAM_BATCH / 2);
	assert_int_equal(b.count, 0);
	assert_int_equal(dgram_keep(&b, is_any, &is_kept), 0);
	dgram_done(&b);
}

/* --- legs ---------------------------------------------------------------- */

/* With as few ports as legs each gets one: no two are the same. */
static void test_any_port_is_nobody_elses(void **state)
{
	enum { PORTS = 8 };
	struct addr src, server, at[PORTS];
	int fd, legs[PORTS];

	(void)state; /* unused */
	netns_begin();
	fd = open("/proc/sys/net/ipv4/ip_local_port_range",
		  O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "40000 40007", 11), 11);
	close(fd);
	assert_int_equal(addr_parse_ip("127.0.0.1", &src), 0);
	assert_int_equal(addr_parse("127.0.0.2:53", &server), 0);
	for (int i = 0; i < PORTS; i++) {
		legs[i] = sock_leg_udp(&src, &server, 0);
		assert_true(legs[i] >= 0);
		assert_int_equal(sock_local_addr(legs[i], &at[i]), 0);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(at[i].port, at[k].port);
	}
	for (int i = 0; i < PORTS; i++)
		close(legs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headed),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_any_port_is_nobody_elses),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_closed_port),
		cmocka_unit_test(test_original_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
