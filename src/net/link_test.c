/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_test.c - interfaces across two namespaces, and single questions.
 *
 *	[here]  wl0 192.0.2.1 ------ wl1 192.0.2.2  [there]
 */
#include "net/link.h"

#include "base/child.h"
#include "base/str.h"
#include "net/netns_test.h"
#include "net/sock.h"
#include "net/sysctl.h"

#include <errno.h>
#include <linux/rtnetlink.h>

static void collect(void *ctx, const struct link *link)
{
	assert_int_equal(link->index, if_nametoindex(link->name));
	assert_int_equal(link_index(link->name), link->index);
	assert_int_equal(link->is_bridge, !strcmp(link->name, "br0"));
	str_addf(ctx, " %s", link->name);
}

/* Names of the interfaces here, each after a blank. */
static void expect_links(struct nl *nl, const char *first, const char *second,
			 const char *missing)
{
	struct str names = { 0 };
	struct err e;

	assert_int_equal(link_each(nl, collect, &names, &e), 0);
	assert_non_null(strstr(str_get(&names), first));
	assert_non_null(strstr(str_get(&names), second));
	assert_null(strstr(str_get(&names), missing));
	str_done(&names);
}

/* Have the address: a socket can be bound to it. */
static bool can_bind(const struct addr *a)
{
	struct err e;

	return sock_probe_free(SOCK_DGRAM, a, &e) == 0;
}

static void give(struct nl *nl, const char *name, const char *ip, unsigned len)
{
	struct addr a;
	struct err e = { 0 };

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	assert_false(can_bind(&a));
	for (int twice = 0; twice < 2; twice++)
		if (link_add_addr(nl, name, &a, len, &e))
			fail_msg("%s", e.text);
	assert_true(can_bind(&a)); /* at once, IPv6 too */
}

static void test_veth(void **state)
{
	struct addr to, from;
	struct err e = { 0 };
	int here, there, fd, in;
	struct nl nl;

	(void)state; /* unused */
	netns_begin();
	there = netns_open();
	netns_begin();
	here = netns_open();
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	expect_links(&nl, " lo", "", "wl");
	assert_int_equal(link_add_veth(&nl, "wl0", "wl1", there, &e), 0);
	expect_links(&nl, " lo", " wl0", "wl1");
	assert_int_equal(link_add_veth(&nl, "wl0", "wl1", there, &e), -EEXIST);
	assert_non_null(strstr(e.text, "wl0, wl1"));
	assert_int_equal(link_set_up(&nl, "wl0", &e), 0);
	give(&nl, "wl0", "192.0.2.1", 24);
	nl_close(&nl);

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	expect_links(&nl, " lo", " wl1", "wl0");
	assert_int_equal(link_set_up(&nl, "wl1", &e), 0);
	give(&nl, "wl1", "192.0.2.2", 24);
	if (netns_has_v6())
		give(&nl, "wl1", "2001:db8::2", 64);
	assert_int_equal(addr_parse("192.0.2.2:7", &to), 0);
	in = sock_listen_tcp(&to, 0, &e);
	assert_true(in >= 0);
	nl_close(&nl);

	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(sock_connect(fd, &to), 0); /* across the pair */
	assert_int_equal(sock_local_addr(fd, &from), 0);
	assert_int_equal(from.ip[3], 1);
	close(fd);
	close(in);
	close(here);
	close(there);
}

static void test_bridge(void **state)
{
	static const char *const add[] = { "ip",   "link",   "add", "br0",
					   "type", "bridge", NULL };
	struct nl nl;

	(void)state; /* unused */
	netns_begin();
	if (child_run(add, NULL, NULL, NULL, NULL)) {
		print_message("skipped: this kernel has no bridges\n");
		skip();
	}
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	expect_links(&nl, " lo", " br0", "wl");
	nl_close(&nl);
}

static void test_unknown_interface(void **state)
{
	struct err e = { 0 };
	struct addr a;
	struct nl nl;

	(void)state; /* unused */
	netns_begin();
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_int_equal(link_index("wl9"), 0);
	assert_int_equal(link_set_up(&nl, "wl9", &e), -ENODEV);
	assert_non_null(strstr(e.text, "interface wl9"));
	assert_int_equal(addr_parse_ip("192.0.2.1", &a), 0);
	assert_int_equal(link_add_addr(&nl, "wl9", &a, 24, &e), -ENODEV);
	assert_non_null(strstr(e.text, "192.0.2.1"));
	nl_close(&nl);
	nl_close(&nl);
}

/* --- nl and sysctl ------------------------------------------------------- */

static int count_answer(const struct nlmsghdr *nlh, void *ctx)
{
	(void)nlh; /* any */
	++*(unsigned *)ctx;
	return MNL_CB_OK;
}

/* A dump ends; an error is the kernel's; the next question is answered. */
static void test_questions(void **state)
{
	struct rtgenmsg *body;
	char buf[NL_BUF_BYTES];
	unsigned answers = 0;
	struct nlmsghdr *nlh;
	struct nl nl;

	(void)state; /* unused */
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_true(nl_fd(&nl) >= 0);
	for (unsigned i = 0; i < 3; i++) {
		nlh = nl_begin(&nl, buf, 0x7fff, NLM_F_EXCL, sizeof(*body),
			       (void **)&body);
		assert_int_equal(nl_talk(&nl, nlh, count_answer, &answers),
				 -EOPNOTSUPP);
		assert_int_equal(answers, 0);
	}
	nlh = nl_begin(&nl, buf, RTM_GETLINK, NLM_F_DUMP,
		       sizeof(struct ifinfomsg), (void **)&body);
	assert_int_equal(body->rtgen_family, 0);
	assert_int_equal(nl_talk(&nl, nlh, count_answer, &answers), 0);
	assert_true(answers > 0);
	nl_close(&nl);
}

static void test_sysctl(void **state)
{
	char long_name[300];

	(void)state; /* unused */
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_true(sysctl_read("kernel/pid_max") > 0);
	assert_int_equal(sysctl_read("net/no/such/name"), -ENOENT);
	assert_int_equal(sysctl_read("kernel/ostype"), -ERANGE);
	assert_int_equal(sysctl_read(long_name), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_veth),
		cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_unknown_interface),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_sysctl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
