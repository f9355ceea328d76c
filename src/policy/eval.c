/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval.c - the reference evaluator; see eval.h.  Rules are in eval_rule.c.
 *
 * Written to be obviously right, not fast: it is what engines are compared
 * with.  Only the look-ups in sets (set.c) are made for large inputs.
 */
#include "policy/eval.h"

#include <assert.h>
#include <string.h>

bool ifname_matches(const char *pattern, const char *ifname)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return strncmp(pattern, ifname, len - 1) == 0;
	return strcmp(pattern, ifname) == 0;
}

/* ::ffff:a.b.c.d on the wire is nobody's address. */
static bool is_v4_mapped(const struct addr *a)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == AF_INET6 && memcmp(a->ip, head, 12) == 0;
}

static bool is_unspecified(const struct addr *a)
{
	static const uint8_t zeros[16];

	if (a->family == AF_INET)
		return a->ip[0] == 0; /* all of "this network", 0/8 */
	return memcmp(a->ip, zeros, 16) == 0;
}

static bool is_many(const struct addr *a)
{
	static const uint8_t ones[4] = { 255, 255, 255, 255 };

	if (a->family == AF_INET6)
		return a->ip[0] == 0xff;
	return (a->ip[0] & 0xf0) == 0xe0 || memcmp(a->ip, ones, 4) == 0;
}

/* What no packet from another host may have as its source. */
static bool is_special_src(const struct addr *a)
{
	return is_many(a) || is_unspecified(a) || addr_is_loopback(a) ||
	       is_v4_mapped(a);
}

bool eval_is_special(const struct addr *dst)
{
	return is_special_src(dst) || addr_is_link_local(dst);
}

static bool is_from(const struct intercept *i, const char *ifname)
{
	if (!ifname)
		return i->from_host;
	for (size_t n = 0; n < i->ifname_count; n++) {
		if (ifname_matches(i->ifnames[n], ifname))
			return true;
	}
	return false;
}

/* A listener of one family cannot take the packets of the other. */
static bool can_deliver(const struct intercept *i, const struct addr *dst)
{
	return !i->has_deliver || i->deliver.family == AF_UNSPEC ||
	       i->deliver.family == dst->family;
}

static bool is_user_excepted(const struct intercept *i, const char *user)
{
	for (size_t n = 0; user && n < i->except_user_count; n++) {
		if (strcmp(i->except_users[n], user) == 0)
			return true;
	}
	return false;
}

/* a/b against a/b or a; a/bc is not below a/b. */
static bool is_in_cgroup(const char *cgroup, const char *ancestor)
{
	size_t len = strlen(ancestor);

	return strncmp(cgroup, ancestor, len) == 0 &&
	       (!cgroup[len] || cgroup[len] == '/');
}

static bool is_cgroup_excepted(const struct intercept *i, const char *cgroup)
{
	for (size_t n = 0; cgroup && n < i->except_cgroup_count; n++) {
		if (is_in_cgroup(cgroup, i->except_cgroups[n]))
			return true;
	}
	return false;
}

/* Users and cgroups: only an intercept `from host` has any, and that selects
 * no packet of another host. */
static enum miss exception_for(const struct intercept *i, const struct facts *f)
{
	if (net_set_has(&i->except_src.set, &f->src))
		return MISS_EXCEPT_SRC;
	if (net_set_has(&i->except_dst.set, &f->dst))
		return MISS_EXCEPT_DST;
	if (port_set_has(&i->except_port, f->dst.port))
		return MISS_EXCEPT_PORT;
	if (is_user_excepted(i, f->user))
		return MISS_EXCEPT_USER;
	return is_cgroup_excepted(i, f->cgroup) ? MISS_EXCEPT_CGROUP
						: MISS_NONE;
}

enum miss eval_intercept(const struct config *c, size_t intercept,
			 const struct facts *f)
{
	const struct intercept *i = &c->intercepts[intercept];

	if (i->has_listen)
		return MISS_LISTEN;
	if (!is_from(i, f->ifname))
		return MISS_FROM;
	if (!can_deliver(i, &f->dst))
		return MISS_FAMILY;
	if (!port_set_has(&i->ports[f->proto], f->dst.port))
		return MISS_PORT;
	return exception_for(i, f);
}

static void take(const struct config *c, size_t intercept,
		 const struct facts *f, struct verdict *out)
{
	size_t rule;

	out->reason = PASS_NONE;
	out->intercept = (int)intercept;
	if (c->intercepts[intercept].has_deliver) {
		out->kind = VERDICT_DELIVER;
		return;
	}
	rule = eval_rules(c, intercept, f->proto, &f->src, &f->dst);
	out->kind = eval_rule_kind(c, rule);
	if (out->kind == VERDICT_PASS)
		out->reason = PASS_DIRECT;
	out->rule = (int)rule;
	out->upstream = (int)c->rules[rule].upstream;
}

/* Offer the packet to each intercept until one takes it. */
static void offer(const struct config *c, const struct facts *f,
		  struct verdict *out)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		enum miss miss = eval_intercept(c, i, f);

		if (miss == MISS_NONE) {
			take(c, i, f, out);
			return;
		}
		if (miss >= MISS_EXCEPT_SRC)
			out->reason = PASS_EXCEPT;
	}
}

void eval_packet(const struct config *c, const struct facts *f,
		 struct verdict *out)
{
	struct verdict v = { .kind = VERDICT_PASS,
			     .reason = PASS_NO_INTERCEPT,
			     .intercept = -1,
			     .rule = -1,
			     .upstream = -1 };

	*out = v;
	if (f->is_dst_local)
		out->reason = PASS_DST_LOCAL;
	else if (eval_is_special(&f->dst))
		out->reason = PASS_DST_SPECIAL;
	else if (f->ifname && f->is_src_local)
		out->reason = PASS_SRC_LOCAL;
	else if (f->ifname && is_special_src(&f->src))
		out->reason = PASS_SRC_SPECIAL;
	else
		offer(c, f, out);
}

const char *verdict_name(enum verdict_kind kind)
{
	static const char *const names[] = {
		[VERDICT_PASS] = "pass",       [VERDICT_RELAY] = "relay",
		[VERDICT_DELIVER] = "deliver", [VERDICT_REJECT] = "reject",
		[VERDICT_DROP] = "drop",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == VERDICT_DROP + 1,
		      "every verdict has a name");
	return names[kind];
}

const char *pass_reason_name(enum pass_reason reason)
{
	static const char *const names[] = {
		[PASS_NONE] = "it does not pass",
		[PASS_DST_LOCAL] = "addressed to this host",
		[PASS_DST_SPECIAL] = "an address that is never intercepted",
		[PASS_SRC_LOCAL] = "comes from an interface with an address "
				   "of this host",
		[PASS_SRC_SPECIAL] = "a source that no packet may have",
		[PASS_NO_INTERCEPT] = "no intercept selects it",
		[PASS_EXCEPT] = "excepted",
		[PASS_DIRECT] = "a rule sends it direct",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == PASS_DIRECT + 1,
		      "every reason has a name");
	return names[reason];
}

const char *miss_name(enum miss miss)
{
	static const char *const names[] = {
		[MISS_NONE] = "it takes it",
		[MISS_LISTEN] = "it takes what comes to its listener",
		[MISS_FROM] = "it is from elsewhere",
		[MISS_FAMILY] = "its listener is of the other IP version",
		[MISS_PORT] = "it does not take this port",
		[MISS_EXCEPT_SRC] = "it excepts the source",
		[MISS_EXCEPT_DST] = "it excepts the destination",
		[MISS_EXCEPT_PORT] = "it excepts the port",
		[MISS_EXCEPT_USER] = "it excepts the user",
		[MISS_EXCEPT_CGROUP] = "it excepts the cgroup",
	};

	static_assert(sizeof(names) / sizeof(names[0]) ==
			      MISS_EXCEPT_CGROUP + 1,
		      "every miss has a name");
	return names[miss];
}
