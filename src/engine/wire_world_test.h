/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_world_test.h - a client, a gateway with the ebpf engine, and a server.
 *
 *	client				gateway				server
 *	eth0 10.0.0.2  ------- lan0 10.0.0.1
 *	     2001:db8:9::2          2001:db8:9::1
 *				wan0 198.51.100.1 ------- eth0 198.51.100.7
 *				     2001:db8:7::1             2001:db8:7::7
 *
 * Each in a network namespace of its own, the links are veth pairs: checksums
 * are left to the far end, and many segments travel as one.  One process does
 * it all; a socket stays in the namespace where it was made.
 */
#ifndef WL_ENGINE_WIRE_WORLD_TEST_H
#define WL_ENGINE_WIRE_WORLD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/ebpf.h"
#include "engine/random_config_test.h"
#include "engine/routing.h"
#include "net/netns_test.h"
#include "net/sock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>

enum { WIRE_WAIT_MS = 5000 };

struct wire {
	enum bpf_hook_how how;
	int client, gateway, server;		  /* namespaces */
	int tcp[FAMILY_COUNT], udp[FAMILY_COUNT]; /* listeners */
	struct plan plan;
	struct config *config;
	struct engine_run *run;
};

static const char *const wire_clients[FAMILY_COUNT] = { "10.0.0.2",
							"2001:db8:9::2" };
static const char *const wire_servers[FAMILY_COUNT] = { "198.51.100.7",
							"2001:db8:7::7" };
static const uint8_t wire_client_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t wire_gateway_mac[6] = { 2, 0, 0, 0, 0, 1 };

static inline struct addr wire_address(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	return a;
}

/* --- the world ----------------------------------------------------------- */

static inline void wire_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

static inline void wire_sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* A fresh namespace, entered; no address there has to wait for a test that
 * nobody else has it. */
static inline int wire_new_netns(void)
{
	netns_begin();
	if (!netns_has_v6()) {
		print_message("skipped: there is no IPv6\n");
		skip();
	}
	wire_sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
	return netns_open();
}

static inline void wire_link(const char *name, const char *mac, int netns)
{
	char command[256];

	(void)snprintf(command, sizeof(command),
		       "ip link add %s address %s type veth peer name eth0 "
		       "address 02:00:00:00:00:02 netns /proc/%d/fd/%d",
		       name, mac, (int)getpid(), netns);
	if (system(command) != 0) {
		print_message("skipped: cannot make veth interfaces\n");
		skip();
	}
}

static inline void wire_listen(struct wire *w)
{
	struct err e = { .code = 0 };

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		struct addr tcp = wire_address(f ? "::1" : "127.0.0.1", 0);
		struct addr udp = tcp;

		w->tcp[f] = sock_listen_tcp(&tcp, 0x2000, &e);
		w->udp[f] = sock_listen_udp(&udp, 0x2000, &e);
		if (w->tcp[f] < 0 || w->udp[f] < 0)
			fail_msg("%s", e.text);
		w->plan.has_family[f] = true;
		w->plan.fds[0][PROTO_TCP][f] = w->tcp[f];
		w->plan.fds[0][PROTO_UDP][f] = w->udp[f];
		w->plan.ports[0][PROTO_TCP][f] = tcp.port;
		w->plan.ports[0][PROTO_UDP][f] = udp.port;
	}
}

/* Ends in the gateway. */
static inline void wire_begin(struct wire *w, enum bpf_hook_how how)
{
	struct err e = { .code = 0 };

	*w = (struct wire){ .how = how, .plan.is_private = true };
	memset(w->plan.fds, -1, sizeof(w->plan.fds));
	w->client = wire_new_netns();
	w->server = wire_new_netns();
	w->gateway = wire_new_netns();
	wire_link("lan0", "02:00:00:00:00:01", w->client);
	wire_link("wan0", "02:00:00:00:00:03", w->server);
	wire_sh("echo 1 > /proc/sys/net/ipv4/ip_forward;"
		"echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
		"ip addr add 10.0.0.1/24 dev lan0;"
		"ip addr add 2001:db8:9::1/64 dev lan0 nodad;"
		"ip addr add 198.51.100.1/24 dev wan0;"
		"ip addr add 2001:db8:7::1/64 dev wan0 nodad;"
		"ip link set lan0 up; ip link set wan0 up");
	wire_enter(w->client);
	wire_sh("ip addr add 10.0.0.2/24 dev eth0;"
		"ip addr add 2001:db8:9::2/64 dev eth0 nodad;"
		"ip link set eth0 up; ip route add default via 10.0.0.1;"
		"ip route add default via 2001:db8:9::1");
	wire_enter(w->server);
	wire_sh("ip addr add 198.51.100.7/24 dev eth0;"
		"ip addr add 2001:db8:7::7/64 dev eth0 nodad;"
		"ip link set eth0 up; ip route add default via 198.51.100.1;"
		"ip route add default via 2001:db8:7::1");
	wire_enter(w->gateway);
	wire_listen(w);
	w->run = engine_ebpf.new(&e);
	assert_non_null(w->run);
}

/* The listeners are those of the first intercept. */
static inline void wire_install(struct wire *w, const char *rules,
				const struct bpf_options *options)
{
	struct str text = { .len = 0 };
	struct err e = { .code = 0 };
	unsigned added = 0;
	struct nl nl;

	wire_enter(w->gateway);
	str_addf(&text,
		 "upstream out { via direct; source self }\n"
		 "intercept a { from lan0; tcp any; udp any }\n%s",
		 rules);
	assert_null(w->config); /* once in a life */
	w->plan.config = w->config = config_of(&text);
	str_done(&text);
	if (ebpf_install_with(w->run, &w->plan, options, w->how, &e) < 0) {
		if (e.code != EPERM && e.code != EOPNOTSUPP)
			fail_msg("%s", e.text);
		print_message("skipped: %s\n", e.text);
		skip();
	}
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	if (routing_install(&nl, &w->plan, &added, &e) < 0)
		fail_msg("%s", e.text);
	nl_close(&nl);
}

static inline void wire_end(struct wire *w)
{
	wire_enter(w->gateway);
	engine_ebpf.free(w->run);
	config_free(w->config);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		close(w->tcp[f]);
		close(w->udp[f]);
	}
	close(w->client);
	close(w->server);
	close(w->gateway);
}

static inline uint64_t wire_count(const struct wire *w, uint32_t counter)
{
	int fd =
		bpf_generation_kept(ebpf_generation(w->run), BPF_KEPT_COUNTERS);
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[256], sum = 0;

	assert_in_range(cpus, 1, 256);
	assert_int_equal(bpf_map_lookup_elem(fd, &counter, values), 0);
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

/* ETHTOOL_STSO..., of a device of the namespace that was entered. */
static inline void wire_offload(const char *link, uint32_t what, bool is_on)
{
	struct ethtool_value value = { .cmd = what, .data = is_on };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, link);
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0) {
		print_message("skipped: cannot switch offload %#x of %s: %s\n",
			      what, link, strerror(errno));
		skip();
	}
	close(fd);
}

/* --- sockets ------------------------------------------------------------- */

static inline bool wire_is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, WIRE_WAIT_MS) == 1;
}

/* Not yet connected; ends in the client's namespace. */
static inline int wire_client(const struct wire *w, enum family_index f,
			      enum proto p)
{
	int fd, yes = 1;

	wire_enter(w->client);
	fd = socket(plan_family(f),
		    (p == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) |
			    SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	return fd;
}

static inline void wire_begin_connect(int fd, enum family_index f)
{
	struct addr to = wire_address(wire_servers[f], 80);
	int error = sock_connect(fd, &to);

	assert_true(error == 0 || error == -EINPROGRESS);
}

/* What listens at `listener` accepts it; *accepted has the server's address. */
static inline int wire_accept(int listener, int client)
{
	struct addr local, peer, own, to;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd;

	assert_true(wire_is_ready(listener, POLLIN));
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(wire_is_ready(client, POLLOUT));
	assert_int_equal(sock_error(client), 0);
	assert_int_equal(sock_local_addr(fd, &local), 0);
	assert_int_equal(sock_local_addr(client, &own), 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &peer);
	len = sizeof(ss);
	assert_int_equal(getpeername(client, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &to);
	assert_true(addr_equal(&peer, &own));
	assert_true(addr_equal(&local, &to));
	return fd;
}

/* --- both hooks ---------------------------------------------------------- */

/* The state of each test points to the way in which it hooks. */
static inline int wire_run_at(const char *name, enum bpf_hook_how how,
			      struct CMUnitTest *tests, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tests[i].initial_state = &how;
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

static inline int wire_run_hooks(struct CMUnitTest *tests, size_t count)
{
	return wire_run_at("the best hook", BPF_HOOK_BEST, tests, count) +
	       wire_run_at("clsact", BPF_HOOK_CLSACT, tests, count);
}

#endif
