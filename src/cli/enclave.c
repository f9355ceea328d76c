/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.c - the two network namespaces of `waylay exec`; see enclave.h.
 *
 * The addresses: 192.0.0.0/29 is for links like this one (RFC 7335), and no
 * server has such an address; the IPv6 ones are unique local (RFC 4193).
 */
#include "cli/enclave.h"

#include "cli/said.h"
#include "net/link.h"
#include "net/route.h"
#include "net/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

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
		error = link_add_veth(nl, ENCLAVE_LINK, ENCLAVE_INNER_LINK,
				      inner_ns, e);
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
		error = link_set_up(nl, ENCLAVE_INNER_LINK, e);
	for (int i = 0; i < (has_v6 ? 2 : 1) && !error; i++) {
		struct addr gateway;

		(void)addr_parse_ip(addresses[i].middle, &gateway);
		error = add_addr(nl, ENCLAVE_INNER_LINK, addresses[i].inner,
				 addresses[i].len, e);
		if (!error)
			error = route_add_default(
				nl, &gateway, link_index(ENCLAVE_INNER_LINK),
				e);
	}
	return error;
}

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

/* Called in the middle; it is left for the inner one. */
static int connect_both(int inner_ns, bool has_v6, struct err *e)
{
	struct nl nl;
	int error = nl_open(&nl, NETLINK_ROUTE, 0);

	if (error < 0)
		return err_errno(e, -error, "cannot open netlink");
	error = set_up_middle(&nl, inner_ns, has_v6, e);
	nl_close(&nl);
	return error ? error : in_inner(inner_ns, has_v6, e);
}

/* All of a command's refusals have one receiver; the kernel would tell it of
 * one a second.  Where this cannot be set it is so. */
static void tell_all_errors(void)
{
	(void)sysctl_write("net/ipv4/icmp_ratelimit", 0);
	(void)sysctl_write("net/ipv6/icmp/ratelimit", 0);
}

/* The namespace has no name: it is handed over from hand to hand. */
static _Noreturn void be_maker(int inner_ns, bool has_v6, int said, int hold)
{
	struct err e = { 0 };
	char byte;

	if (unshare(CLONE_NEWNET) < 0)
		(void)err_errno(&e, errno, "cannot make a network namespace");
	said_tell(said, &e); /* it can be opened now */
	if (!e.code && read(hold, &byte, 1) == 0) {
		tell_all_errors();
		(void)connect_both(inner_ns, has_v6, &e);
		said_tell(said, &e);
	}
	_exit(0);
}

static const char maker[] = "who makes the relay's namespace";

static int take_over(pid_t pid, int said, int hold, int *ns, struct err *e)
{
	char path[64];
	int error = said_hear(said, maker, e);

	if (error < 0) {
		close(hold);
		return error;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	*ns = open(path, O_RDONLY | O_CLOEXEC);
	if (*ns < 0)
		error = err_errno(e, errno,
				  "cannot open the relay's namespace");
	close(hold); /* go on */
	return error ? error : said_hear(said, maker, e);
}

int enclave_open(int inner_ns, bool has_v6, int *middle_ns, struct err *e)
{
	int said[2], hold[2], ns = -1, error;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0)
		return err_errno(e, errno, "cannot make pipes");
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		be_maker(inner_ns, has_v6, said[1], hold[0]);
	}
	close(said[1]);
	close(hold[0]);
	if (pid < 0)
		return err_errno(e, errno, "cannot fork");
	error = take_over(pid, said[0], hold[1], &ns, e);
	close(said[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (error < 0 && ns >= 0)
		close(ns);
	if (!error)
		*middle_ns = ns;
	return error;
}

void enclave_gateway(bool is_v6, struct addr *out)
{
	(void)addr_parse_ip(addresses[is_v6].middle, out); /* ours: valid */
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
