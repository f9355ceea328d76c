/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - what belongs to this host; see local.h.
 */
#include "net/local.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* An address attribute of this family; false if it has another length. */
static bool read_ip(const struct nlattr *attr, struct addr *out)
{
	if (mnl_attr_get_payload_len(attr) != addr_ip_len(out))
		return false;
	memcpy(out->ip, mnl_attr_get_payload(attr), addr_ip_len(out));
	return true;
}

static bool is_inet(int family)
{
	return family == AF_INET || family == AF_INET6;
}

/* --- local routes -------------------------------------------------------- */

struct route_seen {
	struct prefix prefix;
	uint32_t table;
	bool is_bad;
};

struct each_route {
	local_fn fn;
	void *ctx;
};

static int see_route_attr(const struct nlattr *attr, void *ctx)
{
	struct route_seen *seen = ctx;

	if (mnl_attr_get_type(attr) == RTA_DST)
		seen->is_bad |= !read_ip(attr, &seen->prefix.net);
	if (mnl_attr_get_type(attr) == RTA_TABLE &&
	    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		seen->table = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int see_route(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_seen seen = { .table = rtm->rtm_table };
	struct each_route *each = ctx;

	if (nlh->nlmsg_type != RTM_NEWROUTE || !is_inet(rtm->rtm_family) ||
	    (rtm->rtm_type != RTN_LOCAL && rtm->rtm_type != RTN_BROADCAST &&
	     rtm->rtm_type != RTN_ANYCAST))
		return MNL_CB_OK;
	seen.prefix.net.family = rtm->rtm_family;
	seen.prefix.len = rtm->rtm_dst_len;
	mnl_attr_parse(nlh, sizeof(*rtm), see_route_attr, &seen);
	if (seen.table == RT_TABLE_LOCAL && !seen.is_bad)
		each->fn(each->ctx, &seen.prefix);
	return MNL_CB_OK;
}

int local_each(struct nl *nl, local_fn fn, void *ctx, struct err *e)
{
	struct each_route each = { fn, ctx };
	char buf[NL_BUF_BYTES];
	struct rtmsg *rtm;
	struct nlmsghdr *nlh = nl_begin(nl, buf, RTM_GETROUTE, NLM_F_DUMP,
					sizeof(*rtm), (void **)&rtm);
	int error = nl_talk(nl, nlh, see_route, &each);

	if (error < 0)
		return err_errno(e, -error, "cannot list the local routes");
	return 0;
}

/* --- addresses ----------------------------------------------------------- */

struct address_seen {
	struct addr addr;
	uint32_t flags;
	bool has_local;
};

struct each_address {
	local_address_fn fn;
	void *ctx;
};

/* IFA_ADDRESS is the peer's on a point-to-point link: then IFA_LOCAL counts. */
static int see_address_attr(const struct nlattr *attr, void *ctx)
{
	struct address_seen *seen = ctx;

	if (mnl_attr_get_type(attr) == IFA_LOCAL)
		seen->has_local = read_ip(attr, &seen->addr);
	if (mnl_attr_get_type(attr) == IFA_ADDRESS && !seen->has_local)
		(void)read_ip(attr, &seen->addr); /* else it stays empty */
	if (mnl_attr_get_type(attr) == IFA_FLAGS &&
	    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		seen->flags = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int see_address(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct address_seen seen = { .flags = ifa->ifa_flags };
	struct each_address *each = ctx;
	/* IFA_F_SECONDARY means "temporary" for IPv6, which may be used */
	uint32_t unfit = ifa->ifa_family == AF_INET6
				 ? IFA_F_TENTATIVE | IFA_F_DEPRECATED
				 : IFA_F_SECONDARY;

	if (nlh->nlmsg_type != RTM_NEWADDR || !is_inet(ifa->ifa_family))
		return MNL_CB_OK;
	seen.addr.family = ifa->ifa_family;
	mnl_attr_parse(nlh, sizeof(*ifa), see_address_attr, &seen);
	if (!(seen.flags & unfit))
		each->fn(each->ctx, (int)ifa->ifa_index, &seen.addr);
	return MNL_CB_OK;
}

int local_addresses(struct nl *nl, local_address_fn fn, void *ctx,
		    struct err *e)
{
	struct each_address each = { fn, ctx };
	char buf[NL_BUF_BYTES];
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = nl_begin(nl, buf, RTM_GETADDR, NLM_F_DUMP,
					sizeof(*ifa), (void **)&ifa);
	int error = nl_talk(nl, nlh, see_address, &each);

	if (error < 0)
		return err_errno(e, -error, "cannot list the addresses");
	return 0;
}

/* --- one address --------------------------------------------------------- */

static int see_type(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	uint8_t *type = ctx;

	if (nlh->nlmsg_type == RTM_NEWROUTE)
		*type = rtm->rtm_type;
	return MNL_CB_OK;
}

/* No route, or one that refuses: then it is not here. */
static bool leads_nowhere(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH ||
	       error == -EACCES || error == -EINVAL;
}

int local_has(struct nl *nl, const struct addr *addr, struct err *e)
{
	size_t len = addr_ip_len(addr);
	uint8_t type = RTN_UNSPEC;
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	int error;

	nlh = nl_begin(nl, buf, RTM_GETROUTE, 0, sizeof(*rtm), (void **)&rtm);
	rtm->rtm_family = (uint8_t)addr->family;
	rtm->rtm_dst_len = (uint8_t)(8 * len);
	mnl_attr_put(nlh, RTA_DST, len, addr->ip);
	if (addr->scope)
		mnl_attr_put_u32(nlh, RTA_OIF, addr->scope);
	error = nl_talk(nl, nlh, see_type, &type);
	if (error < 0 && !leads_nowhere(error))
		return err_errno(e, -error, "cannot ask for a route");
	return type == RTN_LOCAL;
}
