/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram_test.c - datagrams from and to anybody, on lo.
 */
#include "lib/face_test.h"

#include <net/if.h>
#include <sys/ioctl.h>

struct family {
	const char *own, *stranger;
	int number, room; /* what one datagram carries */
};

static const struct family families[] = {
	{ "127.0.0.1", "192.0.2.9", AF_INET, 65507 },
	{ "::1", "2001:db8:1::9", AF_INET6, 65527 },
};

static uint8_t bytes[65536], received[65536];

static void for_families(void (*run)(const struct family *))
{
	netns_begin();
	for (int i = 0; i < 1 + netns_has_v6(); i++)
		run(&families[i]);
}

/* A listener and a sender of one family. */
struct world {
	int listener, sender;
	struct at where;
};

static void world_open(struct world *w, const struct family *f)
{
	const struct waylay_options at_once = { .size = sizeof(at_once),
						.flags = WAYLAY_NONBLOCK };
	struct at any = at(f->own, 0);

	w->listener = waylay_listen_udp(at_sockaddr(&any), &at_once, NULL);
	w->sender = waylay_sender(f->number, NULL, NULL);
	assert_true(w->listener >= 0 && w->sender >= 0);
	w->where = at_of(w->listener);
}

static void world_close(struct world *w)
{
	close(w->listener);
	close(w->sender);
}

static struct waylay_datagram room(size_t capacity)
{
	return (struct waylay_datagram){ .size = sizeof(struct waylay_datagram),
					 .bytes = received,
					 .capacity = capacity };
}

static struct waylay_datagram from_stranger(const struct world *w,
					    const struct family *f, size_t len)
{
	struct waylay_datagram d = { .size = sizeof(d),
				     .bytes = bytes,
				     .len = len };

	d.from = at(f->stranger, 53).ss;
	d.to = w->where.ss;
	return d;
}

static void must_send(const struct world *w, const struct waylay_datagram *d)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;

	if (waylay_send(w->sender, d, &e) < 0)
		fail_msg("%s", e.text);
}

/* --- what goes ----------------------------------------------------------- */

static void expect_arrival(const struct world *w, const struct family *f,
			   size_t len)
{
	struct waylay_datagram in = room(sizeof(received));

	await(w->listener, POLLIN);
	memset(received, 0, sizeof(received));
	assert_int_equal(waylay_recv(w->listener, &in, NULL), 0);
	assert_int_equal(in.len, len);
	assert_memory_equal(received, bytes, len);
	expect_address(&in.from, f->stranger, 53);
	expect_address(&in.to, f->own, port_of(&w->where.ss));
}

static void run_lengths(const struct family *f)
{
	const size_t lengths[] = { 0, 1, 2, 1472, 1473, 9000, f->room };
	struct world w;

	world_open(&w, f);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct waylay_datagram d = from_stranger(&w, f, lengths[i]);

		must_send(&w, &d);
		expect_arrival(&w, f, lengths[i]);
	}
	world_close(&w);
}

static void fill_bytes(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static void test_a_datagram_comes_from_anybody(void **state)
{
	(void)state; /* unused */
	fill_bytes();
	for_families(run_lengths);
}

static void set_mtu(int mtu)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &lo), 0);
	close(fd);
}

static void test_a_long_datagram_goes_in_pieces(void **state)
{
	(void)state; /* unused */
	fill_bytes();
	netns_begin();
	set_mtu(1400);
	for (int i = 0; i < 1 + netns_has_v6(); i++)
		run_lengths(&families[i]);
}

static void run_cut(const struct family *f)
{
	struct world w;

	world_open(&w, f);
	for (size_t capacity = 0; capacity <= 8; capacity++) {
		struct waylay_datagram d = from_stranger(&w, f, 8);
		struct waylay_datagram in = room(capacity);

		must_send(&w, &d);
		await(w.listener, POLLIN);
		memset(received, 0, sizeof(received));
		assert_int_equal(waylay_recv(w.listener, &in, NULL), 0);
		assert_int_equal(in.len, 8);
		assert_memory_equal(received, bytes, capacity);
		assert_int_equal(received[capacity], 0);
	}
	world_close(&w);
}

static void test_what_does_not_fit_is_cut_and_counted(void **state)
{
	(void)state; /* unused */
	fill_bytes();
	for_families(run_cut);
}

/* --- what does not go ---------------------------------------------------- */

static void run_empty(const struct family *f)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_datagram in = room(8);
	struct world w;

	world_open(&w, f);
	in.len = 77;
	expect_error(waylay_recv(w.listener, &in, &e), &e, EAGAIN, "receive");
	assert_int_equal(in.len, 77);
	world_close(&w);
}

static void test_nothing_there_is_no_datagram(void **state)
{
	(void)state; /* unused */
	for_families(run_empty);
}

/* Who does not ask for it is not told: a socket that is not ours. */
static void test_without_a_word_of_the_kernel_to_is_empty(void **state)
{
	struct waylay_datagram d, in = room(8);
	struct at any = at("127.0.0.1", 0);
	struct world w;
	int fd;

	(void)state; /* unused */
	netns_begin();
	world_open(&w, &families[0]);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(fd, at_sockaddr(&any), sizeof(struct sockaddr_in)), 0);
	d = from_stranger(&w, &families[0], 1);
	d.to = at_of(fd).ss;
	must_send(&w, &d);
	await(fd, POLLIN);
	memset(&in.to, 0x55, sizeof(in.to));
	assert_int_equal(waylay_recv(fd, &in, NULL), 0);
	assert_int_equal(in.to.ss_family, 0);
	close(fd);
	world_close(&w);
}

static void test_recv_refuses_what_cannot_be(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_datagram in = room(8), lost = room(8), small = room(8);
	struct at any = at("127.0.0.1", 0);
	struct world w;
	int tcp, file;

	(void)state; /* unused */
	netns_begin();
	world_open(&w, &families[0]);
	tcp = waylay_listen_tcp(at_sockaddr(&any), NULL, NULL);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lost.bytes = NULL;
	small.size--;
	expect_error(waylay_recv(w.listener, NULL, &e), &e, EINVAL, "datagram");
	expect_error(waylay_recv(w.listener, &small, &e), &e, EINVAL, "bytes");
	expect_error(waylay_recv(w.listener, &lost, &e), &e, EINVAL, "no room");
	expect_error(waylay_recv(tcp, &in, &e), &e, EPROTOTYPE, "no UDP");
	expect_error(waylay_recv(file, &in, &e), &e, ENOTSOCK, "no socket");
	expect_error(waylay_recv(-1, &in, &e), &e, EBADF, "-1");
	close(tcp);
	close(file);
	world_close(&w);
}

static void test_send_refuses_what_cannot_be(void **state)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct waylay_datagram good, d;
	struct world w;

	(void)state; /* unused */
	netns_begin();
	world_open(&w, &families[0]);
	good = from_stranger(&w, &families[0], 8);

	expect_error(waylay_send(w.sender, NULL, &e), &e, EINVAL, "datagram");
	d = good;
	d.size = sizeof(size_t);
	expect_error(waylay_send(w.sender, &d, &e), &e, EINVAL, "bytes");
	d = good;
	d.from.ss_family = AF_UNIX;
	expect_error(waylay_send(w.sender, &d, &e), &e, EAFNOSUPPORT, "source");
	d = good;
	d.to.ss_family = 0;
	expect_error(waylay_send(w.sender, &d, &e), &e, EAFNOSUPPORT,
		     "destination");
	d = good;
	d.from = at("2001:db8::1", 53).ss;
	expect_error(waylay_send(w.sender, &d, &e), &e, EAFNOSUPPORT, "IPv6");
	d = good;
	d.from = at("192.0.2.9", 0).ss;
	expect_error(waylay_send(w.sender, &d, &e), &e, EINVAL, "port 0");
	d = good;
	d.to = at("127.0.0.1", 0).ss;
	expect_error(waylay_send(w.sender, &d, &e), &e, EINVAL, "port 0");
	d = good;
	d.len = 65508;
	expect_error(waylay_send(w.sender, &d, &e), &e, EMSGSIZE, "65508");
	d = good;
	d.bytes = NULL;
	expect_error(waylay_send(w.sender, &d, &e), &e, EINVAL, "no bytes");
	expect_error(waylay_send(w.listener, &good, &e), &e, EPROTOTYPE,
		     "waylay_sender");
	expect_error(waylay_send(-1, &good, &e), &e, EBADF, "-1");
	d = good;
	d.from = at("2001:db8::1", 53).ss;
	d.to = at("::1", 53).ss;
	expect_error(waylay_send(w.sender, &d, &e), &e, EAFNOSUPPORT, "two");
	d = good;
	d.to = at("198.51.100.1", 53).ss; /* no route leads there */
	expect_error(waylay_send(w.sender, &d, &e), &e, ENETUNREACH,
		     "198.51.100.1:53");
	world_close(&w);
}

static void test_a_sender_is_marked_and_of_one_family(void **state)
{
	struct waylay_options small = { .size = 1 };
	struct waylay_error e = WAYLAY_ERROR_INIT;
	int before, fd;

	(void)state; /* unused */
	netns_begin();
	before = descriptors();
	fd = waylay_sender(AF_INET, NULL, NULL);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), WAYLAY_MARK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	expect_error(waylay_sender(AF_UNIX, NULL, &e), &e, EAFNOSUPPORT,
		     "family 1");
	expect_error(waylay_sender(AF_INET, &small, &e), &e, EINVAL, "size");
	assert_int_equal(descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_datagram_comes_from_anybody),
		cmocka_unit_test(test_a_long_datagram_goes_in_pieces),
		cmocka_unit_test(test_what_does_not_fit_is_cut_and_counted),
		cmocka_unit_test(test_nothing_there_is_no_datagram),
		cmocka_unit_test(test_without_a_word_of_the_kernel_to_is_empty),
		cmocka_unit_test(test_recv_refuses_what_cannot_be),
		cmocka_unit_test(test_send_refuses_what_cannot_be),
		cmocka_unit_test(test_a_sender_is_marked_and_of_one_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
