/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal_test.c - does every engine decide as policy/eval does?
 *
 * For each engine: random configurations are installed in a namespace of their
 * own, and random packets are put on its interface lan0.  What becomes of each
 *is compared with what eval_packet() says:
 *
 *	PASS	it comes out of wan0
 *	RELAY	TCP: lan0 sees SYN-ACK; UDP: the intercept's own listener has it
 *	DELIVER	the same, at the other program's listener
 *	REJECT	lan0 sees RST, or ICMP port unreachable
 *	DROP	nothing
 *
 * Both interfaces are TUN devices, so a packet is a write and what comes out
 * is a read.  Behind each packet goes an ICMP echo, which nothing intercepts:
 * when it comes out of wan0, all that the packet caused has happened.
 *
 * The seed is printed; WAYLAY_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_test.h"
#include "base/str.h"
#include "engine/each_engine_test.h"
#include "engine/routing.h"
#include "engine/tun_test.h"
#include "net/dgram.h"
#include "net/netns_test.h"
#include "net/sock.h"
#include "policy/eval.h"
#include "policy/policy.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum {
	CONFIGS = 40,
	PACKETS = 40,
	INTERCEPTS = 3,
	DELIVER_PORT = 3129,
	WAIT_MS = 5000,
	PACKET_MAX = 2048,
};

struct world {
	const struct engine *engine;
	struct engine_run *run;
	struct rnd rnd;
	struct dgram_batch batch;
	int lan, wan; /* TUN devices */
	/* by intercept and family; the last row is the other program's */
	int tcp[INTERCEPTS + 1][FAMILY_COUNT];
	int udp[INTERCEPTS + 1][FAMILY_COUNT];
	struct plan plan;
};

/* --- the namespace ------------------------------------------------------- */

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void open_listeners(struct world *w)
{
	for (int i = 0; i <= INTERCEPTS; i++) {
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			struct addr at = { .family = (uint16_t)plan_family(f) };
			struct err e = { 0 };

			at.ip[f == FAMILY_V6 ? 15 : 3] = 1;
			if (f == FAMILY_V4)
				at.ip[0] = 127;
			at.port = i == INTERCEPTS ? DELIVER_PORT : 0;
			w->tcp[i][f] = sock_listen_tcp(&at, 0x2000, &e);
			w->udp[i][f] = sock_listen_udp(&at, 0x2000, &e);
			assert_true(w->tcp[i][f] >= 0 && w->udp[i][f] >= 0);
			if (i == INTERCEPTS)
				continue;
			w->plan.ports[i][PROTO_TCP][f] =
				w->plan.ports[i][PROTO_UDP][f] = at.port;
			w->plan.fds[i][PROTO_TCP][f] = w->tcp[i][f];
			w->plan.fds[i][PROTO_UDP][f] = w->udp[i][f];
		}
	}
}

static void build_world(struct world *w, const struct engine *engine)
{
	struct err e = { 0 };

	*w = (struct world){ .engine = engine };
	w->plan.is_private = true;
	memset(w->plan.fds, -1, sizeof(w->plan.fds));
	netns_begin();
	rnd_begin(&w->rnd);
	assert_int_equal(dgram_init(&w->batch), 0);
	w->lan = tun_open("lan0");
	w->wan = tun_open("wan0");
	sh("ip link set lan0 up && ip link set wan0 up &&"
	   "ip addr add 192.0.2.1/24 dev lan0 &&"
	   "ip addr add 2001:db8:1::1/64 dev lan0 nodad &&"
	   "ip route add 10.0.0.0/8 dev lan0 &&"
	   "ip route add default dev wan0 &&"
	   "ip -6 route add default dev wan0 &&"
	   /* every ICMP error counts here */
	   "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit &&"
	   "echo 0 > /proc/sys/net/ipv6/icmp/ratelimit &&"
	   "echo 1 > /proc/sys/net/ipv4/ip_forward &&"
	   "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
	open_listeners(w);
	w->run = engine->new ? engine->new (&e) : NULL;
	if (engine->new && !w->run)
		fail_msg("%s: %s", engine->name, e.text);
}

static void end_world(struct world *w)
{
	for (int i = 0; i <= INTERCEPTS; i++) {
		for (int f = 0; f < FAMILY_COUNT; f++) {
			close(w->tcp[i][f]);
			close(w->udp[i][f]);
		}
	}
	if (w->engine->free)
		w->engine->free(w->run);
	close(w->lan);
	close(w->wan);
	dgram_done(&w->batch);
}

/* --- random configurations ----------------------------------------------- */

static const char *const nets[] = {
	"192.0.2.0/25",	     "192.0.2.128/25",	"10.0.0.0/8",
	"10.1.0.0/16",	     "198.51.0.0/16",	"198.51.100.0/24",
	"203.0.113.0/24",    "2001:db8:1::/64", "2001:db8:2::/48",
	"2001:db8:2:1::/64", "2001:db8:3::/48", "198.51.100.7",
};
static const char *const ports[] = { "any",	"80",	 "53",
				     "80, 443", "1-100", "400-500, 8080" };
static const char *const targets[] = { "out", "reject", "drop", "direct" };

enum {
	NETS = sizeof(nets) / sizeof(*nets),
	PORTS = sizeof(ports) / sizeof(*ports),
};

static const char *draw(struct world *w, const char *const *from, size_t count)
{
	return from[rnd_draw(&w->rnd, (unsigned)count)];
}

static bool chance(struct world *w, unsigned one_in)
{
	return rnd_draw(&w->rnd, one_in) == 0;
}

static void put_intercept(struct world *w, struct str *out, int i)
{
	bool has_tcp = !chance(w, 4);

	str_addf(out, "intercept i%d {\n", i);
	if (chance(w, 8)) { /* which is no business of the kernel's */
		str_addf(out,
			 "listen 192.0.2.1:%d\n"
			 "proxy-protocol from %s\n}\n",
			 9000 + i, draw(w, nets, NETS));
		return;
	}
	str_addf(out, "from %s\n",
		 chance(w, 4)	? "other0"
		 : chance(w, 2) ? "lan0"
				: "la*");
	if (has_tcp)
		str_addf(out, "tcp %s\n", draw(w, ports, PORTS));
	if (!has_tcp || !chance(w, 4))
		str_addf(out, "udp %s\n", draw(w, ports, PORTS));
	if (chance(w, 3))
		str_addf(out, "except src %s\n", draw(w, nets, NETS));
	if (chance(w, 2))
		str_addf(out, "except dst %s\n", draw(w, nets, NETS));
	if (chance(w, 4))
		str_addf(out, "except port %s\n", draw(w, ports + 1, 4));
	if (chance(w, 5))
		str_addf(out, "deliver %s:%d\n",
			 chance(w, 2) ? "127.0.0.1" : "[::1]", DELIVER_PORT);
	str_add(out, "}\n");
}

/* What asks for a name is the relay's, whatever the rule then says; lists with
 * names and networks are its as well (policy/eval.h). */
static void put_whom(struct world *w, struct str *out)
{
	if (chance(w, 6)) {
		str_addf(out, "list n%u ", rnd_draw(&w->rnd, 2));
		return;
	}
	if (chance(w, 6))
		str_add(out, "domain *.example.org ");
	if (!chance(w, 3))
		str_addf(out, "dst %s, %s ", draw(w, nets, NETS),
			 draw(w, nets, NETS));
}

static void put_rule(struct world *w, struct str *out)
{
	if (chance(w, 4))
		str_add(out, "intercept i0 ");
	if (chance(w, 6))
		str_add(out, "quic ");
	else if (chance(w, 3))
		str_add(out, chance(w, 2) ? "tcp " : "udp ");
	if (chance(w, 3))
		str_addf(out, "src %s ", draw(w, nets, NETS));
	put_whom(w, out);
	if (chance(w, 3))
		str_addf(out, "port %s ", draw(w, ports, PORTS));
	else
		str_add(out, "port 1-65535 "); /* some condition is needed */
	str_addf(out, "-> %s\n", draw(w, targets, 4));
}

static struct config *draw_config(struct world *w, struct str *text)
{
	unsigned intercepts = 1 + rnd_draw(&w->rnd, INTERCEPTS);
	struct messages m = { 0 };
	struct config *c;

	str_reset(text);
	for (unsigned i = 0; i < intercepts; i++)
		put_intercept(w, text, (int)i);
	str_addf(text,
		 "list n0 { domain a.example }\n"
		 "list n1 { domain *.b.example; net %s }\n"
		 "upstream out { via direct; source client }\nrules {\n",
		 draw(w, nets, NETS));
	for (unsigned i = rnd_draw(&w->rnd, 5); i > 0; i--)
		put_rule(w, text);
	str_addf(text, "default -> %s\n}\n", draw(w, targets, 4));
	c = config_parse("random", str_get(text), text->len, &m);
	if (!c)
		fail_msg("%s%s", str_get(text), str_get(&m.text));
	messages_done(&m);
	return c;
}

/* --- random packets ------------------------------------------------------- */

static const char *const clients[FAMILY_COUNT][3] = {
	{ "192.0.2.10", "192.0.2.200", "10.1.2.3" },
	{ "2001:db8:1::10", "2001:db8:1::20", "2001:db8:1::30" },
};
static const char *const servers[FAMILY_COUNT][4] = {
	{ "198.51.100.7", "198.51.100.8", "198.51.7.1", "203.0.113.9" },
	{ "2001:db8:2::7", "2001:db8:2:1::8", "2001:db8:3::1",
	  "2001:db8:4::1" },
};
static const uint16_t server_ports[] = { 80, 53, 443, 99, 450, 8080, 9999 };

static void draw_facts(struct world *w, struct facts *out)
{
	enum family_index f = rnd_draw(&w->rnd, 2);

	*out = (struct facts){ .ifname = "lan0",
			       .proto = rnd_draw(&w->rnd, 2) };
	assert_int_equal(addr_parse_ip(draw(w, clients[f], 3), &out->src), 0);
	assert_int_equal(addr_parse_ip(draw(w, servers[f], 4), &out->dst), 0);
	/* never twice the same flow: an old socket would decide */
	out->src.port = (uint16_t)(1024 + rnd_draw(&w->rnd, 60000));
	out->dst.port = server_ports[rnd_draw(&w->rnd, 7)];
}

static void send_echo(const struct world *w, const struct facts *f)
{
	bool is_v6 = f->src.family == AF_INET6;
	uint8_t bytes[40 + 8] = { 0 }, *part = bytes + 40;

	part[0] = is_v6 ? 128 : 8; /* type */
	tun_send(w->lan, &f->src, &f->dst,
		 is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, part, 8, 2);
}

static void send_packet(const struct world *w, const struct facts *f)
{
	if (f->proto == PROTO_TCP)
		tun_send_tcp(w->lan, &f->src, &f->dst, TH_SYN, 0);
	else
		tun_send_udp(w->lan, &f->src, &f->dst);
}

/* --- what became of it ---------------------------------------------------- */

struct outcome {
	enum verdict_kind kind;
	int listener;	   /* UDP: row of world.udp that has it, or -1 */
	bool is_ambiguous; /* more than one thing became of it */
};

static uint8_t proto_of(const uint8_t *p)
{
	return p[0] >> 4 == 6 ? p[6] : p[9];
}

static const uint8_t *part_of(const uint8_t *p)
{
	return p + (p[0] >> 4 == 6 ? 40 : 20);
}

/* Until the echo comes out of wan0; *has_passed: so did the packet. */
static void read_wan(struct world *w, bool *has_passed)
{
	for (;;) {
		struct pollfd p = { .fd = w->wan, .events = POLLIN };
		uint8_t packet[PACKET_MAX];
		uint8_t proto;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_true(read(w->wan, packet, sizeof(packet)) > 20);
		proto = proto_of(packet);
		if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
			*has_passed = true;
		else if (part_of(packet)[0] == 8 || part_of(packet)[0] == 128)
			return; /* else: neighbour and router messages */
	}
}

static bool has_ports(const uint8_t *part, uint16_t src, uint16_t dst)
{
	uint16_t ports_be[2] = { htons(src), htons(dst) };

	return !memcmp(part, ports_be, sizeof(ports_be));
}

/* Answers to packet f; SYN-ACKs of earlier ones are repeated in between. */
static void read_lan(struct world *w, const struct facts *f, bool *is_accepted,
		     bool *is_refused)
{
	uint8_t packet[PACKET_MAX];

	while (read(w->lan, packet, sizeof(packet)) > 0) {
		const uint8_t *part = part_of(packet);
		uint8_t proto = proto_of(packet);

		if (proto == IPPROTO_TCP &&
		    has_ports(part, f->dst.port, f->src.port))
			*(part[13] & TH_RST ? is_refused : is_accepted) = true;
		if (((proto == IPPROTO_ICMP && part[0] == 3) ||
		     (proto == IPPROTO_ICMPV6 && part[0] == 1)) &&
		    has_ports(part_of(part + 8), f->src.port, f->dst.port))
			*is_refused = true;
	}
}

static int find_udp(struct world *w)
{
	int found = -1;

	for (int i = 0; i <= INTERCEPTS; i++)
		for (int f = 0; f < FAMILY_COUNT; f++)
			if (dgram_recv(w->udp[i][f], &w->batch) > 0)
				found = i;
	return found;
}

static void observe(struct world *w, const struct facts *f, struct outcome *out)
{
	bool has_passed = false, is_accepted = false, is_refused = false;

	read_wan(w, &has_passed);
	read_lan(w, f, &is_accepted, &is_refused);
	out->listener = find_udp(w);
	is_accepted |= out->listener >= 0;
	out->is_ambiguous = has_passed + is_accepted + is_refused > 1;
	out->kind = has_passed	  ? VERDICT_PASS
		    : is_refused  ? VERDICT_REJECT
		    : is_accepted ? VERDICT_RELAY
				  : VERDICT_DROP;
}

static bool is_as_expected(const struct facts *f, const struct verdict *v,
			   const struct outcome *o)
{
	enum verdict_kind kind =
		v->kind == VERDICT_DELIVER ? VERDICT_RELAY : v->kind;

	if (o->kind != kind || o->is_ambiguous)
		return false;
	if (f->proto != PROTO_UDP || kind != VERDICT_RELAY)
		return true;
	return o->listener ==
	       (v->kind == VERDICT_DELIVER ? INTERCEPTS : v->intercept);
}

static void try_packet(struct world *w, const struct config *c,
		       const struct str *text)
{
	struct outcome o;
	struct verdict v;
	struct facts f;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	draw_facts(w, &f);
	eval_packet(c, &f, &v);
	send_packet(w, &f);
	send_echo(w, &f);
	observe(w, &f, &o);
	if (!is_as_expected(&f, &v, &o))
		fail_msg("%s\n%s %s -> %s: eval says %s (intercept %d), the "
			 "kernel %s%s (listener %d)",
			 str_get(text), f.proto == PROTO_TCP ? "tcp" : "udp",
			 addr_format(&f.src, src), addr_format(&f.dst, dst),
			 verdict_name(v.kind), v.intercept,
			 verdict_name(o.kind),
			 o.is_ambiguous ? " and more" : "", o.listener);
}

static void install(struct world *w, const struct config *c,
		    const struct str *text)
{
	struct err e = { 0 };
	unsigned added = 0;
	struct nl nl;

	w->plan.config = c;
	w->plan.has_family[FAMILY_V4] = true;
	w->plan.has_family[FAMILY_V6] = true;
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	if (routing_install(&nl, &w->plan, &added, &e) < 0 ||
	    w->engine->install(w->run, &w->plan, &e) < 0)
		fail_msg("%s\n%s", e.text, str_get(text));
	nl_close(&nl);
}

static void test_random(void **state)
{
	static struct world w;
	struct config *old = NULL;
	struct str text = { 0 };

	if (geteuid() != 0 || !netns_has_v6())
		skip();
	build_world(&w, *state);
	for (int i = 0; i < CONFIGS; i++) {
		struct config *c = draw_config(&w, &text);

		install(&w, c, &text);
		config_free(old); /* the engine kept it until now */
		old = c;
		for (int k = 0; k < PACKETS; k++)
			try_packet(&w, c, &text);
	}
	end_world(&w);
	config_free(old);
	str_done(&text);
}

int main(void)
{
	return run_on_each_engine("equal", test_random);
}
