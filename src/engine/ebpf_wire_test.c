/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_wire_test.c - the ebpf engine on real traffic, over veth pairs.
 *
 * What BPF_PROG_TEST_RUN and TUN devices do not have (wire_world_test.h):
 * checksums left to hardware, many segments in one packet, link headers, VLAN
 * tags, and a kernel that delivers what was assigned.  Each test runs at tcx
 * and at clsact.  What is rejected is in ebpf_refuse_test.c.
 */
#include "engine/wire_capture_test.h"

static const struct bpf_options usual = { 0 };
static const struct bpf_options by_choose = { .may_not_assign = true };

/* --- TIME_WAIT ----------------------------------------------------------- */

/* Until the kernel has done with it: then its port is free. */
static void wait_closed(int fd)
{
	struct tcp_info info = { .tcpi_state = 0 };
	time_t end = time(NULL) + WIRE_WAIT_MS / 1000;

	while (info.tcpi_state != TCP_CLOSE) {
		socklen_t len = sizeof(info);

		assert_int_equal(
			getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
		assert_true(time(NULL) <= end);
		sched_yield();
	}
	close(fd);
}

static int connect_from(const struct wire *w, enum family_index f,
			uint16_t port, int *accepted)
{
	struct addr from = wire_address(wire_clients[f], port);
	int fd = wire_client(w, f, PROTO_TCP);
	struct sockaddr_storage ss;

	assert_int_equal(
		bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&from, &ss)),
		0);
	wire_begin_connect(fd, f);
	*accepted = wire_accept(w->tcp[f], fd);
	return fd;
}

/* Had the first SYN found no listener, the client's reset would have ended
 * TIME_WAIT, and another SYN would have come through. */
static bool has_asked_twice(int fd)
{
	struct tcp_info info = { .tcpi_total_retrans = 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_total_retrans;
}

/* We close first; the client asks again from the same port. */
static void reopen(const struct wire *w, enum family_index f)
{
	int accepted, fd = connect_from(w, f, 5000, &accepted);
	uint64_t noted = wire_count(w, WL_COUNT_noted_time_wait);
	char byte;

	sock_close_orderly(accepted);
	assert_true(wire_is_ready(fd, POLLIN));
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	wait_closed(fd);
	assert_int_equal(wire_count(w, WL_COUNT_noted_time_wait), noted);

	fd = connect_from(w, f, 5000, &accepted);
	assert_false(has_asked_twice(fd));
	assert_int_equal(wire_count(w, WL_COUNT_noted_time_wait), noted + 1);
	close(accepted);
	close(fd);
}

static void test_time_wait(void **state)
{
	struct wire w;

	wire_begin(&w, *(enum bpf_hook_how *)*state);
	wire_install(&w, "", &usual);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		reopen(&w, f);
		/* the SYN alone was left to sk_lookup */
		assert_int_equal(wire_count(&w, WL_COUNT_noted_expected),
				 f + 1);
	}
	wire_end(&w);
}

/* --- all by sk_lookup ---------------------------------------------------- */

static void expect_datagram(const struct wire *w, enum family_index f,
			    char sent)
{
	int fd = wire_client(w, f, PROTO_UDP);
	char got;

	wire_begin_connect(fd, f);
	assert_int_equal(send(fd, &sent, 1, 0), 1);
	assert_true(wire_is_ready(w->udp[f], POLLIN));
	assert_int_equal(recv(w->udp[f], &got, 1, 0), 1);
	assert_int_equal(got, sent);
	close(fd);
}

static void test_may_not_assign(void **state)
{
	struct wire w;

	wire_begin(&w, *(enum bpf_hook_how *)*state);
	wire_install(&w, "", &by_choose);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		reopen(&w, f);
		expect_datagram(&w, f, (char)('0' + f));
	}
	/* of each family two connections and a datagram */
	assert_int_equal(wire_count(&w, WL_COUNT_noted_expected), 6);
	wire_end(&w);
}

/* --- much ---------------------------------------------------------------- */

enum { MUCH = 4 << 20 };

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 10));
}

static size_t send_some(int fd, size_t done)
{
	uint8_t bytes[16384];
	ssize_t len;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(done + i);
	len = send(fd, bytes, done < MUCH ? sizeof(bytes) : 0, 0);
	assert_true(len >= 0 || errno == EAGAIN);
	return len < 0 ? 0 : (size_t)len;
}

static size_t receive_some(int fd, size_t done)
{
	uint8_t bytes[16384];
	ssize_t len = recv(fd, bytes, sizeof(bytes), 0);

	assert_true(len > 0 || errno == EAGAIN);
	for (ssize_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(done + (size_t)i))
			fail_msg("another byte at %zu", done + (size_t)i);
	return len < 0 ? 0 : (size_t)len;
}

static void transfer(int from, int to)
{
	size_t sent = 0, received = 0;

	while (received < MUCH) {
		struct pollfd p[2] = {
			{ .fd = from, .events = sent < MUCH ? POLLOUT : 0 },
			{ .fd = to, .events = POLLIN },
		};

		assert_true(poll(p, 2, WIRE_WAIT_MS) > 0);
		if (p[0].revents)
			sent += send_some(from, sent);
		if (p[1].revents)
			received += receive_some(to, received);
	}
	assert_int_equal(sent, received);
}

/* As the sender made it (TSO), or put together on arrival (GRO). */
static void transfer_with(enum bpf_hook_how how, bool is_gro)
{
	static struct capture c;
	struct wire w;
	int capture;

	wire_begin(&w, how);
	wire_install(&w, "", &usual);
	wire_enter(w.client);
	wire_offload("eth0", ETHTOOL_STSO, !is_gro);
	wire_enter(w.gateway);
	wire_offload("lan0", ETHTOOL_SGRO, is_gro);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		int accepted, fd = connect_from(&w, f, 0, &accepted);

		wire_enter(w.gateway);
		capture = capture_open("lan0");
		transfer(fd, accepted);
		assert_true(capture_has_super(capture, &c));
		close(capture);
		transfer(accepted, fd);
		close(accepted);
		close(fd);
	}
	wire_end(&w);
}

static void test_transfer_tso(void **state)
{
	transfer_with(*(enum bpf_hook_how *)*state, false);
}

static void test_transfer_gro(void **state)
{
	transfer_with(*(enum bpf_hook_how *)*state, true);
}

/* --- VLAN tags ----------------------------------------------------------- */

static void put_sum(uint8_t *at, unsigned sum)
{
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* Of the IPv4 header and of UDP, where the sum follows the length. */
static void fill_sums(struct frame *f, bool is_v6)
{
	uint8_t *ip = f->bytes + FRAME_LINK, *udp = f->bytes + f->transport;
	uint32_t len = (uint32_t)(f->len - f->transport);
	unsigned sum = frame_sum(ip + (is_v6 ? 8 : 12), is_v6 ? 32 : 8,
				 len + IPPROTO_UDP);

	if (!is_v6)
		put_sum(ip + 10, frame_sum(ip, 20, 0));
	put_sum(udp + 6, frame_sum(udp, len, sum));
}

static void send_tagged(int raw, enum family_index f, unsigned tag,
			unsigned payload)
{
	struct shape s = { .src = wire_address(wire_clients[f], 5000),
			   .dst = wire_address(wire_servers[f], 53),
			   .proto = PROTO_UDP,
			   .payload = payload };
	struct frame untagged, tagged = { .len = 0 };

	memcpy(s.link_to, wire_gateway_mac, sizeof(s.link_to));
	frame_build(&s, &untagged);
	fill_sums(&untagged, f == FAMILY_V6);
	frame_put(&tagged, wire_gateway_mac, 6);
	frame_put(&tagged, wire_client_mac, 6);
	frame_put_16(&tagged, ETH_P_8021Q);
	frame_put_16(&tagged, tag);
	frame_put(&tagged, untagged.bytes + 12, untagged.len - 12);
	assert_int_equal(send(raw, tagged.bytes, tagged.len, 0), tagged.len);
}

static int open_raw(const char *link)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(link) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Frames keep their order: the first one that comes is the one with tag 0. */
static void test_vlan(void **state)
{
	enum { PRIORITY = 3 << 13, VLAN = 5, WITH_5 = 5, WITH_0 = 10 };
	struct wire w;
	int raw;

	wire_begin(&w, *(enum bpf_hook_how *)*state);
	wire_install(&w, "", &usual);
	wire_enter(w.client);
	raw = open_raw("eth0");
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		uint8_t bytes[64];

		send_tagged(raw, f, PRIORITY | VLAN, WITH_5);
		send_tagged(raw, f, PRIORITY, WITH_0);
		assert_true(wire_is_ready(w.udp[f], POLLIN));
		assert_int_equal(recv(w.udp[f], bytes, sizeof(bytes), 0),
				 WITH_0);
		assert_int_equal(wire_count(&w, WL_COUNT_passed_tagged), f + 1);
		assert_int_equal(wire_count(&w, WL_COUNT_taken_udp), f + 1);
	}
	close(raw);
	wire_end(&w);
}

/* --- SYN cookies --------------------------------------------------------- */

/* A value of /proc/net/netstat, where a line of names stands before one of
 * values; of the namespace that was entered. */
static unsigned long netstat(const char *name)
{
	FILE *f = fopen("/proc/thread-self/net/netstat", "re");
	char names[8192], values[8192], *n, *v, *n_save, *v_save;
	unsigned long value = 0;

	assert_non_null(f);
	while (fgets(names, sizeof(names), f) &&
	       fgets(values, sizeof(values), f)) {
		n = strtok_r(names, " \n", &n_save);
		v = strtok_r(values, " \n", &v_save);
		for (; n && v; n = strtok_r(NULL, " \n", &n_save),
			       v = strtok_r(NULL, " \n", &v_save))
			if (!strcmp(n, name))
				value = strtoul(v, NULL, 10);
	}
	(void)fclose(f); /* was only read */
	return value;
}

static void test_syn_cookies(void **state)
{
	struct wire w;

	wire_begin(&w, *(enum bpf_hook_how *)*state);
	if (system("echo 2 > /proc/sys/net/ipv4/tcp_syncookies") != 0) {
		print_message("skipped: the kernel has no SYN cookies\n");
		skip();
	}
	wire_install(&w, "", &usual);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		int accepted, fd = connect_from(&w, f, 0, &accepted);

		/* the SYN and the last ACK of the hand-shake */
		assert_int_equal(wire_count(&w, WL_COUNT_taken_tcp),
				 2 * (f + 1));
		transfer(fd, accepted);
		wire_enter(w.gateway);
		assert_int_equal(netstat("SyncookiesRecv"), f + 1);
		close(accepted);
		close(fd);
	}
	wire_end(&w);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_wait),
		cmocka_unit_test(test_may_not_assign),
		cmocka_unit_test(test_transfer_tso),
		cmocka_unit_test(test_transfer_gro),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_syn_cookies),
	};

	return wire_run_hooks(tests, sizeof(tests) / sizeof(tests[0]));
}
