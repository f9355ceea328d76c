/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_smoke_test.c - the cut-through programs on segments made by hand.
 *
 * What comes out is compared with a packet built from the numbers that stand in
 * the table, with sums made anew.  The sum over all bytes that a device may
 * have made (CHECKSUM_COMPLETE) is verified by the kernel.
 *
 * WAYLAY_ROUNDS=10000: also say what a packet costs.
 */
#include "engine/cut_smoke_test.h"

/* --- segments ------------------------------------------------------------ */

/* From the client to the server, or to us where the legs differ. */
struct row {
	const char *name;
	struct wl_cut_way way;
	struct segment in, out;
	int retval, counter;
	bool is_readdressed, is_marked, has_gso;
};

#define TIMESTAMPS(val, echo)                                                  \
	1, 1, 8, 10, (uint8_t)((val) >> 24), (uint8_t)((val) >> 16),           \
		(uint8_t)((val) >> 8), (uint8_t)(val),                         \
		(uint8_t)((echo) >> 24), (uint8_t)((echo) >> 16),              \
		(uint8_t)((echo) >> 8), (uint8_t)(echo)

static const struct row rows[] = {
	{
		.name = "a segment with timestamps is rewritten",
		.way = { .seq_add = 1000,
			 .ack_add = (uint32_t)-77,
			 .ts_add = 0x10000,
			 .echo_add = (uint32_t)-5,
			 .shift = 2,
			 .how = WL_CUT_TIMESTAMPS },
		.in = { .flags = FRAME_ACK | SEGMENT_PSH,
			.seq = 0xffffff00,
			.ack = 5000,
			.window = 300,
			.options_len = 12,
			.options = { TIMESTAMPS(0x01020304u, 0x0a0b0c0du) },
			.payload_len = 333 },
		.out = { .flags = FRAME_ACK | SEGMENT_PSH,
			 .seq = 0x2e8,
			 .ack = 4923,
			 .window = 1200,
			 .options_len = 12,
			 .options = { TIMESTAMPS(0x01030304u, 0x0a0b0c08u) },
			 .payload_len = 333 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "an echo of 0 stays 0",
		.way = { .ts_add = 1, .echo_add = 9, .how = WL_CUT_TIMESTAMPS },
		.in = { .flags = FRAME_ACK,
			.options_len = 12,
			.options = { TIMESTAMPS(7u, 0u) } },
		.out = { .flags = FRAME_ACK,
			 .options_len = 12,
			 .options = { TIMESTAMPS(8u, 0u) } },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "a segment without options is rewritten",
		.way = { .seq_add = 1, .ack_add = 2, .shift = -3 },
		.in = { .flags = FRAME_ACK,
			.seq = 10,
			.ack = 20,
			.window = 807,
			.payload_len = 7 },
		.out = { .flags = FRAME_ACK,
			 .seq = 11,
			 .ack = 22,
			 .window = 100,
			 .payload_len = 7 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "nothing to add changes the TTL alone",
		.in = { .flags = FRAME_ACK, .seq = 10, .ack = 20, .window = 5 },
		.out = { .flags = FRAME_ACK,
			 .seq = 10,
			 .ack = 20,
			 .window = 5 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "SACK blocks are rewritten, and an echo of 0 is not",
		.way = { .seq_add = 1000,
			 .ack_add = 256,
			 .ts_add = 1,
			 .echo_add = 9,
			 .shift = 14,
			 .how = WL_CUT_TIMESTAMPS },
		.in = { .flags = FRAME_ACK,
			.seq = 1,
			.ack = 5000,
			.window = 300,
			.options_len = 24,
			.options = { TIMESTAMPS(7u, 0u), 1, 5, 10, 0, 0, 1, 0,
				     0xff, 0xff, 0xff, 0xff, 1 } },
		.out = { .flags = FRAME_ACK,
			 .seq = 1001,
			 .ack = 5256,
			 .window = 65535,
			 .options_len = 24,
			 .options = { TIMESTAMPS(8u, 0u), 1, 5, 10, 0, 0, 2, 0,
				      0, 0, 0, 0xff, 1 } },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "SACK blocks become NOP where SACK is not known",
		.way = { .how = WL_CUT_NO_SACK },
		.in = { .flags = FRAME_ACK,
			.options_len = 12,
			.options = { 1, 1, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8 } },
		.out = { .flags = FRAME_ACK,
			 .options_len = 12,
			 .options = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "legs with addresses of their own are readdressed",
		.way = { .seq_add = 99,
			 .ack_add = 1,
			 .ts_add = 2,
			 .echo_add = 3,
			 .how = WL_CUT_TIMESTAMPS },
		.in = { .flags = FRAME_ACK,
			.seq = 1,
			.ack = 2,
			.window = 9,
			.options_len = 12,
			.options = { TIMESTAMPS(1u, 1u) },
			.payload_len = 100 },
		.out = { .flags = FRAME_ACK,
			 .seq = 100,
			 .ack = 3,
			 .window = 9,
			 .options_len = 12,
			 .options = { TIMESTAMPS(3u, 4u) },
			 .payload_len = 100 },
		.is_readdressed = true,
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "where ECN is not known its marks are cleared",
		.way = { .how = WL_CUT_NO_ECN },
		.in = { .flags = FRAME_ACK | SEGMENT_ECE | SEGMENT_CWR,
			.tos = 0xb9 },
		.out = { .flags = FRAME_ACK, .tos = 0xb8 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "where ECN is not known congestion is a loss",
		.way = { .how = WL_CUT_NO_ECN },
		.in = { .flags = FRAME_ACK, .tos = 3 },
		.out = { .flags = FRAME_ACK, .tos = 3 },
		.retval = TC_ACT_SHOT,
		.counter = WL_CUT_COUNT_dropped_ce,
	},
	{
		.name = "an acknowledgement for our socket is passed",
		.way = { .ack_add = 9, .edge = 101, .is_draining = 1 },
		.in = { .flags = FRAME_ACK, .ack = 100 },
		.out = { .flags = FRAME_ACK, .ack = 100 },
		.retval = TC_ACT_UNSPEC,
		.counter = WL_CUT_COUNT_to_socket,
	},
	{
		.name = "data takes no acknowledgement below the edge along",
		.way = { .ack_add = 9, .edge = 101, .is_draining = 1 },
		.in = { .flags = FRAME_ACK, .ack = 100, .payload_len = 1 },
		.out = { .flags = FRAME_ACK, .ack = 110, .payload_len = 1 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
	},
	{
		.name = "a stray SYN is dropped",
		.in = { .flags = FRAME_SYN },
		.out = { .flags = FRAME_SYN },
		.retval = TC_ACT_SHOT,
		.counter = WL_CUT_COUNT_dropped_syn,
	},
	{
		.name = "options that are cut short are dropped",
		.in = { .flags = FRAME_ACK,
			.options_len = 4,
			.options = { 1, 1, 5, 10 } },
		.out = { .flags = FRAME_ACK,
			 .options_len = 4,
			 .options = { 1, 1, 5, 10 } },
		.retval = TC_ACT_SHOT,
		.counter = WL_CUT_COUNT_dropped_malformed,
	},
	{
		.name = "a TTL that ends here is the kernel's",
		.way = { .seq_add = 99 },
		.in = { .flags = FRAME_ACK, .ttl = 1 },
		.out = { .flags = FRAME_ACK, .ttl = 1 },
		.retval = TC_ACT_UNSPEC,
		.counter = WL_CUT_COUNT_expired,
		.is_marked = true,
	},
	{
		.name = "many segments in one packet go, if each may",
		.way = { .seq_add = 5 },
		.in = { .flags = FRAME_ACK, .payload_len = 3000 },
		.out = { .flags = FRAME_ACK, .seq = 5, .payload_len = 3000 },
		.retval = TC_ACT_REDIRECT,
		.counter = WL_CUT_COUNT_tcp,
		.has_gso = true,
	},
};

/* As it should leave; what is not sent on stays as it is. */
static void build_expected(const struct row *r, bool is_v6, struct packet *out)
{
	struct wl_cut_tuple in = tuple_in(is_v6), own = tuple_own(is_v6);
	struct segment s = fill(&r->out, r->is_readdressed ? &own : &in, is_v6);

	if (r->is_readdressed)
		s.ttl = 64;
	else if (r->retval == TC_ACT_REDIRECT)
		s.ttl--;
	packet_build(&s, out);
}

static void expect_outcome(const struct world *w, const struct row *r,
			   bool is_v6, const struct outcome *is)
{
	struct packet should;

	build_expected(r, is_v6, &should);
	assert_int_equal(is->retval, r->retval);
	expect_counted(w, r->counter, 1);
	expect_packet(&is->packet, &should);
	if (r->is_marked || r->retval == TC_ACT_REDIRECT)
		assert_int_equal(is->mark, SMOKE_MARK);
}

static void run_row(const struct world *w, const struct row *r, bool is_v6)
{
	struct wl_cut_tuple in = tuple_in(is_v6), own = tuple_own(is_v6);
	struct __sk_buff ctx = { .ifindex = w->in };
	struct segment s = fill(&r->in, &in, is_v6);
	struct packet packet;
	struct outcome is;

	put_entry(w, is_v6, &in, &r->way, r->is_readdressed ? &own : NULL);
	packet_build(&s, &packet);
	if (r->has_gso) {
		ctx.gso_segs = 3;
		ctx.gso_size = 1000;
	}
	for (int i = 0; i < 2; i++) { /* the second one knows its way */
		ctx.mark = 0;
		forget_counters(w);
		(void)run_program(w, &packet, &ctx, 1, true, &is);
		expect_outcome(w, r, is_v6, &is);
	}
	if (r->retval == TC_ACT_REDIRECT) {
		assert_memory_equal(is.link, gateway_mac, 6);
		assert_memory_equal(is.link + 6, out_mac, 6);
	}
	drop_entries(w);
}

static void test_row(void **state)
{
	const struct row *r = *state;
	struct world w;

	world_begin(&w);
	run_row(&w, r, false);
	run_row(&w, r, true);
	world_end(&w);
}

/* --- too big ------------------------------------------------------------- */

static void expect_too_big(const struct packet *asked, const struct packet *is,
			   bool is_v6, unsigned mtu)
{
	size_t head = is_v6 ? 40 : 20, len = is_v6 ? 16 : 4;
	const uint8_t *icmp = is->bytes + head;

	assert_int_equal(is->bytes[0] >> 4, is_v6 ? 6 : 4);
	assert_null(packet_check_sums(is, head,
				      is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
	assert_memory_equal(is->bytes + head - 2 * len,
			    asked->bytes + head - len, len);
	assert_memory_equal(is->bytes + head - len,
			    asked->bytes + head - 2 * len, len);
	assert_int_equal(icmp[0], is_v6 ? 2 : 3);
	assert_int_equal(icmp[1], is_v6 ? 0 : 4);
	assert_int_equal(frame_32(icmp + 4), mtu);
	assert_memory_equal(icmp + 8, asked->bytes, head + 20);
}

static void try_too_big(const struct world *w, bool is_v6, uint16_t size_max,
			bool has_gso)
{
	const struct wl_cut_way way = { .size_max = size_max, .seq_add = 1 };
	struct wl_cut_tuple at = tuple_in(is_v6);
	struct segment s = { .flags = FRAME_ACK, .payload_len = 1400 };
	struct __sk_buff ctx = { .ifindex = w->in };
	struct outcome is;
	struct packet in;

	if (has_gso) {
		ctx.gso_segs = 2;
		ctx.gso_size = 1390;
		s.payload_len = 2780;
	}
	put_entry(w, is_v6, &at, &way, NULL);
	s = fill(&s, &at, is_v6);
	packet_build(&s, &in);
	forget_counters(w);
	/* the kernel forgets such a sum when it shortens a packet */
	(void)run_program(w, &in, &ctx, 1, false, &is);
	assert_int_equal(is.retval, TC_ACT_REDIRECT);
	expect_counted(w, WL_CUT_COUNT_too_big, 1);
	assert_memory_equal(is.link, client_mac, 6);
	expect_too_big(&in, &is.packet, is_v6, size_max ? size_max : SMOKE_MTU);
	drop_entries(w);
}

static void test_too_big(void **state)
{
	struct world w;

	(void)state; /* unused */
	world_begin(&w);
	for (int v6 = 0; v6 < 2; v6++) {
		try_too_big(&w, v6, 0, false);
		try_too_big(&w, v6, 1300, false);
		try_too_big(&w, v6, 0, true);
	}
	world_end(&w);
}

static void test_fragmented(void **state)
{
	const struct wl_cut_way way = { .seq_add = 1 };
	struct wl_cut_tuple at = tuple_in(false);
	struct segment s = { .flags = FRAME_ACK, .payload_len = 1400 };
	struct packet in, should;
	struct outcome is;
	struct world w;

	(void)state; /* unused */
	world_begin(&w);
	put_entry(&w, false, &at, &way, NULL);
	s = fill(&s, &at, false);
	s.has_df = false;
	packet_build(&s, &in);
	s.seq = 1;
	packet_build(&s, &should);
	run_packet(&w, &in, &is);
	assert_int_equal(is.retval, TC_ACT_UNSPEC);
	assert_int_equal(is.mark, SMOKE_MARK);
	expect_counted(&w, WL_CUT_COUNT_to_kernel, 1);
	expect_packet(&is.packet, &should);
	world_end(&w);
}

/* --- what it costs ------------------------------------------------------- */

enum {
	COST_RUNS = 250, /* of one packet, whose TTL gets less */
	SACK_ROW = 4,
};

/* The least of many: what else the machine does only adds. */
static void print_cost(const struct world *w, const char *what,
		       const struct segment *s, int rounds)
{
	struct __sk_buff ctx = { .ifindex = w->in };
	uint32_t least = UINT32_MAX, took;
	struct outcome is;
	struct packet in;

	packet_build(s, &in);
	for (int i = 0; i < rounds; i++) {
		ctx.mark = 0;
		took = run_program(w, &in, &ctx, COST_RUNS, false, &is);
		least = took < least ? took : least;
	}
	print_message("%s, %s: %u ns\n", s->is_v6 ? "IPv6" : "IPv4", what,
		      least);
}

static void print_costs(const struct world *w, bool is_v6, int rounds)
{
	static const struct wl_cut_way way = { .how = WL_CUT_TIMESTAMPS };
	struct wl_cut_tuple at = tuple_in(is_v6);
	struct segment s = fill(&rows[0].in, &at, is_v6), esp = s;

	s.ttl = 255;
	esp.proto = 50;
	print_cost(w, "neither TCP nor UDP", &esp, rounds);
	print_cost(w, "TCP, not in the map", &s, rounds);
	put_entry(w, is_v6, &at, &way, NULL);
	print_cost(w, "TCP, sent on", &s, rounds);
	s.options_len = 24; /* the first 12 are timestamps */
	memcpy(s.options + 12, rows[SACK_ROW].in.options + 12, 12);
	print_cost(w, "TCP with SACK, sent on", &s, rounds);
	drop_entries(w);
}

static void test_cost(void **state)
{
	const char *given = getenv("WAYLAY_ROUNDS");
	struct world w;

	(void)state; /* unused */
	world_begin(&w);
	for (int v6 = 0; given && v6 < 2; v6++)
		print_costs(&w, v6, atoi(given));
	world_end(&w);
}

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_fragmented),
		cmocka_unit_test(test_cost),
	};
	struct CMUnitTest tests[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests_name("segments", tests, NULL, NULL) +
	       cmocka_run_group_tests(others, NULL, NULL);
}
