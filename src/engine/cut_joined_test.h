/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_joined_test.h - two sockets in two namespaces, and no relay: a flow that
 * is cut through from its beginning.
 *
 *	client ns  c1 ---- c0  this namespace  s0 ---- s1  server ns
 *	192.0.2.1  2001:db8:1::1   forwards    198.51.100.1  2001:db8:2::1
 *
 * Each socket is made established with numbers of its own (TCP_REPAIR): what
 * each of them sends means nothing to the other one, unless it is rewritten.
 */
#ifndef WL_ENGINE_CUT_JOINED_TEST_H
#define WL_ENGINE_CUT_JOINED_TEST_H

#include "engine/cut_life_test.h"
#include "net/sock.h"

#include <netinet/tcp.h>
#include <poll.h>

enum {
	WAIT_MS = 20000, /* for what must come */
	ENDS = 2,	 /* 0 client, 1 server */
	WINDOW = 60000,
};

/* Both are about to wrap in one direction. */
static const uint32_t first_sent[ENDS] = { 0xfffffff0, 0xffffff00 };
static const uint32_t first_read[ENDS] = { 0x00001000, 0x70000000 };

struct joined_kind {
	const char *name;
	const char *client, *front; /* of the client leg */
	const char *back, *server;  /* of the server leg */
};

static const struct joined_kind kinds[] = {
	{ "IPv4, equal legs", "192.0.2.1:40000", "198.51.100.1:80",
	  "192.0.2.1:40000", "198.51.100.1:80" },
	{ "IPv6, equal legs", "[2001:db8:1::1]:40000", "[2001:db8:2::1]:80",
	  "[2001:db8:1::1]:40000", "[2001:db8:2::1]:80" },
	{ "IPv4, legs of their own", "192.0.2.1:40000", "203.0.113.9:443",
	  "198.51.100.254:5000", "198.51.100.1:80" },
	{ "IPv6, legs of their own", "[2001:db8:1::1]:40000",
	  "[2001:db8:9::9]:443", "[2001:db8:2::fe]:5000",
	  "[2001:db8:2::1]:80" },
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct joined {
	const struct joined_kind *kind;
	struct cut *cut;
	const struct cut_table *table;
	int raw_fd[FAMILY_COUNT];
	int fd[ENDS];
	int heard[ENDS]; /* the first error, that a call has taken */
	struct wl_cut_key key[ENDS]; /* by leg; equal legs: the same */
	bool has_two;
};

/* --- the network --------------------------------------------------------- */

static inline int here(void)
{
	int ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(ns >= 0);
	return ns;
}

/* Addresses without duplicate detection, so that they are there at once. */
static inline int make_end(const char *commands)
{
	netns_begin();
	sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
	sh(commands);
	return here();
}

static inline void move_to(const char *ifname, int ns)
{
	char command[128];

	(void)snprintf(command, sizeof(command),
		       "ip link set %s netns /proc/%d/fd/%d", ifname, getpid(),
		       ns);
	sh(command);
}

static inline void in_namespace(int ns, const char *commands)
{
	int back = here();

	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	sh(commands);
	assert_int_equal(setns(back, CLONE_NEWNET), 0);
	close(back);
}

static inline void make_network(int ns[ENDS])
{
	for (int i = 0; i < ENDS; i++)
		ns[i] = make_end("true");
	close(make_end("ip link add c0 type veth peer name c1 &&"
		       "ip link add s0 type veth peer name s1 &&"
		       "ip addr add 192.0.2.254/24 dev c0 &&"
		       "ip addr add 198.51.100.254/24 dev s0 &&"
		       "ip addr add 2001:db8:1::fe/64 dev c0 nodad &&"
		       "ip addr add 2001:db8:2::fe/64 dev s0 nodad &&"
		       "ip link set c0 up && ip link set s0 up &&"
		       "echo 1 > /proc/sys/net/ipv4/ip_forward &&"
		       "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"));
	move_to("c1", ns[0]);
	move_to("s1", ns[1]);
	in_namespace(ns[0], "ip link set c1 up &&"
			    "ip addr add 192.0.2.1/24 dev c1 &&"
			    "ip addr add 2001:db8:1::1/64 dev c1 nodad &&"
			    "ip route add default via 192.0.2.254 &&"
			    "ip route add default via 2001:db8:1::fe");
	in_namespace(ns[1], "ip link set s1 up &&"
			    "ip addr add 198.51.100.1/24 dev s1 &&"
			    "ip addr add 2001:db8:2::1/64 dev s1 nodad &&"
			    "ip route add default via 198.51.100.254 &&"
			    "ip route add default via 2001:db8:2::fe");
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* From now on packets that are not rewritten reach nobody, as where an engine
 * takes them. */
static inline void stop_forwarding(void)
{
	write_file("/proc/sys/net/ipv4/ip_forward", "0");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "0");
}

/* --- the sockets --------------------------------------------------------- */

static inline struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline void set_tcp(int fd, int name, int value)
{
	assert_int_equal(
		setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)), 0);
}

static inline void set_number(int fd, int queue, uint32_t number)
{
	set_tcp(fd, TCP_REPAIR_QUEUE, queue);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &number,
				    sizeof(number)),
			 0);
}

/* Established, without a segment. */
static inline int make_socket(const struct addr *own, const struct addr *peer,
			      uint32_t sent, uint32_t read)
{
	const struct tcp_repair_window window = { .snd_wl1 = read,
						  .snd_wnd = WINDOW,
						  .max_window = WINDOW,
						  .rcv_wnd = WINDOW,
						  .rcv_wup = read };
	int fd = socket(own->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(own, &ss);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	set_tcp(fd, TCP_REPAIR, TCP_REPAIR_ON);
	set_number(fd, TCP_SEND_QUEUE, sent);
	set_number(fd, TCP_RECV_QUEUE, read);
	len = addr_to_sockaddr(peer, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window,
				    sizeof(window)),
			 0);
	set_tcp(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void make_sockets(struct joined *j, const int ns[ENDS])
{
	const struct joined_kind *k = j->kind;
	struct addr client = at(k->client), front = at(k->front);
	struct addr back = at(k->back), server = at(k->server);
	int router = here();

	assert_int_equal(setns(ns[0], CLONE_NEWNET), 0);
	j->fd[0] = make_socket(&client, &front, first_sent[0], first_read[0]);
	assert_int_equal(setns(ns[1], CLONE_NEWNET), 0);
	j->fd[1] = make_socket(&server, &back, first_sent[1], first_read[1]);
	assert_int_equal(setns(router, CLONE_NEWNET), 0);
	close(router);
}

/* --- the entries --------------------------------------------------------- */

/* What end i sends, in the numbers of its own leg and then of the other's. */
static inline struct wl_cut_way way_from(int i, uint32_t seen_s)
{
	return (struct wl_cut_way){
		.seq_add = first_read[!i] - first_sent[i],
		.ack_add = first_sent[!i] - first_read[i],
		.marks = WL_CUT_SEEN,
		.ack = first_read[i],
		.seen_s = seen_s,
	};
}

static inline void put_entry(struct joined *j, int leg, struct wl_cut *value,
			     enum wl_cut_state state)
{
	value->state = (uint8_t)state;
	assert_int_equal(cut_table_add(j->table, &j->key[leg], value), 0);
}

static inline void join(struct joined *j, uint32_t seen_s,
			enum wl_cut_state state)
{
	const struct joined_kind *k = j->kind;
	struct addr client = at(k->client), front = at(k->front);
	struct addr back = at(k->back), server = at(k->server);
	bool client_is_low = cut_key(IPPROTO_TCP, &client, &front, &j->key[0]);
	bool server_is_low = cut_key(IPPROTO_TCP, &server, &back, &j->key[1]);
	struct wl_cut value = { .shape = client_is_low ? WL_CUT_LOW : 0 };

	j->has_two = memcmp(&j->key[0], &j->key[1], sizeof(j->key[0])) != 0;
	if (!j->has_two) {
		value.way[!client_is_low] = way_from(0, seen_s);
		value.way[client_is_low] = way_from(1, seen_s);
		put_entry(j, 0, &value, state);
		return;
	}
	value.shape |= WL_CUT_READDRESSED;
	value.only = way_from(0, seen_s);
	cut_tuple(&back, &server, &value.to);
	put_entry(j, 0, &value, state);
	value.shape = (uint8_t)(WL_CUT_READDRESSED | WL_CUT_SERVER_LEG |
				(server_is_low ? WL_CUT_LOW : 0));
	value.only = way_from(1, seen_s);
	cut_tuple(&front, &client, &value.to);
	put_entry(j, 1, &value, state);
}

/* --- all ----------------------------------------------------------------- */

/* quiet_s: for how long nothing has come by. */
static inline void begin_joined(struct joined *j,
				const struct joined_kind *kind,
				uint32_t quiet_s, enum wl_cut_state state)
{
	int ns[ENDS];
	struct err e;

	*j = (struct joined){ .kind = kind };
	make_network(ns);
	bpffs_begin();
	bpffs_mount(BPFFS_USUAL);
	j->cut = open_cut(FLOWS);
	attach(j->cut);
	j->table = cut_get_table(j->cut);
	j->raw_fd[FAMILY_V4] = sock_raw_sender(AF_INET, OWN_MARK, &e);
	j->raw_fd[FAMILY_V6] = sock_raw_sender(AF_INET6, OWN_MARK, &e);
	make_sockets(j, ns);
	join(j, cut_now_s() - quiet_s, state);
	for (int i = 0; i < ENDS; i++)
		close(ns[i]);
}

static inline void end_joined(struct joined *j)
{
	for (int i = 0; i < ENDS; i++)
		if (j->fd[i] >= 0)
			close(j->fd[i]);
	for (int f = 0; f < FAMILY_COUNT; f++)
		close(j->raw_fd[f]);
	cut_close(j->cut);
}

#endif
