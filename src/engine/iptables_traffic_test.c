/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_traffic_test.c - what only real packets show of engine iptables.
 *
 *	client ---- lan0 [ this host ] wan0 ---- server
 *
 * equal_test.c compares verdicts; here stands what the rules are made around:
 * conntrack, SYN cookies, connections from outside, the lease of on-failure
 * open, and what this host itself sends.  Both interfaces are TUN devices, so
 * a packet is a write and what comes out is a read.  Behind each packet goes
 * an ICMP echo to the server; when it comes out of wan0, all that the packet
 * caused has happened.  Each case runs for both variants and families.
 */
#include "engine/iptables_test.h"

#include "engine/iptables_render.h"
#include "engine/routing.h"
#include "engine/tun_test.h"
#include "net/sock.h"

#include <errno.h>
#include <poll.h>

enum {
	OWN_MARK = 0x2000,
	CLIENT_PORT = 4711,
	SERVER_PORT = 80,
	WAIT_MS = 5000,
	PACKET_MAX = 2048,
};

struct world {
	struct host host;
	enum family_index f;
	int lan, wan; /* TUN devices */
	int tcp, udp; /* listeners */
	struct addr client, server;
};

static const char *const clients[] = { "192.0.2.10", "2001:db8:1::10" };
static const char *const servers[] = { "198.51.100.7", "2001:db8:2::7" };
static const char *const listen_on[] = { "127.0.0.1", "::1" };

/* --- what comes out ------------------------------------------------------ */

struct seen {
	bool on_wan, on_lan; /* a TCP packet came out there */
	uint8_t flags;	     /* the last one's */
	uint32_t seq;
	struct addr src; /* the last one's on wan0 */
};

static const uint8_t *read_tcp(const uint8_t *p, struct seen *out)
{
	bool is_v6 = p[0] >> 4 == 6;
	const uint8_t *part = p + (is_v6 ? 40 : 20);

	if ((is_v6 ? p[6] : p[9]) != IPPROTO_TCP)
		return NULL;
	out->flags = part[13];
	memcpy(&out->seq, part + 4, 4);
	out->seq = ntohl(out->seq);
	return part;
}

static void read_wan(struct world *w, struct seen *out)
{
	for (;;) {
		struct pollfd p = { .fd = w->wan, .events = POLLIN };
		uint8_t packet[PACKET_MAX] = { 0 };
		bool is_v6 = w->f == FAMILY_V6;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_true(read(w->wan, packet, sizeof(packet)) > 20);
		if (read_tcp(packet, out)) {
			out->on_wan = true;
			out->src.family = w->client.family;
			memcpy(out->src.ip, packet + (is_v6 ? 8 : 12),
			       addr_ip_len(&w->client));
		} else if (is_v6 ? packet[6] == IPPROTO_ICMPV6 &&
					   packet[40] == 128
				 : packet[9] == IPPROTO_ICMP &&
					   packet[20] == 8) {
			return; /* else: neighbour and router messages */
		}
	}
}

/* All that came out since the last call. */
static struct seen look(struct world *w)
{
	uint8_t bytes[40 + 8] = { 0 }, *part = bytes + 40;
	uint8_t packet[PACKET_MAX];
	struct seen out = { 0 };

	part[0] = w->f == FAMILY_V6 ? 128 : 8;
	tun_send(w->lan, &w->client, &w->server,
		 w->f == FAMILY_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, part, 8, 2);
	read_wan(w, &out);
	while (read(w->lan, packet, sizeof(packet)) > 0)
		if (read_tcp(packet, &out))
			out.on_lan = true;
	return out;
}

/* --- the world ----------------------------------------------------------- */

static struct addr address(const char *text, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(text, &a), 0);
	a.port = port;
	return a;
}

static void open_listeners(struct world *w)
{
	struct addr tcp = address(listen_on[w->f], 0), udp = tcp;
	struct err e = { 0 };

	w->tcp = sock_listen_tcp(&tcp, OWN_MARK, &e);
	w->udp = sock_listen_udp(&udp, OWN_MARK, &e);
	assert_true(w->tcp >= 0 && w->udp >= 0);
	w->host.plan.ports[0][PROTO_TCP][w->f] = tcp.port;
	w->host.plan.ports[0][PROTO_UDP][w->f] = udp.port;
}

static void install_all(struct world *w, const char *config)
{
	struct err e = { 0 };
	unsigned added = 0;
	struct nl nl;

	begin_host(&w->host, config);
	open_listeners(w);
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_int_equal(routing_install(&nl, &w->host.plan, &added, &e), 0);
	nl_close(&nl);
	install(&w->host);
}

struct how {
	const char *variant;
	enum family_index f;
};

static void begin(struct world *w, const struct how *how, const char *config)
{
	begin_variant(how->variant);
	if (!netns_has_v6())
		skip();
	*w = (struct world){
		.f = how->f,
		.lan = tun_open("lan0"),
		.wan = tun_open("wan0"),
		.client = address(clients[how->f], CLIENT_PORT),
		.server = address(servers[how->f], SERVER_PORT),
	};
	shell("ip link set lan0 up; ip link set wan0 up\n"
	      "ip addr add 192.0.2.1/24 dev lan0\n"
	      "ip addr add 203.0.113.1/24 dev wan0\n"
	      "ip addr add 2001:db8:1::1/64 dev lan0 nodad\n"
	      "ip addr add 2001:db8:3::1/64 dev wan0 nodad\n"
	      "ip route add default dev wan0; ip -6 route add default dev "
	      "wan0\n"
	      "echo 1 > /proc/sys/net/ipv4/ip_forward\n"
	      "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n",
	      NULL);
	install_all(w, config);
}

static void end(struct world *w)
{
	close(w->tcp);
	close(w->udp);
	close(w->lan);
	close(w->wan);
	end_host(&w->host);
}

static const char lan[] = "intercept lan { from lan0; tcp any; udp any }";

static bool has_received(const struct world *w)
{
	char byte;

	return recv(w->udp, &byte, 1, MSG_DONTWAIT) == 1;
}

/* --- conntrack ----------------------------------------------------------- */

/* Whoever drops what conntrack has seen, drops no client leg. */
static void test_not_tracked(void **state)
{
	static const char tracked[] =
		"for i in iptables ip6tables; do for h in INPUT OUTPUT; do\n"
		"for p in tcp udp; do\n"
		"$i -A $h -p $p -m conntrack ! --ctstate UNTRACKED -j DROP\n"
		"done; done; done";
	struct world w;
	struct seen s;

	begin(&w, *state, lan);
	shell(tracked, NULL);
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	s = look(&w);
	assert_false(s.on_wan);
	assert_true(s.on_lan && s.flags == (TH_SYN | TH_ACK));
	tun_send_tcp(w.lan, &w.client, &w.server, TH_ACK, s.seq + 1);
	(void)look(&w);
	close(accept(w.tcp, NULL, NULL)); /* resets: it was established */
	s = look(&w);
	assert_true(s.on_lan && s.flags & TH_RST);
	tun_send_udp(w.lan, &w.client, &w.server);
	(void)look(&w);
	assert_true(has_received(&w));
	end(&w);
}

/* The server leg with the client's address and port is a connection of its
 * own, and is masqueraded as the client's would be. */
static void test_masqueraded(void **state)
{
	static const char *const own[] = { "203.0.113.1", "2001:db8:3::1" };
	struct addr expected;
	struct world w;
	struct seen s;
	int leg;

	begin(&w, *state, lan);
	shell("for i in iptables ip6tables; do\n"
	      "$i -t nat -A POSTROUTING -o wan0 -j MASQUERADE\ndone",
	      NULL);
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	assert_true(look(&w).on_lan);
	leg = sock_leg_tcp(w.client.family, &w.client, OWN_MARK);
	assert_true(leg >= 0);
	assert_int_equal(sock_connect(leg, &w.server), -EINPROGRESS);
	s = look(&w);
	assert_true(s.on_wan && s.flags == TH_SYN);
	expected = address(own[w.f], 0);
	assert_true(addr_same_ip(&s.src, &expected));
	close(leg);
	end(&w);
}

/* With cookies nothing remembers the SYN. */
static void test_cookies(void **state)
{
	struct world w;
	struct addr local;
	struct seen s;
	int fd;

	begin(&w, *state, lan);
	shell("echo 2 > /proc/sys/net/ipv4/tcp_syncookies", NULL);
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	s = look(&w);
	assert_true(s.on_lan && s.flags == (TH_SYN | TH_ACK));
	tun_send_tcp(w.lan, &w.client, &w.server, TH_ACK, s.seq + 1);
	assert_false(look(&w).on_wan);
	fd = accept(w.tcp, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(sock_local_addr(fd, &local), 0);
	assert_true(addr_equal(&local, &w.server));
	close(fd);
	end(&w);
}

/* --- connections from outside -------------------------------------------- */

static const char *const inbound_rules[] = {
	"intercept lan { from lan0; tcp any }",
	"intercept lan { from lan0; tcp any } rules { default -> drop }",
	"intercept lan { from lan0; tcp any } rules { default -> reject }",
};

static void test_inbound(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct world w;
		struct seen s;

		begin(&w, *state, inbound_rules[i]);
		/* The client's own is not let out ... */
		tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN | TH_ACK, 1);
		assert_false(look(&w).on_wan);
		/* ... but the answer to a connection from outside is. */
		w.client.port++;
		tun_send_tcp(w.wan, &w.server, &w.client, TH_SYN, 0);
		s = look(&w);
		assert_true(s.on_lan && s.flags == TH_SYN);
		tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN | TH_ACK,
			     1001);
		s = look(&w);
		assert_true(s.on_wan && s.flags == (TH_SYN | TH_ACK));
		tun_send_tcp(w.wan, &w.server, &w.client, TH_ACK, 1001);
		tun_send_tcp(w.lan, &w.client, &w.server, TH_ACK, 1001);
		s = look(&w);
		assert_true(s.on_wan && s.on_lan && s.flags == TH_ACK);
		end(&w);
	}
}

/* --- on-failure ---------------------------------------------------------- */

static void end_lease(enum family_index f)
{
	char text[16] = "-";
	int fd = open(iptables_lease_path(f), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	strcat(text, iptables_lease_text(f) + 1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Taken from the lease's beginning to its end, not by its renewal alone. */
static void test_open(void **state)
{
	struct world w;

	begin(&w, *state, lan);
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	assert_true(look(&w).on_lan);
	end_lease(w.f);
	w.client.port++;
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	assert_true(look(&w).on_wan);
	assert_true(is_intact(&w.host)); /* renews */
	w.client.port++;
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	assert_true(look(&w).on_lan);
	end(&w);
}

static void test_closed(void **state)
{
	struct world w;
	struct seen s;

	begin(&w, *state,
	      "on-failure closed\nintercept lan { from lan0; tcp any }");
	close(w.tcp);
	w.tcp = -1;
	tun_send_tcp(w.lan, &w.client, &w.server, TH_SYN, 0);
	s = look(&w);
	assert_false(s.on_wan || s.on_lan);
	end(&w);
}

/* --- this host itself ---------------------------------------------------- */

static void send_udp(const struct world *w)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&w->server, &to);
	int fd = socket(w->server.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), 1);
	close(fd);
}

static const char host_all[] = "intercept self { from host; tcp any; udp any }";
static const char host_other[] =
	"intercept self { from host; tcp any; udp any; except port 80 }";

/* Another configuration for the same listeners. */
static void reload(struct world *w, const char *config)
{
	struct plan before = w->host.plan;

	set_config(&w->host, config);
	memcpy(w->host.plan.ports, before.ports, sizeof(before.ports));
	install(&w->host);
}

static int connect_out(const struct world *w, uint32_t mark)
{
	int fd = sock_leg_tcp(w->server.family, NULL, mark);

	assert_true(fd >= 0);
	assert_int_equal(sock_connect(fd, &w->server), -EINPROGRESS);
	return fd;
}

static void test_host(void **state)
{
	struct world w;
	int fd, taken;
	char byte;

	begin(&w, *state, host_all);
	send_udp(&w);
	assert_true(has_received(&w));
	fd = connect_out(&w, 0);
	taken = accept(w.tcp, NULL, NULL);
	assert_true(taken >= 0);
	close(connect_out(&w, OWN_MARK)); /* our own */
	assert_true(look(&w).on_wan);
	reload(&w, host_other);
	assert_int_equal(send(fd, "x", 1, 0), 1); /* goes on as it began */
	assert_int_equal(recv(taken, &byte, 1, MSG_DONTWAIT), 1);
	send_udp(&w);
	assert_false(has_received(&w));
	close(fd);
	close(taken);
	end(&w);
}

/* A connection that is older than the rules. */
static void test_host_older(void **state)
{
	struct addr own;
	struct world w;
	struct seen s;
	int fd;

	begin(&w, *state, host_other);
	fd = connect_out(&w, 0);
	s = look(&w);
	assert_true(s.on_wan && s.flags == TH_SYN);
	assert_int_equal(sock_local_addr(fd, &own), 0);
	tun_send_tcp(w.wan, &w.server, &own, TH_SYN | TH_ACK, s.seq + 1);
	assert_true(look(&w).on_wan);
	reload(&w, host_all);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(look(&w).on_wan);
	close(fd);
	end(&w);
}

/* Also the RST of a connection whose socket nobody holds any more. */
static void test_host_owner(void **state)
{
	struct addr own;
	struct world w;
	struct seen s;
	int fd;

	begin(&w, *state,
	      "intercept self { from host; tcp any; udp any; except user 0 }");
	send_udp(&w);
	assert_false(has_received(&w));
	fd = connect_out(&w, 0);
	s = look(&w);
	assert_true(s.on_wan && s.flags == TH_SYN);
	assert_int_equal(sock_local_addr(fd, &own), 0);
	close(fd);
	tun_send_tcp(w.wan, &w.server, &own, TH_SYN | TH_ACK, s.seq + 1);
	assert_true(look(&w).on_wan);
	end(&w);
}

/* --- all of them --------------------------------------------------------- */

static const struct {
	const char *name;
	CMUnitTestFunction test;
} cases[] = {
	{ "client legs are not tracked", test_not_tracked },
	{ "server legs are masqueraded", test_masqueraded },
	{ "SYN cookies", test_cookies },
	{ "connections from outside", test_inbound },
	{ "on-failure open", test_open },
	{ "on-failure closed", test_closed },
	{ "this host itself", test_host },
	{ "this host's older connections", test_host_older },
	{ "this host's users", test_host_owner },
};

static const struct how hows[] = {
	{ "nft", FAMILY_V4 },
	{ "nft", FAMILY_V6 },
	{ "legacy", FAMILY_V4 },
	{ "legacy", FAMILY_V6 },
};

enum {
	CASES = sizeof(cases) / sizeof(*cases),
	HOWS = sizeof(hows) / sizeof(*hows),
};

int main(void)
{
	struct CMUnitTest tests[CASES * HOWS];

	for (size_t i = 0; i < CASES * HOWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = cases[i / HOWS].name,
			.test_func = cases[i / HOWS].test,
			.initial_state = (void *)&hows[i % HOWS],
		};
	return _cmocka_run_group_tests("traffic", tests, CASES * HOWS, NULL,
				       NULL);
}
