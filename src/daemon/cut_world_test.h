/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_world_test.h - a client, a router that cuts, a server; and what the ends
 * do with a connection.
 *
 *	client				router				server
 *	eth0 10.0.0.2  ------- lan0 10.0.0.1
 *	     2001:db8:9::2          2001:db8:9::1
 *				wan0 198.51.100.1 ------- eth0 198.51.100.7
 *				     2001:db8:7::1             2001:db8:7::7
 *
 * Each in a network namespace of its own.  TCP of both links is delivered to
 * the router itself by a mark; what the programs send on has none, and is
 * routed.  Ends are processes: what is tested here is the router's.
 */
#ifndef WL_DAEMON_CUT_WORLD_TEST_H
#define WL_DAEMON_CUT_WORLD_TEST_H

#include "engine/cut.h"
#include "net/netns_test.h"
#include "net/sock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { WORLD_MARK = 0x2000, WORLD_PORT = 7000, WORLD_WAIT_MS = 20000 };

struct world {
	int client, router, server; /* namespaces */
	struct cut *cut;
	const struct cut_table *table;
	int raw_fd[FAMILY_COUNT];
};

static const char *const world_servers[FAMILY_COUNT] = { "198.51.100.7",
							 "2001:db8:7::7" };
static const char *const world_routers[FAMILY_COUNT] = { "198.51.100.1",
							 "2001:db8:7::1" };

/* --- the network --------------------------------------------------------- */

static inline void world_sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline void world_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

static inline int world_new_netns(void)
{
	netns_begin();
	if (!netns_has_v6()) {
		print_message("skipped: there is no IPv6\n");
		skip();
	}
	world_sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
	/* many, that one is not used again soon; none that is listened at */
	world_sh("echo 10000 65535 >/proc/sys/net/ipv4/ip_local_port_range");
	return netns_open();
}

static inline void world_link(const char *name, int netns)
{
	char command[256];

	(void)snprintf(command, sizeof(command),
		       "ip link add %s type veth peer name eth0 "
		       "netns /proc/%d/fd/%d",
		       name, (int)getpid(), netns);
	if (system(command) != 0) {
		print_message("skipped: cannot make veth interfaces\n");
		skip();
	}
}

static const char world_router_setup[] =
	"ip address add 10.0.0.1/24 dev lan0 && "
	"ip address add 2001:db8:9::1/64 dev lan0 nodad && "
	"ip address add 198.51.100.1/24 dev wan0 && "
	"ip address add 2001:db8:7::1/64 dev wan0 nodad && "
	"ip link set lan0 up && ip link set wan0 up && "
	"echo 1 >/proc/sys/net/ipv4/ip_forward && "
	"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding && "
	"echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter && "
	"ip rule add fwmark 1 lookup 100 && ip -6 rule add fwmark 1 lookup 100 "
	"&& ip route add local default dev lo table 100 && "
	"ip -6 route add local default dev lo table 100 && "
	"nft 'add table inet t; add chain inet t c { type filter hook "
	"prerouting priority mangle; }; add rule inet t c meta l4proto tcp "
	"meta mark != 0x2000 meta mark set 1'";

static inline void world_end_setup(int netns, const char *commands)
{
	world_enter(netns);
	world_sh(commands);
}

static inline void world_begin(struct world *w)
{
	struct err e = { .code = 0 };

	w->client = world_new_netns();
	w->server = world_new_netns();
	w->router = world_new_netns();
	world_link("lan0", w->client);
	world_link("wan0", w->server);
	world_sh(world_router_setup);
	world_end_setup(w->client,
			"ip link set eth0 up && "
			"ip address add 10.0.0.2/24 dev eth0 && "
			"ip address add 2001:db8:9::2/64 dev eth0 nodad && "
			"ip route add default via 10.0.0.1 && "
			"ip route add default via 2001:db8:9::1");
	world_end_setup(w->server,
			"ip link set eth0 up && "
			"ip address add 198.51.100.7/24 dev eth0 && "
			"ip address add 2001:db8:7::7/64 dev eth0 nodad && "
			"ip route add default via 198.51.100.1 && "
			"ip route add default via 2001:db8:7::1");
	world_enter(w->router);
	/* a file system of our own: what is pinned goes with this process */
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL),
			 0);
	assert_int_equal(mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL), 0);
	w->cut = cut_open(1 << 14, WORLD_MARK, &e);
	if (!w->cut || cut_attach(w->cut, &e) < 0) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
	w->table = cut_get_table(w->cut);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		w->raw_fd[f] =
			sock_raw_sender(f ? AF_INET6 : AF_INET, WORLD_MARK, &e);
		assert_true(w->raw_fd[f] >= 0);
	}
}

static inline void world_done(struct world *w)
{
	cut_close(w->cut);
	for (int f = 0; f < FAMILY_COUNT; f++)
		close(w->raw_fd[f]);
	close(w->client);
	close(w->server);
	close(w->router);
}

/* Of what comes to a host, one packet in fifty is lost, also if it consists of
 * many segments. */
static inline void world_lose(const struct world *w)
{
	const int all[] = { w->client, w->server, w->router };

	for (int i = 0; i < 3; i++) {
		world_enter(all[i]);
		world_sh("nft 'add table inet l; add chain inet l c { type "
			 "filter hook prerouting priority raw; }; add rule "
			 "inet l c meta l4proto tcp numgen random mod 50 == 0 "
			 "drop'");
	}
}

static inline struct addr world_address(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	a.port = port;
	return a;
}

/* --- what an end does ---------------------------------------------------- */

enum end_after {
	END_BOTH,     /* send and receive at the same time, then FIN */
	END_TURNS,    /* a piece, its answer, and so on; then FIN */
	END_FIRST,    /* send all, FIN, then receive all */
	END_LAST,     /* receive all up to FIN, then send all */
	END_RESET,    /* send, receive what comes meanwhile, then RST */
	END_IS_RESET, /* send and receive until RST comes */
};

struct end {
	enum end_after what;
	uint32_t send, get; /* bytes; END_TURNS: turns of up to 1000 bytes */
};

/* Deviations; what a process of an end returns. */
enum end_result {
	END_GOOD,
	END_NO_SOCKET,
	END_SILENCE,
	END_WRONG_BYTE,
	END_TOO_FEW,
	END_WAS_RESET,
	END_WAS_NOT_RESET,
	END_FAILED,
};

struct talk {
	int fd;
	uint32_t sent, got;
	bool is_ended; /* FIN came */
	bool is_reset;
	uint8_t in_seed, out_seed;
};

static inline uint8_t end_byte(uint8_t seed, uint32_t i)
{
	return (uint8_t)((i + seed) * 2654435761u >> 23);
}

static inline enum end_result end_receive(struct talk *t)
{
	uint8_t in[16384];
	ssize_t n = recv(t->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return END_GOOD;
	if (n < 0) {
		t->is_reset = true;
		return errno == ECONNRESET ? END_WAS_RESET : END_FAILED;
	}
	t->is_ended = n == 0;
	for (ssize_t i = 0; i < n; i++)
		if (in[i] != end_byte(t->in_seed, t->got++))
			return END_WRONG_BYTE;
	return END_GOOD;
}

static inline enum end_result end_send(struct talk *t, uint32_t until)
{
	uint8_t out[16384];
	uint32_t len = until - t->sent;
	ssize_t n;

	len = len < sizeof(out) ? len : sizeof(out);
	for (uint32_t i = 0; i < len; i++)
		out[i] = end_byte(t->out_seed, t->sent + i);
	n = send(t->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return END_GOOD;
	if (n < 0) {
		t->is_reset = true;
		return errno == ECONNRESET || errno == EPIPE ? END_WAS_RESET
							     : END_FAILED;
	}
	t->sent += (uint32_t)n;
	return END_GOOD;
}

/* Until so much is sent and received; get UINT32_MAX: until FIN. */
static inline enum end_result end_talk(struct talk *t, uint32_t send,
				       uint32_t get)
{
	enum end_result result = END_GOOD;

	while (result == END_GOOD &&
	       (t->sent < send || (t->got < get && !t->is_ended))) {
		struct pollfd p = { .fd = t->fd };

		p.events = (short)((t->sent < send ? POLLOUT : 0) |
				   (t->is_ended ? 0 : POLLIN));
		if (poll(&p, 1, WORLD_WAIT_MS) != 1)
			return END_SILENCE;
		if (p.revents & (POLLIN | POLLERR | POLLHUP))
			result = end_receive(t);
		if (result == END_GOOD && p.revents & POLLOUT)
			result = end_send(t, send);
	}
	return result;
}

static inline enum end_result end_turns(struct talk *t, const struct end *e)
{
	enum end_result result = END_GOOD;
	bool is_first = e->get == 0; /* the answering one has get set */

	for (uint32_t i = 0; i < e->send && result == END_GOOD; i++) {
		uint32_t piece = 1 + i * 37 % 1000;

		if (is_first)
			result = end_talk(t, t->sent + piece, 0);
		if (result == END_GOOD)
			result = end_talk(t, 0, t->got + piece);
		if (result == END_GOOD && !is_first)
			result = end_talk(t, t->sent + piece, 0);
	}
	return result;
}

static inline enum end_result end_in_peace(struct talk *t, const struct end *e)
{
	enum end_result result = END_GOOD;
	uint32_t send = e->send, get = e->get;

	switch (e->what) {
	case END_BOTH:
		result = end_talk(t, send, 0);
		break;
	case END_TURNS:
		result = end_turns(t, e);
		get = t->got;
		break;
	case END_LAST:
		result = end_talk(t, 0, UINT32_MAX);
		if (result == END_GOOD)
			result = end_talk(t, send, 0);
		break;
	case END_FIRST:
		result = end_talk(t, send, 0);
		break;
	case END_RESET:
	case END_IS_RESET:
		break;
	}
	if (result == END_GOOD && shutdown(t->fd, SHUT_WR) < 0)
		result = errno == ENOTCONN ? END_WAS_RESET : END_FAILED;
	if (result == END_GOOD)
		result = end_talk(t, 0, UINT32_MAX);
	if (result == END_GOOD && t->got != get)
		result = END_TOO_FEW;
	return result;
}

static inline enum end_result end_by_reset(struct talk *t, const struct end *e)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	enum end_result result;

	if (e->what == END_RESET) {
		result = end_talk(t, e->send, e->get);
		(void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &reset,
				 sizeof(reset));
		return result;
	}
	result = end_talk(t, e->send, UINT32_MAX);
	if (result == END_GOOD && t->is_ended)
		return END_WAS_NOT_RESET;
	return result == END_WAS_RESET ? END_GOOD : result;
}

static inline enum end_result end_run(int fd, const struct end *e,
				      bool is_client)
{
	struct talk t = { .fd = fd,
			  .in_seed = is_client ? 17 : 91,
			  .out_seed = is_client ? 91 : 17 };
	enum end_result result;

	if (e->what == END_RESET || e->what == END_IS_RESET)
		result = end_by_reset(&t, e);
	else
		result = end_in_peace(&t, e);
	if (result != END_GOOD)
		(void)fprintf(stderr, "%s: result %d, sent %u got %u\n",
			      is_client ? "client" : "server", (int)result,
			      t.sent, t.got);
	/* what a listener of waylay's has accepted resets by itself */
	if (e->what == END_RESET)
		close(fd);
	else
		sock_close_orderly(fd);
	return result;
}

#endif
