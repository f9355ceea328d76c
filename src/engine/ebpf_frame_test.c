/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_frame_test.c - frames cut at every byte, garbage, and other protocols.
 *
 * What cannot be read passes untouched and is counted as such; of what can,
 * the verdict is that of the whole packet.  Nothing makes the programs crash,
 * and each frame is counted exactly once.
 *
 * BPF_PROG_TEST_RUN refuses frames that end in the IP header; those are
 * bpf/packet_test.c's.
 */
#include "engine/bpf_run_test.h"

enum {
	GARBAGE = 20000,
	TCP_READ = 14, /* bytes of its header that the cursor needs: flags */
	UDP_READ = 4,  /* ports */
	TCP_HEADER = 20,
	UDP_HEADER = 8,
};

static const char *const targets[] = { "out", "direct", "drop", "reject" };
enum { TARGETS = sizeof(targets) / sizeof(targets[0]) };

/* The shortest frame of this kind that can be run. */
static size_t shortest(const struct frame *f)
{
	return FRAME_LINK + (f->bytes[12] == 8 ? 20 : 40);
}

static void load_target(struct run_world *w, const char *target)
{
	struct str text = { .len = 0 };

	str_addf(&text,
		 "upstream out { via direct; source self }\n"
		 "intercept a { from *; tcp any; udp any }\n"
		 "rules { port 1-65535 -> %s; default -> out }\n",
		 target);
	run_load(w, config_of(&text), &run_usual);
	str_done(&text);
}

static void unload_target(struct run_world *w)
{
	struct config *c = (struct config *)w->plan.config;

	run_unload(w);
	config_free(c);
}

/* --- cut ----------------------------------------------------------------- */

static void fill_shape(bool is_v6, enum proto proto, bool is_plain,
		       struct shape *out)
{
	*out = (struct shape){ .proto = proto,
			       .flags = FRAME_SYN,
			       .words = is_plain ? 0 : 3,
			       .headers = is_plain ? 0
						   : FRAME_HOP | FRAME_ROUTING |
							     FRAME_OPTIONS,
			       .is_fragment = !is_plain,
			       .payload = 3,
			       .link_to = { 2, 0, 0, 0, 0, 1 } };
	assert_int_equal(
		addr_parse(is_v6 ? "[2001:db8:9::1]:5000" : "10.0.0.1:5000",
			   &out->src),
		0);
	assert_int_equal(
		addr_parse(is_v6 ? "[2001:db8:7::7]:80" : "198.51.100.7:80",
			   &out->dst),
		0);
}

/* What becomes of `len` bytes of a packet of which `read` are needed, and
 * `answer` for an answer. */
static size_t fate_of_cut(const char *target, enum proto proto, size_t len,
			  const size_t needed[2])
{
	bool is_tcp = proto == PROTO_TCP;

	if (len < needed[0])
		return WL_COUNT_passed_malformed;
	if (!strcmp(target, "direct"))
		return WL_COUNT_passed_direct;
	if (!strcmp(target, "drop"))
		return WL_COUNT_dropped_rule;
	if (!strcmp(target, "out"))
		return is_tcp ? WL_COUNT_taken_tcp : WL_COUNT_taken_udp;
	if (len < needed[1])
		return WL_COUNT_dropped_no_answer;
	return is_tcp ? WL_COUNT_rejected_tcp : WL_COUNT_rejected_udp;
}

/* The counter tells what the return value and the mark have to be. */
static void expect_consistent(const struct run_world *w, const struct run *r,
			      size_t counter)
{
	const char *name = run_counter_name(counter);
	bool is_dropped = !strncmp(name, "dropped_", 8);
	bool is_rejected = !strncmp(name, "rejected_", 9);
	bool is_marked =
		!strncmp(name, "taken_", 6) || !strncmp(name, "matched_", 8);

	assert_int_equal(r->retval, is_dropped	  ? TC_ACT_SHOT
				    : is_rejected ? TC_ACT_REDIRECT
						  : TC_ACT_UNSPEC);
	assert_int_equal(r->mark, is_marked ? w->plan.config->mark : 0);
}

static void expect_cut(struct run_world *w, const struct shape *s,
		       const char *target)
{
	bool is_tcp = s->proto == PROTO_TCP;
	struct frame whole, cut;
	size_t needed[2];

	frame_build(s, &whole);
	needed[0] = whole.transport + (is_tcp ? TCP_READ : UDP_READ);
	needed[1] = whole.transport + (is_tcp ? TCP_HEADER : UDP_HEADER);
	for (size_t len = shortest(&whole); len <= whole.len; len++) {
		size_t counter;
		struct run run;

		cut = whole;
		cut.len = len;
		run_frame(w, BPF_ENTRY_IN_ETHER, w->ifindex[0], 0, &cut, &run);
		counter = run_fate(&run, target);
		assert_string_equal(run_counter_name(counter),
				    run_counter_name(fate_of_cut(
					    target, s->proto, len, needed)));
		expect_consistent(w, &run, counter);
		(void)run_expected(w, s); /* forgotten */
		if (counter != WL_COUNT_passed_malformed)
			continue;
		assert_int_equal(run.frame.len, len);
		assert_memory_equal(run.frame.bytes, whole.bytes, len);
	}
}

static void test_cut_at_every_byte(void **state)
{
	struct run_world w;

	(void)state; /* unused */
	run_world_begin(&w);
	run_listeners_open(&w);
	for (size_t i = 0; i < TARGETS; i++) {
		load_target(&w, targets[i]);
		for (int n = 0; n < 8; n++) {
			struct shape s;

			fill_shape(n & 1, n & 2 ? PROTO_UDP : PROTO_TCP, n & 4,
				   &s);
			expect_cut(&w, &s, targets[i]);
		}
		unload_target(&w);
	}
	run_world_end(&w);
}

/* --- garbage ------------------------------------------------------------- */

/* A frame with a good head, and anything behind; or a good one of which some
 * bytes have become others. */
static void draw_garbage(struct rnd *r, struct frame *f)
{
	struct shape s;

	fill_shape(rnd_chance(r, 2), rnd_draw(r, PROTO_COUNT), rnd_chance(r, 2),
		   &s);
	frame_build(&s, f);
	if (rnd_chance(r, 2)) {
		f->len = shortest(f) + rnd_draw(r, 200);
		rnd_fill(r, f->bytes + FRAME_LINK, f->len - FRAME_LINK);
		if (rnd_chance(r, 2)) /* of the right version */
			f->bytes[FRAME_LINK] = f->bytes[12] == 8 ? 0x45 : 0x60;
		return;
	}
	for (unsigned i = 1 + rnd_draw(r, 8); i > 0; i--)
		f->bytes[FRAME_LINK +
			 rnd_draw(r, (unsigned)f->len - FRAME_LINK)] =
			(uint8_t)rnd_draw(r, 256);
}

static bool has_wrong_version(const struct frame *f)
{
	return f->bytes[FRAME_LINK] >> 4 != (f->bytes[12] == 8 ? 4 : 6);
}

static void test_garbage(void **state)
{
	struct run_world w;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	run_world_begin(&w);
	run_listeners_open(&w);
	for (size_t i = 0; i < TARGETS; i++) {
		load_target(&w, targets[i]);
		for (int n = 0; n < GARBAGE / TARGETS; n++) {
			size_t counter;
			struct frame f;
			struct run run;

			draw_garbage(&r, &f);
			run_frame(&w,
				  rnd_chance(&r, 2) ? BPF_ENTRY_IN_ETHER
						    : BPF_ENTRY_IN_RAW,
				  w.ifindex[0], 0, &f, &run);
			counter = run_fate(&run, "garbage");
			expect_consistent(&w, &run, counter);
			if (has_wrong_version(&f))
				assert_int_equal(counter,
						 WL_COUNT_passed_malformed);
		}
		unload_target(&w);
	}
	run_world_end(&w);
}

/* --- other protocols ----------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t ethertype[2];
	size_t counter;
} others[] = {
	{ "IPv4", { 0x08, 0x00 }, WL_COUNT_dropped_rule },
	{ "ARP", { 0x08, 0x06 }, WL_COUNT_passed_other },
	{ "a tag in the frame", { 0x81, 0x00 }, WL_COUNT_passed_other },
	{ "a length", { 0x00, 0x40 }, WL_COUNT_passed_other },
	{ "IPv6", { 0x86, 0xdd }, WL_COUNT_passed_malformed },
};

/* The same packet, called something else. */
static void test_other_protocols(void **state)
{
	struct run_world w;
	struct shape s;

	(void)state; /* unused */
	run_world_begin(&w);
	load_target(&w, "drop");
	fill_shape(false, PROTO_TCP, true, &s);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct frame f;
		struct run run;

		frame_build(&s, &f);
		memcpy(f.bytes + 12, others[i].ethertype, 2);
		run_frame(&w, BPF_ENTRY_IN_ETHER, w.ifindex[0], 0, &f, &run);
		assert_string_equal(
			run_counter_name(run_fate(&run, others[i].name)),
			run_counter_name(others[i].counter));
	}
	unload_target(&w);
	run_world_end(&w);
}

/* --- too many headers ---------------------------------------------------- */

/* More extension headers than the cursor follows: it cannot say what it is. */
static void build_long(struct frame *f)
{
	struct shape s;
	size_t next = FRAME_LINK + 6;

	fill_shape(true, PROTO_TCP, true, &s);
	frame_build(&s, f);
	f->len = f->transport;
	for (int i = 0; i < 9; i++)
		frame_put_header(f, &next, IPPROTO_DSTOPTS, 1);
	f->bytes[next] = IPPROTO_TCP;
	frame_put_transport(f, &s);
}

static void expect_long(enum on_failure on_failure, int link, size_t counter)
{
	struct str text = { .len = 0 };
	struct run_world w;
	struct config *c;
	struct frame f;
	struct run run;

	str_add(&text, "intercept a { from eth0; tcp any }");
	c = config_of(&text);
	c->on_failure = on_failure;
	run_world_begin(&w);
	run_load(&w, c, &run_usual);
	build_long(&f);
	run_frame(&w, BPF_ENTRY_IN_ETHER, w.ifindex[link], 0, &f, &run);
	assert_string_equal(run_counter_name(run_fate(&run, "long")),
			    run_counter_name(counter));
	expect_consistent(&w, &run, counter);
	run_world_end(&w);
	config_free(c);
	str_done(&text);
}

/* Only where an intercept could have taken it, closed is not open. */
static void test_too_many_headers(void **state)
{
	(void)state; /* unused */
	expect_long(ON_FAILURE_OPEN, 0, WL_COUNT_passed_headers);
	expect_long(ON_FAILURE_CLOSED, 0, WL_COUNT_dropped_headers);
	expect_long(ON_FAILURE_CLOSED, 1, WL_COUNT_passed_headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_too_many_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
