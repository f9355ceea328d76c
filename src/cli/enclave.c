/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.c - the two network namespaces of `waylay exec`; see enclave.h.
 *
 * The addresses: 192.0.0.0/29 is for links like this one (RFC 7335), and no
 * server has such an address; the IPv6 ones are unique local (RFC 4193).
 */
#include "cli/enclave.h"

#include "net/link.h"
#include "net/route.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <unistd.h>

static const struct link_address {
	const char *middle, *inner;
	unsigned len;
} addresses[] = {
	{ "192.0.0.1", "192.0.0.2", 29 },
	{ "fd77:6179:6c61:7900::1", "fd77:6179:6c61:7900::2", 64 },
};

static int add_addr(struct nl *nl, const char *link, const char *ip,
		    unsigned len, struct err *e)
{
	struct addr a;

	(void)addr_parse_ip(ip, &a); /* ours: valid */
	return link_add_addr(nl, link, &a, len, e);
}

static int set_up_middle(struct nl *nl, int inner_ns, bool has_v6,
			 struct err *e)
{
	int error = link_set_up(nl, "lo", e);

	if (!error)
		error = link_add_veth(nl, ENCLAVE_LINK, "eth0", inner_ns, e);
	for (int i = 0; i < (has_v6 ? 2 : 1) && !error; i++)
		error = add_addr(nl, ENCLAVE_LINK, addresses[i].middle,
				 addresses[i].len, e);
	if (!error)
		error = link_set_up(nl, ENCLAVE_LINK, e);
	return error;
}

static int set_up_inner(struct nl *nl, bool has_v6, struct err *e)
{
	int error = link_set_up(nl, "lo", e);

	if (!error)
		error = link_set_up(nl, "eth0", e);
	for (int i = 0; i < (has_v6 ? 2 : 1) && !error; i++) {
		struct addr gateway;

		(void)addr_parse_ip(addresses[i].middle, &gateway);
		error = add_addr(nl, "eth0", addresses[i].inner,
				 addresses[i].len, e);
		if (!error)
			error = route_add_default(nl, &gateway,
						  link_index("eth0"), e);
	}
	return error;
}

/* Open netlink in this namespace and run one of the two. */
static int in_inner(int inner_ns, bool has_v6, struct err *e)
{
	struct nl nl;
	int error;

	if (setns(inner_ns, CLONE_NEWNET) < 0)
		return err_errno(e, errno,
				 "cannot enter the command's "
				 "network namespace");
	error = nl_open(&nl, NETLINK_ROUTE, 0);
	if (error < 0)
		return err_errno(e, -error, "cannot open netlink");
	error = set_up_inner(&nl, has_v6, e);
	nl_close(&nl);
	return error;
}

int enclave_connect(int inner_ns, bool has_v6, struct err *e)
{
	int middle_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct nl nl;
	int error;

	if (middle_ns < 0)
		return err_errno(e, errno,
				 "cannot open the relay's network "
				 "namespace");
	error = nl_open(&nl, NETLINK_ROUTE, 0);
	if (error < 0) {
		close(middle_ns);
		return err_errno(e, -error, "cannot open netlink");
	}
	error = set_up_middle(&nl, inner_ns, has_v6, e);
	nl_close(&nl);
	if (!error)
		error = in_inner(inner_ns, has_v6, e);
	if (setns(middle_ns, CLONE_NEWNET) < 0 && !error)
		error = err_errno(e, errno,
				  "cannot return to the relay's "
				  "network namespace");
	close(middle_ns);
	return error;
}

bool enclave_wants_v6(void)
{
	struct err ignored;
	struct nl nl;
	bool has;

	if (nl_open(&nl, NETLINK_ROUTE, 0) < 0)
		return false;
	has = route_reaches(&nl, AF_INET6, &ignored) == 1;
	nl_close(&nl);
	return has;
}
