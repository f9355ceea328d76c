// SPDX-License-Identifier: Apache-2.0
/*
 * cut_model_test.c - the program of cut-through does as its model says.
 *
 * Random entries and random packets of their flows: what the program returns,
 * the mark, the bytes of the packet, the entry afterwards and the counter are
 * compared with those of cut_model_test.h.
 *
 * The seed is printed; WAYLAY_SEED repeats a run, WAYLAY_RUNS asks for more.
 */
#include "engine/cut_model_test.h"

#include "base/random_test.h"
#include "engine/cut_run_test.h"

enum {
	RUNS = 15000, /* entries */
	PACKETS = 4,  /* of each */
};

/* One entry, or two where the legs have addresses of their own. */
struct flow {
	struct model model, partner;
	bool is_v6, is_servers; /* whose packets come */
	struct wl_cut_tuple at; /* as they come */
};

static bool chance(struct rnd *r, unsigned one_in)
{
	return rnd_draw(r, one_in) == 0;
}

static uint32_t draw_32(struct rnd *r)
{
	uint32_t v = (uint32_t)nrand48(r->state) << 1 | (rnd_draw(r, 2));

	return chance(r, 4) ? 0u - rnd_draw(r, 4000) : v;
}

/* --- entries ------------------------------------------------------------- */

static void draw_way(struct rnd *r, struct wl_cut_way *out)
{
	*out = (struct wl_cut_way){
		.seq_add = chance(r, 5) ? 0 : draw_32(r),
		.ack_add = draw_32(r),
		.ts_add = draw_32(r),
		.echo_add = draw_32(r),
		.edge = draw_32(r),
		.size_max =
			chance(r, 3) ? (uint16_t)(500 + rnd_draw(r, 1500)) : 0,
		.is_draining = chance(r, 2),
		.shift = (int8_t)(rnd_draw(r, 29) - 14),
		.how = (uint8_t)(rnd_draw(r, 8) |
				 rnd_draw(r, 15) << WL_CUT_SCALE_SHIFT),
		.marks = (uint8_t)(chance(r, 3) ? rnd_draw(r, 64) : 0),
		.ack = draw_32(r),
		.fin = draw_32(r),
		.tsval = draw_32(r),
		.bytes = draw_32(r),
	};
	if (chance(r, 2))
		out->ack = out->edge - rnd_draw(r, 3000);
	out->marks |= chance(r, 2) ? WL_CUT_SEEN : 0;
}

static void address(const char *text, bool is_v6, uint8_t out[16])
{
	memset(out, 0, 16);
	assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, out), 1);
}

static void turn(const struct wl_cut_tuple *t, struct wl_cut_tuple *out)
{
	struct wl_cut_tuple turned = { .sport = t->dport, .dport = t->sport };

	memcpy(turned.src, t->dst, 16);
	memcpy(turned.dst, t->src, 16);
	*out = turned;
}

/* `at`: of the packets that come. */
static void draw_model(struct rnd *r, const struct wl_cut_tuple *at, bool is_v6,
		       uint8_t proto, struct model *out)
{
	struct packet_view v = { .is_v6 = is_v6, .proto = proto, .at = *at };
	bool is_low = packet_key(&v, &out->key);

	out->is_there = true;
	out->route_mtu = CUT_RUN_MTU;
	out->cut = (struct wl_cut){ .state = WL_CUT_ON };
	out->cut.shape = is_low ? WL_CUT_LOW : 0;
	draw_way(r, &out->cut.way[0]);
	draw_way(r, &out->cut.way[1]);
}

/* The flow leaves with other addresses and ports. */
static void draw_readdressed(struct rnd *r, struct flow *f, uint8_t proto)
{
	static const char *const own[2][2] = {
		{ "198.51.100.1", "2001:db8:7::1" },
		{ "10.0.0.1", "2001:db8:9::1" },
	};
	static const char *const far[2][2] = {
		{ "198.51.100.7", "2001:db8:7::7" },
		{ "10.0.0.2", "2001:db8:9::2" },
	};
	struct wl_cut_tuple to = { .sport = (uint16_t)rnd_draw(r, 65536),
				   .dport = (uint16_t)rnd_draw(r, 65536) };
	struct wl_cut_tuple back;

	address(own[f->is_servers][f->is_v6], f->is_v6, to.src);
	address(far[f->is_servers][f->is_v6], f->is_v6, to.dst);
	f->model.cut.shape |= WL_CUT_READDRESSED;
	f->model.cut.to = to;
	turn(&to, &back);
	draw_model(r, &back, f->is_v6, proto, &f->partner);
	f->partner.cut.shape |= WL_CUT_READDRESSED;
	turn(&f->at, &f->partner.cut.to);
	f->partner.is_there = !chance(r, 8);
	f->model.partner = &f->partner;
}

static void draw_flow(struct rnd *r, struct flow *f)
{
	uint8_t proto = chance(r, 6) ? IPPROTO_UDP : IPPROTO_TCP;
	struct wl_cut_tuple at = { .sport = (uint16_t)rnd_draw(r, 65536),
				   .dport = (uint16_t)rnd_draw(r, 65536) };

	*f = (struct flow){ .is_v6 = chance(r, 2), .is_servers = chance(r, 2) };
	address(f->is_v6 ? "2001:db8:9::2" : "10.0.0.2", f->is_v6, at.src);
	address(f->is_v6 ? "2001:db8:7::7" : "198.51.100.7", f->is_v6, at.dst);
	if (f->is_servers)
		turn(&at, &at);
	f->at = at;
	draw_model(r, &at, f->is_v6, proto, &f->model);
	if (chance(r, 2))
		draw_readdressed(r, f, proto);
	if (chance(r, 5))
		f->model.cut.state = WL_CUT_WATCH;
}

/* --- packets ------------------------------------------------------------- */

static unsigned draw_option(struct rnd *r, uint8_t *at, unsigned room)
{
	static const uint8_t kinds[] = { OPTION_TIMESTAMPS,
					 OPTION_TIMESTAMPS,
					 OPTION_SACK,
					 OPTION_SACK,
					 OPTION_NOP,
					 OPTION_NOP,
					 OPTION_END,
					 2,
					 30,
					 254 };
	uint8_t kind = kinds[rnd_draw(r, sizeof(kinds))];
	unsigned len = 2 + rnd_draw(r, 9);

	if (kind == OPTION_TIMESTAMPS)
		len = chance(r, 10) ? len : 10;
	if (kind == OPTION_SACK)
		len = chance(r, 10) ? len : 2 + 8 * (1 + rnd_draw(r, 4));
	if (kind <= OPTION_NOP)
		len = 1;
	if (len > room)
		return 0;
	rnd_fill(r, at, len);
	at[0] = kind;
	if (kind > OPTION_NOP)
		at[1] = chance(r, 100) ? (uint8_t)rnd_draw(r, 50)
				       : (uint8_t)len;
	if (kind == OPTION_TIMESTAMPS && len == 10 && chance(r, 4))
		memset(at + 6, 0, 4);
	return len;
}

static void draw_options(struct rnd *r, struct segment *s)
{
	static const uint8_t usual[4] = { 1, 1, 8, 10 };
	unsigned room = 4 * rnd_draw(r, 11), len = 0;

	if (chance(r, 3)) {
		rnd_fill(r, s->options, 12);
		memcpy(s->options, usual, 4);
		s->options_len = 12;
		return;
	}
	for (unsigned i = rnd_draw(r, 8); i > 0; i--)
		len += draw_option(r, s->options + len, room - len);
	while (len % 4)
		s->options[len++] = OPTION_NOP;
	s->options_len = (uint8_t)len;
}

static uint8_t draw_flags(struct rnd *r)
{
	static const uint8_t usual[] = { FRAME_ACK,
					 FRAME_ACK,
					 FRAME_ACK | SEGMENT_PSH,
					 FRAME_ACK | FRAME_FIN,
					 FRAME_RST,
					 FRAME_RST | FRAME_ACK,
					 FRAME_SYN,
					 FRAME_SYN | FRAME_ACK };

	if (chance(r, 4))
		return (uint8_t)rnd_draw(r, 256);
	return usual[rnd_draw(r, sizeof(usual))];
}

/* Where it matters: at what is acknowledged, received, believed. */
static void draw_numbers(struct rnd *r, struct flow *f, struct segment *s)
{
	struct packet_view v = { .is_v6 = s->is_v6, .proto = s->proto };
	const struct wl_cut_way *way, *other;

	v.at = s->at;
	way = model_way(&f->model, &v);
	s->seq = draw_32(r);
	s->ack = draw_32(r);
	if (!way)
		return;
	other = model_other(&f->model, way);
	if (chance(r, 2))
		s->ack = way->edge + rnd_draw(r, 5) - 2;
	else if (chance(r, 2))
		s->ack = way->ack + rnd_draw(r, 5) - 2;
	if (other && chance(r, 3))
		s->seq = other->ack + other->ack_add + rnd_draw(r, 5) - 2;
	else if (other && chance(r, 3))
		s->seq = other->edge - way->seq_add + rnd_draw(r, 5) - 2;
}

static void draw_segment(struct rnd *r, struct flow *f, struct segment *s)
{
	static const uint8_t ttls[] = { 0, 1, 2, 64, 255 };

	*s = (struct segment){
		.is_v6 = f->is_v6,
		.proto = f->model.key.proto,
		.at = f->at,
		.has_df = !chance(r, 4),
		.ttl = chance(r, 4) ? ttls[rnd_draw(r, sizeof(ttls))] : 60,
		.tos = (uint8_t)rnd_draw(r, 256),
		.flags = draw_flags(r),
		.window = chance(r, 3) ? (uint16_t)rnd_draw(r, 4)
				       : (uint16_t)rnd_draw(r, 65536),
		.urgent = (uint16_t)rnd_draw(r, 65536),
		.id = (uint16_t)rnd_draw(r, 65536),
		.payload_len = chance(r, 2)   ? 0
			       : chance(r, 2) ? rnd_draw(r, 1600)
					      : rnd_draw(r, 3000),
	};
	if (chance(r, 12)) /* the other end's, or nobody's */
		turn(&f->at, &s->at);
	if (chance(r, 40))
		s->at.sport++;
	draw_numbers(r, f, s);
	if (s->proto == IPPROTO_TCP)
		draw_options(r, s);
}

/* Somewhere in the headers; its length says so, or it is a lie.  (Less than an
 * IP header the kernel refuses to run a program on.) */
static void cut_short(struct rnd *r, struct packet *p)
{
	bool is_v6 = p->bytes[0] >> 4 == 6;
	size_t len = (is_v6 ? 40 : 20) + rnd_draw(r, 80);

	if (len >= p->len)
		return;
	p->len = len;
	if (chance(r, 2))
		return;
	packet_set_16(p->bytes + (is_v6 ? 4 : 2),
		      (unsigned)len - (is_v6 ? 40 : 0));
	if (!is_v6) {
		packet_set_16(p->bytes + 10, 0);
		packet_set_16(p->bytes + 10, ~frame_sum(p->bytes, 20, 0));
	}
}

/* Is the sum of the whole packet, as it comes, one that can be verified? */
static void draw_packet(struct rnd *r, struct flow *f, struct cut_run_in *in)
{
	struct segment s;
	size_t at = f->is_v6 ? 40 : 20;

	draw_segment(r, f, &s);
	in->is_from_wan = f->is_servers;
	in->padding = chance(r, 10) ? rnd_draw(r, 40) : 0;
	in->gso_size = 0;
	packet_build(&s, &in->packet);
	if (s.proto == IPPROTO_UDP && !f->is_v6 && chance(r, 3))
		packet_set_16(in->packet.bytes + at + 6, 0);
	if (s.proto == IPPROTO_TCP && s.payload_len > 1000 && chance(r, 3))
		in->gso_size = (uint16_t)(400 + rnd_draw(r, 1200));
	if (!in->padding && chance(r, 20))
		cut_short(r, &in->packet);
}

/* --- comparing ----------------------------------------------------------- */

static void tell(const struct flow *f, const struct cut_run_in *in,
		 const struct cut_run *r, const struct model_out *o,
		 const char *what)
{
	print_message("%s differs: program %s, returned %d; model %s, %d\n",
		      what, cut_run_name(cut_run_fate(r)), r->retval,
		      cut_run_name((size_t)o->counter), o->fate);
	print_message("state %d, shape %d, gso %u, padding %u, limit %u\n",
		      f->model.cut.state, f->model.cut.shape, in->gso_size,
		      in->padding, o->limit);
	for (int which = 0; which < 3; which++) {
		const struct packet *p = which == 0   ? &in->packet
					 : which == 1 ? &r->packet
						      : &o->packet;

		print_message("%s, %zu bytes:",
			      which == 0   ? "came"
			      : which == 1 ? "program"
					   : "model",
			      p->len);
		for (size_t i = 0; i < p->len && i < 104; i++)
			print_message("%s%02x", i % 4 ? "" : " ", p->bytes[i]);
		print_message("\n");
	}
	fail_msg("%s", what);
}

/* The entry, and what is not compared is taken over from the program. */
static const char *check_entry(struct cut_run_world *w, struct model *m,
			       const struct cut_run *r)
{
	const char *wrong = NULL;
	struct wl_cut is;
	bool is_there = cut_run_get(w, &m->key, &is);

	if (is_there != m->is_there)
		return "is the entry there";
	if (!is_there)
		return NULL;
	for (int i = 0; !wrong && i <= !model_is_readdressed(m); i++)
		wrong = cut_run_check_way(&is.way[i], &m->cut.way[i],
					  is.state == WL_CUT_ON, r);
	m->cut = is;
	return wrong;
}

static void try_packet(struct cut_run_world *w, struct rnd *rnd, struct flow *f)
{
	static struct cut_run_in in;
	static struct model_out o;
	static struct cut_run r;
	const char *wrong;

	draw_packet(rnd, f, &in);
	f->model.gso_size = in.gso_size;
	model_run(&f->model, &in.packet, &o);
	cut_run(w, &in, &r);
	wrong = cut_run_check(&in, &r, &o);
	if (!wrong)
		wrong = check_entry(w, &f->model, &r);
	if (!wrong && f->model.partner && f->partner.is_there)
		wrong = check_entry(w, &f->partner, &r);
	if (wrong)
		tell(f, &in, &r, &o, wrong);
}

/* Every fate was met but those that are tested elsewhere. */
static void expect_all_met(const struct cut_run_world *w)
{
	for (size_t i = 0; i < WL_CUT_COUNTERS; i++) {
		bool is_elsewhere = i == WL_CUT_COUNT_icmp ||
				    i == WL_CUT_COUNT_dropped_no_answer;

		if (!w->counters[i] && !is_elsewhere)
			fail_msg("never met: %s", cut_run_name(i));
	}
}

static int runs(void)
{
	const char *given = getenv("WAYLAY_RUNS");

	return given ? atoi(given) : RUNS;
}

static void test_random(void **state)
{
	static struct cut_run_world w;
	static struct flow f;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	cut_run_begin(&w);
	for (int i = 0; i < runs(); i++) {
		draw_flow(&r, &f);
		cut_run_put(&w, &f.model);
		if (f.model.partner && f.partner.is_there)
			cut_run_put(&w, &f.partner);
		for (int k = 0; k < PACKETS && f.model.is_there; k++)
			try_packet(&w, &r, &f);
		cut_run_drop(&w, &f.model.key);
		cut_run_drop(&w, &f.partner.key);
	}
	if (runs() >= RUNS)
		expect_all_met(&w);
	cut_run_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
