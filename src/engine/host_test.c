/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_test.c - what `from host` takes and what it leaves alone.
 *
 * Each row is a configuration and the first packet of a flow, for both
 * families.  host_life_test.c has what goes on behind the first packet.
 */
#include "engine/host_world_test.h"

/* --- verdicts ------------------------------------------------------------ */

enum outcome { OUT_DIRECT, OUT_TAKEN, OUT_REFUSED, OUT_NOTHING };

/* clang-format off */
static const struct {
	const char *name, *config;
	enum proto proto;
	uint16_t port;
	uid_t user;
	int source; /* bound to addresses[][source]; -1: not bound */
	enum outcome outcome;
	int listener; /* row of world.tcp and world.udp */
	unsigned not_by; /* engines that cannot, a bit each */
} cases[] = {
	{ "TCP is taken, its source is that of the route",
	  "intercept own { from host; tcp any }",
	  PROTO_TCP, 80, 0, -1, OUT_TAKEN, 0, 0 },
	{ "TCP from a bound address",
	  "intercept own { from host; tcp any }",
	  PROTO_TCP, 80, 0, 0, OUT_TAKEN, 0, 0 },
	{ "UDP is taken, its source is that of the route",
	  "intercept own { from host; udp 53 }",
	  PROTO_UDP, 53, 0, -1, OUT_TAKEN, 0, 0 },
	{ "UDP from a bound address",
	  "intercept own { from host; udp 53 }",
	  PROTO_UDP, 53, 0, 0, OUT_TAKEN, 0, 0 },
	{ "a port that is not named",
	  "intercept own { from host; tcp 80 }",
	  PROTO_TCP, 81, 0, -1, OUT_DIRECT, 0, 0 },
	{ "an intercept of interfaces is not for this host",
	  "intercept lan { from lan0; tcp any }",
	  PROTO_TCP, 80, 0, -1, OUT_DIRECT, 0, 0 },
	{ "an excepted destination",
	  "intercept own { from host; tcp any;"
	  " except dst 203.0.113.0/24, 2001:db8:2::/48 }",
	  PROTO_TCP, 80, 0, -1, OUT_DIRECT, 0, 0 },
	{ "an excepted source that the route has chosen",
	  "intercept own { from host; tcp any;"
	  " except src 198.51.100.2, 2001:db8:1::2 }",
	  PROTO_TCP, 80, 0, -1, OUT_DIRECT, 0, 0 },
	{ "an excepted user, by number",
	  "intercept own { from host; tcp any; udp 53; except user 4711 }",
	  PROTO_TCP, 80, USER, -1, OUT_DIRECT, 0, 0 },
	{ "an excepted user's datagram",
	  "intercept own { from host; tcp any; udp 53; except user 4711 }",
	  PROTO_UDP, 53, USER, -1, OUT_DIRECT, 0, 0 },
	{ "an excepted user, by name",
	  "intercept own { from host; tcp any; except user root }",
	  PROTO_TCP, 80, 0, -1, OUT_DIRECT, 0, 0 },
	{ "another user than the excepted one",
	  "intercept own { from host; tcp any; except user daemon, 4711 }",
	  PROTO_TCP, 80, 0, -1, OUT_TAKEN, 0, 0 },
	{ "what one intercept excepts by user, a later one takes",
	  "intercept a { from host; tcp any; except user 4711 }\n"
	  "intercept b { from host; tcp 80 }",
	  PROTO_TCP, 80, USER, -1, OUT_TAKEN, 1, ONLY_IPTABLES },
	{ "the same for a datagram",
	  "intercept a { from host; udp 53; except user 4711 }\n"
	  "intercept b { from host; udp 53-99 }",
	  PROTO_UDP, 53, USER, -1, OUT_TAKEN, 1, ONLY_IPTABLES },
	{ "an intercept of interfaces before it",
	  "intercept a { from lan0; tcp any }\n"
	  "intercept b { from host; tcp any }",
	  PROTO_TCP, 80, 0, -1, OUT_TAKEN, 1, 0 },
	{ "a rule: direct",
	  "intercept own { from host; tcp any }\n"
	  "rules { dst 203.0.113.0/24, 2001:db8:2::/48 -> direct;"
	  " default -> reject }",
	  PROTO_TCP, 80, 0, -1, OUT_DIRECT, 0, 0 },
	{ "a rule: reject",
	  "intercept own { from host; tcp any }\n"
	  "rules { port 25 -> reject; default -> direct log }",
	  PROTO_TCP, 25, 0, -1, OUT_REFUSED, 0, 0 },
	{ "a rule: reject, UDP",
	  "intercept own { from host; udp 25 }\n"
	  "rules { port 25 -> reject; default -> direct log }",
	  PROTO_UDP, 25, 0, -1, OUT_REFUSED, 0, 0 },
	{ "a rule: drop",
	  "intercept own { from host; tcp any }\n"
	  "rules { port 25 -> drop; default -> direct log }",
	  PROTO_TCP, 25, 0, -1, OUT_NOTHING, 0, 0 },
	{ "a rule: drop, UDP",
	  "intercept own { from host; udp 25 }\n"
	  "rules { port 25 -> drop; default -> direct log }",
	  PROTO_UDP, 25, 0, -1, OUT_NOTHING, 0, 0 },
	{ "behind the rules the relay",
	  "intercept own { from host; tcp any }\n"
	  "rules { port 25 -> drop; default -> direct log }",
	  PROTO_TCP, 26, 0, -1, OUT_TAKEN, 0, 0 },
	{ "another program's listener on the interface's own address",
	  "intercept own { from host; tcp any; deliver *:3129 }",
	  PROTO_TCP, 80, 0, -1, OUT_TAKEN, INTERCEPTS, 0 },
	{ "the same for UDP",
	  "intercept own { from host; udp 53; deliver *:3129 }",
	  PROTO_UDP, 53, 0, -1, OUT_TAKEN, INTERCEPTS, 0 },
	{ "marks are those of the configuration",
	  "mark 0x40/0xc0; table 999; intercept own { from host; tcp any }",
	  PROTO_TCP, 80, 0, -1, OUT_TAKEN, 0, 0 },
};
/* clang-format on */

static void expect_tcp(struct world *w, const struct client *c, int listener,
		       struct addr *src)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int accepted = world_take(w, c, listener);

	assert_int_equal(getpeername(accepted, (struct sockaddr *)&ss, &len),
			 0);
	addr_from_sockaddr((struct sockaddr *)&ss, src);
	close(accepted);
}

static void expect_udp(struct world *w, const struct client *c, int listener,
		       struct addr *src)
{
	enum family_index f = c->server.family == AF_INET6;
	struct addr dst;
	int answer;
	char byte;

	assert_true(is_ready(w->udp[listener][f], POLLIN, WAIT_MS));
	assert_int_equal(listener_receive(w, f, src, &dst), listener);
	assert_true(addr_equal(&dst, &c->server));
	answer = sock_leg_udp(&dst, src, OWN_MARK);
	assert_true(answer >= 0);
	assert_int_equal(send(answer, "b", 1, 0), 1);
	assert_true(is_ready(c->fd, POLLIN, WAIT_MS));
	assert_int_equal(recv(c->fd, &byte, 1, 0), 1);
	close(answer);
}

/* Netfilter also tells a datagram's sender at once that it was stopped. */
static void expect_refusal(const struct world *w, const struct client *c,
			   enum proto p)
{
	bool is_told = p == PROTO_UDP && world_is(w, ONLY_NFT | ONLY_IPTABLES);

	assert_int_equal(c->error, is_told ? EPERM : 0);
	assert_true(is_ready(c->fd, POLLIN, WAIT_MS));
	assert_int_equal(sock_error(c->fd), ECONNREFUSED);
}

/* src is where it came from, if it came anywhere. */
static void expect_outcome(struct world *w, size_t i, const struct client *c,
			   struct addr *src)
{
	switch (cases[i].outcome) {
	case OUT_DIRECT:
		assert_true(wan_has(w, c, src));
		break;
	case OUT_TAKEN:
		if (cases[i].proto == PROTO_TCP)
			expect_tcp(w, c, cases[i].listener, src);
		else
			expect_udp(w, c, cases[i].listener, src);
		break;
	case OUT_REFUSED:
		expect_refusal(w, c, cases[i].proto);
		break;
	case OUT_NOTHING:
		assert_int_equal(sock_error(c->fd), 0);
		break;
	}
}

static void expect_nowhere_else(struct world *w, size_t i,
				const struct client *c)
{
	enum family_index f = c->server.family == AF_INET6;
	struct addr src, dst;
	int fd;

	if (cases[i].outcome != OUT_DIRECT)
		assert_false(wan_has(w, c, &src));
	assert_int_equal(listener_accept(w, f, &fd), -1);
	assert_int_equal(listener_receive(w, f, &src, &dst), -1);
}

static void try_case(struct world *w, size_t i, enum family_index f)
{
	int source = cases[i].source;
	struct addr src = { 0 };
	struct client c;
	int fd = client_open(f, cases[i].proto, cases[i].user,
			     source < 0 ? NULL : addresses[f][source]);

	print_message("%s, IPv%d\n", cases[i].name, f ? 6 : 4);
	c = client_speak(fd, f, cases[i].proto, cases[i].port);
	expect_outcome(w, i, &c, &src);
	expect_nowhere_else(w, i, &c);
	if (src.family) {
		struct addr want =
			address(addresses[f][source < 0 ? 1 : source], 0);

		assert_true(addr_same_ip(&src, &want));
	}
	close(fd);
}

static void test_cases(void **state)
{
	struct str counters = { 0 };
	struct err e = { 0 };
	struct world w;

	world_begin(&w, *state);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (world_is(&w, cases[i].not_by))
			continue;
		world_load(&w, cases[i].config);
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			try_case(&w, i, f);
	}
	if (world_is(&w, ONLY_NFT)) { /* over all replacements of the rules */
		assert_int_equal(w.engine->counters(&counters, &e), 0);
		assert_non_null(
			strstr(str_get(&counters), "\n2\trejected_udp\t"));
		str_done(&counters);
	}
	world_end(&w);
}

int main(void)
{
	return run_on_each_engine("host", test_cases);
}
