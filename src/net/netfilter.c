/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netfilter.c - what netfilter does here; see netfilter.h.
 */
#include "net/netfilter.h"

#include "net/addr.h"
#include "net/nl.h"
#include "net/sysctl.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <unistd.h>

enum { DISCARD_PORT = 9 };

static const char entries[] = "net/netfilter/nf_conntrack_count";

/* To nobody: its answer, if any, is an ICMP error to a closed socket. */
static void send_to_self(uint32_t mark)
{
	struct addr to = { .family = AF_INET,
			   .ip = { 127, 0, 0, 1 },
			   .port = DISCARD_PORT };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&to, &sa);

	if (fd < 0)
		return;
	if (!setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		(void)!sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&sa,
			      len); /* then no entry comes */
	close(fd);
}

bool netfilter_is_tracking(uint32_t mark)
{
	int count = sysctl_read(entries);

	if (count)
		return count > 0; /* else the module is not there */
	send_to_self(mark);
	return sysctl_read(entries) > 0;
}

bool netfilter_has_table(const char *name)
{
	char buf[NL_BUF_BYTES];
	struct nfgenmsg *head;
	struct nlmsghdr *nlh;
	struct nl nl;
	int error;

	if (nl_open(&nl, NETLINK_NETFILTER, 0) < 0)
		return false;
	nlh = nl_begin(&nl, buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
		       0, sizeof(*head), (void **)&head);
	head->nfgen_family = NFPROTO_INET;
	head->version = NFNETLINK_V0;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	error = nl_talk(&nl, nlh, NULL, NULL);
	nl_close(&nl);
	return !error;
}
