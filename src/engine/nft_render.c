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
 *     what is left alone: this host's own and special destinations, its own
 *     and special sources, and connections that were begun towards a client
 *     from outside
 *     ports, exceptions, selections
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
 * while nobody listens is said by that next rule and by nothing else; notrack
 * stands behind tproxy, for what goes direct is tracked as ever.
 *
 * Connections from outside (port forwards) must be known, because every TCP
 * packet without a socket goes to the listener: with SYN cookies the last ACK
 * of a hand-shake finds no socket either.  The chain `forward` notes their
 * SYN in a set when it leaves towards an intercepted interface, and packets
 * of the client that match the set pass.  The sets outlive a replacement of
 * the rules: nft.c replaces rules and chains, never the table.
 *
 * What this host itself sends is in nft_host.c.  Nothing here decides what
 * policy/eval.c does not decide.
 */
#include "engine/nft.h"

#include "engine/nft_text.h"

#include <errno.h>
#include <string.h>

/* --- an intercept -------------------------------------------------------- */

static void put_take(struct nft_text *t, size_t intercept)
{
	const struct config *c = t->plan->config;
	struct nft_listener l[NFT_LISTENERS_MAX];
	size_t count = nft_listeners(t->plan, intercept, l);

	str_addf(t->out, "\tchain take_%zu {\n", intercept);
	for (size_t i = 0; i < count; i++) {
		str_add(t->out, "\t\t");
		nft_put_kind(t, &l[i]);
		str_addf(t->out,
			 "tproxy %s to %s notrack meta mark set meta mark & "
			 "0x%x | 0x%x counter name taken_%s accept\n",
			 nft_prefix_key[l[i].family], l[i].to, ~c->mask,
			 c->mark, nft_proto_key[l[i].proto]);
	}
	str_addf(t->out, "\t\tcounter name %s\n\t}\n",
		 c->on_failure == ON_FAILURE_CLOSED
			 ? "dropped_no_listener drop"
			 : "passed_no_listener accept");
}

/* `goto` leaves no place to come back to in this chain, so that `return` in
 * select_N goes on with the next intercept. */
static void put_intercept(struct nft_text *t, size_t intercept)
{
	put_take(t, intercept);
	str_addf(t->out, "\tchain select_%zu {\n", intercept);
	nft_put_exceptions(t, intercept);
	nft_put_selections(t, intercept, "take");
	str_addf(t->out,
		 "\t}\n\t# intercept %s\n\tchain intercept_%zu {\n"
		 "\t\tjump known_client\n\t\tjump left_alone\n",
		 t->plan->config->intercepts[intercept].name, intercept);
	nft_put_ports(t, intercept, "select");
	str_add(t->out, "\t}\n");
}

/* `key` is iifname or oifname.  nft has no pattern of all names; nothing that
 * comes or goes by lo is for an interface. */
static void put_interfaces(struct str *out, const struct intercept *it,
			   const char *key)
{
	for (size_t i = 0; i < it->ifname_count; i++) {
		if (strcmp(it->ifnames[i], "*") != 0)
			continue;
		str_addf(out, "\t\t%s != \"lo\" ", key);
		return;
	}
	str_addf(out, "\t\t%s { ", key);
	for (size_t i = 0; i < it->ifname_count; i++)
		str_addf(out, i ? ", \"%s\"" : "\"%s\"", it->ifnames[i]);
	str_add(out, " } ");
}

/* --- what does not depend on the configuration --------------------------- */

static const char inbound_sets[] =
	"\tset inbound4 {\n\t\ttype ipv4_addr . inet_service . ipv4_addr . "
	"inet_service\n\t\tsize 65536\n\t\tflags dynamic,timeout\n\t}\n"
	"\tset inbound6 {\n\t\ttype ipv6_addr . inet_service . ipv6_addr . "
	"inet_service\n\t\tsize 65536\n\t\tflags dynamic,timeout\n\t}\n";

/* client, its port, remote, its port: as in packets of the client */
static const char inbound_pass[] =
	"\t\ttcp flags & (fin | syn | rst | ack) != syn ip saddr . tcp sport "
	". ip daddr . tcp dport @inbound4 update @inbound4 { ip saddr . tcp "
	"sport . ip daddr . tcp dport timeout 2h5m } counter name "
	"passed_inbound accept\n"
	"\t\ttcp flags & (fin | syn | rst | ack) != syn ip6 saddr . tcp sport "
	". ip6 daddr . tcp dport @inbound6 update @inbound6 { ip6 saddr . tcp "
	"sport . ip6 daddr . tcp dport timeout 2h5m } counter name "
	"passed_inbound accept\n";

/* A SYN that goes to a client: ten seconds for its answer, so that a flood of
 * them fills the set for no longer. */
static const char inbound_note[] =
	"\t\ttcp flags & (fin | syn | rst | ack) == syn update @inbound4 { ip "
	"daddr . tcp dport . ip saddr . tcp sport timeout 10s }\n"
	"\t\ttcp flags & (fin | syn | rst | ack) == syn update @inbound6 { ip6 "
	"daddr . tcp dport . ip6 saddr . tcp sport timeout 10s }\n";

static const char special_destination[] =
	"\tchain special_destination {\n"
	"\t\tfib daddr type { local, broadcast, anycast, multicast } accept\n"
	"\t\tip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, "
	"255.255.255.255 } accept\n"
	"\t\tip6 daddr { ::, ::1, ::ffff:0:0/96, fe80::/10, ff00::/8 } "
	"accept\n\t}\n";

static const char special_source[] =
	"\t\tfib saddr type local accept\n"
	"\t\tip saddr { 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, "
	"255.255.255.255 } accept\n"
	"\t\tip6 saddr { ::, ::1, ::ffff:0:0/96, ff00::/8 } accept\n";

static const char tcp_socket_match[] =
	"tcp flags & (fin | syn | rst | ack) != syn socket transparent 1";

static const char other_socket_match[] =
	"\t\tmeta l4proto udp socket wildcard 0 socket transparent 1 counter "
	"name matched_udp goto divert\n"
	"\t\ticmp type { destination-unreachable, time-exceeded, "
	"parameter-problem } socket transparent 1 counter name matched_icmp "
	"goto divert\n"
	"\t\ticmpv6 type { destination-unreachable, packet-too-big, "
	"time-exceeded, parameter-problem } socket transparent 1 counter name "
	"matched_icmp goto divert\n";

/* --- base chains --------------------------------------------------------- */

/* What this host sent itself, and what is decided already. */
static void put_own(struct nft_text *t)
{
	str_addf(t->out,
		 "\t\tiifname \"lo\" accept\n\t\tmeta mark & 0x%x != 0 "
		 "accept\n",
		 t->plan->config->mask);
}

/* One line for each intercept: its interfaces, then what to do. */
static void put_for_each(struct nft_text *t, const char *key, const char *what)
{
	const struct config *c = t->plan->config;

	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].ifname_count)
			continue;
		put_interfaces(t->out, &c->intercepts[i], key);
		str_addf(t->out, "%s\n", what);
	}
}

static void put_client_side(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	str_add(t->out, "\tchain client_side {\n\t\ttype filter hook "
			"prerouting priority raw; policy accept;\n");
	put_own(t);
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].ifname_count)
			continue;
		put_interfaces(t->out, &c->intercepts[i], "iifname");
		str_addf(t->out, "jump intercept_%zu\n", i);
	}
	str_add(t->out, "\t}\n");
}

/* Chains that others jump to. */
static void put_parts(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	str_addf(t->out,
		 "\tchain divert {\n\t\tmeta mark set meta mark & 0x%x | "
		 "0x%x accept\n\t}\n",
		 ~c->mask, c->mark);
	str_addf(t->out,
		 "\tchain known_client {\n\t\t%s notrack counter name "
		 "matched_tcp goto divert\n\t}\n",
		 tcp_socket_match);
	str_add(t->out, special_destination);
	str_add(t->out, "\tchain left_alone {\n\t\tjump "
			"special_destination\n");
	str_add(t->out, special_source);
	str_add(t->out, inbound_pass);
	str_add(t->out, "\t}\n");
}

static void put_server_side(struct nft_text *t)
{
	str_add(t->out, "\tchain prerouting {\n\t\ttype filter hook prerouting "
			"priority mangle; policy accept;\n");
	nft_put_host_arrival(t);
	put_own(t);
	str_addf(t->out, "\t\t%s counter name matched_tcp goto divert\n",
		 tcp_socket_match);
	str_add(t->out, other_socket_match);
	str_add(t->out, "\t}\n");
}

/* Answers to clients: ours by their mark, those of a program that flows are
 * delivered to by their socket. */
static void put_to_clients(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	str_addf(t->out,
		 "\tchain to_client {\n\t\tmeta mark & 0x%x == 0x%x notrack "
		 "return\n\t\t%s notrack\n\t}\n",
		 c->mask, plan_own_mark(c), tcp_socket_match);
	str_add(t->out, "\tchain output {\n\t\ttype filter hook output "
			"priority raw; policy accept;\n");
	put_for_each(t, "oifname", "jump to_client");
	str_add(t->out, "\t}\n");
}

static void put_forward(struct nft_text *t)
{
	str_add(t->out, "\tchain note_inbound {\n");
	str_add(t->out, inbound_note);
	str_add(t->out, "\t}\n\tchain forward {\n\t\ttype filter hook forward "
			"priority mangle; policy accept;\n");
	put_for_each(t, "oifname", "jump note_inbound");
	str_add(t->out, "\t}\n");
}

/* --- the whole ----------------------------------------------------------- */

int nft_text_init(struct nft_text *t, const struct plan *p, struct str *out,
		  struct err *e)
{
	int error = selections_make(p->config, &t->selections, e);

	t->plan = p;
	t->out = out;
	if (!error && nft_sets_init(&t->sets, p->config) < 0)
		error = err_set(e, ENOMEM, "no memory for the nft rules");
	return error;
}

void nft_text_done(struct nft_text *t)
{
	nft_sets_done(&t->sets);
}

void nft_put_rules(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	nft_put_counters(t->out);
	str_add(t->out, inbound_sets);
	put_parts(t);
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].ifname_count)
			put_intercept(t, i);
	nft_put_host(t);
	put_client_side(t);
	put_server_side(t);
	put_to_clients(t);
	put_forward(t);
}

static bool keep_none(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return false;
}

void nft_render(const struct plan *p, struct str *out)
{
	struct nft_text t;

	if (nft_text_init(&t, p, out, NULL) < 0) {
		str_add(out, "# more selections than the engine carries\n");
		return;
	}
	str_add(out, "table inet waylay {\n");
	nft_sets_put(&t.sets, keep_none, NULL, out);
	nft_put_rules(&t);
	str_add(out, "}\n");
	nft_text_done(&t);
}
