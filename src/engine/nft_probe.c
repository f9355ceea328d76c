/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_probe.c - does this kernel have what the engine needs?  See nft_probe.h.
 */
#include "engine/nft_probe.h"

#include "base/child.h"
#include "engine/nft.h"
#include "engine/routing.h"
#include "net/sock.h"
#include "policy/policy.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- which part is missing ----------------------------------------------- */

/* Tried one by one when the whole is refused. */
struct need {
	const char *rule;
	const char *name; /* Kconfig symbol, also its module in lower case */
};

static const struct need needs[] = {
	{ "accept", "NF_TABLES_INET" },
	{ "socket transparent 1 accept", "NFT_SOCKET" },
	{ "meta l4proto tcp tproxy to :1 accept", "NFT_TPROXY" },
	{ "fib daddr type local accept", "NFT_FIB_INET" },
	{ "meta l4proto tcp reject with tcp reset", "NFT_REJECT_INET" },
	{ "notrack", "NFT_CT" },
};

static bool is_loadable(const struct need *need)
{
	static const char *const argv[] = { "nft", "-c", "-f", "-", NULL };
	struct str script = { 0 }, complaint = { 0 };
	int status;

	str_addf(&script,
		 "table inet waylay_probe {\nchain c {\ntype filter hook "
		 "prerouting priority 0\n%s\n}\n}\n",
		 need->rule);
	status = child_run(argv, str_get(&script), NULL, &complaint, NULL);
	str_done(&script);
	str_done(&complaint);
	return status == 0;
}

int nft_name_missing(struct err *e)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!is_loadable(&needs[i]))
			return err_set(e, EOPNOTSUPP,
				       "engine nft does not work on this "
				       "kernel: it lacks %s (CONFIG_%s); load "
				       "its module or choose another engine",
				       needs[i].name, needs[i].name);
	return -e->code;
}

/* --- one datagram -------------------------------------------------------- */

/* Whatever the engine can ask for. */
static const char everything[] =
	"intercept lan { from lan0; tcp any; udp any; except dst private }\n"
	"intercept own { from host; tcp any; udp any; except user 0 }\n"
	"rules { dst 192.0.2.0/24 -> reject; dst 198.51.100.0/24 -> drop }\n";

enum { WAIT_MS = 2000 };

/* What is sent to 192.0.2.1 goes over lo by its mark. */
static int send_datagram(const struct config *c, struct err *e)
{
	struct addr from = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	struct addr to = { .family = AF_INET, .ip = { 192, 0, 2, 1 } };
	int fd, error = 0;

	to.port = 9;
	fd = sock_leg_udp(&from, &to, plan_host_mark(c));
	if (fd < 0)
		return err_errno(e, -fd, "cannot send over lo by a mark");
	if (send(fd, "?", 1, 0) < 0)
		error = err_errno(e, errno, "cannot send over lo by a mark");
	close(fd);
	return error;
}

static int install_steering(uint16_t port, struct err *e)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	struct str script = { 0 }, complaint = { 0 };
	int status;

	str_addf(&script,
		 "table inet waylay_probe {\nchain c {\ntype filter hook "
		 "prerouting priority mangle\niifname \"lo\" udp dport 9 "
		 "tproxy ip to 127.0.0.1:%u accept\n}\n}\n",
		 port);
	status = child_run(argv, str_get(&script), NULL, &complaint, e);
	if (status > 0)
		status = err_set(e, EPROTO, "cannot load a tproxy rule: %.*s",
				 (int)strcspn(str_get(&complaint), "\n"),
				 str_get(&complaint));
	str_done(&script);
	str_done(&complaint);
	return status;
}

static int await(int fd, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int count = poll(&p, 1, WAIT_MS);

	if (count < 0)
		return err_errno(e, errno, "cannot wait for a datagram");
	if (count == 0)
		return err_set(e, EOPNOTSUPP,
			       "engine nft does not work on this kernel: the "
			       "rules are accepted, and a datagram did not "
			       "reach its listener");
	return 0;
}

static int steer(const struct plan *p, struct err *e)
{
	struct addr at = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	int fd = sock_listen_udp(&at, plan_own_mark(p->config), e);
	unsigned added = 0;
	struct nl nl;
	int error;

	if (fd < 0)
		return fd;
	error = nl_open(&nl, NETLINK_ROUTE, 0);
	if (error < 0) {
		close(fd);
		return err_errno(e, -error, "cannot open rtnetlink");
	}
	error = routing_install(&nl, p, &added, e);
	if (!error)
		error = install_steering(at.port, e);
	if (!error)
		error = send_datagram(p->config, e);
	if (!error)
		error = await(fd, e);
	nl_close(&nl);
	close(fd);
	return error;
}

int nft_probe(struct err *e)
{
	struct messages m = { 0 };
	struct config *c =
		config_parse("probe", everything, strlen(everything), &m);
	struct plan p = { .config = c, .has_family = { true, false } };
	int error;

	messages_done(&m);
	if (!c)
		return err_set(e, ENOMEM, "no memory to try engine nft");
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		for (size_t i = 0; i < c->intercept_count; i++)
			p.ports[i][proto][FAMILY_V4] = 1;
	error = nft_install(&p, e);
	if (!error)
		error = nft_remove(e);
	if (!error)
		error = steer(&p, e);
	config_free(c);
	return error;
}
