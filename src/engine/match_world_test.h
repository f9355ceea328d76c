/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_world_test.h - sockets of another program, in every state.
 *
 *	client --- tun0: this host ---> listener, request, connection, ...
 *
 * The handshakes are real: the client is made of packets written to a TUN
 * device, each of which has been through the kernel when write() returns.
 * The server's addresses are tun0's own, so that ordinary sockets can have
 * them; the programs under test (bpf_run_test.h) are not told so.
 */
#ifndef WL_ENGINE_MATCH_WORLD_TEST_H
#define WL_ENGINE_MATCH_WORLD_TEST_H

#include "engine/bpf_run_test.h"
#include "engine/tun_test.h"

#include <poll.h>

enum {
	MATCH_WAIT_MS = 5000,
	MATCH_PORT = 20000, /* the first one of the servers */
	MATCH_CLIENT_PORT = 5000,
};

static const char *const match_servers[FAMILY_COUNT] = { "198.51.100.7",
							 "2001:db8:7::7" };
static const char *const match_clients[FAMILY_COUNT] = { "10.0.0.1",
							 "2001:db8:9::1" };

enum match_state {
	MATCH_NOBODY,
	MATCH_LISTENER,
	MATCH_REQUEST,
	MATCH_CONNECTION,
	MATCH_TIME_WAIT,
	MATCH_UNCONNECTED, /* UDP, as all that follow */
	MATCH_CONNECTED,
};

enum match_binding {
	MATCH_BOUND,	/* to the server's address */
	MATCH_WILDCARD, /* to all addresses */
	MATCH_DUAL,	/* to all of both families */
	MATCH_MAPPED,	/* an IPv6 socket at an IPv4 address */
};

struct match_world {
	struct run_world run;
	int tun;
	int sockmap;
	uint16_t port; /* the next server's */
};

/* What is asked for; `family` is the packets'. */
struct match_wish {
	enum match_state state;
	enum match_binding binding;
	bool is_transparent;
	bool is_in_sockmap;
	uint32_t mark; /* SO_MARK */
	enum family_index family;
};

/* What is there. */
struct match_socket {
	int fd, accepted; /* -1: none */
	struct addr client, server;
};

static inline bool match_is_udp(enum match_state s)
{
	return s >= MATCH_UNCONNECTED;
}

static inline struct addr match_address(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	return a;
}

/* --- the world ----------------------------------------------------------- */

static inline void match_world_begin(struct match_world *w)
{
	run_world_begin(&w->run);
	w->port = MATCH_PORT;
	w->tun = tun_open("tun0");
	if (system("ip addr add 198.51.100.7/24 dev tun0 &&"
		   "ip addr add 2001:db8:7::7/64 dev tun0 nodad &&"
		   "ip link set tun0 up &&"
		   "ip route add 10.0.0.0/24 dev tun0 &&"
		   "ip route add 2001:db8:9::/64 dev tun0"))
		fail_msg("cannot set tun0 up");
	w->sockmap =
		bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "sockmap", 4, 8, 1, NULL);
	assert_true(w->sockmap >= 0);
}

static inline void match_world_end(struct match_world *w)
{
	close(w->sockmap);
	close(w->tun);
	run_world_end(&w->run);
}

/* --- the client ---------------------------------------------------------- */

/* The number of the last segment to the client, and all before it is read. */
static inline uint32_t match_read_seq(const struct match_world *w,
				      const struct match_socket *s,
				      uint8_t flags)
{
	size_t head = s->client.family == AF_INET6 ? 40 : 20;
	struct pollfd p = { .fd = w->tun, .events = POLLIN };
	uint8_t packet[FRAME_MAX];

	for (;;) {
		assert_int_equal(poll(&p, 1, MATCH_WAIT_MS), 1);
		if (read(w->tun, packet, sizeof(packet)) < (ssize_t)head + 20)
			continue;
		if (packet[0] >> 4 == (head == 40 ? 6 : 4) &&
		    packet[head == 40 ? 6 : 9] == IPPROTO_TCP &&
		    frame_16(packet + head) == s->server.port &&
		    packet[head + 13] == flags)
			return frame_32(packet + head + 4);
	}
}

/* Is there one in this state, as the kernel numbers them? */
static inline bool match_has_state(const struct match_socket *s, bool is_v6,
				   unsigned state)
{
	FILE *f = fopen(is_v6 ? "/proc/self/net/tcp6" : "/proc/self/net/tcp",
			"re");
	unsigned local, remote, is;
	bool has = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d: %*[^:]:%x %*[^:]:%x %x", &local, &remote,
			   &is) == 3)
			has |= local == s->server.port &&
			       remote == s->client.port && is == state;
	(void)fclose(f); /* was only read */
	return has;
}

/* --- its states, each out of the one before ------------------------------ */

static inline uint32_t match_request(const struct match_world *w,
				     struct match_socket *s)
{
	tun_send_tcp(w->tun, &s->client, &s->server, FRAME_SYN, 0);
	return match_read_seq(w, s, FRAME_SYN | FRAME_ACK);
}

static inline void match_connect(const struct match_world *w,
				 struct match_socket *s, uint32_t first)
{
	tun_send_tcp(w->tun, &s->client, &s->server, FRAME_ACK, first + 1);
	s->accepted = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(s->accepted >= 0);
}

/* The server closes first. */
static inline void match_finish(const struct match_world *w,
				struct match_socket *s)
{
	uint32_t fin;

	run_close(&s->accepted);
	fin = match_read_seq(w, s, FRAME_FIN | FRAME_ACK);
	tun_send_tcp(w->tun, &s->client, &s->server, FRAME_FIN | FRAME_ACK,
		     fin + 1);
}

static inline void match_reach(const struct match_world *w,
			       const struct match_wish *wish,
			       struct match_socket *s)
{
	static const unsigned numbers[] = { [MATCH_REQUEST] = TCP_SYN_RECV,
					    [MATCH_CONNECTION] =
						    TCP_ESTABLISHED,
					    [MATCH_TIME_WAIT] = TCP_TIME_WAIT };
	bool is_v6 = wish->family == FAMILY_V6 || wish->binding >= MATCH_DUAL;
	uint32_t first;

	if (wish->state == MATCH_LISTENER)
		return;
	first = match_request(w, s);
	if (wish->state >= MATCH_CONNECTION)
		match_connect(w, s, first);
	if (wish->state == MATCH_TIME_WAIT)
		match_finish(w, s);
	assert_true(match_has_state(s, is_v6, numbers[wish->state]));
}

/* --- sockets ------------------------------------------------------------- */

static inline struct addr match_place(const struct match_wish *wish,
				      uint16_t port)
{
	static const char *const everywhere[FAMILY_COUNT] = { "0.0.0.0", "::" };

	switch (wish->binding) {
	case MATCH_BOUND:
		return match_address(match_servers[wish->family], port);
	case MATCH_WILDCARD:
		return match_address(everywhere[wish->family], port);
	case MATCH_DUAL:
	case MATCH_MAPPED:
		break;
	}
	return match_address("::", port);
}

static inline void match_bind(int fd, const struct match_wish *wish,
			      uint16_t port)
{
	struct addr at = match_place(wish, port);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&at, &ss);
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (wish->binding == MATCH_MAPPED)
		assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.7",
					   &in6->sin6_addr),
				 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
}

static inline int match_new_socket(const struct match_wish *wish)
{
	bool is_v6 = wish->family == FAMILY_V6 || wish->binding >= MATCH_DUAL;
	int only = wish->binding < MATCH_DUAL, yes = 1;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET,
			(match_is_udp(wish->state) ? SOCK_DGRAM : SOCK_STREAM) |
				SOCK_CLOEXEC,
			0);

	assert_true(fd >= 0);
	if (is_v6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
					    &only, sizeof(only)),
				 0);
	if (wish->is_transparent)
		assert_int_equal(
			setsockopt(fd, is_v6 ? SOL_IPV6 : SOL_IP,
				   is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
				   &yes, sizeof(yes)),
			0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &wish->mark,
				    sizeof(wish->mark)),
			 0);
	return fd;
}

static inline void match_put_in_sockmap(const struct match_world *w, int fd)
{
	uint64_t value = (uint64_t)fd;
	uint32_t zero = 0;

	assert_int_equal(
		bpf_map_update_elem(w->sockmap, &zero, &value, BPF_ANY), 0);
}

static inline void match_open(struct match_world *w,
			      const struct match_wish *wish,
			      struct match_socket *out)
{
	struct sockaddr_storage ss;

	*out = (struct match_socket){
		.fd = -1,
		.accepted = -1,
		.client = match_address(match_clients[wish->family],
					MATCH_CLIENT_PORT),
		.server = match_address(match_servers[wish->family], w->port++),
	};
	if (wish->state == MATCH_NOBODY)
		return;
	out->fd = match_new_socket(wish);
	match_bind(out->fd, wish, out->server.port);
	if (!match_is_udp(wish->state))
		assert_int_equal(listen(out->fd, 8), 0);
	if (wish->state == MATCH_CONNECTED)
		assert_int_equal(connect(out->fd, (struct sockaddr *)&ss,
					 addr_to_sockaddr(&out->client, &ss)),
				 0);
	if (wish->is_in_sockmap)
		match_put_in_sockmap(w, out->fd);
	if (!match_is_udp(wish->state))
		match_reach(w, wish, out);
}

static inline void match_close(struct match_socket *s)
{
	run_close(&s->accepted);
	run_close(&s->fd);
}

#endif
