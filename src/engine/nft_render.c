/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_render.c - the rules of the nftables engine as text.
 *
 * Two base chains in prerouting.  `client_side`, before conntrack:
 *
 *  1. own packets, and packets that come from this host: never intercepted
 *  2. each intercept whose interface matches, in this order:
 *     packets of transparent sockets: the client legs of running flows, marked
 *     so that they stay here.  Without a bare SYN, so that a program listening
 *     transparently on the wildcard address cannot catch connections that
 *     merely pass.  (`socket wildcard` is not used for TCP: before Linux 6.12
 *     it leaks a reference to every TIME_WAIT socket that it looks at.)
 *     what is left alone: this host's own and special destinations, and
 *     connections that were begun towards a client from outside
 *     ports, exceptions, rules
 *
 * `prerouting`, at priority mangle: the same socket match for what comes from
 * servers, and for ICMP errors.  It stands behind conntrack, because a leg that
 * this host masquerades is found by its address before that.
 *
 * Client legs are not tracked.  With the client's port kept, both legs have one
 * five-tuple, and conntrack would take them for one connection whose numbers
 * do not fit: `ct state invalid drop` would stop half of all flows, and the
 * server leg would not be masqueraded (lab/kernel/test_K15_conntrack.py).
 *
 * An intercept's last chain, `take_N`, holds the TPROXY target.  tproxy finds
 * no listener: the rule breaks and the next one applies, so that what happens
 * while nobody listens is said by that next rule and by nothing else.
 *
 * Connections from outside (port forwards) must be known, because every TCP
 * packet without a socket goes to the listener: with SYN cookies the last ACK
 * of a hand-shake finds no socket either.  The chain `forward` notes their
 * SYN in a set when it leaves towards an intercepted interface, and packets
 * of the client that match the set pass.  The sets outlive a replacement of
 * the rules: nft.c replaces rules and chains, never the table.
 *
 * It decides nothing that policy/eval.c does not decide.
 */
#include "engine/nft.h"

static const char *const prefix_key[] = { "ip", "ip6" };
static const char *const proto_key[] = { "tcp", "udp" };
static const char *const listen_on[] = { "127.0.0.1", "[::1]" };

/* --- sets ---------------------------------------------------------------- */

static bool has_family(const struct net_set *s, enum family_index f)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->prefixes[i].net.family == plan_family(f))
			return true;
	return false;
}

static void put_nets(struct str *out, const struct net_set *s,
		     enum family_index f)
{
	char text[ADDR_TEXT_MAX];
	const char *comma = "";

	str_add(out, "{ ");
	for (size_t i = 0; i < s->count; i++) {
		if (s->prefixes[i].net.family != plan_family(f))
			continue;
		str_addf(out, "%s%s", comma,
			 prefix_format(&s->prefixes[i], text));
		comma = ", ";
	}
	str_add(out, " }");
}

static void put_ports(struct str *out, const struct port_set *s)
{
	str_add(out, "{ ");
	for (size_t i = 0; i < s->count; i++) {
		const struct port_range *r = &s->ranges[i];

		str_addf(out, i ? ", %u" : "%u", r->first);
		if (r->last != r->first)
			str_addf(out, "-%u", r->last);
	}
	str_add(out, " }");
}

static bool is_any_port(const struct port_set *s)
{
	return s->count == 1 && s->ranges[0].first <= 1 &&
	       s->ranges[0].last == 65535;
}

/* --- rules --------------------------------------------------------------- */

static bool rule_concerns(const struct rule *r, size_t intercept)
{
	return !r->has_intercept || r->intercept == intercept;
}

static enum upstream_kind kind_of(const struct config *c, const struct rule *r)
{
	return c->upstreams[r->upstream].kind;
}

static bool is_refusal(enum upstream_kind kind)
{
	return kind == UPSTREAM_REJECT || kind == UPSTREAM_DROP;
}

/* Everything in front of the verdict. */
static void put_conditions(struct str *out, const struct rule *r,
			   enum family_index f, enum proto p)
{
	if (r->src.count) {
		str_addf(out, "%s saddr ", prefix_key[f]);
		put_nets(out, &r->src.set, f);
		str_add(out, " ");
	}
	if (r->dst.count) {
		str_addf(out, "%s daddr ", prefix_key[f]);
		put_nets(out, &r->dst.set, f);
		str_add(out, " ");
	}
	str_addf(out, "meta l4proto %s ", proto_key[p]);
	if (r->has_ports) {
		str_add(out, "th dport ");
		put_ports(out, &r->ports);
		str_add(out, " ");
	}
}

static void put_verdict(struct str *out, enum upstream_kind kind, enum proto p,
			size_t intercept)
{
	static const char *const reject[PROTO_COUNT] = {
		[PROTO_TCP] = "counter reject with tcp reset\n",
		[PROTO_UDP] = "counter reject with icmpx port-unreachable\n",
	};

	if (kind == UPSTREAM_REJECT)
		str_add(out, reject[p]);
	else if (kind == UPSTREAM_DROP)
		str_add(out, "counter drop\n");
	else
		str_addf(out, "goto take_%zu\n", intercept);
}

/* One line for each protocol; and, if addresses are asked for, for each
 * family that they have. */
static void put_rule(struct str *out, const struct config *c,
		     const struct rule *r, size_t intercept)
{
	bool has_addresses = r->src.count || r->dst.count;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if ((r->src.count && !has_family(&r->src.set, f)) ||
		    (r->dst.count && !has_family(&r->dst.set, f)) ||
		    (!has_addresses && f != FAMILY_V4))
			continue;
		for (enum proto p = 0; p < PROTO_COUNT; p++) {
			if (!(r->protos & (1 << p)))
				continue;
			str_add(out, "\t\t");
			put_conditions(out, r, f, p);
			put_verdict(out, kind_of(c, r), p, intercept);
		}
	}
}

/* Rules that refuse are carried out here, so that a refused SYN is never
 * answered; behind the last of them everything goes to the relay. */
static void put_rules(struct str *out, const struct config *c, size_t intercept)
{
	size_t end = 0;

	for (size_t i = 0; i < c->rule_count; i++)
		if (rule_concerns(&c->rules[i], intercept) &&
		    is_refusal(kind_of(c, &c->rules[i])))
			end = i + 1;
	for (size_t i = 0; i < end; i++)
		if (rule_concerns(&c->rules[i], intercept))
			put_rule(out, c, &c->rules[i], intercept);
	str_addf(out, "\t\tgoto take_%zu\n", intercept);
}

/* --- intercepts ---------------------------------------------------------- */

static void put_except(struct str *out, const char *key,
		       const struct net_expr *e)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if (!has_family(&e->set, f))
			continue;
		str_addf(out, "\t\t%s %s ", prefix_key[f], key);
		put_nets(out, &e->set, f);
		str_add(out, " return\n");
	}
}

static void put_take(struct str *out, const struct plan *p, size_t intercept)
{
	const struct config *c = p->config;
	const struct intercept *it = &c->intercepts[intercept];
	char text[ADDR_TEXT_MAX];

	str_addf(out, "\tchain take_%zu {\n", intercept);
	for (enum proto proto = 0; proto < PROTO_COUNT; proto++) {
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			uint16_t port = p->ports[intercept][proto][f];

			if (!it->ports[proto].count ||
			    (it->has_deliver
				     ? it->deliver.family != plan_family(f)
				     : !port))
				continue;
			str_addf(out,
				 "\t\tmeta nfproto ipv%d meta l4proto %s "
				 "notrack tproxy %s to ",
				 f == FAMILY_V6 ? 6 : 4, proto_key[proto],
				 prefix_key[f]);
			if (it->has_deliver)
				str_add(out, addr_format(&it->deliver, text));
			else
				str_addf(out, "%s:%u", listen_on[f], port);
			str_addf(out,
				 " meta mark set meta mark & 0x%x | 0x%x "
				 "counter accept\n",
				 ~c->mask, c->mark);
		}
	}
	str_addf(out, "\t\tcounter %s comment \"nobody listens\"\n\t}\n",
		 c->on_failure == ON_FAILURE_CLOSED ? "drop" : "accept");
}

/* `goto` leaves no place to come back to in this chain, so that `return` in
 * select_N goes on with the next intercept. */
static void put_ports_chain(struct str *out, const struct intercept *it,
			    size_t intercept)
{
	str_addf(out,
		 "\t# intercept %s\n\tchain intercept_%zu {\n"
		 "\t\tjump known_client\n\t\tjump left_alone\n",
		 it->name, intercept);
	for (enum proto proto = 0; proto < PROTO_COUNT; proto++) {
		const struct port_set *ports = &it->ports[proto];

		if (!ports->count)
			continue;
		str_add(out, "\t\t");
		if (it->has_deliver)
			str_addf(out, "meta nfproto ipv%d ",
				 it->deliver.family == AF_INET6 ? 6 : 4);
		str_addf(out, "meta l4proto %s ", proto_key[proto]);
		if (!is_any_port(ports)) {
			str_addf(out, "%s dport ", proto_key[proto]);
			put_ports(out, ports);
			str_add(out, " ");
		}
		str_addf(out, "goto select_%zu\n", intercept);
	}
	str_add(out, "\t}\n");
}

static void put_intercept(struct str *out, const struct plan *p,
			  size_t intercept)
{
	const struct intercept *it = &p->config->intercepts[intercept];

	put_take(out, p, intercept);
	str_addf(out, "\tchain select_%zu {\n", intercept);
	put_except(out, "saddr", &it->except_src);
	put_except(out, "daddr", &it->except_dst);
	if (it->except_port.count) {
		str_add(out, "\t\tmeta l4proto { tcp, udp } th dport ");
		put_ports(out, &it->except_port);
		str_add(out, " return\n");
	}
	if (it->has_deliver)
		str_addf(out, "\t\tgoto take_%zu\n", intercept);
	else
		put_rules(out, p->config, intercept);
	str_add(out, "\t}\n");
	put_ports_chain(out, it, intercept);
}

/* `key` is iifname or oifname. */
static void put_interfaces(struct str *out, const struct intercept *it,
			   const char *key)
{
	str_addf(out, "\t\t%s { ", key);
	for (size_t i = 0; i < it->ifname_count; i++)
		str_addf(out, i ? ", \"%s\"" : "\"%s\"", it->ifnames[i]);
	str_add(out, " } ");
}

/* --- the base chain ------------------------------------------------------ */

static const char inbound_sets[] =
	"\tset inbound4 {\n\t\ttype ipv4_addr . inet_service . ipv4_addr . "
	"inet_service\n\t\tsize 65536\n\t\tflags dynamic,timeout\n\t}\n"
	"\tset inbound6 {\n\t\ttype ipv6_addr . inet_service . ipv6_addr . "
	"inet_service\n\t\tsize 65536\n\t\tflags dynamic,timeout\n\t}\n";

/* client, its port, remote, its port: as in packets of the client */
static const char inbound_pass[] =
	"\t\ttcp flags & (fin | syn | rst | ack) != syn ip saddr . tcp sport "
	". ip daddr . tcp dport @inbound4 update @inbound4 { ip saddr . tcp "
	"sport . ip daddr . tcp dport timeout 2h5m } accept\n"
	"\t\ttcp flags & (fin | syn | rst | ack) != syn ip6 saddr . tcp sport "
	". ip6 daddr . tcp dport @inbound6 update @inbound6 { ip6 saddr . tcp "
	"sport . ip6 daddr . tcp dport timeout 2h5m } accept\n";

/* A SYN that goes to a client: ten seconds for its answer, so that a flood of
 * them fills the set for no longer. */
static const char inbound_note[] =
	"\t\ttcp flags & (fin | syn | rst | ack) == syn update @inbound4 { ip "
	"daddr . tcp dport . ip saddr . tcp sport timeout 10s }\n"
	"\t\ttcp flags & (fin | syn | rst | ack) == syn update @inbound6 { ip6 "
	"daddr . tcp dport . ip6 saddr . tcp sport timeout 10s }\n";

static const char never_intercepted[] =
	"\t\tfib daddr type { local, broadcast, anycast, multicast } accept\n"
	"\t\tip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, "
	"255.255.255.255 } accept\n"
	"\t\tip6 daddr { ::, ::1, ::ffff:0:0/96, fe80::/10, ff00::/8 } "
	"accept\n"
	"\t\tfib saddr type local accept\n";

static const char tcp_socket_match[] =
	"tcp flags & (fin | syn | rst | ack) != syn socket transparent 1";

static const char other_socket_match[] =
	"\t\tmeta l4proto udp socket wildcard 0 socket transparent 1 goto "
	"divert\n"
	"\t\ticmp type { destination-unreachable, time-exceeded, "
	"parameter-problem } socket transparent 1 goto divert\n"
	"\t\ticmpv6 type { destination-unreachable, packet-too-big, "
	"time-exceeded, parameter-problem } socket transparent 1 goto "
	"divert\n";

/* What this host sent itself, and what is decided already. */
static void put_own(struct str *out, const struct config *c)
{
	str_addf(out,
		 "\t\tiifname \"lo\" accept\n\t\tmeta mark & 0x%x != 0 "
		 "accept\n",
		 c->mask);
}

/* One line for each intercept: its interfaces, then what to do. */
static void put_for_each(struct str *out, const struct config *c,
			 const char *key, const char *what)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].ifname_count)
			continue;
		put_interfaces(out, &c->intercepts[i], key);
		str_addf(out, "%s\n", what);
	}
}

static void put_client_side(struct str *out, const struct config *c)
{
	str_add(out, "\tchain client_side {\n\t\ttype filter hook prerouting "
		     "priority raw; policy accept;\n");
	put_own(out, c);
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].ifname_count)
			continue;
		put_interfaces(out, &c->intercepts[i], "iifname");
		str_addf(out, "jump intercept_%zu\n", i);
	}
	str_add(out, "\t}\n");
}

/* Chains that others jump to. */
static void put_parts(struct str *out, const struct config *c)
{
	str_addf(out,
		 "\tchain divert {\n\t\tmeta mark set meta mark & 0x%x | "
		 "0x%x counter accept\n\t}\n",
		 ~c->mask, c->mark);
	str_addf(out,
		 "\tchain known_client {\n\t\t%s notrack goto divert\n"
		 "\t}\n",
		 tcp_socket_match);
	str_add(out, "\tchain left_alone {\n");
	str_add(out, never_intercepted);
	str_add(out, inbound_pass);
	str_add(out, "\t}\n");
}

static void put_server_side(struct str *out, const struct config *c)
{
	str_add(out, "\tchain prerouting {\n\t\ttype filter hook prerouting "
		     "priority mangle; policy accept;\n");
	put_own(out, c);
	str_addf(out, "\t\t%s goto divert\n", tcp_socket_match);
	str_add(out, other_socket_match);
	str_add(out, "\t}\n");
}

/* Answers to clients: ours by their mark, those of a program that flows are
 * delivered to by their socket. */
static void put_to_clients(struct str *out, const struct config *c)
{
	str_addf(out,
		 "\tchain to_client {\n\t\tmeta mark & 0x%x == 0x%x notrack "
		 "return\n\t\t%s notrack\n\t}\n",
		 c->mask, plan_own_mark(c), tcp_socket_match);
	str_add(out, "\tchain output {\n\t\ttype filter hook output priority "
		     "raw; policy accept;\n");
	put_for_each(out, c, "oifname", "jump to_client");
	str_add(out, "\t}\n");
}

static void put_forward(struct str *out, const struct config *c)
{
	str_add(out, "\tchain note_inbound {\n");
	str_add(out, inbound_note);
	str_add(out, "\t}\n\tchain forward {\n\t\ttype filter hook forward "
		     "priority mangle; policy accept;\n");
	put_for_each(out, c, "oifname", "jump note_inbound");
	str_add(out, "\t}\n");
}

void nft_render(const struct plan *p, struct str *out)
{
	const struct config *c = p->config;

	str_add(out, "table inet waylay {\n");
	str_add(out, inbound_sets);
	put_parts(out, c);
	for (size_t i = 0; i < c->intercept_count; i++)
		put_intercept(out, p, i);
	put_client_side(out, c);
	put_server_side(out, c);
	put_to_clients(out, c);
	put_forward(out, c);
	str_add(out, "}\n");
}
