/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_life_test.c - `from host` behind the first packet of a flow.
 *
 * Connections that run when the rules come or change, sockets that are closed,
 * listeners that are gone, and what the servers of this host answer.
 */
#include "engine/host_world_test.h"
#include "net/packet.h"

#include <time.h>

static const char take_all[] = "intercept own { from host; tcp any; udp 53;"
			       " except user 4711 }";
static const char direct_all[] = "intercept own { from host; tcp any; udp 53 }"
				 "rules { default -> direct }";

/* --- the far side of wan0 ------------------------------------------------ */

struct segment {
	struct addr src, dst;
	uint32_t seq, ack;
	uint8_t flags;
};

static void put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, 4);
}

static uint16_t checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* The checksum of an IPv4 header is left to the kernel by packet.h. */
static void send_packet(struct world *w, uint8_t *p, size_t len)
{
	uint16_t check;

	if (p[0] >> 4 == 4) {
		memset(p + 10, 0, 2);
		check = checksum(p, 20, 0);
		memcpy(p + 10, &check, 2);
	}
	assert_int_equal(write(w->wan, p, len), len);
}

/* The header of a UDP datagram is made anew for TCP: one place knows IP. */
static void send_segment(struct world *w, const struct segment *s)
{
	size_t ip_len = addr_ip_len(&s->src), head = ip_len == 16 ? 40 : 20;
	uint8_t filler[12] = { 0 }, *p, *tcp;
	struct packet_head h;
	uint16_t check;

	packet_udp(&s->src, &s->dst, filler, sizeof(filler), &h);
	p = h.bytes;
	tcp = p + head;
	p[ip_len == 16 ? 6 : 9] = IPPROTO_TCP;
	memset(tcp + 4, 0, 16);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = 5 << 4;
	tcp[13] = s->flags;
	tcp[14] = 0x40; /* window */
	check = checksum(p + head - 2 * ip_len, 2 * ip_len + 20,
			 20 + IPPROTO_TCP);
	memcpy(tcp + 16, &check, 2);
	send_packet(w, p, head + 20);
}

/* The next segment of this client. */
static void next_of(struct world *w, const struct client *c, struct seen *out)
{
	struct addr own;

	assert_int_equal(sock_local_addr(c->fd, &own), 0);
	do
		wan_next(w, out);
	while (!addr_equal(&out->dst, &c->server) || out->src.port != own.port);
}

static void next_to(struct world *w, const struct addr *dst, struct seen *out)
{
	do
		wan_next(w, out);
	while (!addr_equal(&out->dst, dst));
}

/* A connection that goes direct: the far side accepts. */
static struct client connect_directly(struct world *w, enum family_index f,
				      int fd)
{
	struct client c = client_speak(fd, f, PROTO_TCP, 80);
	struct seen syn;

	next_of(w, &c, &syn);
	assert_int_equal(syn.tcp_flags & (TH_SYN | TH_ACK), TH_SYN);
	send_segment(w, &(struct segment){ .src = syn.dst,
					   .dst = syn.src,
					   .seq = 1000,
					   .ack = syn.seq + 1,
					   .flags = TH_SYN | TH_ACK });
	assert_true(is_ready(c.fd, POLLOUT, WAIT_MS));
	assert_int_equal(sock_error(c.fd), 0);
	return c;
}

static struct client connect_taken(struct world *w, enum family_index f,
				   int *accepted)
{
	struct client c = client_speak(client_open(f, PROTO_TCP, 0, NULL), f,
				       PROTO_TCP, 80);

	*accepted = world_take(w, &c, 0);
	return c;
}

/* --- what is not taken --------------------------------------------------- */

static void try_own(struct world *w, enum family_index f)
{
	struct addr src;
	struct client c = {
		.fd = sock_leg_tcp(plan_family(f), NULL, OWN_MARK),
		.server = address(servers[f], 80),
	};

	world_load(w, take_all);
	assert_int_equal(sock_connect(c.fd, &c.server), -EINPROGRESS);
	assert_true(wan_has(w, &c, &src));
	close(c.fd);
}

/* A server on this host, of TCP: SYN-ACK must not be taken. */
static void try_server(struct world *w, enum family_index f)
{
	struct addr at = address(addresses[f][0], 22),
		    from = address(servers[f], 5555);
	int fd = client_open(f, PROTO_TCP, 0, NULL);
	struct sockaddr_storage ss;
	struct seen answer;

	world_load(w, take_all);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&at, &ss)),
		0);
	assert_int_equal(listen(fd, 1), 0);
	send_segment(w, &(struct segment){ .src = from,
					   .dst = at,
					   .seq = 1000,
					   .flags = TH_SYN });
	next_to(w, &from, &answer);
	assert_int_equal(answer.tcp_flags, TH_SYN | TH_ACK);
	close(fd);
}

/* Of UDP; the client's port is one that is taken. */
static void try_udp_server(struct world *w, enum family_index f)
{
	struct addr at = address(addresses[f][0], 7),
		    from = address(servers[f], 53);
	int fd = client_open(f, PROTO_UDP, 0, NULL);
	struct sockaddr_storage ss;
	struct packet_head h;
	struct seen answer;
	char byte;

	world_load(w, take_all);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&at, &ss)),
		0);
	packet_udp(&from, &at, (const uint8_t *)"?", 1, &h);
	h.bytes[h.len++] = '?';
	send_packet(w, h.bytes, h.len);
	assert_true(is_ready(fd, POLLIN, WAIT_MS));
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	assert_int_equal(sendto(fd, "!", 1, 0, (struct sockaddr *)&ss,
				addr_to_sockaddr(&from, &ss)),
			 1);
	next_to(w, &from, &answer);
	close(fd);
}

/* --- running connections ------------------------------------------------- */

static void try_older(struct world *w, enum family_index f)
{
	struct client c;
	struct seen s;

	world_unload(w);
	c = connect_directly(w, f, client_open(f, PROTO_TCP, 0, NULL));
	world_load(w, take_all);
	assert_int_equal(send(c.fd, "a", 1, 0), 1);
	do
		next_of(w, &c, &s);
	while (!(s.tcp_flags & TH_PUSH));
	close(c.fd);
}

/* A socket that its user has closed has no user, and still sends: nobody has
 * acknowledged its byte, so it repeats it. */
static void try_closed_excepted(struct world *w, enum family_index f)
{
	struct seen first, s;
	struct client c;

	world_load(w, take_all);
	c = connect_directly(w, f, client_open(f, PROTO_TCP, USER, NULL));
	assert_int_equal(send(c.fd, "a", 1, 0), 1);
	do
		next_of(w, &c, &first);
	while (!(first.tcp_flags & TH_PUSH));
	close(c.fd);
	do
		next_to(w, &c.server, &s);
	while (s.src.port != first.src.port || s.seq != first.seq);
}

static void try_reload(struct world *w, enum family_index f)
{
	struct client c;
	int accepted;

	world_load(w, take_all);
	c = connect_taken(w, f, &accepted);
	world_load(w, direct_all);
	expect_conversation(&c, accepted);
	assert_true(has_gone_direct(w, f, PROTO_TCP));
	world_load(w, "intercept own { from host; tcp 443 }");
	expect_conversation(&c, accepted);
	close(c.fd);
	close(accepted);
}

static int open_with_port(enum family_index f, uint16_t port)
{
	struct addr from = address(addresses[f][0], port);
	int fd = client_open(f, PROTO_TCP, 0, NULL);
	struct linger reset = { .l_onoff = 1 };
	struct sockaddr_storage ss;

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
		0);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&from, &ss)),
		0);
	return fd;
}

/* What was noted of the connection before is not true of this one. */
static void try_again(struct world *w, enum family_index f)
{
	struct client c;
	struct seen s;

	world_load(w, take_all);
	c = client_speak(open_with_port(f, 4000), f, PROTO_TCP, 80);
	close(world_take(w, &c, 0));
	close(c.fd);
	world_load(w, direct_all);
	c = connect_directly(w, f, open_with_port(f, 4000));
	do
		next_of(w, &c, &s);
	while (s.tcp_flags & TH_SYN);
	close(c.fd);
}

static void wait_for_state(int fd, int state)
{
	time_t end = time(NULL) + WAIT_MS / 1000;
	struct tcp_info info;
	socklen_t len;

	do {
		len = sizeof(info);
		assert_int_equal(
			getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	} while (info.tcpi_state != state && time(NULL) < end);
	assert_int_equal(info.tcpi_state, state);
}

/* Client first: its last ACK is sent by a socket in TIME_WAIT. */
static void try_end(struct world *w, enum family_index f)
{
	struct client c;
	int accepted;
	char byte;

	world_load(w, take_all);
	c = connect_taken(w, f, &accepted);
	close(c.fd);
	assert_true(is_ready(accepted, POLLIN, WAIT_MS));
	assert_int_equal(recv(accepted, &byte, 1, 0), 0);
	assert_int_equal(shutdown(accepted, SHUT_WR), 0);
	wait_for_state(accepted, TCP_CLOSE);
	close(accepted);
}

/* The last ACK of a hand-shake with SYN cookies finds no socket. */
static void try_cookies(struct world *w, enum family_index f)
{
	struct client c;
	int accepted;

	world_load(w, take_all);
	world_run("echo 2 > /proc/sys/net/ipv4/tcp_syncookies");
	c = connect_taken(w, f, &accepted);
	world_run("echo 1 > /proc/sys/net/ipv4/tcp_syncookies");
	close(c.fd);
	close(accepted);
}

/* --- nobody listens ------------------------------------------------------ */

static void try_open(struct world *w, enum family_index f)
{
	struct client c;
	int accepted;

	world_load(w, take_all);
	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		close(p == PROTO_TCP ? w->tcp[0][f] : w->udp[0][f]);
		if (world_is(w, ONLY_NFT)) /* the first one is lost */
			assert_false(has_gone_direct(w, f, p));
		assert_true(has_gone_direct(w, f, p));
	}
	world_open_listeners(w, 0, f);
	world_load(w, take_all);
	c = connect_taken(w, f, &accepted);
	close(c.fd);
	close(accepted);
}

static void try_closed(struct world *w, enum family_index f)
{
	struct addr src;
	struct client c;
	int fd;

	world_load(w, "on-failure closed; intercept own { from host; tcp any;"
		      " udp 53 }");
	fd = client_open(f, PROTO_TCP, 0, NULL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "wan0", 5),
			 0);
	c = client_speak(fd, f, PROTO_TCP, 80);
	assert_false(wan_has(w, &c, &src)); /* lo is not for it */
	close(fd);
	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		close(p == PROTO_TCP ? w->tcp[0][f] : w->udp[0][f]);
		for (int again = 0; again < 2; again++)
			assert_false(has_gone_direct(w, f, p));
	}
	world_open_listeners(w, 0, f);
}

/* --- the table of tries -------------------------------------------------- */

static const struct {
	const char *name;
	void (*try)(struct world *w, enum family_index f);
	unsigned not_by; /* engines that cannot, a bit each */
} tries[] = {
	{ "what carries waylay's own mark", try_own, 0 },
	{ "what a server on this host answers", try_server, 0 },
	{ "the same for UDP", try_udp_server, 0 },
	{ "a connection that is older than the table", try_older, 0 },
	{ "an excepted user's closed socket", try_closed_excepted, 0 },
	{ "a connection that a reload no longer selects", try_reload, 0 },
	{ "the same ports again, now direct", try_again, 0 },
	{ "the end of a connection", try_end, 0 },
	{ "SYN cookies", try_cookies, 0 },
	{ "nobody listens: what comes goes direct", try_open, ONLY_IPTABLES },
	{ "nobody listens, closed: nothing goes direct", try_closed, 0 },
};

static void test_tries(void **state)
{
	struct world w;

	world_begin(&w, *state);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			if (world_is(&w, tries[i].not_by))
				continue;
			print_message("%s, IPv%d\n", tries[i].name, f ? 6 : 4);
			tries[i].try(&w, f);
		}
	world_end(&w);
}

int main(void)
{
	return run_on_each_engine("host-life", test_tries);
}
