/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_refuse_test.c - real clients are refused, over veth pairs.
 *
 * The packet becomes its own answer (bpf/reject.h), and with it comes what the
 * kernel keeps beside the bytes: a checksum that is left to hardware, and how
 * many segments it is.  So the client's kernel must understand the answer, and
 * it must be right for hardware too (wire_capture_test.h).
 */
#include "engine/wire_capture_test.h"

static const struct bpf_options usual = { 0 };

/* --- reject -------------------------------------------------------------- */

struct refusal {
	const char *name;
	enum family_index family;
	enum proto proto;
	int level, option; /* for setsockopt(); 0: none */
	uint8_t value[12];
	socklen_t len;
};

static const struct refusal refusals[] = {
	{ "TCP", FAMILY_V4, PROTO_TCP, 0, 0, { 0 }, 0 },
	{ "TCP over IPv6", FAMILY_V6, PROTO_TCP, 0, 0, { 0 }, 0 },
	{ "UDP", FAMILY_V4, PROTO_UDP, 0, 0, { 0 }, 0 },
	{ "UDP over IPv6", FAMILY_V6, PROTO_UDP, 0, 0, { 0 }, 0 },
	{ "UDP with no-operations",
	  FAMILY_V4,
	  PROTO_UDP,
	  IPPROTO_IP,
	  IP_OPTIONS,
	  { 1, 1, 1, 0 },
	  4 },
	{ "UDP with a recorded route",
	  FAMILY_V4,
	  PROTO_UDP,
	  IPPROTO_IP,
	  IP_OPTIONS,
	  { 7, 11, 4, [11] = 0 },
	  12 },
	{ "UDP with destination options",
	  FAMILY_V6,
	  PROTO_UDP,
	  IPPROTO_IPV6,
	  IPV6_DSTOPTS,
	  { 0, 0, 1, 4 },
	  8 },
	{ "TCP with no-operations",
	  FAMILY_V4,
	  PROTO_TCP,
	  IPPROTO_IP,
	  IP_OPTIONS,
	  { 1, 1, 1, 0 },
	  4 },
	{ "TCP with a recorded route",
	  FAMILY_V4,
	  PROTO_TCP,
	  IPPROTO_IP,
	  IP_OPTIONS,
	  { 7, 11, 4, [11] = 0 },
	  12 },
	{ "TCP with destination options",
	  FAMILY_V6,
	  PROTO_TCP,
	  IPPROTO_IPV6,
	  IPV6_DSTOPTS,
	  { 0, 0, 1, 4 },
	  8 },
};
enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

/* RFC 9293, 3.5.2. */
static const char *check_reset(const struct captured *sent,
			       const uint8_t *sent_tcp,
			       const struct captured *p)
{
	const uint8_t *tcp = p->ip + p->at;

	if (p->proto != IPPROTO_TCP || p->len != p->at + 20)
		return "not one TCP header";
	if (p->src.port != sent->dst.port || p->dst.port != sent->src.port)
		return "other ports";
	if (tcp[13] != (FRAME_RST | FRAME_ACK) ||
	    frame_32(tcp + 8) != frame_32(sent_tcp + 4) + 1)
		return "not the reset of this SYN";
	return NULL;
}

/* The quote is what was sent; its checksum may have been nobody's yet. */
static const char *check_unreachable(const struct captured *sent,
				     const uint8_t *sent_ip,
				     const struct captured *p)
{
	bool is_v6 = sent->src.family == AF_INET6;
	const uint8_t *icmp = p->ip + p->at;

	if (p->proto != (is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    icmp[0] != (is_v6 ? 1 : 3) || icmp[1] != (is_v6 ? 4 : 3))
		return "not port unreachable";
	if (p->len < p->at + 8 + sent->at + 8)
		return "too short a quote";
	if (memcmp(icmp + 8, sent_ip, sent->at + 6) != 0)
		return "another quote";
	return NULL;
}

/* Other messages may come between: neighbour solicitations. */
static void expect_refusal(int capture, enum family_index f, const char *name)
{
	static struct capture out, in;
	struct addr client = wire_address(wire_clients[f], 0);
	struct addr server = wire_address(wire_servers[f], 0);
	struct captured sent, answer;
	const char *wrong;

	capture_wait(capture, &out, true, &client, &server, &sent);
	capture_wait(capture, &in, false, &server, &client, &answer);
	wrong = sent.proto == IPPROTO_TCP
			? check_reset(&sent, sent.ip + sent.at, &answer)
			: check_unreachable(&sent, sent.ip, &answer);
	if (!wrong && !capture_is_sum_good(&answer))
		wrong = "a checksum";
	if (wrong)
		fail_msg("%s: %s", name, wrong);
}

static void speak(const struct wire *w, const struct refusal *r, int fd)
{
	if (r->option)
		assert_int_equal(
			setsockopt(fd, r->level, r->option, r->value, r->len),
			0);
	wire_begin_connect(fd, r->family);
	if (r->proto == PROTO_UDP)
		assert_int_equal(send(fd, "?", 1, 0), 1);
	if (!wire_is_ready(fd, 0)) /* POLLERR */
		fail_msg("%s: no answer; %lu dropped for lack of one", r->name,
			 (unsigned long)wire_count(w,
						   WL_COUNT_dropped_no_answer));
	assert_int_equal(sock_error(fd), ECONNREFUSED);
}

static void refuse_all(const struct wire *w, int capture)
{
	for (size_t i = 0; i < REFUSALS; i++) {
		const struct refusal *r = &refusals[i];
		uint32_t counter = r->proto == PROTO_TCP
					   ? WL_COUNT_rejected_tcp
					   : WL_COUNT_rejected_udp;
		uint64_t before = wire_count(w, counter);
		int fd = wire_client(w, r->family, r->proto);

		speak(w, r, fd);
		expect_refusal(capture, r->family, r->name);
		assert_int_equal(wire_count(w, counter), before + 1);
		close(fd);
	}
}

/* `is_partial`: the client leaves checksums to hardware. */
static void refuse_with(enum bpf_hook_how how, bool is_partial)
{
	struct wire w;
	int capture;

	wire_begin(&w, how);
	wire_install(&w, "rules { default -> reject }\n", &usual);
	wire_enter(w.client);
	wire_offload("eth0", ETHTOOL_STXCSUM, is_partial);
	capture = capture_open("eth0");
	refuse_all(&w, capture);
	close(capture);
	wire_end(&w);
}

static void test_reject(void **state)
{
	refuse_with(*(enum bpf_hook_how *)*state, true);
}

static void test_reject_with_sums(void **state)
{
	refuse_with(*(enum bpf_hook_how *)*state, false);
}

/* --- a connection from before -------------------------------------------- */

/* Through the gateway, to the server itself. */
static int connect_through(const struct wire *w, enum family_index f,
			   int *accepted)
{
	struct addr at = wire_address(wire_servers[f], 80);
	struct err e = { .code = 0 };
	int listener, fd;

	wire_enter(w->server);
	listener = sock_listen_tcp(&at, 0, &e);
	if (listener < 0)
		fail_msg("%s", e.text);
	fd = wire_client(w, f, PROTO_TCP);
	wire_begin_connect(fd, f);
	*accepted = wire_accept(listener, fd);
	close(listener);
	return fd;
}

static void expect_reset(const struct wire *w, enum family_index f, int fd,
			 int capture)
{
	struct addr client = wire_address(wire_clients[f], 0);
	struct addr server = wire_address(wire_servers[f], 0);
	static uint8_t bytes[60000];
	static struct capture c;
	struct captured p;
	int at_lan0;

	wire_enter(w->gateway);
	at_lan0 = capture_open("lan0");
	assert_true(send(fd, bytes, sizeof(bytes), 0) > 0);
	assert_true(wire_is_ready(fd, 0)); /* POLLERR */
	assert_int_equal(sock_error(fd), ECONNRESET);
	do
		capture_wait(capture, &c, false, &server, &client, &p);
	while (p.proto == IPPROTO_TCP && !(p.ip[p.at + 13] & FRAME_RST));
	assert_int_equal(p.proto, IPPROTO_TCP);
	assert_int_equal(p.src.port, 80);
	assert_int_equal(p.len, p.at + 20);
	assert_true(capture_is_sum_good(&p));
	assert_true(capture_has_super(at_lan0, &c));
	close(at_lan0);
}

static void test_reject_in_the_middle(void **state)
{
	int fd[FAMILY_COUNT], accepted[FAMILY_COUNT], capture;
	struct wire w;

	wire_begin(&w, *(enum bpf_hook_how *)*state);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		fd[f] = connect_through(&w, f, &accepted[f]);
	wire_install(&w, "rules { default -> reject }\n", &usual);
	wire_enter(w.client);
	capture = capture_open("eth0");
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		expect_reset(&w, f, fd[f], capture);
		close(fd[f]);
		close(accepted[f]);
	}
	assert_int_equal(wire_count(&w, WL_COUNT_dropped_no_answer), 0);
	close(capture);
	wire_end(&w);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reject),
		cmocka_unit_test(test_reject_with_sums),
		cmocka_unit_test(test_reject_in_the_middle),
	};

	return wire_run_hooks(tests, sizeof(tests) / sizeof(tests[0]));
}
