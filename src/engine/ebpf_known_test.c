/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_known_test.c - flows that are known to pass, and those that never are.
 *
 * A second may end between two packets, and then the flow is not known any
 * more; but not twice within three packets.
 */
#include "engine/bpf_run_test.h"

enum { KNOWN_SYN = 2, KNOWN_ACK = 16 }; /* TCP flags */

static const struct bpf_options with_knowledge = { .may_not_know = false };

static struct shape shape_of(bool is_v6, enum proto proto, uint8_t flags)
{
	struct shape s = { .proto = proto,
			   .flags = flags,
			   .payload = 3,
			   .link_to = { 2, 0, 0, 0, 0, 1 } };

	assert_int_equal(
		addr_parse(is_v6 ? "[2001:db8:9::1]:5000" : "10.0.0.1:5000",
			   &s.src),
		0);
	assert_int_equal(
		addr_parse(is_v6 ? "[2001:db8:7::7]:81" : "198.51.100.7:81",
			   &s.dst),
		0);
	return s;
}

static bool passes_as_known(struct run_world *w, const struct shape *s)
{
	struct frame f;
	struct run r;

	frame_build(s, &f);
	run_frame(w, BPF_ENTRY_IN_ETHER, w->ifindex[0], 0, &f, &r);
	assert_int_equal(r.retval, TC_ACT_UNSPEC);
	assert_int_equal(r.mark, 0);
	return run_fate(&r, "") == WL_COUNT_passed_known;
}

static bool becomes_known(struct run_world *w, const struct shape *s)
{
	bool is_known = false;

	for (int i = 0; i < 3; i++)
		is_known |= passes_as_known(w, s);
	return is_known;
}

static void try_family(struct run_world *w, bool is_v6)
{
	struct shape ack = shape_of(is_v6, PROTO_TCP, KNOWN_ACK);
	struct shape syn = shape_of(is_v6, PROTO_TCP, KNOWN_SYN);
	struct shape answer = shape_of(is_v6, PROTO_TCP, KNOWN_SYN | KNOWN_ACK);
	struct shape datagram = shape_of(is_v6, PROTO_UDP, 0);
	struct shape other = ack;

	assert_false(passes_as_known(w, &ack));
	assert_true(becomes_known(w, &ack));
	other.src.port++;
	assert_false(passes_as_known(w, &other));
	assert_false(passes_as_known(w, &datagram));
	assert_true(becomes_known(w, &datagram));
	for (int i = 0; i < 2; i++) {
		const struct shape *begin = i ? &syn : &answer;

		assert_true(becomes_known(w, &ack));
		assert_false(passes_as_known(w, begin));
		assert_false(passes_as_known(w, begin));
		assert_false(passes_as_known(w, &ack));
	}
	datagram.is_fragment = datagram.has_more = true;
	assert_false(becomes_known(w, &datagram));
}

static void test_known(void **state)
{
	static const char text[] = "intercept lan { from eth0; tcp 80 }\n"
				   "upstream out { via direct }\n"
				   "rules { default -> out }\n";
	struct messages m = { .errors = 0 };
	static struct run_world w;
	struct config *c;

	(void)state; /* unused */
	run_world_begin(&w);
	c = config_parse("known", text, strlen(text), &m);
	assert_non_null(c);
	messages_done(&m);
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		run_load(&w, c, &with_knowledge); /* knows nothing at first */
		try_family(&w, is_v6);
	}
	run_world_end(&w);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
