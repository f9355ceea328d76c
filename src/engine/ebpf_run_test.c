/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_run_test.c - the BPF programs decide as policy/eval does.
 *
 * Random configurations are loaded, and random packets of every shape are put
 * through both ingress programs (bpf_run_test.h): what the program returns,
 * the mark, the listener that is noted, the bytes of an answer and the counter
 * are compared with what eval_packet() says.  What becomes of fragments is in
 * ebpf_fragment_test.c.
 *
 * The seed is printed; WAYLAY_SEED repeats a run.  WAYLAY_RUNS: how many
 * configurations, for longer runs.
 */
#include "engine/bpf_expect_test.h"

enum {
	RUNS = 120,
	PACKETS = 250,
};

/* --- random packets ------------------------------------------------------ */

static void draw_special(struct rnd *r, int family, struct addr *out)
{
	static const char *const special[2][10] = {
		{ "0.0.0.0", "0.1.2.3", "127.0.0.2", "127.255.255.255",
		  "169.254.0.1", "224.0.0.1", "239.255.255.255",
		  "255.255.255.255", "169.255.0.1", "240.0.0.1" },
		{ "::", "::1", "::2", "::ffff:10.0.0.1", "ff02::1", "fe80::1",
		  "febf:ffff::1", "fec0::1", "ff0e::1", "fe7f:ffff::1" },
	};

	assert_int_equal(
		addr_parse_ip(special[family == AF_INET6][rnd_draw(r, 10)],
			      out),
		0);
}

static void draw_local(struct rnd *r, int family, struct addr *out)
{
	static const char *const local[2][2] = {
		{ "10.1.1.1", "138.128.7.7" },
		{ "2001:db8::1", "2001:db8:ffff::7" },
	};

	assert_int_equal(
		addr_parse_ip(local[family == AF_INET6][rnd_draw(r, 2)], out),
		0);
}

static void change_addr(struct rnd *r, struct addr *a)
{
	uint16_t port = a->port;

	if (rnd_chance(r, 12))
		draw_special(r, a->family, a);
	else if (rnd_chance(r, 12))
		draw_local(r, a->family, a);
	a->port = port;
}

static void draw_shape(struct rnd *r, const struct facts *f, struct shape *out)
{
	static const uint8_t flags[] = { FRAME_SYN,
					 FRAME_SYN | FRAME_ACK,
					 FRAME_ACK,
					 FRAME_ACK | FRAME_FIN,
					 FRAME_RST,
					 FRAME_FIN,
					 FRAME_RST | FRAME_ACK,
					 FRAME_SYN | FRAME_FIN };

	*out = (struct shape){
		.src = f->src,
		.dst = f->dst,
		.proto = f->proto,
		.flags = rnd_chance(r, 2) ? FRAME_SYN : flags[rnd_draw(r, 8)],
		.words = rnd_chance(r, 4) ? rnd_draw(r, 11) : 0,
		.headers = rnd_chance(r, 4) ? rnd_draw(r, 8) : 0,
		.payload = rnd_chance(r, 2) ? rnd_draw(r, 200) : 0,
		/* an atomic fragment: all of the packet in one */
		.is_fragment = rnd_chance(r, 10) && f->src.family == AF_INET6,
		.id = rnd_draw(r, 65536),
		.link_to = { 2, 0, 0, 0, 0, 1 },
	};
	if (rnd_chance(r, 30))
		out->link_to[5] = 2; /* another host's */
}

static void draw(const struct run_world *w, struct rnd *r, struct drawn *out)
{
	static const uint32_t marks[] = { 0, 0, 0, 0, 0, RUN_OTHER_MARK };

	rnd_facts(r, &out->facts);
	out->link = (int)rnd_draw(r, RUN_LINKS);
	out->facts.ifname = run_links[out->link];
	if (rnd_chance(r, 30))
		out->facts.dst.port = 0;
	out->facts.src.port = (uint16_t)(1024 + rnd_draw(r, 60000));
	change_addr(r, &out->facts.src);
	change_addr(r, &out->facts.dst);
	if (addr_is_loopback(&out->facts.dst) && out->facts.dst.port == 7)
		out->facts.dst.port = 9; /* else a socket matches, not eval's */
	out->facts.is_src_local = run_is_local(w, &out->facts.src);
	out->facts.is_dst_local = run_is_local(w, &out->facts.dst);
	draw_shape(r, &out->facts, &out->shape);
	out->mark = marks[rnd_draw(r, 6)];
	if (rnd_chance(r, 30))
		out->mark |= w->plan.config->mask;
	out->entry = rnd_chance(r, 2) ? BPF_ENTRY_IN_ETHER : BPF_ENTRY_IN_RAW;
}

/* --- comparing ----------------------------------------------------------- */

static void fail_at(const struct drawn *d, const char *text, const char *what,
		    long is, long should)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	fail_msg("%s\n%s %s -> %s on %s, flags %02x, options %u, headers %u, "
		 "%u bytes: %s is %ld (%s), not %ld (%s)",
		 text, d->shape.proto == PROTO_TCP ? "tcp" : "udp",
		 addr_format(&d->shape.src, src),
		 addr_format(&d->shape.dst, dst), run_links[d->link],
		 d->shape.flags, d->shape.words, d->shape.headers,
		 d->shape.payload, what, is,
		 run_counter_name((size_t)is % WL_COUNTERS), should,
		 run_counter_name((size_t)should % WL_COUNTERS));
}

/* In a frame without link header only the answer's packet has been written,
 * where the frame's link header was: a test run always has one. */
static void expect_answer(const struct drawn *d, const struct frame *asked,
			  const struct run *r, const char *text)
{
	bool is_raw = d->entry == BPF_ENTRY_IN_RAW;
	size_t link = is_raw ? 0 : FRAME_LINK;
	const uint8_t *ip = r->frame.bytes + link;
	const char *wrong;

	if (d->shape.proto == PROTO_TCP)
		wrong = frame_check_reset(&d->shape, ip, r->frame.len - link);
	else
		wrong = frame_check_unreachable(&d->shape, asked, ip,
						r->frame.len - link);
	if (!wrong && !is_raw &&
	    (memcmp(r->frame.bytes, frame_link_from, 6) ||
	     memcmp(r->frame.bytes + 6, d->shape.link_to, 6) ||
	     memcmp(r->frame.bytes + 12, asked->bytes + 12, 2)))
		wrong = "the link header";
	if (wrong)
		fail_at(d, text, wrong, 0, 0);
}

static void compare(const struct run_world *w, const struct drawn *d,
		    const struct expected *e, const struct frame *asked,
		    const struct run *r, const char *text)
{
	size_t counter = run_fate(r, text);
	int listener = run_expected(w, &d->shape);
	bool is_taken = e->listener >= 0;

	if (counter != e->counter)
		fail_at(d, text, "the counter", (long)counter,
			(long)e->counter);
	if (r->retval != e->retval)
		fail_at(d, text, "the return value", r->retval, e->retval);
	if (r->mark != e->mark)
		fail_at(d, text, "the mark", r->mark, e->mark);
	if (listener != e->listener)
		fail_at(d, text, "the listener", listener, e->listener);
	if (r->counted[WL_COUNT_noted_expected] != is_taken)
		fail_at(d, text, "noted_expected", !is_taken, is_taken);
	if (e->retval == TC_ACT_REDIRECT)
		expect_answer(d, asked, r, text);
	else if (r->frame.len != asked->len ||
		 memcmp(r->frame.bytes, asked->bytes, asked->len) != 0)
		fail_at(d, text, "a byte", 0, 0);
}

static void try_packet(struct run_world *w, struct rnd *r, bool is_deaf,
		       const char *text)
{
	struct expected e;
	struct frame f;
	struct drawn d;
	struct run run;

	draw(w, r, &d);
	expect(w, &d, is_deaf, &e);
	frame_build(&d.shape, &f);
	run_frame(w, d.entry, w->ifindex[d.link], d.mark, &f, &run);
	compare(w, &d, &e, &f, &run, text);
}

/* --- random configurations ----------------------------------------------- */

static struct config *draw_config(struct rnd *r, struct str *text)
{
	static const uint32_t marks[][2] = { { 0x1000, 0x3000 },
					     { 1, 3 },
					     { 0x80000000, 0xc0000000 },
					     { 0x15, 0xff } };
	const uint32_t *mark = marks[rnd_draw(r, 4)];
	struct config *c = rnd_config(r, 1 + rnd_draw(r, RUN_LISTENERS),
				      rnd_draw(r, 9), text);

	c->on_failure = rnd_chance(r, 2) ? ON_FAILURE_CLOSED : ON_FAILURE_OPEN;
	c->mark = mark[0];
	c->mask = mark[1];
	str_addf(text, "# mark %#x/%#x, on-failure %d\n", c->mark, c->mask,
		 c->on_failure);
	return c;
}

static int runs(void)
{
	const char *given = getenv("WAYLAY_RUNS");

	return given ? atoi(given) : RUNS;
}

static void test_random(void **state)
{
	static struct run_world w;
	struct str text = { .len = 0 };
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	run_world_begin(&w);
	for (int i = 0; i < runs(); i++) {
		struct config *c = draw_config(&r, &text);
		bool is_deaf = rnd_chance(&r, 4);

		run_listeners_open(&w);
		run_load(&w, c, &run_usual);
		if (is_deaf) {
			str_add(&text, "# nobody listens\n");
			run_listeners_close(&w);
		}
		for (int k = 0; k < PACKETS; k++)
			try_packet(&w, &r, is_deaf, str_get(&text));
		run_listeners_close(&w);
		run_unload(&w);
		config_free(c);
	}
	run_world_end(&w);
	str_done(&text);
}

/* --- which listener ------------------------------------------------------ */

struct delivery {
	const char *name, *to, *link, *src, *dst;
	const char *listener; /* NULL: there is none */
};

static const struct delivery deliveries[] = {
	{ "an address and a port", "127.0.0.1:7", "eth0", "10.0.0.1:5000",
	  "198.51.100.7:80", "127.0.0.1:7" },
	{ "an IPv6 address and a port", "[::1]:7", "eth1",
	  "[2001:db8:9::1]:5000", "[2001:db8:7::7]:80", "[::1]:7" },
	{ "the first address of the interface", "*:8", "eth0", "10.0.0.1:5000",
	  "198.51.100.7:80", "192.0.2.1:8" },
	{ "its first IPv6 address", "*:8", "wlan0", "[2001:db8:9::1]:5000",
	  "[2001:db8:7::7]:80", "[2001:db8:1::1]:8" },
	{ "an interface without addresses", "*:8", "eth1", "10.0.0.1:5000",
	  "198.51.100.7:80", "0.0.0.0:8" },
	{ "an interface without IPv6", "*:8", "eth22", "[2001:db8:9::1]:5000",
	  "[2001:db8:7::7]:80", "[::]:8" },
	{ "nobody at that port", "127.0.0.1:6", "eth0", "10.0.0.1:5000",
	  "198.51.100.7:80", NULL },
};

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len),
			 0);
	return cookie;
}

/* A SOCKMAP shows its sockets by their cookies; 0: none. */
static uint64_t listener_at(const struct run_world *w, uint32_t index)
{
	uint64_t cookie = 0;

	if (bpf_map_lookup_elem(bpf_generation_map(w->g, "listeners"), &index,
				&cookie) < 0)
		assert_int_equal(errno, ENOENT);
	return cookie;
}

static uint64_t delivery_cookie(const struct run_world *w, const char *at,
				enum proto proto)
{
	int i = 0;

	while (strcmp(run_delivery[i], at) != 0)
		i++;
	return cookie_of(w->delivery[i][proto]);
}

static void expect_delivery(struct run_world *w, const struct delivery *d,
			    enum proto proto)
{
	struct shape s = { .proto = proto,
			   .flags = FRAME_ACK,
			   .link_to = { 2, 0, 0, 0, 0, 1 } };
	struct frame f;
	struct run run;
	int index;

	assert_int_equal(addr_parse(d->src, &s.src), 0);
	assert_int_equal(addr_parse(d->dst, &s.dst), 0);
	frame_build(&s, &f);
	run_frame(w, BPF_ENTRY_IN_RAW, if_nametoindex(d->link), 0, &f, &run);
	index = run_expected(w, &s);
	if (!d->listener) {
		assert_int_equal(run_fate(&run, d->name),
				 WL_COUNT_passed_no_listener);
		assert_int_equal(index, -1);
		return;
	}
	assert_int_equal(run_fate(&run, d->name), proto == PROTO_TCP
							  ? WL_COUNT_taken_tcp
							  : WL_COUNT_taken_udp);
	assert_int_equal(listener_at(w, (uint32_t)index),
			 delivery_cookie(w, d->listener, proto));
}

static void test_delivery(void **state)
{
	const struct delivery *d = *state;
	struct str text = { .len = 0 };
	struct run_world w;
	struct config *c;

	str_addf(&text,
		 "intercept a { from *; tcp any; udp any; deliver %s }\n",
		 d->to);
	c = config_of(&text);
	run_world_begin(&w);
	run_listeners_open(&w);
	run_load(&w, c, &run_usual);
	expect_delivery(&w, d, PROTO_TCP);
	expect_delivery(&w, d, PROTO_UDP);
	run_world_end(&w);
	config_free(c);
	str_done(&text);
}

/* Each stands where it is looked for, until it closes. */
static void test_listeners(void **state)
{
	static struct run_world w;
	struct str text = { .len = 0 };
	struct config *c;

	(void)state; /* unused */
	for (uint32_t i = 0; i < RUN_LISTENERS; i++)
		str_addf(&text, "intercept i%u { from eth0; tcp any }\n", i);
	c = config_of(&text);
	run_world_begin(&w);
	run_listeners_open(&w);
	run_load(&w, c, &run_usual);
	for (uint32_t i = 0; i < 4 * RUN_LISTENERS; i++) {
		uint32_t at = wl_listener_index(i / 4, i / 2 % 2, i % 2);
		int *fd = &w.plan.fds[i / 4][i / 2 % 2][i % 2];

		assert_int_equal(listener_at(&w, at), cookie_of(*fd));
		run_close(fd);
		assert_int_equal(listener_at(&w, at), 0);
	}
	run_world_end(&w);
	config_free(c);
	str_done(&text);
}

/* --- begun from outside -------------------------------------------------- */

static size_t fate_of_segment(struct run_world *w, enum bpf_entry entry,
			      bool is_turned, uint8_t flags)
{
	struct shape s = { .proto = PROTO_TCP,
			   .flags = flags,
			   .link_to = { 2, 0, 0, 0, 0, 1 } };
	struct frame f;
	struct run run;

	assert_int_equal(
		addr_parse("198.51.100.7:5000", is_turned ? &s.dst : &s.src),
		0);
	assert_int_equal(addr_parse("10.0.0.1:80", is_turned ? &s.src : &s.dst),
			 0);
	frame_build(&s, &f);
	run_frame(w, entry, w->ifindex[0], 0, &f, &run);
	assert_int_equal(run.retval, TC_ACT_UNSPEC);
	return run.counted[WL_COUNT_noted_inbound]
		       ? WL_COUNT_noted_inbound
		       : run_fate(&run, "a segment");
}

/* 198.51.100.7:5000 connects to the client's port 80. */
static void test_inbound(void **state)
{
	static struct run_world w;
	struct str text = { .len = 0 };
	struct config *c;

	(void)state; /* unused */
	str_add(&text, "intercept a { from eth0; tcp any }\n");
	c = config_of(&text);
	run_world_begin(&w);
	run_listeners_open(&w);
	run_load(&w, c, &run_usual);
	assert_int_equal(fate_of_segment(&w, BPF_ENTRY_IN_ETHER, true,
					 FRAME_SYN | FRAME_ACK),
			 WL_COUNT_taken_tcp);
	assert_int_equal(
		fate_of_segment(&w, BPF_ENTRY_OUT_ETHER, false, FRAME_SYN),
		WL_COUNT_noted_inbound);
	assert_int_equal(fate_of_segment(&w, BPF_ENTRY_IN_ETHER, true,
					 FRAME_SYN | FRAME_ACK),
			 WL_COUNT_passed_inbound);
	assert_int_equal(
		fate_of_segment(&w, BPF_ENTRY_IN_ETHER, true, FRAME_ACK),
		WL_COUNT_passed_inbound);
	/* a new connection with the same ports is the client's own */
	assert_int_equal(
		fate_of_segment(&w, BPF_ENTRY_IN_ETHER, true, FRAME_SYN),
		WL_COUNT_taken_tcp);
	run_world_end(&w);
	config_free(c);
	str_done(&text);
}

enum { DELIVERIES = sizeof(deliveries) / sizeof(deliveries[0]) };

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_inbound),
		cmocka_unit_test(test_random),
	};
	struct CMUnitTest tests[DELIVERIES];

	for (size_t i = 0; i < DELIVERIES; i++)
		tests[i] = (struct CMUnitTest){
			.name = deliveries[i].name,
			.test_func = test_delivery,
			.initial_state = (void *)&deliveries[i],
		};
	return cmocka_run_group_tests_name("deliver", tests, NULL, NULL) +
	       cmocka_run_group_tests(others, NULL, NULL);
}
