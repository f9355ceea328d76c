/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_path_test.c - cut-through between devices of all kinds, and what comes
 * back along the path.
 *
 * The programs are attached: packets are put on a device and taken from
 * another.  Those of veth may be of many segments, with a checksum that is left
 * to hardware.
 *
 *	raw_in (TUN) ---+		+--- raw_out (TUN)
 *			+---- router ---+
 *	in2 - in (veth)-+		+--- out - out2 (veth)
 */
#include "engine/cut_smoke_test.h"
#include "engine/tun_test.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <time.h>

enum { PATH_WAIT_MS = 5000, PATH_TCX_INGRESS = 46 };

/* --- devices ------------------------------------------------------------- */

struct path {
	const char *name;
	bool is_in_raw, is_out_raw;
	bool is_readdressed;
	bool is_tagged;	 /* VLAN 0: a priority, which is not sent on */
	bool is_partial; /* the checksum is left to hardware; with gso_size */
	uint16_t gso_size;
};

struct wires {
	struct world w;
	int in, out, link;
};

static const struct path paths[] = {
	{ .name = "from Ethernet to Ethernet" },
	{ .name = "from Ethernet to a device without link header",
	  .is_out_raw = true },
	{ .name = "from a device without link header to Ethernet",
	  .is_in_raw = true },
	{ .name = "between devices without link header",
	  .is_in_raw = true,
	  .is_out_raw = true },
	{ .name = "new addresses, from Ethernet to Ethernet",
	  .is_readdressed = true },
	{ .name = "new addresses, from a device without link header",
	  .is_in_raw = true,
	  .is_readdressed = true },
	{ .name = "a priority tag is taken off", .is_tagged = true },
	{ .name = "a checksum that hardware finishes", .is_partial = true },
	{ .name = "new addresses, and a checksum that hardware finishes",
	  .is_partial = true,
	  .is_readdressed = true },
	{ .name = "many segments in one packet",
	  .is_partial = true,
	  .gso_size = 1000 },
	{ .name = "new addresses, and many segments in one packet",
	  .is_partial = true,
	  .gso_size = 1000,
	  .is_readdressed = true },
};

static int open_packets(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), yes = 1;

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)),
		0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void attach(struct wires *x, bool is_raw)
{
	const struct bpf_program *p =
		is_raw ? x->w.skel->progs.cut_raw : x->w.skel->progs.cut_ether;
	int ifindex = (int)if_nametoindex(is_raw ? "raw_in" : "in");

	x->link = bpf_link_create(bpf_program__fd(p), ifindex,
				  (enum bpf_attach_type)PATH_TCX_INGRESS, NULL);
	if (x->link < 0) {
		print_message("skipped: no tcx\n");
		skip();
	}
}

static void wires_begin(struct wires *x, const struct path *p)
{
	world_begin(&x->w);
	x->in = p->is_in_raw ? tun_open("raw_in") : open_packets("in2");
	x->out = p->is_out_raw ? tun_open("raw_out") : open_packets("out2");
	if (p->is_in_raw)
		assert_int_equal(system("ip link set raw_in up"), 0);
	if (p->is_out_raw)
		assert_int_equal(
			system("ip link set raw_out up && "
			       "ip route replace 198.51.100.0/24 dev raw_out "
			       "&& "
			       "ip route replace 2001:db8:7::/64 dev raw_out"),
			0);
	attach(x, p->is_in_raw);
}

static void wires_end(struct wires *x)
{
	close(x->link);
	close(x->in);
	close(x->out);
	world_end(&x->w);
}

/* --- packets ------------------------------------------------------------- */

struct wire_frame {
	struct virtio_net_hdr v;
	uint8_t link[14], ip[PACKET_MAX];
} __attribute__((packed));

/* Only the pseudo header is in the sum; hardware adds the rest. */
static void make_partial(struct packet *p, size_t transport)
{
	uint8_t *check = p->bytes + transport + 16;
	bool is_v6 = transport == 40;
	uint32_t sum = (uint32_t)(p->len - transport) + IPPROTO_TCP;

	packet_set_16(check, frame_sum(p->bytes + (is_v6 ? 8 : 12),
				       is_v6 ? 32 : 8, sum));
}

static void send_frame(const struct wires *x, const struct path *p,
		       const struct packet *packet, bool is_v6)
{
	uint16_t transport = is_v6 ? 40 : 20;
	struct wire_frame f = { .v = { .flags = 0 } };
	size_t len = sizeof(f) - PACKET_MAX + packet->len;

	if (p->is_partial)
		f.v = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = (uint16_t)(14 + transport),
			.csum_offset = 16,
			.hdr_len = (uint16_t)(14 + transport + 32),
			.gso_size = p->gso_size,
		};
	if (p->gso_size)
		f.v.gso_type = is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6
				     : VIRTIO_NET_HDR_GSO_TCPV4;
	memcpy(f.link, router_mac, 6);
	memcpy(f.link + 6, client_mac, 6);
	packet_set_16(f.link + 12, is_v6 ? 0x86dd : 0x0800);
	memcpy(f.ip, packet->bytes, packet->len);
	if (p->is_tagged) {
		uint8_t *at = (uint8_t *)&f + sizeof(f.v) + 12;

		memmove(at + 4, at, 2 + packet->len);
		packet_set_32(at, 0x8100a000);
		len += 4;
	}
	assert_int_equal(write(x->in, &f, len), len);
}

/* The next packet that leaves, if it is TCP; else false. */
static bool receive_frame(const struct wires *x, const struct path *p,
			  struct wire_frame *f, struct packet *out)
{
	size_t head = sizeof(*f) - PACKET_MAX;
	ssize_t len;

	if (p->is_out_raw) {
		len = read(x->out, out->bytes, sizeof(out->bytes));
		head = 0;
	} else {
		len = read(x->out, f, sizeof(*f));
		memcpy(out->bytes, f->ip, PACKET_MAX);
	}
	if (len < (ssize_t)head + 40)
		return false;
	out->len = (size_t)len - head;
	return out->bytes[out->bytes[0] >> 4 == 6 ? 6 : 9] == IPPROTO_TCP;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wait_frame(const struct wires *x, const struct path *p,
		       struct wire_frame *f, struct packet *out)
{
	struct pollfd poll_fd = { .fd = x->out, .events = POLLIN };
	uint64_t end = now_ms() + PATH_WAIT_MS, now;

	while ((now = now_ms()) < end)
		if (poll(&poll_fd, 1, (int)(end - now)) > 0 &&
		    receive_frame(x, p, f, out))
			return;
	fail_msg("nothing has left");
}

static void expect_frame(const struct path *p, const struct wire_frame *f,
			 bool is_v6)
{
	if (p->is_out_raw)
		return;
	assert_memory_equal(f->link, gateway_mac, 6);
	assert_memory_equal(f->link + 6, out_mac, 6);
	assert_int_equal(frame_16(f->link + 12), is_v6 ? 0x86dd : 0x0800);
	assert_int_equal(f->v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
			 p->is_partial);
	assert_int_equal(f->v.gso_size, p->gso_size);
}

/* --- along the path ------------------------------------------------------ */

static struct segment path_segment(const struct path *p,
				   const struct wl_cut_tuple *at, bool is_v6)
{
	const struct segment s = { .flags = FRAME_ACK,
				   .seq = 7,
				   .options_len = 12,
				   .options = { 1, 1, 8, 10, 0, 0, 1, 0, 0, 0,
						2, 0 },
				   .payload_len = p->gso_size ? 2501 : 99 };

	return fill(&s, at, is_v6);
}

static void build(const struct path *p, const struct segment *s,
		  struct packet *out)
{
	packet_build(s, out);
	if (p->is_partial)
		make_partial(out, s->is_v6 ? 40 : 20);
}

static void run_path(const struct wires *x, const struct path *p, bool is_v6)
{
	const struct wl_cut_way way = { .seq_add = 0x11111111,
					.ack_add = 0xf0f0f0f0,
					.ts_add = 3,
					.echo_add = 4,
					.how = WL_CUT_TIMESTAMPS };
	struct wl_cut_tuple in = tuple_in(is_v6), own = tuple_own(is_v6);
	struct segment s = path_segment(p, &in, is_v6);
	struct packet sent, is, should;
	struct wire_frame f;

	put_entry(&x->w, is_v6, &in, &way, p->is_readdressed ? &own : NULL);
	build(p, &s, &sent);
	s.at = p->is_readdressed ? own : in;
	s.ttl = p->is_readdressed ? 64 : s.ttl - 1;
	s.seq += way.seq_add;
	s.ack += way.ack_add;
	s.options[7] += 3;
	s.options[11] += 4;
	build(p, &s, &should);
	for (int i = 0; i < 3; i++) { /* the neighbour, then its address */
		if (p->is_in_raw)
			assert_int_equal(write(x->in, sent.bytes, sent.len),
					 sent.len);
		else
			send_frame(x, p, &sent, is_v6);
		wait_frame(x, p, &f, &is);
		expect_packet(&is, &should);
		expect_frame(p, &f, is_v6);
	}
	expect_counted(&x->w, WL_CUT_COUNT_tcp, 3);
	forget_counters(&x->w);
}

static void test_path(void **state)
{
	const struct path *p = *state;
	struct wires x;

	wires_begin(&x, p);
	run_path(&x, p, false);
	run_path(&x, p, true);
	wires_end(&x);
}

/* --- ICMP errors --------------------------------------------------------- */

/* As a router beyond would build it about `sent`, to the sender of it. */
static void build_error(const struct packet *sent, bool is_v6,
			const uint8_t to[16], struct packet *out)
{
	static const char *const router[] = { "203.0.113.5", "2001:db8:5::5" };
	struct segment s = { .is_v6 = is_v6,
			     .proto = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			     .ttl = 60 };
	size_t quote = (is_v6 ? 40 : 20) + 8;
	uint8_t *icmp;

	put_ip(router[is_v6], is_v6, s.at.src);
	memcpy(s.at.dst, to, 16);
	packet_build_ip(&s, 8 + quote, out);
	icmp = out->bytes + out->len;
	memset(icmp, 0, 8);
	icmp[0] = is_v6 ? 2 : 3;
	icmp[1] = is_v6 ? 0 : 4;
	packet_set_16(icmp + 6, 1300);
	memcpy(icmp + 8, sent->bytes, quote);
	out->len += 8 + quote;
	packet_fill_sums(out, is_v6 ? 40 : 20, s.proto);
}

static struct wl_cut_tuple turned(const struct wl_cut_tuple *t)
{
	struct wl_cut_tuple back = { .sport = t->dport, .dport = t->sport };

	memcpy(back.src, t->dst, 16);
	memcpy(back.dst, t->src, 16);
	return back;
}

/* The client's segment has left as `left`, its number 5 less; the way back is
 * the server's. */
static void try_error(const struct world *w, bool is_v6, bool is_readdressed)
{
	const struct wl_cut_way way = { .ack_add = 5 };
	struct wl_cut_tuple came = tuple_in(is_v6);
	struct wl_cut_tuple left = is_readdressed ? tuple_own(is_v6) : came;
	struct wl_cut_tuple answer = turned(&left), to = turned(&came);
	struct segment s = fill(&(struct segment){ .seq = 1000 }, &left, is_v6);
	struct packet quoted, in, should;
	struct outcome is;

	put_entry(w, is_v6, &answer, &way, is_readdressed ? &to : NULL);
	packet_build(&s, &quoted);
	build_error(&quoted, is_v6, left.src, &in);
	s.at = came;
	s.seq = 1005;
	packet_build(&s, &quoted);
	build_error(&quoted, is_v6, came.src, &should);
	forget_counters(w);
	run_packet(w, &in, &is);
	assert_int_equal(is.retval, TC_ACT_UNSPEC);
	assert_int_equal(is.mark, SMOKE_MARK);
	expect_counted(w, WL_CUT_COUNT_icmp, 1);
	expect_packet(&is.packet, &should);
	drop_entries(w);
}

static void test_errors(void **state)
{
	struct world w;

	(void)state; /* unused */
	world_begin(&w);
	for (int v6 = 0; v6 < 2; v6++) {
		try_error(&w, v6, false);
		try_error(&w, v6, true);
	}
	world_end(&w);
}

enum { PATHS = sizeof(paths) / sizeof(paths[0]) };

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_errors),
	};
	struct CMUnitTest tests[PATHS];

	for (size_t i = 0; i < PATHS; i++)
		tests[i] = (struct CMUnitTest){
			.name = paths[i].name,
			.test_func = test_path,
			.initial_state = (void *)&paths[i],
		};
	return cmocka_run_group_tests_name("paths", tests, NULL, NULL) +
	       cmocka_run_group_tests(others, NULL, NULL);
}
