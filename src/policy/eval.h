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
	int rule;      /* index or -1 */
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

/* Rules only, for a flow that intercept `intercept` has taken: the index of
 * the first rule that matches (there always is a default). */
size_t eval_rules(const struct config *c, size_t intercept, enum proto proto,
		  const struct addr *src, const struct addr *dst);

/*
 * What a rule makes of a flow before the relay sees it.  PASS: its upstream is
 * the built-in `direct`, and it is not to be logged; such traffic is never
 * intercepted.  RELAY: any other way to the server, also `via direct` under
 * another name.  A configuration without any rule relays everything: its
 * implicit default gives RELAY, where behind other rules it gives PASS, as if
 * `default -> direct` were written there.
 */
enum verdict_kind eval_rule_kind(const struct config *c, size_t rule);

bool net_set_has(const struct net_set *s, const struct addr *a); /* log n */
bool port_set_has(const struct port_set *s, uint16_t port);
/* "eth1" against "eth1" or "eth*". */
bool ifname_matches(const char *pattern, const char *ifname);

const char *verdict_name(enum verdict_kind kind);
const char *pass_reason_name(enum pass_reason reason);

#endif
