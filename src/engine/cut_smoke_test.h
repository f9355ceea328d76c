/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_smoke_test.h - the cut-through programs, and a router to run them on.
 *
 * A router with two links; packets come in by one of them through
 * BPF_PROG_TEST_RUN, and what becomes of them is looked at.
 *
 *	client		in	out	gateway		server
 *	10.0.0.2 -------+ router +----- 192.0.2.9 ----- 198.51.100.7
 *	2001:db8:1::2			2001:db8:2::9	2001:db8:7::7
 */
#ifndef WL_ENGINE_CUT_SMOKE_TEST_H
#define WL_ENGINE_CUT_SMOKE_TEST_H

#include "engine/cut_packet_test.h"
#include "engine/cut_table.h"
#include "net/netns_test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>

#include "waylay_cut.skel.h"

enum {
	SMOKE_MARK = 0x2000,
	SMOKE_COMPLETE = 4, /* BPF_F_TEST_SKB_CHECKSUM_COMPLETE */
	SMOKE_MTU = 1400,   /* of the link to the server */
	SMOKE_FRAME_MAX = 14 + PACKET_MAX,
};

static const uint8_t router_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t client_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t gateway_mac[6] = { 2, 0, 0, 0, 0, 9 };
static const uint8_t out_mac[6] = { 2, 0, 0, 0, 0, 3 };

static const char *const client_ip[] = { "10.0.0.2", "2001:db8:1::2" };
static const char *const server_ip[] = { "198.51.100.7", "2001:db8:7::7" };
/* No sum of two words is that of another address's. */
static const char *const own_ip[] = { "192.0.2.77", "2001:db8:2::4d4d" };

struct world {
	struct waylay_cut *skel;
	struct cut_table table;
	uint32_t in, out; /* ifindex */
};

/* What became of a packet. */
struct outcome {
	int retval;
	uint32_t mark;
	uint8_t link[12];
	struct packet packet;
};

/* --- the world ----------------------------------------------------------- */

static const char commands[] =
	"ip link add in address 02:00:00:00:00:01 type veth peer name in2 && "
	"ip link add out address 02:00:00:00:00:03 mtu 1400 type veth "
	"peer name out2 && "
	"ip link set in2 up && ip link set out2 up && "
	"ip link set in up && ip link set out up && "
	"ip address add 10.0.0.1/24 dev in && "
	"ip address add 192.0.2.1/24 dev out && "
	"ip address add 2001:db8:1::1/64 dev in nodad && "
	"ip address add 2001:db8:2::1/64 dev out nodad && "
	"ip route add 198.51.100.0/24 via 192.0.2.9 && "
	"ip route add 2001:db8:7::/64 via 2001:db8:2::9 && "
	"ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev out && "
	"ip neigh add 2001:db8:2::9 lladdr 02:00:00:00:00:09 dev out && "
	"ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev in && "
	"ip neigh add 2001:db8:1::2 lladdr 02:00:00:00:00:02 dev in && "
	"echo 1 >/proc/sys/net/ipv4/ip_forward && "
	"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding";

static inline void world_begin(struct world *w)
{
	netns_begin();
	if (system(commands)) {
		print_message("skipped: cannot make the links\n");
		skip();
	}
	w->in = if_nametoindex("in");
	w->out = if_nametoindex("out");
	w->skel = waylay_cut__open();
	assert_non_null(w->skel);
	w->skel->rodata->own_mark = SMOKE_MARK;
	assert_int_equal(bpf_map__set_max_entries(w->skel->maps.cuts, 64), 0);
	if (waylay_cut__load(w->skel)) {
		print_message("skipped: cannot load the programs\n");
		skip();
	}
	w->table = (struct cut_table){
		.flows_fd = bpf_map__fd(w->skel->maps.cuts),
		.counters_fd = bpf_map__fd(w->skel->maps.cut_counters),
		.change_fd = bpf_program__fd(w->skel->progs.cut_change),
	};
}

static inline void world_end(struct world *w)
{
	waylay_cut__destroy(w->skel);
}

static inline void put_ip(const char *text, bool is_v6, uint8_t out[16])
{
	memset(out, 0, 16);
	assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, out), 1);
}

static inline struct wl_cut_tuple tuple(bool is_v6, const char *const src[],
					uint16_t sport, const char *const dst[],
					uint16_t dport)
{
	struct wl_cut_tuple t = { .sport = htons(sport),
				  .dport = htons(dport) };

	put_ip(src[is_v6], is_v6, t.src);
	put_ip(dst[is_v6], is_v6, t.dst);
	return t;
}

/* Of packets from the client, and as they leave from an address of ours. */
static inline struct wl_cut_tuple tuple_in(bool is_v6)
{
	return tuple(is_v6, client_ip, 5000, server_ip, 80);
}

static inline struct wl_cut_tuple tuple_own(bool is_v6)
{
	return tuple(is_v6, own_ip, 40000, server_ip, 8080);
}

/* Of packets with these addresses; *is_low: their sender is the low end. */
static inline struct wl_cut_key key_of(const struct wl_cut_tuple *t, bool is_v6,
				       uint8_t proto, bool *is_low)
{
	struct packet_view v = { .is_v6 = is_v6, .proto = proto, .at = *t };
	struct wl_cut_key key;

	*is_low = packet_key(&v, &key);
	return key;
}

/* --- running ------------------------------------------------------------- */

/* Returns the nanoseconds that one run took.  With `has_sum` the packet has a
 * sum over all bytes, as some devices make it, and the kernel verifies it
 * afterwards (Linux 6.17). */
static inline uint32_t run_program(const struct world *w,
				   const struct packet *in,
				   struct __sk_buff *ctx, int repeat,
				   bool has_sum, struct outcome *out)
{
	uint8_t frame[SMOKE_FRAME_MAX], result[SMOKE_FRAME_MAX];
	int error;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame,
		    .data_size_in = (uint32_t)(14 + in->len),
		    .data_out = result, .data_size_out = sizeof(result),
		    .ctx_in = ctx, .ctx_size_in = sizeof(*ctx), .ctx_out = ctx,
		    .ctx_size_out = sizeof(*ctx), .repeat = repeat,
		    .flags = has_sum ? SMOKE_COMPLETE : 0);

	memcpy(frame, router_mac, 6);
	memcpy(frame + 6, client_mac, 6);
	packet_set_16(frame + 12, in->bytes[0] >> 4 == 6 ? 0x86dd : 0x0800);
	memcpy(frame + 14, in->bytes, in->len);
	error = bpf_prog_test_run_opts(
		bpf_program__fd(w->skel->progs.cut_ether), &o);
	if (error == -EINVAL && has_sum) { /* not known yet */
		o.flags = 0;
		error = bpf_prog_test_run_opts(
			bpf_program__fd(w->skel->progs.cut_ether), &o);
	}
	if (error)
		fail_msg("%s", strerror(-error));
	out->retval = (int)o.retval;
	out->mark = ctx->mark;
	memcpy(out->link, result, 12);
	out->packet.len = o.data_size_out - 14;
	memcpy(out->packet.bytes, result + 14, out->packet.len);
	return o.duration;
}

static inline void run_packet(const struct world *w, const struct packet *in,
			      struct outcome *out)
{
	struct __sk_buff ctx = { .ifindex = w->in };

	(void)run_program(w, in, &ctx, 1, true, out); /* its duration */
}

/* `count` packets, all for the same reason. */
static inline void expect_counted(const struct world *w,
				  enum wl_cut_counter counter, uint64_t count)
{
	uint64_t is[WL_CUT_COUNTERS];

	assert_int_equal(cut_table_counters(&w->table, is), 0);
	for (int i = 0; i < WL_CUT_COUNTERS; i++)
		assert_int_equal(is[i], i == (int)counter ? count : 0);
}

static inline void forget_counters(const struct world *w)
{
	static const uint64_t zeros[1024];

	for (uint32_t i = 0; i < WL_CUT_COUNTERS; i++)
		assert_int_equal(bpf_map_update_elem(w->table.counters_fd, &i,
						     zeros, BPF_ANY),
				 0);
}

static inline void expect_packet(const struct packet *is,
				 const struct packet *should)
{
	assert_int_equal(is->len, should->len);
	for (size_t i = 0; i < is->len; i++)
		if (is->bytes[i] != should->bytes[i])
			fail_msg("byte %zu is %02x, not %02x", i, is->bytes[i],
				 should->bytes[i]);
}

/* --- entries ------------------------------------------------------------- */

static inline struct segment fill(const struct segment *from,
				  const struct wl_cut_tuple *at, bool is_v6)
{
	struct segment s = *from;

	s.is_v6 = is_v6;
	s.has_df = true;
	s.proto = IPPROTO_TCP;
	s.at = *at;
	s.ttl = s.ttl ? s.ttl : 60;
	return s;
}

/* What becomes of packets with the addresses `in`; `to`: NULL where legs are
 * equal. */
static inline void put_entry(const struct world *w, bool is_v6,
			     const struct wl_cut_tuple *in,
			     const struct wl_cut_way *way,
			     const struct wl_cut_tuple *to)
{
	struct wl_cut cut = { .state = WL_CUT_WATCH };
	struct wl_cut_change change = { .op = WL_CUT_OP_START };
	bool is_low;

	change.key = key_of(in, is_v6, IPPROTO_TCP, &is_low);
	if (to) {
		cut.shape = WL_CUT_READDRESSED | (is_low ? WL_CUT_LOW : 0);
		cut.to = *to;
		change.way[0] = *way;
	} else {
		change.way[!is_low] = *way;
	}
	assert_int_equal(cut_table_add(&w->table, &change.key, &cut), 0);
	assert_int_equal(cut_table_change(&w->table, &change), 0);
}

static inline void drop_entries(const struct world *w)
{
	struct wl_cut_key key;

	while (!bpf_map_get_next_key(w->table.flows_fd, NULL, &key))
		assert_int_equal(cut_table_drop(&w->table, &key), 0);
}

#endif
