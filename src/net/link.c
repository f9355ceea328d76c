/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - network interfaces, by rtnetlink; see link.h.
 */
#include "net/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

struct each {
	link_fn fn;
	void *ctx;
};

static enum link_head head_of(uint16_t hardware)
{
	switch (hardware) {
	case ARPHRD_ETHER:
		return LINK_HEAD_ETHER;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
		return LINK_HEAD_NONE;
	default:
		return LINK_HEAD_OTHER;
	}
}

static bool is_kind(const struct nlattr *attr, const char *kind)
{
	return mnl_attr_validate(attr, MNL_TYPE_STRING) >= 0 &&
	       !strcmp(mnl_attr_get_str(attr), kind);
}

static int find_kind(const struct nlattr *attr, void *ctx)
{
	struct link *seen = ctx;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		seen->is_bridge = is_kind(attr, "bridge");
	if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
		seen->is_port = is_kind(attr, "bridge") ||
				is_kind(attr, "bond") || is_kind(attr, "team");
	return MNL_CB_OK;
}

static int find_name(const struct nlattr *attr, void *ctx)
{
	struct link *seen = ctx;

	if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		seen->name = mnl_attr_get_str(attr);
	if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
		(void)mnl_attr_parse_nested(attr, find_kind, seen);
	return MNL_CB_OK;
}

static int each_link(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link seen = { .index = ifi->ifi_index,
			     .head = head_of(ifi->ifi_type) };
	struct each *each = ctx;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*ifi), find_name, &seen);
	if (seen.name)
		each->fn(each->ctx, &seen);
	return MNL_CB_OK;
}

int link_each(struct nl *nl, link_fn fn, void *ctx, struct err *e)
{
	struct each each = { fn, ctx };
	char buf[NL_BUF_BYTES];
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = nl_begin(nl, buf, RTM_GETLINK, NLM_F_DUMP,
					sizeof(*ifi), (void **)&ifi);
	int error = nl_talk(nl, nlh, each_link, &each);

	if (error < 0)
		return err_errno(e, -error, "cannot list the interfaces");
	return 0;
}

int link_index(const char *name)
{
	return (int)if_nametoindex(name);
}

int link_add_veth(struct nl *nl, const char *name, const char *peer,
		  int peer_ns, struct err *e)
{
	struct nlattr *info, *data, *end;
	struct ifinfomsg *ifi, *peer_ifi;
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
			 sizeof(*ifi), (void **)&ifi);
	int error;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	end = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	peer_ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*peer_ifi));
	(void)peer_ifi; /* zeros: the kernel chooses the index */
	mnl_attr_put_strz(nlh, IFLA_IFNAME, peer);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)peer_ns);
	mnl_attr_nest_end(nlh, end);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	error = nl_talk(nl, nlh, NULL, NULL);
	if (error < 0)
		return err_errno(e, -error, "cannot make the veth pair %s, %s",
				 name, peer);
	return 0;
}

int link_set_up(struct nl *nl, const char *name, struct err *e)
{
	char buf[NL_BUF_BYTES];
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, RTM_NEWLINK, 0, sizeof(*ifi), (void **)&ifi);
	int error;

	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	error = nl_talk(nl, nlh, NULL, NULL);
	if (error < 0)
		return err_errno(e, -error, "cannot set interface %s up", name);
	return 0;
}

int link_add_addr(struct nl *nl, const char *name, const struct addr *addr,
		  unsigned len, struct err *e)
{
	char buf[NL_BUF_BYTES], text[ADDR_TEXT_MAX];
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
			 sizeof(*ifa), (void **)&ifa);
	int error;

	ifa->ifa_family = (uint8_t)addr->family;
	ifa->ifa_prefixlen = (uint8_t)len;
	ifa->ifa_index = if_nametoindex(name);
	if (addr->family == AF_INET6)
		ifa->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(nlh, IFA_LOCAL, addr_ip_len(addr), addr->ip);
	mnl_attr_put(nlh, IFA_ADDRESS, addr_ip_len(addr), addr->ip);
	error = nl_talk(nl, nlh, NULL, NULL);
	if (error < 0)
		return err_errno(e, -error, "cannot give %s to interface %s",
				 addr_format_ip(addr, text), name);
	return 0;
}
