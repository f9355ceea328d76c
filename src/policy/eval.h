/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval.h - the reference: (packet facts, configuration) -> verdict.
 *
 * What these functions say is what waylay means; every engine is compared
 * with them.  Pure: no system calls, no allocation, no clock.
 */
#ifndef WL_POLICY_EVAL_H
#define WL_POLICY_EVAL_H

#include "policy/model.h"

/* What is known of the first packet of a flow. */
struct facts {
	const char *ifname; /* incoming interface; NULL: this host itself */
	enum proto proto;
	struct addr src, dst; /* with ports */
	bool is_src_local;    /* src is an address of this host */
	bool is_dst_local;    /* dst is an address of this host */
	/* Only with ifname NULL; NULL: not known, no exception holds.
	 * Compared as text: who fills them in writes a user as the
	 * configuration does, by name or by number, and a cgroup without a
	 * slash in front. */
	const char *user;   /* of the socket */
	const char *cgroup; /* its path below the root of cgroup2 */
};

enum verdict_kind {
	VERDICT_PASS,	 /* not intercepted, goes on as if we were not here */
	VERDICT_RELAY,	 /* waylay's relay takes it, to `upstream` */
	VERDICT_DELIVER, /* handed to intercept.deliver */
	VERDICT_REJECT,	 /* RST, or ICMP port unreachable */
	VERDICT_DROP,	 /* silence */
};

enum pass_reason {
	PASS_NONE, /* it does not pass */
	/* in the order in which they are asked: */
	PASS_DST_LOCAL,	   /* addressed to this host */
	PASS_DST_SPECIAL,  /* multicast, broadcast, unspecified (all 0/8),
			    * loopback, link-local, v4-mapped */
	PASS_SRC_LOCAL,	   /* forged, or on its way round: comes from an
			    * interface and carries our own address */
	PASS_SRC_SPECIAL,  /* a source that no packet may have: the kernel
			    * drops it as martian; link-local is allowed */
	PASS_NO_INTERCEPT, /* no intercept names interface, protocol, port */
	PASS_EXCEPT,	   /* an `except` of the intercept that matched */
	PASS_DIRECT,	   /* a rule sends it to the built-in `direct` */
};

struct verdict {
	enum verdict_kind kind;
	enum pass_reason reason;
	int intercept; /* index or -1 */
	int rule;      /* index or -1; first that matches or is open */
	int upstream;  /* index or -1 */
};

/*
 * First, whatever the configuration says, these pass, and the first reason
 * that holds is the one given: a destination of this host, a special
 * destination, and, only if the packet comes from an interface, a source of
 * this host, a special source.  What this host itself sends has an address of
 * its own by right.
 *
 * Intercepts are tried in file order; the first one whose interface, protocol
 * and port select the packet and that has no `except` for it takes it.  A
 * packet that an intercept excepts is still offered to the later ones; if
 * none takes it the verdict is PASS with PASS_EXCEPT (and intercept -1).
 * An exception for a cgroup holds for those below it as well; exceptions for
 * users and cgroups ask about this host's own packets only.
 *
 * An intercept with `deliver` selects only packets of the listener's family:
 * no kernel mechanism hands an IPv6 packet to an IPv4 socket with its
 * destination intact, or the reverse.  `deliver *:PORT` is of both families.
 *
 * What an intercept takes and has no `deliver` for is judged by the rules; a
 * rule that says direct lets it pass, with PASS_DIRECT and intercept, rule and
 * upstream filled in.  Later intercepts are not asked then.
 */
void eval_packet(const struct config *c, const struct facts *f,
		 struct verdict *out);

/* The first reason why an intercept does not take a packet, for people.  From
 * MISS_EXCEPT_SRC on: it selects the packet, but has an `except` for it. */
enum miss {
	MISS_NONE, /* it takes it, if no earlier intercept does */
	MISS_LISTEN,
	MISS_FROM,
	MISS_FAMILY,
	MISS_PORT,
	MISS_EXCEPT_SRC,
	MISS_EXCEPT_DST,
	MISS_EXCEPT_PORT,
	MISS_EXCEPT_USER,
	MISS_EXCEPT_CGROUP,
};

/* One intercept.  Addresses that always pass are not asked for here. */
enum miss eval_intercept(const struct config *c, size_t intercept,
			 const struct facts *f);

/* --- rules --------------------------------------------------------------- */

/* What is known of a flow that an intercept has taken. */
struct flow_facts {
	size_t intercept;
	enum proto proto;
	const struct addr *src, *dst;
	/* Nobody has looked at the first bytes: `name` and `is_quic` may still
	 * come to be known. */
	bool is_open;
	const char *name; /* domain_normalise()d; NULL: none */
	bool is_quic;
};

/* OPEN: it depends on first bytes that nobody has looked at yet. */
enum match { MATCH_NO, MATCH_YES, MATCH_OPEN };

/* The first condition of a rule that does not hold, for people. */
enum mismatch {
	MISMATCH_NONE,
	MISMATCH_INTERCEPT,
	MISMATCH_PROTO,
	MISMATCH_SRC,
	MISMATCH_DST,
	MISMATCH_PORT,
	MISMATCH_QUIC,
	MISMATCH_DOMAIN,	/* another name, or none */
	MISMATCH_DST_OR_DOMAIN, /* a list with both, and neither is in it */
};

/* One rule; *why is MISMATCH_NONE unless the answer is MATCH_NO. */
enum match eval_rule(const struct config *c, size_t rule,
		     const struct flow_facts *f, enum mismatch *why);

/* The first rule that matches (there always is a default), or the first that
 * is open, if that comes earlier: then the first bytes must be looked at. */
size_t eval_flow(const struct config *c, const struct flow_facts *f,
		 bool *is_open);

/* Could the first bytes tell a name or QUIC, as `sniff` stands? */
bool eval_can_sniff(const struct config *c, enum proto proto);

/* eval_flow() before any byte has come: what an engine needs to know. */
size_t eval_rules(const struct config *c, size_t intercept, enum proto proto,
		  const struct addr *src, const struct addr *dst);

/* Do the rule's conditions ask for a name or for QUIC? */
bool eval_rule_is_open(const struct rule *r);

/* The rule's condition on the destination, for those who know no names; NULL:
 * any destination may match, if only because its name may. */
const struct net_expr *eval_rule_dst(const struct rule *r);

/*
 * What a rule makes of a flow before the relay sees it.  PASS: its upstream is
 * the built-in `direct`, it is not to be logged, and it asks for no name; such
 * traffic is never intercepted.  RELAY: any other way to the server, also `via
 * direct` under another name, and every rule that asks for a name or for QUIC,
 * since only the relay sees first bytes.  A configuration without any rule
 * relays everything: its implicit default gives RELAY, where behind other
 * rules it gives PASS, as if `default -> direct` were written there.
 */
enum verdict_kind eval_rule_kind(const struct config *c, size_t rule);

/* The same in the relay, where names are known: what is to be done with a flow
 * of this upstream.  RELAY also for the built-in `direct`. */
enum verdict_kind eval_upstream_kind(const struct upstream *u);

/* A destination that is never intercepted, wherever it is met (T07). */
bool eval_is_special(const struct addr *dst);
/* Can it carry UDP?  A group says yes; its members may differ. */
bool eval_upstream_has_udp(const struct upstream *u);

bool net_set_has(const struct net_set *s, const struct addr *a); /* log n */
bool port_set_has(const struct port_set *s, uint16_t port);
/* "eth1" against "eth1" or "eth*". */
bool ifname_matches(const char *pattern, const char *ifname);

const char *verdict_name(enum verdict_kind kind);
const char *mismatch_name(enum mismatch m); /* "the name is not in it" */
const char *miss_name(enum miss miss);	    /* "it excepts the port" */
const char *pass_reason_name(enum pass_reason reason);

#endif
