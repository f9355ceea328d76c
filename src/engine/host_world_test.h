/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_world_test.h - a host of its own for tests of `from host`.
 *
 *	this process: clients, listeners -- route --> wan0, a TUN device
 *
 * wan0 has two addresses of each family, and the default route names the
 * second one as source.  What goes direct comes out of the TUN device; what
 * is taken comes to a listener.  Source validation is as strict as it gets.
 */
#ifndef WL_ENGINE_HOST_WORLD_TEST_H
#define WL_ENGINE_HOST_WORLD_TEST_H

#include "engine/each_engine_test.h"
#include "engine/routing.h"
#include "engine/tun_test.h"

#include "net/dgram.h"
#include "net/netns_test.h"
#include "net/sock.h"
#include "policy/policy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	INTERCEPTS = 2,
	WAIT_MS = 5000,
	OWN_MARK = 0x2000,
	USER = 4711,
	MARKER_PORT = 9, /* never intercepted here */
	DELIVER_PORT = 3129,
};

struct world {
	const struct engine *engine;
	int wan;
	int tcp[INTERCEPTS + 1][FAMILY_COUNT]; /* the last: `deliver` */
	int udp[INTERCEPTS + 1][FAMILY_COUNT];
	struct dgram_batch batch;
	struct config *config, *before;
	struct engine_run *run;
	struct plan plan;
};

static const char *const addresses[FAMILY_COUNT][2] = {
	{ "198.51.100.1", "198.51.100.2" },
	{ "2001:db8:1::1", "2001:db8:1::2" },
};
static const char *const servers[FAMILY_COUNT] = { "203.0.113.9",
						   "2001:db8:2::9" };

static inline struct addr address(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	return a;
}

/* --- the world ----------------------------------------------------------- */

static inline void world_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline void world_open_listeners(struct world *w, int i,
					enum family_index f)
{
	struct addr at = address(f == FAMILY_V6 ? "::1" : "127.0.0.1",
				 i == INTERCEPTS ? DELIVER_PORT : 0);
	struct err e = { 0 };

	w->tcp[i][f] = sock_listen_tcp(&at, OWN_MARK, &e);
	if (i < INTERCEPTS)
		w->plan.ports[i][PROTO_TCP][f] = at.port;
	if (i < INTERCEPTS)
		at.port = 0;
	w->udp[i][f] = sock_listen_udp(&at, OWN_MARK, &e);
	if (i < INTERCEPTS)
		w->plan.ports[i][PROTO_UDP][f] = at.port;
	if (w->tcp[i][f] < 0 || w->udp[i][f] < 0)
		fail_msg("%s", e.text);
	if (i == INTERCEPTS)
		return;
	w->plan.fds[i][PROTO_TCP][f] = w->tcp[i][f];
	w->plan.fds[i][PROTO_UDP][f] = w->udp[i][f];
}

static inline void world_begin(struct world *w, const struct engine *engine)
{
	struct err e = { 0 };

	*w = (struct world){ .engine = engine, .plan.is_private = true };
	memset(w->plan.fds, -1, sizeof(w->plan.fds));
	netns_begin();
	if (geteuid() != 0 || !netns_has_v6())
		skip();
	w->wan = tun_open("wan0");
	world_run("export PATH=/usr/sbin:/sbin:/usr/bin:/bin; cd "
		  "/proc/sys/net/ipv4;"
		  "ip link set wan0 up; for a in 1 2; do"
		  " ip addr add 198.51.100.$a/24 dev wan0;"
		  " ip addr add 2001:db8:1::$a/64 dev wan0 nodad; done;"
		  "ip route add default dev wan0 src 198.51.100.2;"
		  "ip -6 route add default dev wan0 src 2001:db8:1::2;"
		  "for c in all wan0 lo; do echo 1 >conf/$c/src_valid_mark;"
		  " echo 1 >conf/$c/rp_filter; done");
	for (int i = 0; i <= INTERCEPTS; i++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			world_open_listeners(w, i, f);
	assert_int_equal(dgram_init(&w->batch), 0);
	w->run = w->engine->new (&e);
	assert_non_null(w->run);
}

/* Install this configuration in place of the one before. */
static inline void world_load(struct world *w, const char *text)
{
	struct messages m = { .errors = 0 };
	struct err e = { 0 };
	unsigned added = 0;
	struct nl nl;

	config_free(w->before); /* the engine has kept it until now */
	w->before = w->config;
	w->config = config_parse("t", text, strlen(text), &m);
	if (!w->config)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	w->plan.config = w->config;
	w->plan.has_family[FAMILY_V4] = w->plan.has_family[FAMILY_V6] = true;
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	if (routing_install(&nl, &w->plan, &added, &e) < 0 ||
	    w->engine->install(w->run, &w->plan, &e) < 0)
		fail_msg("%s", e.text);
	nl_close(&nl);
}

/* As after an end of waylay: what it has installed is gone. */
static inline void world_unload(struct world *w)
{
	struct err e = { 0 };

	assert_int_equal(w->engine->remove(&e), 0);
	w->engine->free(w->run);
	w->run = w->engine->new (&e);
	assert_non_null(w->run);
}

static inline bool world_is(const struct world *w, unsigned kinds)
{
	return kinds & 1u << w->engine->kind;
}

static inline void world_end(struct world *w)
{
	for (int i = 0; i <= INTERCEPTS; i++)
		for (int f = 0; f < FAMILY_COUNT; f++) {
			close(w->tcp[i][f]);
			close(w->udp[i][f]);
		}
	close(w->wan);
	dgram_done(&w->batch);
	w->engine->free(w->run);
	config_free(w->before);
	config_free(w->config);
}

/* --- clients ------------------------------------------------------------- */

struct client {
	int fd, error; /* of connect() or send(), positive */
	struct addr server;
};

/* The socket belongs to `user`; `from` NULL: whatever the route says. */
static inline int client_open(enum family_index f, enum proto p, uid_t user,
			      const char *from)
{
	struct sockaddr_storage ss;
	struct addr a;
	int fd;

	assert_int_equal(seteuid(user), 0);
	fd = socket(plan_family(f),
		    (p == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) |
			    SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	if (from) {
		a = address(from, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&ss,
				      addr_to_sockaddr(&a, &ss)),
				 0);
	}
	return fd;
}

/* TCP: begin to connect.  UDP: send "?". */
static inline struct client client_speak(int fd, enum family_index f,
					 enum proto p, uint16_t port)
{
	struct client c = { .fd = fd, .server = address(servers[f], port) };
	int error = sock_connect(fd, &c.server);

	if (p == PROTO_UDP && !error && send(fd, "?", 1, 0) < 0)
		error = -errno;
	c.error = error == -EINPROGRESS ? 0 : -error;
	return c;
}

static inline bool is_ready(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, timeout_ms) == 1;
}

/* --- what comes out of wan0 ---------------------------------------------- */

struct seen {
	struct addr src, dst;
	uint8_t protocol, tcp_flags;
	uint32_t seq; /* TCP */
};

static inline bool wan_parse(const uint8_t *p, size_t len, struct seen *out)
{
	bool is_v6 = p[0] >> 4 == 6;
	size_t head = is_v6 ? 40 : 20, ip_len = is_v6 ? 16 : 4;
	const uint8_t *part = p + head;

	if (len < head + 8)
		return false;
	*out = (struct seen){ .protocol = is_v6 ? p[6] : p[9] };
	out->src.family = out->dst.family = is_v6 ? AF_INET6 : AF_INET;
	memcpy(out->src.ip, p + head - 2 * ip_len, ip_len);
	memcpy(out->dst.ip, p + head - ip_len, ip_len);
	out->src.port = (uint16_t)(part[0] << 8 | part[1]);
	out->dst.port = (uint16_t)(part[2] << 8 | part[3]);
	if (out->protocol != IPPROTO_TCP)
		return out->protocol == IPPROTO_UDP;
	out->tcp_flags = part[13];
	out->seq = (uint32_t)part[4] << 24 | (uint32_t)part[5] << 16 |
		   (uint32_t)part[6] << 8 | part[7];
	return true;
}

/* The next TCP segment or datagram. */
static inline void wan_next(struct world *w, struct seen *out)
{
	uint8_t packet[2048];
	ssize_t len;

	do {
		assert_true(is_ready(w->wan, POLLIN, WAIT_MS));
		len = read(w->wan, packet, sizeof(packet));
		assert_true(len > 0);
	} while (!wan_parse(packet, (size_t)len, out));
}

/* Everything is sent in order: when a marker is out, so is what was before. */
static inline bool wan_has(struct world *w, const struct client *c,
			   struct addr *src)
{
	enum family_index f = c->server.family == AF_INET6;
	int fd = client_open(f, PROTO_UDP, 0, NULL);
	bool is_out = false;
	struct addr own;
	struct seen s;

	assert_int_equal(sock_local_addr(c->fd, &own), 0);

	assert_int_equal(client_speak(fd, f, PROTO_UDP, MARKER_PORT).error, 0);
	do {
		wan_next(w, &s);
		if (addr_equal(&s.dst, &c->server) && s.src.port == own.port) {
			is_out = true;
			*src = s.src;
		}
	} while (s.dst.port != MARKER_PORT);
	close(fd);
	return is_out;
}

/* A new flow, as root. */
static inline bool has_gone_direct(struct world *w, enum family_index f,
				   enum proto p)
{
	struct client c = client_speak(client_open(f, p, 0, NULL), f, p,
				       p == PROTO_TCP ? 80 : 53);
	struct addr src;
	bool is_direct = wan_has(w, &c, &src);

	close(c.fd);
	return is_direct;
}

/* --- what comes to a listener -------------------------------------------- */

/* The row of world.tcp that has it, or -1; *out is accepted. */
static inline int listener_accept(struct world *w, enum family_index f,
				  int *out)
{
	for (int i = 0; i <= INTERCEPTS; i++) {
		*out = accept4(w->tcp[i][f], NULL, NULL, SOCK_CLOEXEC);
		if (*out >= 0)
			return i;
	}
	return -1;
}

/* The same for datagrams. */
static inline int listener_receive(struct world *w, enum family_index f,
				   struct addr *src, struct addr *dst)
{
	for (int i = 0; i <= INTERCEPTS; i++) {
		if (dgram_recv(w->udp[i][f], &w->batch) <= 0)
			continue;
		*src = w->batch.dgrams[0].src;
		*dst = w->batch.dgrams[0].origdst;
		return i;
	}
	return -1;
}

/* Bytes both ways, with the server's address. */
static inline void expect_conversation(const struct client *c, int accepted)
{
	struct addr own;
	char byte;

	assert_true(is_ready(c->fd, POLLOUT, WAIT_MS));
	assert_int_equal(sock_error(c->fd), 0);
	assert_int_equal(sock_local_addr(accepted, &own), 0);
	assert_true(addr_equal(&own, &c->server));
	assert_int_equal(send(c->fd, "a", 1, 0), 1);
	assert_true(is_ready(accepted, POLLIN, WAIT_MS));
	assert_int_equal(recv(accepted, &byte, 1, 0), 1);
	assert_int_equal(send(accepted, "b", 1, 0), 1);
	assert_true(is_ready(c->fd, POLLIN, WAIT_MS));
	assert_int_equal(recv(c->fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'b');
}

/* The listener of this row gets the connection, and it works; accepted. */
static inline int world_take(struct world *w, const struct client *c,
			     int listener)
{
	enum family_index f = c->server.family == AF_INET6;
	int accepted;

	assert_true(is_ready(w->tcp[listener][f], POLLIN, WAIT_MS));
	assert_int_equal(listener_accept(w, f, &accepted), listener);
	expect_conversation(c, accepted);
	return accepted;
}

/* --- the engines --------------------------------------------------------- */

enum { ONLY_NFT = 1 << ENGINE_NFT, ONLY_IPTABLES = 1 << ENGINE_IPTABLES };

#endif
