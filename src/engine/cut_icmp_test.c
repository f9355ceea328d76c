// SPDX-License-Identifier: Apache-2.0
/*
 * cut_icmp_test.c - ICMP errors about packets that were sent on are told in the
 * words of who had sent them.
 *
 * A router beyond the gateway (203.0.113.9, 2001:db8:99::9) quotes a packet as
 * it left.  What must come out is built here a second time, with the quote as
 * its sender knows it; the kernel forwards it.
 */
#include "engine/cut_run_test.h"

enum {
	ICMP_HEAD = 8,
	QUOTE_LEAST = 8, /* bytes of the transport header */
	QUOTE_SEQ = 0xfffffff0u,
	QUOTE_ADD = 0x1000,
};

enum legs { EQUAL, READDRESSED, LEGS };
enum wrong {
	NOTHING,
	OTHER_PROTO, /* the quote is of neither TCP nor UDP */
	OTHER_TO,    /* it goes to somebody whose packet it does not quote */
	WATCHED,     /* the entry is not on */
	NO_ENTRY,
	LATER_FRAGMENT,
	ECHO_REPLY,
	OF_SOCKET,   /* what it quotes was sent by our socket */
	BEHIND_EDGE, /* draining, but this was sent on */
};

struct row {
	const char *name;
	uint8_t proto;
	uint8_t type[2], code[2]; /* IPv4, IPv6 */
	size_t quote_len;	  /* of the transport header and what follows */
	enum wrong wrong;
	bool is_changed;
};

static const struct row rows[] = {
	{ "fragmentation needed, packet too big",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  QUOTE_LEAST,
	  NOTHING,
	  true },
	{ "port unreachable",
	  IPPROTO_TCP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  NOTHING,
	  true },
	{ "time exceeded",
	  IPPROTO_TCP,
	  { 11, 3 },
	  { 0, 0 },
	  QUOTE_LEAST,
	  NOTHING,
	  true },
	{ "the whole TCP header is quoted",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  32,
	  NOTHING,
	  true },
	{ "an odd number of bytes is quoted",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  101,
	  NOTHING,
	  true },
	{ "much is quoted",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  500,
	  NOTHING,
	  true },
	{ "a datagram",
	  IPPROTO_UDP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  NOTHING,
	  true },
	{ "a quote of another protocol",
	  IPPROTO_TCP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  OTHER_PROTO,
	  false },
	{ "not to whom it quotes",
	  IPPROTO_TCP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  OTHER_TO,
	  false },
	{ "a flow that is only watched",
	  IPPROTO_TCP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  WATCHED,
	  false },
	{ "a flow that is not there",
	  IPPROTO_TCP,
	  { 3, 1 },
	  { 3, 4 },
	  QUOTE_LEAST,
	  NO_ENTRY,
	  false },
	{ "no error",
	  IPPROTO_TCP,
	  { 0, 129 },
	  { 0, 0 },
	  QUOTE_LEAST,
	  ECHO_REPLY,
	  false },
	{ "bytes of our own socket",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  QUOTE_LEAST,
	  OF_SOCKET,
	  false },
	{ "bytes behind those of our own socket",
	  IPPROTO_TCP,
	  { 3, 2 },
	  { 4, 0 },
	  QUOTE_LEAST,
	  BEHIND_EDGE,
	  true },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct icmp_case {
	const struct row *row;
	enum legs legs;
	bool is_v6;
	/* The quoted packet: as the client sent it, as it left. */
	struct wl_cut_tuple came, left;
	struct model model; /* the entry of the server's packets */
};

static struct cut_run_world world;

/* --- the flow ------------------------------------------------------------ */

static void address(const char *v4, const char *v6, bool is_v6, uint8_t out[16])
{
	memset(out, 0, 16);
	assert_int_equal(
		inet_pton(is_v6 ? AF_INET6 : AF_INET, is_v6 ? v6 : v4, out), 1);
}

static void fill_tuples(struct icmp_case *c)
{
	struct wl_cut_tuple *came = &c->came, *left = &c->left;

	came->sport = htons(5000);
	came->dport = htons(80);
	address("10.0.0.2", "2001:db8:9::2", c->is_v6, came->src);
	address("198.51.100.7", "2001:db8:7::7", c->is_v6, came->dst);
	*left = *came;
	if (c->legs == EQUAL)
		return;
	left->sport = htons(40000);
	left->dport = htons(443);
	address("198.51.100.1", "2001:db8:7::1", c->is_v6, left->src);
	address("10.0.0.1", "2001:db8:9::1", c->is_v6, came->dst);
}

/* The way that answers: what it adds to acknowledgements leads back. */
static void fill_way(const struct icmp_case *c, struct wl_cut_way *way)
{
	way->ack_add = QUOTE_ADD;
	way->is_draining =
		c->row->wrong == OF_SOCKET || c->row->wrong == BEHIND_EDGE;
	way->edge = QUOTE_SEQ + (c->row->wrong == OF_SOCKET);
}

static void fill_model(struct icmp_case *c)
{
	struct wl_cut_tuple answer = { .sport = c->left.dport,
				       .dport = c->left.sport };
	struct packet_view v = { .is_v6 = c->is_v6, .proto = c->row->proto };
	struct wl_cut *cut = &c->model.cut;
	bool is_low;

	memcpy(answer.src, c->left.dst, 16);
	memcpy(answer.dst, c->left.src, 16);
	v.at = answer;
	is_low = packet_key(&v, &c->model.key);
	cut->state = c->row->wrong == WATCHED ? WL_CUT_WATCH : WL_CUT_ON;
	if (c->legs == EQUAL) {
		fill_way(c, &cut->way[is_low ? 0 : 1]);
		return;
	}
	fill_way(c, &cut->only);
	cut->shape = WL_CUT_READDRESSED | WL_CUT_SERVER_LEG |
		     (is_low ? WL_CUT_LOW : 0);
	memcpy(cut->to.src, c->came.dst, 16);
	memcpy(cut->to.dst, c->came.src, 16);
	cut->to.sport = c->came.dport;
	cut->to.dport = c->came.sport;
}

/* --- packets ------------------------------------------------------------- */

/* Quoted: `at` with this number; its transport checksum as it left, which the
 * one who reads the quote does not look at. */
static size_t build_quote(const struct icmp_case *c,
			  const struct wl_cut_tuple *at, uint32_t seq,
			  struct packet *out)
{
	struct segment s = { .is_v6 = c->is_v6,
			     .proto = c->row->proto,
			     .has_df = true,
			     .ttl = 60,
			     .flags = FRAME_ACK,
			     .window = 1000,
			     .at = *at,
			     .seq = seq,
			     .ack = 77,
			     .payload_len = 1000 };
	size_t at_transport = c->is_v6 ? 40 : 20;

	packet_build(&s, out);
	packet_set_16(out->bytes + at_transport +
			      packet_sum_offset(c->row->proto),
		      0x1234);
	if (c->row->wrong == OTHER_PROTO) {
		out->bytes[c->is_v6 ? 6 : 9] = 132;
		if (!c->is_v6) {
			packet_set_16(out->bytes + 10, 0);
			packet_set_16(out->bytes + 10,
				      ~frame_sum(out->bytes, 20, 0));
		}
	}
	return at_transport + c->row->quote_len;
}

static void build_error(const struct icmp_case *c, const uint8_t to[16],
			const struct wl_cut_tuple *at, uint32_t seq,
			struct packet *out)
{
	uint8_t proto = c->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, *icmp;
	static struct packet quoted;
	size_t quote = build_quote(c, at, seq, &quoted);
	struct segment s = { .is_v6 = c->is_v6, .proto = proto, .ttl = 60 };

	memcpy(s.at.dst, to, 16);
	if (c->row->wrong == OTHER_TO)
		s.at.dst[c->is_v6 ? 15 : 3] ^= 0x40;
	address("203.0.113.9", "2001:db8:99::9", c->is_v6, s.at.src);
	packet_build_ip(&s, ICMP_HEAD + quote, out);
	icmp = out->bytes + out->len;
	memset(icmp, 0, ICMP_HEAD);
	icmp[0] = c->row->type[c->is_v6];
	icmp[1] = c->row->code[c->is_v6];
	packet_set_32(icmp + 4, 1400);
	memcpy(icmp + ICMP_HEAD, quoted.bytes, quote);
	out->len += ICMP_HEAD + quote;
	packet_fill_sums(out, c->is_v6 ? 40 : 20, proto);
}

/* --- a case -------------------------------------------------------------- */

static int counter_of(const struct row *row)
{
	if (row->wrong == OF_SOCKET)
		return WL_CUT_COUNT_to_socket;
	return row->is_changed ? WL_CUT_COUNT_icmp : WL_CUT_COUNTERS;
}

static void expect(const struct icmp_case *c, const struct cut_run_in *in,
		   const struct packet *should)
{
	static struct cut_run r;
	const char *wrong = NULL;

	cut_run(&world, in, &r);
	if ((int)cut_run_fate(&r) != counter_of(c->row))
		wrong = cut_run_name(cut_run_fate(&r));
	else if (r.retval != TC_ACT_UNSPEC)
		wrong = "the return value";
	else if (r.mark !=
		 (c->row->is_changed ? (uint32_t)CUT_RUN_MARK : CUT_RUN_OTHER))
		wrong = "the mark";
	else if (!cut_run_is_same(&r.packet, should, true))
		wrong = "a byte";
	else
		wrong = packet_check_sums(&r.packet, c->is_v6 ? 40 : 20,
					  c->is_v6 ? IPPROTO_ICMPV6
						   : IPPROTO_ICMP);
	if (wrong)
		fail_msg("%s, %s, %s: %s", c->row->name,
			 c->is_v6 ? "IPv6" : "IPv4",
			 c->legs == EQUAL ? "equal legs" : "readdressed",
			 wrong);
}

/* The quoted IPv4 header is one of the bytes that must be right: its sum is
 * that of the packet which is built with the addresses that it had. */
static void try_case(struct icmp_case *c)
{
	static struct cut_run_in in;
	static struct packet should;

	fill_tuples(c);
	fill_model(c);
	in = (struct cut_run_in){ .is_from_wan = true };
	build_error(c, c->left.src, &c->left, QUOTE_SEQ, &in.packet);
	should = in.packet;
	if (c->row->is_changed)
		build_error(c, c->came.src, &c->came, QUOTE_SEQ + QUOTE_ADD,
			    &should);
	if (c->row->wrong != NO_ENTRY)
		cut_run_put(&world, &c->model);
	expect(c, &in, &should);
	cut_run_drop(&world, &c->model.key);
}

static void test_row(void **state)
{
	for (int is_v6 = 0; is_v6 < 2; is_v6++)
		for (enum legs legs = EQUAL; legs < LEGS; legs++) {
			struct icmp_case c = { .row = *state,
					       .legs = legs,
					       .is_v6 = is_v6 };

			try_case(&c);
		}
}

/* At every byte: either as it came, or an error that is right. */
static void try_short(struct icmp_case *c, size_t len)
{
	uint8_t proto = c->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	size_t at = c->is_v6 ? 40 : 20;
	static struct cut_run_in in;
	static struct cut_run r;

	in = (struct cut_run_in){ .is_from_wan = true };
	build_error(c, c->left.src, &c->left, QUOTE_SEQ, &in.packet);
	in.packet.len = len;
	packet_set_16(in.packet.bytes + (c->is_v6 ? 4 : 2),
		      (unsigned)(len - (c->is_v6 ? 40 : 0)));
	if (len >= at + ICMP_HEAD)
		packet_fill_sums(&in.packet, at, proto);
	cut_run(&world, &in, &r);
	if (r.counted[WL_CUT_COUNT_icmp])
		assert_null(packet_check_sums(&r.packet, at, proto));
	else if (r.retval == TC_ACT_UNSPEC)
		assert_true(cut_run_is_same(&r.packet, &in.packet, false));
}

static void test_short(void **state)
{
	(void)state; /* unused */
	for (int is_v6 = 0; is_v6 < 2; is_v6++)
		for (enum legs legs = EQUAL; legs < LEGS; legs++) {
			struct icmp_case c = { .row = &rows[3],
					       .legs = legs,
					       .is_v6 = is_v6 };

			fill_tuples(&c);
			fill_model(&c);
			cut_run_put(&world, &c.model);
			for (size_t len = is_v6 ? 40 : 20; len < 120; len++)
				try_short(&c, len);
			cut_run_drop(&world, &c.model.key);
		}
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
	const struct CMUnitTest others[] = { cmocka_unit_test(test_short) };
	struct CMUnitTest tests[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests_name("quotes", tests, begin, end) +
	       cmocka_run_group_tests(others, begin, end);
}
