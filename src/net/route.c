/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - routes, by rtnetlink; see route.h.
 */
#include "net/route.h"

#include "net/addr.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPBACK_IFINDEX = 1 };

static const int families[] = { AF_INET, AF_INET6 };

static const char *family_name(int family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

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
	struct nl_attrs a;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    (rtm->rtm_flags & RTM_F_CLONED) ||
	    (w->protocol >= 0 && rtm->rtm_protocol != w->protocol))
		return MNL_CB_OK;
	nl_parse(nlh, sizeof(*rtm), &a);
	r = nl_add_seen((void **)&w->routes, &w->count, &w->cap, sizeof(*r));
	if (!r) {
		w->is_out_of_memory = true;
		return MNL_CB_OK;
	}
	*r = (struct route_seen){
		.rtm = *rtm,
		.table = a.at[RTA_TABLE] ? nl_u32(&a, RTA_TABLE)
					 : rtm->rtm_table,
		.oif = nl_u32(&a, RTA_OIF),
		.priority = nl_u32(&a, RTA_PRIORITY),
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
