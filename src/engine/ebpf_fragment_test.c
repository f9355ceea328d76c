/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_fragment_test.c - later fragments do as their first one did.
 *
 * In the order in which they were sent and ahead of it, at random against a
 * plain list of what became of earlier ones; and where it is hard: nobody
 * listens, a socket of its own, headers between fragment header and ports.
 * What is meant is in the head of bpf/fragment.h.
 */
#include "engine/bpf_expect_test.h"

enum {
	RUNS = 60,
	STEPS = 300,
	FLOWS = 6,  /* addresses and ports that meet again and again */
	EITHER = 2, /* ids of a flow */
};

/* --- the model ----------------------------------------------------------- */

enum fate { FATE_UNKNOWN, FATE_PASS, FATE_STAY, FATE_DROP };

/* What became of a first fragment. */
struct note {
	struct addr src, dst;
	enum proto proto;
	uint32_t id;
	enum fate fate;
};

struct model {
	struct note notes[STEPS];
	size_t count;
};

static enum fate fate_of(enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_PASS:
		return FATE_PASS;
	case VERDICT_RELAY:
	case VERDICT_DELIVER:
		return FATE_STAY;
	case VERDICT_REJECT:
	case VERDICT_DROP:
		break;
	}
	return FATE_DROP;
}

static void model_note(struct model *m, const struct shape *s, enum fate fate)
{
	m->notes[m->count++] = (struct note){ .src = s->src,
					      .dst = s->dst,
					      .proto = s->proto,
					      .id = s->id,
					      .fate = fate };
}

/* Of the last one with this id, or with any. */
static enum fate model_look(const struct model *m, const struct shape *s,
			    bool has_id)
{
	for (size_t i = m->count; i > 0; i--) {
		const struct note *n = &m->notes[i - 1];

		if (addr_same_ip(&n->src, &s->src) &&
		    addr_same_ip(&n->dst, &s->dst) && n->proto == s->proto &&
		    (!has_id || n->id == s->id))
			return n->fate;
	}
	return FATE_UNKNOWN;
}

/* --- without ports ------------------------------------------------------- */

/* Every port at which a set of random_config_test.h begins or ends, and what
 * is beside it: what holds for all of these holds for any. */
static const uint16_t ports[] = { 1,   2,   3,	 4,   5,     6,	   7,  8,
				  9,   59,  60,	 61,  79,    80,   81, 82,
				  442, 443, 444, 999, 65534, 65535 };
enum { PORTS = sizeof(ports) / sizeof(ports[0]) };

static size_t count_ports(const struct selections *all, size_t i,
			  enum proto proto)
{
	size_t count = 0;

	for (size_t n = 0; n < PORTS; n++)
		count += selection_has_port(all->config, &all->of[i], proto,
					    ports[n]);
	return count;
}

/* The first selection that may be the one, or selections.count. */
static size_t first_possible(const struct selections *all,
			     const struct facts *f)
{
	const struct config *c = all->config;
	size_t i = 0;

	while (i < all->count &&
	       !(selection_has_link(c, &all->of[i], f->ifname) &&
		 selection_has_family(c, &all->of[i], f->dst.family) &&
		 selection_has_src(c, &all->of[i], &f->src) &&
		 selection_has_dst(c, &all->of[i], &f->dst) &&
		 count_ports(all, i, f->proto)))
		i++;
	return i;
}

/* What must become of it whatever its ports are; UNKNOWN: that depends. */
static enum fate without_ports(const struct run_world *w, const struct facts *f,
			       size_t *cause)
{
	const struct selections *all = &w->tables->selections;
	size_t first = first_possible(all, f);

	*cause = WL_COUNT_passed_no_intercept;
	if (first == all->count)
		return FATE_PASS;
	*cause = WL_COUNT_passed_local;
	if (f->is_src_local || f->is_dst_local)
		return FATE_PASS;
	*cause = WL_COUNT_passed_direct;
	return count_ports(all, first, f->proto) < PORTS
		       ? FATE_UNKNOWN
		       : fate_of(all->of[first].kind);
}

/* --- what has to become of a later one ----------------------------------- */

static void expect_fate(const struct run_world *w, enum fate fate,
			struct expected *out)
{
	const struct config *c = w->plan.config;

	out->counter = WL_COUNT_passed_direct;
	if (fate == FATE_STAY) {
		out->mark = c->mark;
		out->counter = WL_COUNT_taken_fragment;
	} else if (fate == FATE_DROP) {
		out->retval = TC_ACT_SHOT;
		out->counter = WL_COUNT_dropped_rule;
	}
}

static void expect_later(const struct run_world *w, const struct model *m,
			 const struct drawn *d, struct expected *out)
{
	bool is_closed = w->plan.config->on_failure == ON_FAILURE_CLOSED;
	enum fate fate = model_look(m, &d->shape, true);
	enum fate certain;
	size_t cause;

	*out = (struct expected){ .retval = TC_ACT_UNSPEC, .listener = -1 };
	certain = without_ports(w, &d->facts, &cause);
	if (!fate && certain != FATE_PASS)
		fate = certain;
	if (!fate)
		fate = model_look(m, &d->shape, false);
	if (fate) {
		expect_fate(w, fate, out);
	} else if (certain == FATE_PASS) {
		out->counter = cause;
	} else {
		out->retval = is_closed ? TC_ACT_SHOT : TC_ACT_UNSPEC;
		out->counter = is_closed ? WL_COUNT_dropped_fragment
					 : WL_COUNT_passed_fragment;
	}
}

/* --- random -------------------------------------------------------------- */

static void draw_flow(const struct run_world *w, struct rnd *r,
		      struct drawn *out)
{
	*out = (struct drawn){ .entry = BPF_ENTRY_IN_ETHER };
	rnd_facts(r, &out->facts);
	out->link = (int)rnd_draw(r, RUN_LINKS);
	out->facts.ifname = run_links[out->link];
	out->facts.src.port = (uint16_t)(1024 + rnd_draw(r, 60000));
	out->facts.is_src_local = run_is_local(w, &out->facts.src);
	out->facts.is_dst_local = run_is_local(w, &out->facts.dst);
	out->shape = (struct shape){
		.src = out->facts.src,
		.dst = out->facts.dst,
		.proto = out->facts.proto,
		.flags = rnd_chance(r, 2) ? FRAME_SYN : FRAME_ACK,
		.words = rnd_draw(r, 3),
		/* in front of the fragment header */
		.headers = rnd_draw(r, FRAME_OPTIONS),
		.is_fragment = true,
		.link_to = { 2, 0, 0, 0, 0, 1 },
	};
}

static void draw_fragment(struct rnd *r, struct drawn *d)
{
	bool is_first = rnd_chance(r, 2);

	d->shape.fragment = is_first ? 0 : (uint16_t)(1 + rnd_draw(r, 1000));
	d->shape.has_more = is_first || rnd_chance(r, 2);
	d->shape.payload = 8 * (1 + rnd_draw(r, 4));
	d->shape.id = rnd_draw(r, EITHER);
	if (rnd_chance(r, 8)) { /* another flow between the two addresses */
		d->facts.dst.port = ports[rnd_draw(r, PORTS)];
		d->facts.proto = rnd_draw(r, PROTO_COUNT);
		d->shape.dst.port = d->facts.dst.port;
		d->shape.proto = d->facts.proto;
	}
}

static void compare(struct run_world *w, const struct drawn *d,
		    const struct expected *e, const char *text)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct frame f;
	struct run run;
	size_t counter;

	frame_build(&d->shape, &f);
	run_frame(w, d->entry, w->ifindex[d->link], 0, &f, &run);
	counter = run_fate(&run, text);
	if (counter != e->counter || run.retval != e->retval ||
	    run.mark != e->mark)
		fail_msg("%s\n%s %s -> %s on %s, fragment %u of %u: %s (%d, "
			 "mark %x), not %s (%d, mark %x)",
			 text, d->shape.proto == PROTO_TCP ? "tcp" : "udp",
			 addr_format(&d->shape.src, src),
			 addr_format(&d->shape.dst, dst), run_links[d->link],
			 d->shape.fragment, d->shape.id,
			 run_counter_name(counter), run.retval, run.mark,
			 run_counter_name(e->counter), e->retval, e->mark);
	/* what a listener is noted for is the first one */
	assert_int_equal(run_expected(w, &d->shape), e->listener);
	/* a socket on a fragment would be lost in reassembly */
	assert_int_equal(run.counted[WL_COUNT_noted_not_assigned], 0);
}

static void try_fragment(struct run_world *w, struct rnd *r, struct drawn *d,
			 struct model *m, const char *text)
{
	struct expected e;
	struct verdict v;

	draw_fragment(r, d);
	if (d->shape.fragment) {
		expect_later(w, m, d, &e);
		compare(w, d, &e, text);
		return;
	}
	expect(w, d, false, &e);
	compare(w, d, &e, text);
	eval_packet(w->plan.config, &d->facts, &v);
	model_note(m, &d->shape, fate_of(v.kind));
}

static void test_random(void **state)
{
	static struct run_world w;
	static struct model m;
	struct str text = { .len = 0 };
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	run_world_begin(&w);
	for (int i = 0; i < RUNS; i++) {
		struct drawn flows[FLOWS];
		struct config *c = rnd_config(&r, 1 + rnd_draw(&r, 3),
					      rnd_draw(&r, 6), &text);

		c->on_failure = i % 2 ? ON_FAILURE_CLOSED : ON_FAILURE_OPEN;
		run_listeners_open(&w);
		run_load(&w, c, &run_usual);
		m.count = 0;
		for (int k = 0; k < STEPS; k++) {
			for (int n = 0; k % 50 == 0 && n < FLOWS; n++)
				draw_flow(&w, &r, &flows[n]);
			try_fragment(&w, &r, &flows[rnd_draw(&r, FLOWS)], &m,
				     str_get(&text));
		}
		run_listeners_close(&w);
		run_unload(&w);
		config_free(c);
	}
	run_world_end(&w);
	str_done(&text);
}

/* --- by hand ------------------------------------------------------------- */

struct hand {
	const char *src, *dst; /* with ports */
	enum proto proto;
	unsigned headers;
};

static const struct hand datagram4 = { "10.0.0.1:5000", "198.51.100.7:53",
				       PROTO_UDP, 0 };
static const struct hand datagram6 = { "[2001:db8:9::1]:5000",
				       "[2001:db8:7::7]:53", PROTO_UDP, 0 };
static const struct hand segment4 = { "10.0.0.1:5000", "198.51.100.7:80",
				      PROTO_TCP, 0 };
static const struct hand segment6 = { "[2001:db8:9::1]:5000",
				      "[2001:db8:7::7]:80", PROTO_TCP, 0 };

static void expect_hand(struct run_world *w, const struct hand *h,
			uint16_t fragment, uint32_t id, size_t counter)
{
	struct shape s = { .proto = h->proto,
			   .flags = FRAME_ACK,
			   .headers = h->headers,
			   .payload = 64,
			   .is_fragment = true,
			   .has_more = true,
			   .fragment = fragment,
			   .id = id,
			   .link_to = { 2, 0, 0, 0, 0, 1 } };
	struct frame f;
	struct run run;

	assert_int_equal(addr_parse(h->src, &s.src), 0);
	assert_int_equal(addr_parse(h->dst, &s.dst), 0);
	frame_build(&s, &f);
	run_frame(w, BPF_ENTRY_IN_ETHER, w->ifindex[0], 0, &f, &run);
	assert_string_equal(run_counter_name(run_fate(&run, "by hand")),
			    run_counter_name(counter));
}

/* A world with one configuration. */
static void begin_hand(struct run_world *w, const char *text,
		       enum on_failure on_failure)
{
	struct str s = { .len = 0 };
	struct config *c;

	str_add(&s, text);
	c = config_of(&s);
	c->on_failure = on_failure;
	run_world_begin(w);
	run_listeners_open(w);
	run_load(w, c, &run_usual);
	str_done(&s);
}

static void end_hand(struct run_world *w)
{
	struct config *c = (struct config *)w->plan.config;

	run_world_end(w);
	config_free(c);
}

/* The first one passes, so the others must, or the server never gets all. */
static void expect_without_listener(const struct hand *h, const char *text,
				    enum on_failure on_failure)
{
	bool is_closed = on_failure == ON_FAILURE_CLOSED;
	struct run_world w;

	begin_hand(&w, text, on_failure);
	run_listeners_close(&w);
	expect_hand(&w, h, 0, 1,
		    is_closed ? WL_COUNT_dropped_no_listener
			      : WL_COUNT_passed_no_listener);
	expect_hand(&w, h, 8, 1,
		    is_closed ? WL_COUNT_dropped_rule : WL_COUNT_passed_direct);
	end_hand(&w);
}

static void test_nobody_listens(void **state)
{
	static const struct hand *const all[] = { &datagram4, &datagram6,
						  &segment4, &segment6 };
	static const char *const texts[] = {
		"intercept a { from eth0; tcp any; udp any }",
		"intercept a { from eth0; tcp 80; udp 53 }",
		"intercept a { from eth0; tcp any; udp any; deliver *:8 }",
	};

	(void)state; /* unused */
	for (size_t i = 0; i < 4; i++)
		for (size_t n = 0; n < 3; n++) {
			expect_without_listener(all[i], texts[n],
						ON_FAILURE_OPEN);
			expect_without_listener(all[i], texts[n],
						ON_FAILURE_CLOSED);
		}
}

/* RFC 8200, 4.5: the fragment header names destination options, not UDP. */
static void test_options_behind_fragment_header(void **state)
{
	struct hand h = datagram6;
	struct run_world w;

	(void)state; /* unused */
	h.headers = FRAME_OPTIONS;
	begin_hand(&w, "intercept a { from eth0; udp 53 }", ON_FAILURE_OPEN);
	expect_hand(&w, &h, 0, 1, WL_COUNT_taken_udp);
	expect_hand(&w, &h, 8, 1, WL_COUNT_taken_fragment);
	end_hand(&w);
}

/* It may be UDP as well, so what holds for TCP is not certain. */
static void test_unknown_protocol(void **state)
{
	struct hand h = datagram6;
	struct run_world w;

	(void)state; /* unused */
	h.headers = FRAME_OPTIONS;
	begin_hand(&w, "intercept a { from eth0; tcp any }", ON_FAILURE_OPEN);
	expect_hand(&w, &h, 8, 1, WL_COUNT_passed_fragment);
	end_hand(&w);
}

/* --- sockets of their own ------------------------------------------------ */

static int open_transparent(const struct addr *at)
{
	int one = 1, is_v6 = at->family == AF_INET6;
	int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, is_v6 ? SOL_IPV6 : SOL_IP,
				    is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
				    &one, sizeof(one)),
			 0);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(at, &ss)), 0);
	return fd;
}

/* A connection over lo, both ends of which are transparent. */
static void connect_over_lo(const struct addr *from, const struct addr *to,
			    int fds[3])
{
	struct sockaddr_storage ss;
	socklen_t len;

	fds[0] = open_transparent(to);
	assert_int_equal(listen(fds[0], 1), 0);
	fds[1] = open_transparent(from);
	len = addr_to_sockaddr(to, &ss);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&ss, len), 0);
	fds[2] = accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
	assert_true(fds[2] >= 0);
}

/* Neither its interface nor its ports are those of an intercept. */
static void expect_matched(const char *src, const char *dst)
{
	struct hand h = { src, dst, PROTO_TCP, 0 };
	struct run_world w;
	struct addr from, to;
	int fds[3];

	begin_hand(&w, "intercept a { from wlan0; udp 53 }", ON_FAILURE_OPEN);
	assert_int_equal(addr_parse(src, &from), 0);
	assert_int_equal(addr_parse(dst, &to), 0);
	connect_over_lo(&from, &to, fds);
	expect_hand(&w, &h, 0, 1, WL_COUNT_matched_tcp);
	expect_hand(&w, &h, 8, 1, WL_COUNT_taken_fragment);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	end_hand(&w);
}

static void test_segment_of_a_connection(void **state)
{
	(void)state; /* unused */
	expect_matched("127.0.0.1:5000", "127.0.0.1:5001");
	if (netns_has_v6())
		expect_matched("[::1]:5000", "[::1]:5001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_options_behind_fragment_header),
		cmocka_unit_test(test_unknown_protocol),
		cmocka_unit_test(test_segment_of_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
