/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_render.c - the rules of the iptables engine.
 *
 * The kernel forces their shape: the TPROXY target works in mangle only, to
 * take a packet from conntrack in raw only, which stands before it, and REJECT
 * in filter only.  So raw decides, and writes what it decided into the bits of
 * the mark that are ours; mangle and filter carry it out.  In prerouting, and
 * from interfaces only, where no packet has a mark of ours yet:
 *
 *	the value  (V)	taken, or known
 *	the rest   (O)	to be rejected: filter FORWARD does it
 *	both       (H)	to be dropped
 *
 * raw PREROUTING
 *	own and marked packets		-> pass
 *	TCP of a transparent socket	-> V, not tracked
 *	what is never intercepted	-> pass
 *	match-N: exceptions, ports; V if intercept N takes it
 *	select-N: the rules		-> O, H, pass, or take-N
 *	take-N				-> V; SYN and UDP are not tracked
 * mangle PREROUTING
 *	socket match			-> divert: V, accept
 *	marked: TCP in a connection that was begun from outside -> mark off
 *		H -> drop, O -> pass, V -> to-N: TPROXY
 * raw OUTPUT
 *	to intercepted interfaces, from an address that is not of this host:
 *	an answer to a client, not tracked
 *
 * Why client legs are not tracked: engine/nft_render.c.  A TCP packet that is
 * neither SYN nor of a known socket stays tracked: it is the last ACK of a
 * hand-shake with SYN cookies, or belongs to a connection that was begun
 * from outside, which only conntrack tells apart (-m conntrack --ctdir REPLY;
 * no sets as in engine nft, and nothing to be remembered).
 *
 * to-N asks for the conditions of match-N once more, since V does not say
 * which intercept it was; rules need not be asked again.
 *
 * What this host sends (`from host`) is decided in mangle OUTPUT by the same
 * chains: H brings it back over lo (routing.h), where lo-N has the TPROXY
 * target; V stands for "to be rejected" there, which filter OUTPUT does.  Only
 * packets in the first direction of a connection are looked at: an answer of
 * this host's own services is nobody's new flow.  A TCP connection is decided
 * by its SYN alone; conntrack's mark (H under our mask) keeps the answer.
 * With `closed`, mangle POSTROUTING drops H on its way to anywhere but lo.
 *
 * on-failure.  TPROXY without a listener drops, which is `closed`, and xtables
 * cannot ask whether somebody listens.  So with `open` taking is a lease: -m
 * recent with an address mask of zero is one time stamp, `open` passes when it
 * is older than IPTABLES_LEASE_S, and iptables.c renews it every second.
 * There is none for `deliver`: who listens there is not known.
 *
 * It decides nothing that policy/eval.c does not decide.
 */
#include "engine/iptables_render.h"

#include "engine/iptables_decide.h"

#include <stdio.h>
#include <string.h>

static const char *const listen_on[] = { "127.0.0.1", "::1" };

static struct side lan_side(const struct config *c)
{
	return (struct side){ .table = IPTABLES_RAW,
			      .take = c->mark,
			      .reject = plan_own_mark(c),
			      .drop = plan_host_mark(c) };
}

static struct side host_side(const struct config *c)
{
	return (struct side){ .table = IPTABLES_MANGLE,
			      .is_host = true,
			      .take = plan_host_mark(c),
			      .reject = c->mark };
}

/* --- small questions ----------------------------------------------------- */

static bool has_side(const struct render *r, const struct side *side)
{
	for (size_t i = 0; i < r->c->intercept_count; i++)
		if (takes_from(&r->c->intercepts[i], side))
			return true;
	return false;
}

static bool has_reject(const struct render *r, const struct side *side)
{
	for (size_t i = 0; i < r->selections->count; i++) {
		const struct selection *s = &r->selections->of[i];

		if (s->kind == VERDICT_REJECT &&
		    takes_from(&r->c->intercepts[s->intercept], side))
			return true;
	}
	return false;
}

bool iptables_has_lease(const struct plan *p)
{
	return p->config->on_failure == ON_FAILURE_OPEN && !p->is_private;
}

const char *iptables_lease_path(enum family_index f)
{
	static const char *const paths[] = {
		"/proc/thread-self/net/xt_recent/waylay",
		"/proc/thread-self/net/xt_recent/waylay6",
	};

	return paths[f];
}

const char *iptables_lease_text(enum family_index f)
{
	static const char *const texts[] = { "+0.0.0.0", "+::" };

	return texts[f];
}

static bool is_named_before(const struct config *c, size_t i, size_t n)
{
	const char *ifname = c->intercepts[i].ifnames[n];

	for (size_t k = 0; k <= i; k++)
		for (size_t m = 0; m < c->intercepts[k].ifname_count; m++) {
			if (k == i && m == n)
				return false;
			if (!strcmp(c->intercepts[k].ifnames[m], ifname))
				return true;
		}
	return false;
}

/* One rule for each interface that any intercept names. */
static void put_each_interface(struct render *r, const char *chain,
			       const char *option, const char *what)
{
	const struct config *c = r->c;

	for (size_t i = 0; i < c->intercept_count; i++)
		for (size_t n = 0; n < c->intercepts[i].ifname_count; n++)
			if (!is_named_before(c, i, n))
				put_interface(&r->w, chain, option,
					      c->intercepts[i].ifnames[n],
					      what);
}

static const char socket_of_tcp[] = "-p tcp ! --syn -m socket --transparent";

/* --- the TPROXY target --------------------------------------------------- */

static void put_tproxy(struct render *r, const char *chain, size_t i,
		       enum proto proto, uint32_t mark)
{
	const struct intercept *it = &r->c->intercepts[i];
	uint16_t port = r->w.plan->ports[i][proto][r->w.family];
	char ip[ADDR_TEXT_MAX], on_ip[ADDR_TEXT_MAX + 16] = "", what[256];

	if (it->has_deliver) {
		port = it->deliver.port;
		if (it->deliver.family) /* else: of the interface */
			(void)snprintf(on_ip, sizeof(on_ip), "--on-ip %s ",
				       addr_format_ip(&it->deliver, ip));
	} else {
		(void)snprintf(on_ip, sizeof(on_ip), "--on-ip %s ",
			       listen_on[r->w.family]);
	}
	if (!port)
		return; /* on-failure has decided */
	(void)snprintf(what, sizeof(what),
		       "-m comment --comment taken_%s -j TPROXY --on-port %u "
		       "%s--tproxy-mark 0x%x/0x%x",
		       proto == PROTO_TCP ? "tcp" : "udp", port, on_ip, mark,
		       r->c->mask);
	put_ports(&r->w, chain, proto, &it->ports[proto], what);
}

/* Chain `kind`-N for each intercept of this side, and what leads there. */
static void put_deliveries(struct render *r, const char *from, const char *kind,
			   const struct side *side)
{
	for (size_t i = 0; i < r->c->intercept_count; i++) {
		struct name chain = name_of(kind, i);
		char what[64];

		if (!takes_from(&r->c->intercepts[i], side) ||
		    !takes_family(r, i))
			continue;
		put_chain(&r->w, chain.text);
		put_exceptions(r, chain.text, i);
		for (enum proto p = 0; p < PROTO_COUNT; p++)
			put_tproxy(r, chain.text, i, p, side->take);
		(void)snprintf(what, sizeof(what), "-j %s", chain.text);
		if (side->is_host)
			put_rule(&r->w, from, "%s", what);
		else
			put_interfaces(r, from, "-i", i, what);
	}
}

/* --- hooks --------------------------------------------------------------- */

static void put_raw(struct render *r, const struct side *lan)
{
	struct writer *w = &r->w;

	w->table = lan->table;
	put_hook(w, "PREROUTING", "waylay-in");
	put_chain(w, "waylay-in");
	put_rule(w, "waylay-in", "-i lo -j RETURN");
	put_rule(w, "waylay-in",
		 "-m mark ! --mark 0x0/0x%x -m comment --comment passed_own "
		 "-j RETURN",
		 r->c->mask);
	put_each_interface(r, "waylay-in", "-i", "-g waylay-lan");
	put_chain(w, "waylay-known");
	put_rule(w, "waylay-known", "-j CT --notrack");
	put_mark(r, "waylay-known", "", r->c->mark);
	put_chain(w, "waylay-lan");
	put_rule(w, "waylay-lan", "%s -g waylay-known", socket_of_tcp);
	put_decision(r, "waylay-lan", lan);
	put_hook(w, "OUTPUT", "waylay-answer");
	put_chain(w, "waylay-answer");
	put_each_interface(r, "waylay-answer", "-o",
			   "-m addrtype ! --src-type LOCAL -j CT --notrack");
}

/* What raw PREROUTING has decided. */
static void put_marked(struct render *r, const struct side *lan)
{
	struct writer *w = &r->w;

	put_chain(w, "waylay-marked");
	put_rule(w, "waylay-marked",
		 "-p tcp ! --syn -m conntrack --ctdir REPLY -g waylay-inbound");
	put_rule(w, "waylay-marked", "-m mark --mark 0x%x/0x%x -j DROP",
		 lan->drop, r->c->mask);
	put_rule(w, "waylay-marked", "-m mark --mark 0x%x/0x%x -j RETURN",
		 lan->reject, r->c->mask);
	put_marking(r, "waylay-inbound", "passed_inbound", 0);
	put_deliveries(r, "waylay-marked", "to", lan);
}

/* What came back over lo; answers on lo may have our marks by other ways
 * (CONNMARK --restore-mark). */
static void put_returned(struct render *r, const struct side *host)
{
	struct writer *w = &r->w;

	put_rule(w, "waylay-in", "-i lo -m mark ! --mark 0x%x/0x%x -j RETURN",
		 host->take, r->c->mask);
	put_rule(w, "waylay-in", "-i lo -m conntrack --ctdir REPLY -j RETURN");
	put_rule(w, "waylay-in", "-i lo -g waylay-returned");
	put_chain(w, "waylay-returned");
	put_rule(w, "waylay-returned", "%s -j ACCEPT", socket_of_tcp);
	put_deliveries(r, "waylay-returned", "lo", host);
}

static void put_mangle_in(struct render *r, const struct side *lan,
			  const struct side *host)
{
	static const char *const icmp[] = { "icmp", "ipv6-icmp" };
	struct writer *w = &r->w;

	w->table = IPTABLES_MANGLE;
	put_hook(w, "PREROUTING", "waylay-in");
	put_chain(w, "waylay-in");
	if (has_side(r, host))
		put_returned(r, host);
	else
		put_rule(w, "waylay-in", "-i lo -j RETURN");
	put_rule(w, "waylay-in",
		 "%s -m comment --comment matched_tcp -g waylay-divert",
		 socket_of_tcp);
	if (has_side(r, lan)) {
		put_marked(r, lan);
		put_rule(w, "waylay-in",
			 "-m mark ! --mark 0x0/0x%x -g waylay-marked",
			 r->c->mask);
	}
	put_rule(w, "waylay-in",
		 "-p udp -m socket --transparent -m comment --comment "
		 "matched_udp -g waylay-divert");
	put_rule(w, "waylay-in",
		 "-p %s -m socket --transparent -m comment --comment "
		 "matched_icmp -g waylay-divert",
		 icmp[w->family]);
	put_marking(r, "waylay-divert", "", r->c->mark);
	put_rule(w, "waylay-divert", "-j ACCEPT");
}

/* A connection of this host is decided by its SYN, and conntrack's mark says
 * how: older ones go on, and a socket that was closed and still sends has no
 * owner that could be asked. */
static void put_mangle_out(struct render *r, const struct side *host)
{
	struct writer *w = &r->w;
	uint32_t mask = r->c->mask;

	w->table = host->table;
	put_hook(w, "OUTPUT", "waylay-out");
	put_chain(w, "waylay-out");
	put_rule(w, "waylay-out",
		 "-m mark ! --mark 0x0/0x%x -m comment --comment passed_own "
		 "-j RETURN",
		 mask);
	put_rule(w, "waylay-out",
		 "-m conntrack --ctdir REPLY -m comment --comment "
		 "passed_inbound -j RETURN");
	put_rule(w, "waylay-out",
		 "-p tcp ! --syn -m connmark --mark 0x%x/0x%x -g waylay-known",
		 host->take, mask);
	put_rule(w, "waylay-out", "-p tcp ! --syn -j RETURN");
	put_rule(w, "waylay-out",
		 "-p tcp -m connmark --mark 0x%x/0x%x -j CONNMARK --set-xmark "
		 "0x0/0x%x",
		 host->take, mask, mask);
	put_marking(r, "waylay-known", "taken_host", host->take);
	put_decision(r, "waylay-out", host);
	if (r->c->on_failure == ON_FAILURE_OPEN)
		return;
	/* A socket that is bound to an interface is not led over lo. */
	put_hook(w, "POSTROUTING", "waylay-leave");
	put_chain(w, "waylay-leave");
	put_rule(w, "waylay-leave",
		 "! -o lo -m mark --mark 0x%x/0x%x -m comment --comment "
		 "dropped_marked -j DROP",
		 host->take, mask);
}

/* In FORWARD no packet has our rest of the mask but those.  In OUTPUT a socket
 * may have the value (tcp_fwmark_accept=1), but its answers are not tracked or
 * go in the second direction. */
static void put_filter(struct render *r, const struct side *lan,
		       const struct side *host)
{
	static const char *const unreachable[] = { "icmp-port-unreachable",
						   "icmp6-port-unreachable" };
	struct writer *w = &r->w;

	w->table = IPTABLES_FILTER;
	put_chain(w, "waylay-reject");
	put_rule(w, "waylay-reject",
		 "-p tcp -m comment --comment rejected_tcp -j REJECT "
		 "--reject-with tcp-reset");
	put_rule(w, "waylay-reject",
		 "-m comment --comment rejected_udp -j REJECT --reject-with %s",
		 unreachable[w->family]);
	if (has_reject(r, lan)) {
		put_hook(w, "FORWARD", "waylay-forward");
		put_chain(w, "waylay-forward");
		put_rule(w, "waylay-forward",
			 "-m mark --mark 0x%x/0x%x -g waylay-reject",
			 lan->reject, r->c->mask);
	}
	if (has_reject(r, host)) {
		put_hook(w, "OUTPUT", "waylay-out");
		put_chain(w, "waylay-out");
		put_rule(w, "waylay-out",
			 "-m mark --mark 0x%x/0x%x -m conntrack --ctdir "
			 "ORIGINAL -g waylay-reject",
			 host->reject, r->c->mask);
	}
}

void iptables_render(const struct plan *p, const struct selections *s,
		     enum family_index f, struct iptables_rules *out)
{
	struct render r = {
		.w = { .plan = p, .family = f, .out = out },
		.selections = s,
		.c = p->config,
	};
	struct side lan = lan_side(r.c), host = host_side(r.c);

	if (has_side(&r, &lan))
		put_raw(&r, &lan);
	put_mangle_in(&r, &lan, &host);
	if (has_side(&r, &host))
		put_mangle_out(&r, &host);
	if (has_reject(&r, &lan) || has_reject(&r, &host))
		put_filter(&r, &lan, &host);
}
