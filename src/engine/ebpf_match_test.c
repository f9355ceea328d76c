/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_match_test.c - the socket match finds what xt_socket and nft find.
 *
 * Sockets of another program in every state (match_world_test.h), in a SOCKMAP
 * and not, and for each of them a SYN, a later segment or a datagram, and an
 * ICMP error that quotes what the socket has sent.  What is expected is what
 * xt_socket does with the same options (lab/kernel/test_K16_socket_match.py),
 * but that a bare SYN that no intercept selects belongs to nobody; and for
 * packets that an intercept selects, what xt_TPROXY does behind it.
 *
 * The kernel refuses bpf_sk_assign() in a test run, so that it was tried is
 * seen by its counter.
 */
#include "engine/match_world_test.h"

enum {
	FAMILIES_V4 = 1 << FAMILY_V4,
	FAMILIES_BOTH = FAMILIES_V4 | 1 << FAMILY_V6,
};

struct row {
	const char *name;
	enum match_state state;
	enum match_binding binding;
	bool is_transparent;
	unsigned families; /* of the packets */
	/* by default, with match_any, with match_wildcard, with both */
	const char matched[5];
	/* if an intercept selects it, by default; a datagram is no SYN */
	size_t syn, other;
};

static const struct row rows[] = {
	{ "nobody, TCP", MATCH_NOBODY, MATCH_BOUND, false, FAMILIES_BOTH,
	  "----", WL_COUNT_taken_tcp, WL_COUNT_taken_tcp },
	{ "a transparent listener at the address", MATCH_LISTENER, MATCH_BOUND,
	  true, FAMILIES_BOTH, "yyyy", WL_COUNT_taken_tcp,
	  WL_COUNT_matched_tcp },
	{ "a plain listener at the address", MATCH_LISTENER, MATCH_BOUND, false,
	  FAMILIES_BOTH, "-y-y", WL_COUNT_taken_tcp, WL_COUNT_taken_tcp },
	{ "a transparent listener at all addresses", MATCH_LISTENER,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "--yy", WL_COUNT_taken_tcp,
	  WL_COUNT_taken_tcp },
	{ "a plain listener at all addresses", MATCH_LISTENER, MATCH_WILDCARD,
	  false, FAMILIES_BOTH, "---y", WL_COUNT_taken_tcp,
	  WL_COUNT_taken_tcp },
	{ "a transparent listener of both families", MATCH_LISTENER, MATCH_DUAL,
	  true, FAMILIES_V4, "--yy", WL_COUNT_taken_tcp, WL_COUNT_taken_tcp },
	{ "a plain listener of both families", MATCH_LISTENER, MATCH_DUAL,
	  false, FAMILIES_V4, "---y", WL_COUNT_taken_tcp, WL_COUNT_taken_tcp },
	{ "a transparent listener at a mapped address", MATCH_LISTENER,
	  MATCH_MAPPED, true, FAMILIES_V4, "yyyy", WL_COUNT_taken_tcp,
	  WL_COUNT_matched_tcp },

	{ "a transparent request", MATCH_REQUEST, MATCH_BOUND, true,
	  FAMILIES_BOTH, "yyyy", WL_COUNT_matched_tcp, WL_COUNT_matched_tcp },
	{ "a plain request", MATCH_REQUEST, MATCH_BOUND, false, FAMILIES_BOTH,
	  "-y-y", WL_COUNT_dropped_no_listener, WL_COUNT_dropped_no_listener },
	{ "a transparent request at all addresses", MATCH_REQUEST,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "yyyy", WL_COUNT_matched_tcp,
	  WL_COUNT_matched_tcp },
	{ "a transparent request of both families", MATCH_REQUEST, MATCH_DUAL,
	  true, FAMILIES_V4, "yyyy", WL_COUNT_matched_tcp,
	  WL_COUNT_matched_tcp },

	{ "a transparent connection", MATCH_CONNECTION, MATCH_BOUND, true,
	  FAMILIES_BOTH, "yyyy", WL_COUNT_matched_tcp, WL_COUNT_matched_tcp },
	{ "a plain connection", MATCH_CONNECTION, MATCH_BOUND, false,
	  FAMILIES_BOTH, "-y-y", WL_COUNT_dropped_no_listener,
	  WL_COUNT_dropped_no_listener },
	{ "a transparent connection to all addresses", MATCH_CONNECTION,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "yyyy", WL_COUNT_matched_tcp,
	  WL_COUNT_matched_tcp },
	{ "a transparent connection of an IPv6 socket", MATCH_CONNECTION,
	  MATCH_DUAL, true, FAMILIES_V4, "yyyy", WL_COUNT_matched_tcp,
	  WL_COUNT_matched_tcp },

	{ "a transparent TIME_WAIT", MATCH_TIME_WAIT, MATCH_BOUND, true,
	  FAMILIES_BOTH, "yyyy", WL_COUNT_taken_tcp, WL_COUNT_matched_tcp },
	{ "a plain TIME_WAIT", MATCH_TIME_WAIT, MATCH_BOUND, false,
	  FAMILIES_BOTH, "-y-y", WL_COUNT_taken_tcp,
	  WL_COUNT_dropped_no_listener },
	{ "a transparent TIME_WAIT of all addresses", MATCH_TIME_WAIT,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "yyyy", WL_COUNT_taken_tcp,
	  WL_COUNT_matched_tcp },
	{ "a transparent TIME_WAIT of an IPv6 socket", MATCH_TIME_WAIT,
	  MATCH_DUAL, true, FAMILIES_V4, "yyyy", WL_COUNT_taken_tcp,
	  WL_COUNT_matched_tcp },

	{ "a transparent UDP socket at the address", MATCH_UNCONNECTED,
	  MATCH_BOUND, true, FAMILIES_BOTH, "yyyy", 0, WL_COUNT_taken_udp },
	{ "a plain UDP socket at the address", MATCH_UNCONNECTED, MATCH_BOUND,
	  false, FAMILIES_BOTH, "-y-y", 0, WL_COUNT_taken_udp },
	{ "a transparent UDP socket at all addresses", MATCH_UNCONNECTED,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "--yy", 0, WL_COUNT_taken_udp },
	{ "a plain UDP socket at all addresses", MATCH_UNCONNECTED,
	  MATCH_WILDCARD, false, FAMILIES_BOTH, "---y", 0, WL_COUNT_taken_udp },
	{ "a transparent UDP socket of both families", MATCH_UNCONNECTED,
	  MATCH_DUAL, true, FAMILIES_V4, "--yy", 0, WL_COUNT_taken_udp },
	{ "a transparent UDP socket at a mapped address", MATCH_UNCONNECTED,
	  MATCH_MAPPED, true, FAMILIES_V4, "yyyy", 0, WL_COUNT_taken_udp },
	{ "a transparent connected UDP socket", MATCH_CONNECTED, MATCH_BOUND,
	  true, FAMILIES_BOTH, "yyyy", 0, WL_COUNT_matched_udp },
	{ "a plain connected UDP socket", MATCH_CONNECTED, MATCH_BOUND, false,
	  FAMILIES_BOTH, "-y-y", 0, WL_COUNT_dropped_no_listener },
	{ "a transparent UDP socket that connect() has bound", MATCH_CONNECTED,
	  MATCH_WILDCARD, true, FAMILIES_BOTH, "yyyy", 0,
	  WL_COUNT_matched_udp },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* --- how the programs are loaded ----------------------------------------- */

struct setting {
	const char *name;
	struct bpf_options options;
	bool is_selected; /* by an intercept */
	uint32_t mark;	  /* of the sockets */
};

static const struct setting settings[] = {
	{ "as it is", { 0 }, false, 0 },
	{ "any socket", { .match_any = true }, false, 0 },
	{ "wildcard sockets", { .match_wildcard = true }, false, 0 },
	{ "any and wildcard sockets",
	  { .match_any = true, .match_wildcard = true },
	  false,
	  0 },
	{ "an intercept selects it", { 0 }, true, 0 },
	{ "a mark is restored", { .restore_mark = true }, false, 0xabcdef01 },
	{ "no mark is restored", { .restore_mark = true }, false, 0 },
	{ "a mark is restored, an intercept selects it",
	  { .restore_mark = true },
	  true,
	  0xabcdef01 },
	{ "a mark of wildcard sockets is restored",
	  { .restore_mark = true, .match_wildcard = true },
	  false,
	  0xabcdef01 },
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static void load(struct match_world *w, const struct setting *s)
{
	struct str text = { .len = 0 };
	struct config *c;

	str_addf(&text, "intercept a { from %s; tcp any; udp any }\n",
		 s->is_selected ? "eth0" : "eth1");
	c = config_of(&text);
	c->on_failure = ON_FAILURE_CLOSED;
	run_load(&w->run, c, &s->options);
	str_done(&text);
}

/* --- packets ------------------------------------------------------------- */

enum packet { SYN, LATER, AGAIN, ICMP_ERROR, PACKETS };

static const char *const packet_names[PACKETS] = {
	"a SYN", "a segment or datagram", "the next one", "an ICMP error"
};

static void fill_shape(const struct match_socket *s, enum proto proto,
		       enum packet packet, struct shape *out)
{
	*out = (struct shape){ .src = s->client,
			       .dst = s->server,
			       .proto = proto,
			       .flags = packet == SYN ? FRAME_SYN : FRAME_ACK,
			       .payload = 4,
			       .link_to = { 2, 0, 0, 0, 0, 1 } };
}

/* From a router; it quotes no more of `sent` than it must. */
static void build_error(const struct frame *sent, bool is_v6, struct frame *out)
{
	static const uint8_t router4[4] = { 203, 0, 113, 1 };
	static const uint8_t router6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	static const uint8_t ours[6] = { 2, 0, 0, 0, 0, 1 };
	size_t quote = sent->transport + 8 - FRAME_LINK;
	const uint8_t *ip = sent->bytes + FRAME_LINK;

	out->len = 0;
	frame_put(out, ours, 6);
	frame_put(out, frame_link_from, 6);
	frame_put(out, sent->bytes + 12, 2);
	if (is_v6) {
		frame_put_32(out, 0x60000000);
		frame_put_16(out, (unsigned)(8 + quote));
		frame_put_16(out, IPPROTO_ICMPV6 << 8 | 60);
		frame_put(out, router6, 16);
		frame_put(out, ip + 8, 16);
	} else {
		frame_put_32(out, 0x45000000 | (uint32_t)(28 + quote));
		frame_put_32(out, 0);
		frame_put_32(out, 60 << 24 | IPPROTO_ICMP << 16);
		frame_put(out, router4, 4);
		frame_put(out, ip + 12, 4);
	}
	frame_put_32(out, is_v6 ? 0x01040000 : 0x03030000);
	frame_put_32(out, 0);
	frame_put(out, ip, quote);
}

static void build(const struct match_socket *s, enum proto proto,
		  enum packet packet, struct frame *out)
{
	struct shape shape;
	struct frame sent;
	struct addr client = s->client;

	fill_shape(s, proto, packet, &shape);
	if (packet != ICMP_ERROR) {
		frame_build(&shape, out);
		return;
	}
	shape.src = shape.dst;
	shape.dst = client;
	frame_build(&shape, &sent);
	build_error(&sent, client.family == AF_INET6, out);
}

/* --- what is expected ---------------------------------------------------- */

static bool is_matched(const struct row *r, const struct setting *s)
{
	return r->matched[s->options.match_any +
			  2 * s->options.match_wildcard] == 'y';
}

static size_t counter_of(const struct row *r, const struct setting *s,
			 enum packet packet)
{
	bool is_udp = match_is_udp(r->state);

	if (packet == ICMP_ERROR)
		return is_matched(r, s) ? WL_COUNT_matched_icmp
					: WL_COUNT_passed_other;
	if (s->is_selected)
		return packet == SYN ? r->syn : r->other;
	if (packet == SYN || !is_matched(r, s))
		return WL_COUNT_passed_no_intercept;
	return is_udp ? WL_COUNT_matched_udp : WL_COUNT_matched_tcp;
}

/* sk_fullsock() in include/net/sock.h: listeners are too. */
static bool is_full(const struct row *r)
{
	return r->state != MATCH_NOBODY && r->state != MATCH_REQUEST &&
	       r->state != MATCH_TIME_WAIT;
}

/* Is it given to its own socket, or to the listener? */
static bool is_given(const struct row *r, size_t counter, enum packet packet)
{
	if (counter == WL_COUNT_taken_tcp || counter == WL_COUNT_taken_udp)
		return r->state != MATCH_TIME_WAIT;
	return packet != SYN &&
	       (counter == WL_COUNT_matched_tcp ||
		counter == WL_COUNT_matched_udp) &&
	       (r->state == MATCH_CONNECTION || r->state == MATCH_CONNECTED);
}

static uint32_t mark_of(const struct match_world *w, const struct row *r,
			const struct setting *s, size_t counter,
			enum packet packet)
{
	const struct config *c = w->run.plan.config;
	const char *name = run_counter_name(counter);

	if (!strncmp(name, "matched_", 8) && s->options.restore_mark &&
	    is_full(r) && packet != SYN) /* which is TPROXY's */
		return s->mark;
	if (strncmp(name, "matched_", 8) != 0 &&
	    strncmp(name, "taken_", 6) != 0)
		return RUN_OTHER_MARK;
	return RUN_OTHER_MARK | c->mark;
}

/* --- comparing ----------------------------------------------------------- */

static void expect_packet(struct match_world *w, const struct row *r,
			  const struct setting *s,
			  const struct match_socket *socket, enum packet packet,
			  const char *at)
{
	enum proto proto = match_is_udp(r->state) ? PROTO_UDP : PROTO_TCP;
	size_t should = counter_of(r, s, packet), is;
	bool is_dropped = !strncmp(run_counter_name(should), "dropped_", 8);
	bool is_reopened =
		should == WL_COUNT_taken_tcp && r->state == MATCH_TIME_WAIT;
	uint32_t mark = mark_of(w, r, s, should, packet);
	struct frame f;
	struct run run;

	build(socket, proto, packet, &f);
	run_frame(&w->run, BPF_ENTRY_IN_ETHER, w->run.ifindex[0],
		  RUN_OTHER_MARK, &f, &run);
	is = run_fate(&run, at);
	if (is != should)
		fail_msg("%s: %s, not %s", at, run_counter_name(is),
			 run_counter_name(should));
	if (run.mark != mark)
		fail_msg("%s: the mark is %#x, not %#x", at, run.mark, mark);
	if (run.retval != (is_dropped ? TC_ACT_SHOT : TC_ACT_UNSPEC))
		fail_msg("%s: returned %d", at, run.retval);
	if (run.counted[WL_COUNT_noted_time_wait] != is_reopened)
		fail_msg("%s: noted_time_wait", at);
	if (run.counted[WL_COUNT_noted_not_assigned] !=
	    is_given(r, should, packet))
		fail_msg("%s: noted_not_assigned", at);
}

static void expect_row(struct match_world *w, const struct row *r,
		       const struct setting *s, enum family_index f,
		       bool is_in_sockmap)
{
	const struct match_wish wish = { .state = r->state,
					 .binding = r->binding,
					 .is_transparent = r->is_transparent,
					 .is_in_sockmap = is_in_sockmap,
					 .mark = s->mark,
					 .family = f };
	bool is_udp = match_is_udp(r->state);
	struct match_socket socket;
	char at[160];

	match_open(w, &wish, &socket);
	for (enum packet p = is_udp ? LATER : SYN; p < PACKETS; p++) {
		if (p == AGAIN &&
		    counter_of(r, s, p) == WL_COUNT_passed_no_intercept)
			continue; /* it may be known by now, bpf/known.h */
		(void)snprintf(at, sizeof(at), "%s to %s%s, %s",
			       packet_names[p], r->name,
			       is_in_sockmap ? " in a SOCKMAP" : "",
			       f == FAMILY_V6 ? "IPv6" : "IPv4");
		expect_packet(w, r, s, &socket, p, at);
	}
	match_close(&socket);
}

static void test_setting(void **state)
{
	const struct setting *s = *state;
	static struct match_world w;

	match_world_begin(&w);
	run_listeners_open(&w.run);
	load(&w, s);
	for (size_t i = 0; i < ROWS; i++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			for (int in = 0; in < 2; in++)
				if (rows[i].families & 1u << f)
					expect_row(&w, &rows[i], s, f, in);
	config_free((struct config *)w.run.plan.config);
	match_world_end(&w);
}

int main(void)
{
	struct CMUnitTest tests[SETTINGS];

	for (size_t i = 0; i < SETTINGS; i++)
		tests[i] = (struct CMUnitTest){
			.name = settings[i].name,
			.test_func = test_setting,
			.initial_state = (void *)&settings[i],
		};
	return cmocka_run_group_tests_name("the socket match", tests, NULL,
					   NULL);
}
