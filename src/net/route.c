/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - policy rules and routes, by rtnetlink; see route.h.
 */
#include "net/route.h"

#include "net/addr.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPBACK_IFINDEX = 1, ATTRS = 32 };

static const int families[] = { AF_INET, AF_INET6 };

static const char *family_name(int family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

/* --- rules --------------------------------------------------------------- */

static struct nlmsghdr *put_rule(struct nl *nl, char *buf, uint16_t type,
				 uint16_t flags, const struct ip_rule *r)
{
	static const uint8_t actions[] = {
		[RULE_LOOKUP] = FR_ACT_TO_TBL,
		[RULE_GOTO] = FR_ACT_GOTO,
		[RULE_NOP] = FR_ACT_NOP,
	};
	struct fib_rule_hdr *frh;
	struct nlmsghdr *nlh;

	nlh = nl_begin(nl, buf, type, flags, sizeof(*frh), (void **)&frh);
	frh->family = (uint8_t)r->family;
	frh->action = actions[r->action];
	mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, r->protocol);
	if (r->action == RULE_LOOKUP)
		mnl_attr_put_u32(nlh, FRA_TABLE, r->target);
	if (r->action == RULE_GOTO)
		mnl_attr_put_u32(nlh, FRA_GOTO, r->target);
	if (r->mask) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, r->mark);
		mnl_attr_put_u32(nlh, FRA_FWMASK, r->mask);
	}
	if (r->is_from_loopback)
		mnl_attr_put_strz(nlh, FRA_IIFNAME, "lo");
	return nlh;
}

int route_add_rule(struct nl *nl, const struct ip_rule *r, struct err *e)
{
	char buf[NL_BUF_BYTES];
	int error = nl_talk(
		nl,
		put_rule(nl, buf, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, r),
		NULL, NULL);

	if (error < 0 && error != -EEXIST)
		return err_errno(e, -error, "cannot add %s rule %u",
				 family_name(r->family), r->priority);
	return 0;
}

struct attrs {
	const struct nlattr *at[ATTRS];
};

static int collect_attr(const struct nlattr *attr, void *ctx)
{
	struct attrs *a = ctx;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTRS)
		a->at[type] = attr;
	return MNL_CB_OK;
}

static uint32_t get_u32(const struct attrs *a, int type)
{
	if (!a->at[type] || mnl_attr_get_payload_len(a->at[type]) < 4)
		return 0;
	return mnl_attr_get_u32(a->at[type]);
}

static uint8_t get_u8(const struct attrs *a, int type)
{
	if (!a->at[type] || mnl_attr_get_payload_len(a->at[type]) < 1)
		return 0;
	return mnl_attr_get_u8(a->at[type]);
}

/* The rules of one family as they are installed. */
struct rule_walk {
	struct ip_rule *rules;
	size_t count, cap;
	bool is_out_of_memory;
};

static int collect_rule(const struct nlmsghdr *nlh, void *ctx)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	struct rule_walk *w = ctx;
	struct attrs a = { 0 };
	struct ip_rule *r;

	if (nlh->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*frh), collect_attr, &a);
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;

		r = realloc(w->rules, cap * sizeof(*r));
		if (!r) {
			w->is_out_of_memory = true;
			return MNL_CB_OK;
		}
		w->rules = r;
		w->cap = cap;
	}
	r = &w->rules[w->count++];
	*r = (struct ip_rule){
		.family = frh->family,
		.priority = get_u32(&a, FRA_PRIORITY),
		.action = frh->action == FR_ACT_GOTO	 ? RULE_GOTO
			  : frh->action == FR_ACT_TO_TBL ? RULE_LOOKUP
							 : RULE_NOP,
		.mark = get_u32(&a, FRA_FWMARK),
		.mask = get_u32(&a, FRA_FWMASK),
		.protocol = get_u8(&a, FRA_PROTOCOL),
		.is_from_loopback =
			a.at[FRA_IIFNAME] &&
			!strcmp(mnl_attr_get_str(a.at[FRA_IIFNAME]), "lo"),
	};
	if (r->action == RULE_LOOKUP)
		r->target =
			a.at[FRA_TABLE] ? get_u32(&a, FRA_TABLE) : frh->table;
	if (r->action == RULE_GOTO)
		r->target = get_u32(&a, FRA_GOTO);
	return MNL_CB_OK;
}

static int dump_rules(struct nl *nl, int family, struct rule_walk *w,
		      struct err *e)
{
	struct fib_rule_hdr *frh;
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh;
	int error;

	*w = (struct rule_walk){ 0 };
	nlh = nl_begin(nl, buf, RTM_GETRULE, NLM_F_DUMP, sizeof(*frh),
		       (void **)&frh);
	frh->family = (uint8_t)family;
	error = nl_talk(nl, nlh, collect_rule, w);
	if (!error && w->is_out_of_memory)
		error = -ENOMEM;
	if (error < 0) {
		free(w->rules);
		err_errno(e, -error, "cannot list the %s rules",
			  family_name(family));
	}
	return error;
}

static bool same_rule(const struct ip_rule *a, const struct ip_rule *b)
{
	return a->priority == b->priority && a->action == b->action &&
	       a->target == b->target && a->mark == b->mark &&
	       a->mask == b->mask &&
	       a->is_from_loopback == b->is_from_loopback &&
	       a->protocol == b->protocol;
}

int route_has_rule(struct nl *nl, const struct ip_rule *r, struct err *e)
{
	struct rule_walk w;
	int found = 0, error = dump_rules(nl, r->family, &w, e);

	if (error < 0)
		return error;
	for (size_t i = 0; i < w.count && !found; i++)
		found = same_rule(&w.rules[i], r);
	free(w.rules);
	return found;
}

int route_rule_clash(struct nl *nl, const struct ip_rule *r, struct err *e)
{
	struct rule_walk w;
	int found = 0, error = dump_rules(nl, r->family, &w, e);

	if (error < 0)
		return error;
	for (size_t i = 0; i < w.count && !found; i++) {
		const struct ip_rule *other = &w.rules[i];

		if (other->protocol == r->protocol)
			continue;
		if (other->priority == r->priority) {
			err_set(e, EEXIST,
				"rule priority %u is already used by another "
				"program (see `ip rule`)",
				r->priority);
			found = 1;
		} else if (r->action == RULE_LOOKUP &&
			   other->action == RULE_LOOKUP &&
			   other->target == r->target) {
			err_set(e, EEXIST,
				"routing table %u is already used by rule %u "
				"of another program; choose another with "
				"`table N`",
				r->target, other->priority);
			found = 1;
		}
	}
	free(w.rules);
	return found;
}

static bool is_kept(const struct ip_rule *r, const struct ip_rule *keep,
		    size_t keep_count)
{
	for (size_t i = 0; i < keep_count; i++)
		if (keep[i].family == r->family && same_rule(&keep[i], r))
			return true;
	return false;
}

static int delete_rule(struct nl *nl, const struct ip_rule *r)
{
	char buf[NL_BUF_BYTES];
	int error =
		nl_talk(nl, put_rule(nl, buf, RTM_DELRULE, 0, r), NULL, NULL);

	return error == -ENOENT ? 0 : error; /* gone already: as wanted */
}

int route_flush_rules(struct nl *nl, uint8_t protocol,
		      const struct ip_rule *keep, size_t keep_count,
		      struct err *e)
{
	int error = 0;

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		struct rule_walk w;

		error = dump_rules(nl, families[f], &w, e);
		if (error < 0)
			return error;
		for (size_t i = 0; i < w.count && !error; i++)
			if (w.rules[i].protocol == protocol &&
			    !is_kept(&w.rules[i], keep, keep_count))
				error = delete_rule(nl, &w.rules[i]);
		free(w.rules);
		if (error < 0)
			return err_errno(e, -error, "cannot remove a %s rule",
					 family_name(families[f]));
	}
	return 0;
}

/* --- routes -------------------------------------------------------------- */

static struct nlmsghdr *put_route(struct nl *nl, char *buf, uint16_t type,
				  uint16_t flags, const struct rtmsg *like,
				  uint32_t table, int ifindex)
{
	struct rtmsg *rtm;
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, type, flags, sizeof(*rtm), (void **)&rtm);

	*rtm = *like;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	return nlh;
}

int route_add_local_default(struct nl *nl, int family, uint32_t table,
			    uint8_t protocol, struct err *e)
{
	struct rtmsg like = {
		.rtm_family = (uint8_t)family,
		.rtm_protocol = protocol,
		.rtm_scope = RT_SCOPE_HOST,
		.rtm_type = RTN_LOCAL,
	};
	char buf[NL_BUF_BYTES];
	int error = nl_talk(nl,
			    put_route(nl, buf, RTM_NEWROUTE,
				      NLM_F_CREATE | NLM_F_EXCL, &like, table,
				      LOOPBACK_IFINDEX),
			    NULL, NULL);

	if (error < 0 && error != -EEXIST)
		return err_errno(e, -error,
				 "cannot add the %s local route in table %u",
				 family_name(family), table);
	return 0;
}

struct route_seen {
	struct rtmsg rtm;
	uint32_t table, oif, priority;
	uint8_t dst[16];
	bool has_dst;
};

struct route_walk {
	struct route_seen *routes;
	size_t count, cap;
	int protocol; /* only these, -1: every one */
	bool is_out_of_memory;
};

static int collect_route(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_walk *w = ctx;
	struct route_seen *r;
	struct attrs a = { 0 };

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    (rtm->rtm_flags & RTM_F_CLONED) ||
	    (w->protocol >= 0 && rtm->rtm_protocol != w->protocol))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*rtm), collect_attr, &a);
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;

		r = realloc(w->routes, cap * sizeof(*r));
		if (!r) {
			w->is_out_of_memory = true;
			return MNL_CB_OK;
		}
		w->routes = r;
		w->cap = cap;
	}
	r = &w->routes[w->count++];
	*r = (struct route_seen){
		.rtm = *rtm,
		.table = a.at[RTA_TABLE] ? get_u32(&a, RTA_TABLE)
					 : rtm->rtm_table,
		.oif = get_u32(&a, RTA_OIF),
		.priority = get_u32(&a, RTA_PRIORITY),
	};
	if (a.at[RTA_DST]) {
		size_t len = mnl_attr_get_payload_len(a.at[RTA_DST]);

		memcpy(r->dst, mnl_attr_get_payload(a.at[RTA_DST]),
		       len < sizeof(r->dst) ? len : sizeof(r->dst));
		r->has_dst = true;
	}
	return MNL_CB_OK;
}

static int dump_routes(struct nl *nl, int family, int protocol,
		       struct route_walk *w, struct err *e)
{
	struct nlmsghdr *nlh;
	char buf[NL_BUF_BYTES];
	struct rtmsg *rtm;
	int error;

	*w = (struct route_walk){ .protocol = protocol };
	nlh = nl_begin(nl, buf, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm),
		       (void **)&rtm);
	rtm->rtm_family = (uint8_t)family;
	error = nl_talk(nl, nlh, collect_route, w);
	if (!error && w->is_out_of_memory)
		error = -ENOMEM;
	if (error < 0) {
		free(w->routes);
		err_errno(e, -error, "cannot list the %s routes",
			  family_name(family));
	}
	return error;
}

int route_has_local_default(struct nl *nl, int family, uint32_t table,
			    uint8_t protocol, struct err *e)
{
	struct route_walk w;
	int found = 0, error = dump_routes(nl, family, protocol, &w, e);

	if (error < 0)
		return error;
	for (size_t i = 0; i < w.count && !found; i++)
		found = w.routes[i].table == table &&
			w.routes[i].rtm.rtm_type == RTN_LOCAL &&
			w.routes[i].rtm.rtm_dst_len == 0;
	free(w.routes);
	return found;
}

static int delete_route(struct nl *nl, const struct route_seen *r)
{
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh = put_route(nl, buf, RTM_DELROUTE, 0, &r->rtm,
					 r->table, (int)r->oif);
	int error;

	if (r->has_dst)
		mnl_attr_put(nlh, RTA_DST,
			     r->rtm.rtm_family == AF_INET6 ? 16 : 4, r->dst);
	if (r->priority)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, r->priority);
	error = nl_talk(nl, nlh, NULL, NULL);
	return error == -ESRCH ? 0 : error; /* gone already: as wanted */
}

int route_flush(struct nl *nl, uint8_t protocol, uint32_t keep_table,
		struct err *e)
{
	int error = 0;

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		struct route_walk w;

		error = dump_routes(nl, families[f], protocol, &w, e);
		if (error < 0)
			return error;
		for (size_t i = 0; i < w.count && !error; i++)
			if (!keep_table || w.routes[i].table != keep_table)
				error = delete_route(nl, &w.routes[i]);
		free(w.routes);
		if (error < 0)
			return err_errno(e, -error, "cannot remove a %s route",
					 family_name(families[f]));
	}
	return 0;
}

int route_add_default(struct nl *nl, const struct addr *gateway, int ifindex,
		      struct err *e)
{
	struct rtmsg like = {
		.rtm_family = (uint8_t)gateway->family,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	char text[ADDR_TEXT_MAX], buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh =
		put_route(nl, buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL,
			  &like, RT_TABLE_MAIN, ifindex);
	int error;

	mnl_attr_put(nlh, RTA_GATEWAY, addr_ip_len(gateway), gateway->ip);
	error = nl_talk(nl, nlh, NULL, NULL);
	if (error < 0)
		return err_errno(e, -error,
				 "cannot add the default route by %s",
				 addr_format_ip(gateway, text));
	return 0;
}

/* fe80::/10 and multicast are on every link and lead nowhere. */
static bool leads_beyond(const struct route_seen *r)
{
	if (r->table != RT_TABLE_MAIN || r->rtm.rtm_type != RTN_UNICAST)
		return false;
	if (r->rtm.rtm_family == AF_INET6 && r->rtm.rtm_dst_len >= 8)
		return r->dst[0] != 0xff &&
		       !(r->dst[0] == 0xfe && (r->dst[1] & 0xc0) == 0x80);
	return true;
}

int route_reaches(struct nl *nl, int family, struct err *e)
{
	struct route_walk w;
	int found = 0, error = dump_routes(nl, family, -1, &w, e);

	if (error < 0)
		return error;
	for (size_t i = 0; i < w.count && !found; i++)
		found = leads_beyond(&w.routes[i]);
	free(w.routes);
	return found;
}
