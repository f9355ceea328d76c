// SPDX-License-Identifier: Apache-2.0
/*
 * cut_edge_test.c - the edges of what the program of cut-through does, each by
 * its name.
 *
 * A row says what an entry holds, what comes and what must go; both families.
 * Numbers are written out, not computed: cut_model_test.c has the random ones.
 */
#include "engine/cut_edge_rows_test.h"

static struct cut_run_world world;

/* --- the flow ------------------------------------------------------------ */

static void address(const char *v4, const char *v6, bool is_v6, uint8_t out[16])
{
	assert_int_equal(
		inet_pton(is_v6 ? AF_INET6 : AF_INET, is_v6 ? v6 : v4, out), 1);
}

/* From the client to the server. */
static void fill_tuple(bool is_v6, struct wl_cut_tuple *out)
{
	memset(out, 0, sizeof(*out));
	address("10.0.0.2", "2001:db8:9::2", is_v6, out->src);
	address("198.51.100.7", "2001:db8:7::7", is_v6, out->dst);
	out->sport = htons(5000);
	out->dport = htons(80);
}

static void fill_model(const struct wl_cut_tuple *at, bool is_v6,
		       const struct wl_cut_way ways[2], struct model *out)
{
	struct packet_view v = { .is_v6 = is_v6, .proto = IPPROTO_TCP };
	bool is_low;

	*out = (struct model){ .is_there = true, .route_mtu = CUT_RUN_MTU };
	v.at = *at;
	is_low = packet_key(&v, &out->key);
	out->cut.state = WL_CUT_ON;
	out->cut.shape = is_low ? WL_CUT_LOW : 0;
	out->cut.way[!is_low] = ways[0];
	out->cut.way[is_low] = ways[1];
}

static void build(const struct words *w, bool is_v6, unsigned payload_len,
		  struct packet *out)
{
	struct segment s = { .is_v6 = is_v6,
			     .has_df = true,
			     .proto = IPPROTO_TCP,
			     .ttl = w->ttl,
			     .tos = w->tos,
			     .flags = w->flags,
			     .options_len = w->options_len,
			     .window = w->window,
			     .seq = w->seq,
			     .ack = w->ack,
			     .payload_len = payload_len };

	fill_tuple(is_v6, &s.at);
	memcpy(s.options, w->options, sizeof(s.options));
	packet_build(&s, out);
}

/* --- a row --------------------------------------------------------------- */

static int retval_of(int counter)
{
	switch (counter) {
	case WL_CUT_COUNT_tcp:
		return TC_ACT_REDIRECT;
	case WL_CUT_COUNT_to_socket:
	case WL_CUT_COUNT_expired:
	case WL_CUT_COUNT_reopened:
		return TC_ACT_UNSPEC;
	default:
		return TC_ACT_SHOT;
	}
}

static unsigned payload_of(const struct row *row)
{
	return row->in.flags & SEGMENT_PSH ? 4 : 0;
}

static const char *try_row(const struct row *row, bool is_v6)
{
	const struct wl_cut_way ways[2] = { row->way, row->other };
	static struct cut_run_in in;
	static struct packet should;
	static struct cut_run r;
	struct wl_cut_tuple at;
	struct model m;

	fill_tuple(is_v6, &at);
	fill_model(&at, is_v6, ways, &m);
	in = (struct cut_run_in){ .is_raw = false };
	build(&row->in, is_v6, payload_of(row), &in.packet);
	build(row->out.ttl ? &row->out : &row->in, is_v6, payload_of(row),
	      &should);
	cut_run_put(&world, &m);
	cut_run(&world, &in, &r);
	if (cut_run_get(&world, &m.key, &m.cut) ==
	    (row->counter == WL_CUT_COUNT_reopened))
		return "is the entry there";
	cut_run_drop(&world, &m.key);
	if ((int)cut_run_fate(&r) != row->counter)
		return cut_run_name(cut_run_fate(&r));
	if (r.retval != retval_of(row->counter))
		return "the return value";
	if (r.retval == TC_ACT_SHOT)
		return NULL;
	if ((r.mark == CUT_RUN_MARK) != (row->counter == WL_CUT_COUNT_tcp ||
					 row->counter == WL_CUT_COUNT_expired))
		return "the mark";
	if (!cut_run_is_same(&r.packet, &should, true))
		return "a byte";
	return packet_check_sums(&r.packet, is_v6 ? 40 : 20, IPPROTO_TCP);
}

static void test_row(void **state)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		const char *wrong = try_row(*state, is_v6);

		if (wrong)
			fail_msg("%s: %s", is_v6 ? "IPv6" : "IPv4", wrong);
	}
}

/* --- one after the other ------------------------------------------------- */

/* A flow of which both ends have acknowledged 5000. */
static void begin_flow(struct model *m, struct wl_cut_tuple *at)
{
	const struct wl_cut_way ways[2] = { { .ack = 5000 }, { .ack = 5000 } };

	fill_tuple(false, at);
	fill_model(at, false, ways, m);
	cut_run_put(&world, m);
}

static void send_segment(const struct wl_cut_tuple *at, uint32_t seq,
			 uint8_t flags)
{
	static struct cut_run_in in;
	static struct cut_run r;
	struct segment s = { .proto = IPPROTO_TCP,
			     .at = *at,
			     .ttl = 60,
			     .seq = seq,
			     .ack = 5000,
			     .flags = flags };

	in = (struct cut_run_in){ .is_from_wan = at->dport != htons(80) };
	packet_build(&s, &in.packet);
	cut_run(&world, &in, &r);
	assert_int_equal(cut_run_fate(&r), WL_CUT_COUNT_tcp);
}

static struct wl_cut_way way_of(struct model *m, const struct wl_cut_tuple *at)
{
	struct packet_view v = { .proto = IPPROTO_TCP, .at = *at };

	assert_true(cut_run_get(&world, &m->key, &m->cut));
	return *model_way(m, &v);
}

static void turn(const struct wl_cut_tuple *t, struct wl_cut_tuple *out)
{
	*out = (struct wl_cut_tuple){ .sport = t->dport, .dport = t->sport };
	memcpy(out->src, t->dst, 16);
	memcpy(out->dst, t->src, 16);
}

/* R-TCP-4: a RST is believed while nobody goes on. */
static void test_reset(void **state)
{
	static const struct {
		uint32_t seq;
		bool is_believed;
	} guesses[] = { { 5000, true },
			{ 5001, true },
			{ 5000 + (1 << 24), true },
			{ 5001 + (1 << 24), false },
			{ 4999, false },
			{ 0x80005000, false } };
	struct wl_cut_tuple client, server;
	struct model m;

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
		begin_flow(&m, &client);
		turn(&client, &server);
		send_segment(&client, guesses[i].seq, FRAME_RST);
		assert_int_equal(!!(way_of(&m, &client).marks & WL_CUT_RESET),
				 guesses[i].is_believed);
		send_segment(&server, 100, FRAME_ACK);
		assert_false(way_of(&m, &client).marks & WL_CUT_RESET);
		cut_run_drop(&world, &m.key);
	}
}

/* FIN of both ends, in either order, and what is known of them. */
static void test_fin(void **state)
{
	struct wl_cut_tuple client, server;
	struct model m;

	(void)state; /* unused */
	begin_flow(&m, &client);
	turn(&client, &server);
	send_segment(&server, 5100, FRAME_ACK | FRAME_FIN);
	assert_true(way_of(&m, &server).marks & WL_CUT_FIN);
	assert_int_equal(way_of(&m, &server).fin, 5101);
	assert_false(way_of(&m, &client).marks & WL_CUT_FIN);
	send_segment(&client, 5000, FRAME_ACK | FRAME_FIN);
	assert_int_equal(way_of(&m, &client).fin, 5001);
	/* one that is forged, and one that comes again */
	send_segment(&client, 0x80000000, FRAME_ACK | FRAME_FIN);
	assert_int_equal(way_of(&m, &client).fin, 5001);
	send_segment(&client, 5000, FRAME_ACK | FRAME_FIN);
	assert_int_equal(way_of(&m, &client).fin, 5001);
	cut_run_drop(&world, &m.key);
}

/* Frames that are none of its business. */
static void test_others(void **state)
{
	static struct cut_run_in in;
	static struct cut_run r;
	struct words usual = { .ack = 5000, .flags = FRAME_ACK, .ttl = 60 };
	struct wl_cut_tuple at;
	struct model m;

	(void)state; /* unused */
	begin_flow(&m, &at);
	for (int i = 0; i < 2; i++) {
		in = (struct cut_run_in){ .is_others = i == 0 };
		build(&usual, false, 0, &in.packet);
		if (i == 1) /* another version than the link says */
			in.packet.bytes[0] = 0x55;
		cut_run(&world, &in, &r);
		assert_int_equal(cut_run_fate(&r), WL_CUT_COUNTERS);
		assert_int_equal(r.retval, TC_ACT_UNSPEC);
		assert_true(cut_run_is_same(&r.packet, &in.packet, false));
	}
	assert_int_equal(way_of(&m, &at).seen_s, 0);
	cut_run_drop(&world, &m.key);
}

/* The first packet asks, the next ones go by what was learnt. */
static void test_link(void **state)
{
	static struct cut_run_in in;
	static struct cut_run r;
	struct words usual = { .ack = 5000, .flags = FRAME_ACK, .ttl = 60 };
	struct wl_cut_way way;
	struct wl_cut_tuple at;
	struct model m;

	(void)state; /* unused */
	begin_flow(&m, &at);
	in = (struct cut_run_in){ .is_from_wan = false };
	build(&usual, false, 0, &in.packet);
	do {
		cut_run(&world, &in, &r);
		way = way_of(&m, &at);
		cut_run(&world, &in, &r);
	} while (way.route_s != r.after_s); /* a second begins between them */
	assert_memory_equal(r.link, cut_run_server_mac, 6);
	assert_memory_equal(r.link + 6, cut_run_wan_mac, 6);
	assert_int_equal(way.ifindex, world.wan);
	assert_int_equal(way.mtu, CUT_RUN_MTU);
	assert_true(way.marks & WL_CUT_ROUTED);
	assert_memory_equal(way.to, cut_run_server_mac, 6);
	assert_memory_equal(way.from, cut_run_wan_mac, 6);
	cut_run_drop(&world, &m.key);
}

/* --- sizes --------------------------------------------------------------- */

struct size {
	const char *name;
	uint16_t size_max, gso_size;
	size_t len[2]; /* of the IP packet, by family */
	bool may_fragment;
	int counter;
	uint16_t limit[2];
};

static const struct size sizes[] = {
	{ "as much as the route takes",
	  0,
	  0,
	  { 1500, 1500 },
	  false,
	  WL_CUT_COUNT_tcp,
	  { 0 } },
	{ "one more",
	  0,
	  0,
	  { 1501, 1501 },
	  false,
	  WL_CUT_COUNT_too_big,
	  { 1500, 1500 } },
	{ "as much as the far end takes",
	  1400,
	  0,
	  { 1400, 1400 },
	  false,
	  WL_CUT_COUNT_tcp,
	  { 0 } },
	{ "one more than it takes",
	  1400,
	  0,
	  { 1401, 1401 },
	  false,
	  WL_CUT_COUNT_too_big,
	  { 1400, 1400 } },
	{ "less than IPv6 may be told",
	  600,
	  0,
	  { 601, 1281 },
	  false,
	  WL_CUT_COUNT_too_big,
	  { 600, 1280 } },
	{ "a far end that takes more than the route",
	  9000,
	  0,
	  { 1501, 1501 },
	  false,
	  WL_CUT_COUNT_too_big,
	  { 1500, 1500 } },
	{ "many segments that are small enough",
	  0,
	  1440,
	  { 3000, 3000 },
	  false,
	  WL_CUT_COUNT_tcp,
	  { 0 } },
	{ "many segments that are too large",
	  0,
	  1461,
	  { 3000, 3000 },
	  false,
	  WL_CUT_COUNT_too_big,
	  { 1500, 1500 } },
};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void try_size(const struct size *s, bool is_v6)
{
	const struct wl_cut_way ways[2] = { { .size_max = s->size_max } };
	struct words usual = { .ack = 5000, .flags = FRAME_ACK, .ttl = 60 };
	static struct cut_run_in in;
	static struct cut_run r;
	struct wl_cut_tuple at;
	struct model m;

	fill_tuple(is_v6, &at);
	fill_model(&at, is_v6, ways, &m);
	cut_run_put(&world, &m);
	in = (struct cut_run_in){ .gso_size = s->gso_size };
	build(&usual, is_v6, (unsigned)s->len[is_v6] - (is_v6 ? 60 : 40),
	      &in.packet);
	cut_run(&world, &in, &r);
	cut_run_drop(&world, &m.key);
	assert_int_equal(cut_run_fate(&r), s->counter);
	assert_int_equal(r.retval, TC_ACT_REDIRECT);
	if (s->counter == WL_CUT_COUNT_too_big)
		assert_null(cut_run_check_too_big(&in.packet, &r.packet,
						  s->limit[is_v6]));
}

static void test_size(void **state)
{
	try_size(*state, false);
	try_size(*state, true);
}

static int begin(void **state)
{
	(void)state; /* unused */
	cut_run_begin(&world);
	return 0;
}

static int end(void **state)
{
	(void)state; /* unused */
	cut_run_end(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_fin),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_link),
	};
	struct CMUnitTest tests[ROWS + SIZES];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	for (size_t i = 0; i < SIZES; i++)
		tests[ROWS + i] = (struct CMUnitTest){
			.name = sizes[i].name,
			.test_func = test_size,
			.initial_state = (void *)&sizes[i],
		};
	return cmocka_run_group_tests_name("edges", tests, begin, end) +
	       cmocka_run_group_tests(others, begin, end);
}
