/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_host.c - what this host itself sends: `from host`.
 *
 *	socket -> route -> output: host_side -> route again -> lo -> prerouting
 *	                   |  take: host mark, number      |  host_arrive
 *	                   +- pass, reject, drop           +- tproxy to listener
 *
 * The first route has chosen source address and interface as if nobody
 * intercepted; the mark then leads the packet over lo (routing.h).  Marking
 * any earlier would change the source address (doc/kernel.md, K11).
 *
 * What must not be taken.  A host also answers: packets of the servers on it
 * look like those of clients.  For TCP only a bare SYN is decided; a connection
 * that is taken is noted in a set, and of all other packets those in the set
 * go round and the rest passes.  So connections that are older than the table
 * go on, and so do taken ones when a reload no longer selects them.  And the
 * user of a packet is asked when its socket certainly has one: a socket that
 * was closed and still sends has none.  For UDP conntrack says who began.
 *
 * The set's elements end 3 min after the last packet of a socket that was
 * closed, or 2 h 5 min (as `timeouts idle`) after the last one of another.
 *
 * lo does not know who sent a packet, so nothing is decided there again: the
 * number of the intercept goes with the packet in its priority, class 7700:N+1,
 * which nothing else reads between here and there.  Packets of running
 * connections find their socket.  One that does not, the last ACK of a
 * hand-shake with SYN cookies, goes to the first intercept that has its port:
 * nft 1.0.6 cannot note a number beside an IPv6 connection.
 *
 * Whether somebody listens is only known on lo, and from there no packet can
 * go where it would have gone.  With `on-failure open` the first one is lost,
 * and for five seconds its kind passes in host_side: the SYN's repetition,
 * after one second, goes direct.
 */
#include "engine/nft_text.h"

static const char *const key[FAMILY_COUNT] = {
	"ip saddr . tcp sport . ip daddr . tcp dport",
	"ip6 saddr . tcp sport . ip6 daddr . tcp dport",
};

static bool is_open(const struct nft_text *t)
{
	return t->plan->config->on_failure == ON_FAILURE_OPEN;
}

/* --- what is remembered -------------------------------------------------- */

static void put_memory(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		str_addf(t->out,
			 "\tset host%d {\n\t\ttype %s . inet_service . %s . "
			 "inet_service\n\t\tsize 262144\n"
			 "\t\tflags dynamic,timeout\n\t}\n",
			 f == FAMILY_V6 ? 6 : 4,
			 f == FAMILY_V6 ? "ipv6_addr" : "ipv4_addr",
			 f == FAMILY_V6 ? "ipv6_addr" : "ipv4_addr");
	for (size_t i = 0; i < c->intercept_count && is_open(t); i++)
		if (c->intercepts[i].from_host)
			str_addf(t->out,
				 "\tset deaf_%zu {\n\t\ttype nf_proto . "
				 "inet_proto\n\t\tsize 4\n"
				 "\t\tflags dynamic,timeout\n\t}\n",
				 i);
}

/* --- arriving on lo ------------------------------------------------------ */

static void put_listener_chain(struct nft_text *t, size_t intercept)
{
	struct nft_listener l[NFT_LISTENERS_MAX];
	size_t count = nft_listeners(t->plan, intercept, l);

	str_addf(t->out, "\tchain host_listener_%zu {\n", intercept);
	for (size_t i = 0; i < count; i++) {
		str_add(t->out, "\t\t");
		nft_put_kind(t, &l[i]);
		str_addf(t->out,
			 "tproxy %s to %s counter name taken_%s accept\n",
			 nft_prefix_key[l[i].family], l[i].to,
			 nft_proto_key[l[i].proto]);
	}
	if (is_open(t))
		str_addf(t->out,
			 "\t\tupdate @deaf_%zu { meta nfproto . meta l4proto "
			 "timeout 5s }\n",
			 intercept);
	str_add(t->out, "\t\tcounter name dropped_no_listener drop\n\t}\n");
}

static void put_numbers(struct nft_text *t)
{
	const struct config *c = t->plan->config;
	const char *comma = "";

	str_add(t->out, "\t\tmeta priority vmap { ");
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].from_host)
			continue;
		str_addf(t->out, "%s7700:%zx : goto host_listener_%zu", comma,
			 i + 1, i);
		comma = ", ";
	}
	str_add(t->out, " }\n\t\tcounter name dropped_no_listener drop\n");
}

static void put_arrive(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	str_add(t->out, "\tchain host_running {\n"
			"\t\tsocket transparent 1 accept\n");
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			nft_put_ports(t, i, "host_listener");
	str_add(t->out, "\t\tcounter name dropped_no_listener drop\n\t}\n"
			"\tchain host_arrive {\n\t\ttcp flags & (fin | syn | "
			"rst | ack) "
			"!= syn goto host_running\n");
	put_numbers(t);
	str_add(t->out, "\t}\n");
}

void nft_put_host_arrival(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	if (plan_has_host(c))
		str_addf(t->out,
			 "\t\tiifname \"lo\" meta mark & 0x%x == 0x%x goto "
			 "host_arrive\n",
			 c->mask, plan_host_mark(c));
}

/* --- one intercept ------------------------------------------------------- */

static void put_owners(struct nft_text *t, const struct intercept *it)
{
	struct nft_cgroup g;

	for (size_t i = 0; i < it->except_user_count; i++) {
		const char *user = it->except_users[i];
		const char *quote = nft_is_user_number(user) ? "" : "\"";

		str_addf(t->out, "\t\tmeta skuid %s%s%s return\n", quote, user,
			 quote);
	}
	for (size_t i = 0; i < it->except_cgroup_count; i++) {
		const char *path = it->except_cgroups[i];

		if (nft_find_cgroup(path, &g))
			str_addf(t->out,
				 "\t\tsocket cgroupv2 level %u \"%s\" return\n",
				 g.level, g.path);
		else
			str_addf(t->out,
				 "\t\t# left out until it is there: cgroup "
				 "%s\n",
				 path);
	}
}

/* What the set has no room for is treated as if nobody listened. */
static void put_take(struct nft_text *t, size_t intercept)
{
	struct nft_listener l[NFT_LISTENERS_MAX];
	size_t count = nft_listeners(t->plan, intercept, l);

	str_addf(t->out, "\tchain host_take_%zu {\n", intercept);
	if (is_open(t))
		str_addf(t->out,
			 "\t\tmeta nfproto . meta l4proto @deaf_%zu counter "
			 "name passed_no_listener accept\n",
			 intercept);
	for (size_t i = 0; i < count; i++) {
		str_add(t->out, "\t\t");
		nft_put_kind(t, &l[i]);
		if (l[i].proto == PROTO_TCP)
			str_addf(t->out, "update @host%d { %s timeout 2h5m } ",
				 l[i].family == FAMILY_V6 ? 6 : 4,
				 key[l[i].family]);
		str_addf(t->out,
			 "meta priority set 7700:%zx goto host_divert\n",
			 intercept + 1);
	}
	str_addf(t->out, "\t\tcounter name %s\n\t}\n",
		 is_open(t) ? "passed_no_listener accept"
			    : "dropped_no_listener drop");
}

static void put_intercept(struct nft_text *t, size_t intercept)
{
	const struct intercept *it = &t->plan->config->intercepts[intercept];

	put_take(t, intercept);
	str_addf(t->out, "\tchain host_select_%zu {\n", intercept);
	put_owners(t, it);
	nft_put_exceptions(t, intercept);
	nft_put_selections(t, intercept, "host_take");
	str_addf(t->out,
		 "\t}\n\t# intercept %s\n\tchain host_intercept_%zu {\n",
		 it->name, intercept);
	nft_put_ports(t, intercept, "host_select");
	str_add(t->out, "\t}\n");
}

/* --- the base chain ------------------------------------------------------ */

/* Of taken connections, but for their SYN.  A user: its socket is open. */
static void put_known(struct nft_text *t)
{
	static const struct {
		const char *condition, *timeout;
	} ages[] = {
		{ "tcp flags & (fin | rst) == 0 meta skuid != 4294967295 ",
		  "2h5m" },
		{ "", "3m" },
	};

	str_add(t->out, "\tchain host_known {\n");
	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++)
			str_addf(t->out,
				 "\t\t%s%s @host%d update @host%d { %s "
				 "timeout %s } goto host_divert\n",
				 ages[i].condition, key[f], f ? 6 : 4,
				 f ? 6 : 4, key[f], ages[i].timeout);
	str_add(t->out, "\t\taccept\n\t}\n");
}

static bool has_udp(const struct config *c)
{
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host &&
		    c->intercepts[i].ports[PROTO_UDP].count)
			return true;
	return false;
}

static void put_side(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	str_addf(t->out,
		 "\tchain host_side {\n\t\ttype route hook output priority "
		 "mangle; policy accept;\n\t\toifname \"lo\" accept\n"
		 "\t\tmeta mark & 0x%x != 0 accept\n"
		 "\t\tmeta l4proto != { tcp, udp } accept\n"
		 "\t\ttcp flags & (fin | syn | rst | ack) != syn goto "
		 "host_known\n",
		 c->mask);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		str_addf(t->out, "\t\tdelete @host%d { %s }\n", f ? 6 : 4,
			 key[f]);
	if (has_udp(c)) /* it turns conntrack on */
		str_add(t->out,
			"\t\tmeta l4proto udp ct direction reply accept\n"
			"\t\tmeta l4proto udp ct state untracked accept\n");
	str_add(t->out, "\t\tjump special_destination\n");
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			str_addf(t->out, "\t\tjump host_intercept_%zu\n", i);
	str_add(t->out, "\t}\n");
}

/* A socket that is bound to an interface is not led over lo. */
static void put_leak(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	if (is_open(t))
		return;
	str_addf(t->out,
		 "\tchain host_leak {\n\t\ttype filter hook postrouting "
		 "priority mangle; policy accept;\n\t\toifname != \"lo\" meta "
		 "mark & 0x%x == 0x%x counter name dropped_marked drop\n\t}\n",
		 c->mask, plan_host_mark(c));
}

void nft_put_host(struct nft_text *t)
{
	const struct config *c = t->plan->config;

	if (!plan_has_host(c))
		return;
	put_memory(t);
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			put_listener_chain(t, i);
	put_arrive(t);
	str_addf(t->out,
		 "\tchain host_divert {\n\t\tmeta mark set meta mark & 0x%x | "
		 "0x%x counter name taken_host accept\n\t}\n",
		 ~c->mask, plan_host_mark(c));
	put_known(t);
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].from_host)
			put_intercept(t, i);
	put_side(t);
	put_leak(t);
}
