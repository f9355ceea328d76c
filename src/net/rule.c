/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.c - policy rules, by rtnetlink; see rule.h.
 */
#include "net/rule.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

static const int families[] = { AF_INET, AF_INET6 };

static const char *family_name(int family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

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
	frh->src_len = r->from.len;
	if (r->from.len)
		mnl_attr_put(nlh, FRA_SRC, addr_ip_len(&r->from.net),
			     r->from.net.ip);
	return nlh;
}

int rule_add(struct nl *nl, const struct ip_rule *r, struct err *e)
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

static void get_prefix(const struct nl_attrs *a, int type, int family,
		       uint8_t len, struct prefix *out)
{
	struct addr net = { .family = (uint16_t)family };

	if (!len || !a->at[type] ||
	    mnl_attr_get_payload_len(a->at[type]) < addr_ip_len(&net))
		return;
	memcpy(net.ip, mnl_attr_get_payload(a->at[type]), addr_ip_len(&net));
	*out = (struct prefix){ .net = net, .len = len };
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
	struct nl_attrs a;
	struct ip_rule *r;

	if (nlh->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	nl_parse(nlh, sizeof(*frh), &a);
	r = nl_add_seen((void **)&w->rules, &w->count, &w->cap, sizeof(*r));
	if (!r) {
		w->is_out_of_memory = true;
		return MNL_CB_OK;
	}
	*r = (struct ip_rule){
		.family = frh->family,
		.priority = nl_u32(&a, FRA_PRIORITY),
		.action = frh->action == FR_ACT_GOTO	 ? RULE_GOTO
			  : frh->action == FR_ACT_TO_TBL ? RULE_LOOKUP
							 : RULE_NOP,
		.mark = nl_u32(&a, FRA_FWMARK),
		.mask = nl_u32(&a, FRA_FWMASK),
		.protocol = nl_u8(&a, FRA_PROTOCOL),
		.is_from_loopback =
			a.at[FRA_IIFNAME] &&
			!strcmp(mnl_attr_get_str(a.at[FRA_IIFNAME]), "lo"),
	};
	if (r->action == RULE_LOOKUP)
		r->target =
			a.at[FRA_TABLE] ? nl_u32(&a, FRA_TABLE) : frh->table;
	if (r->action == RULE_GOTO)
		r->target = nl_u32(&a, FRA_GOTO);
	get_prefix(&a, FRA_SRC, frh->family, frh->src_len, &r->from);
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
	       a->from.len == b->from.len &&
	       (!a->from.len || addr_equal(&a->from.net, &b->from.net)) &&
	       a->protocol == b->protocol;
}

int rule_has(struct nl *nl, const struct ip_rule *r, struct err *e)
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

int rule_clash(struct nl *nl, const struct ip_rule *r, struct err *e)
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

int rule_flush(struct nl *nl, uint8_t protocol, const struct ip_rule *keep,
	       size_t keep_count, struct err *e)
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
			return err_errno(e, -error, "cannot remove an %s rule",
					 family_name(families[f]));
	}
	return 0;
}
