/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.c - does an engine work here?  See trial.h.
 */
#include "engine/trial.h"

#include "engine/routing.h"
#include "net/link.h"
#include "net/packet.h"
#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TRIAL_WAIT_MS = 2000 };

static const char trial_text[] =
	"intercept probe { from waylay0; tcp any; udp 1, 3; except port 2 }\n"
	"intercept self { from host; tcp any; udp 53; except user 0 }\n"
	"upstream out { via direct }\n"
	"rules { tcp port 7 -> reject; tcp port 9 -> drop; default -> out }\n";

struct trial {
	struct config *config;
	struct plan plan;
	struct nl nl;
	int tun;
	int listeners[FAMILY_COUNT];
};

static const char *const listen_on[] = { "127.0.0.1", "::1" };
static const char *const clients[] = { "192.0.2.2", "2001:db8:1::2" };
static const char *const gateways[] = { "192.0.2.1", "2001:db8:1::1" };
static const char *const servers[] = { "198.51.100.1", "2001:db8:2::1" };

static struct addr address(const char *text, uint16_t port)
{
	struct addr a = { 0 };

	(void)addr_parse_ip(text, &a); /* ours, and right */
	a.port = port;
	return a;
}

static int open_listener(struct trial *p, enum family_index f, struct err *e)
{
	struct addr at = address(listen_on[f], 0);
	int fd = sock_listen_udp(&at, plan_own_mark(p->config), e);

	p->listeners[f] = fd;
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		p->plan.ports[0][proto][f] = at.port;
	p->plan.fds[0][PROTO_UDP][f] = fd;
	return fd < 0 ? fd : 0;
}

static int open_tun(struct trial *p, struct err *e)
{
	struct ifreq ifr = { .ifr_name = "waylay0",
			     .ifr_flags = IFF_TUN | IFF_NO_PI };
	int error;

	p->tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (p->tun >= 0 && ioctl(p->tun, TUNSETIFF, &ifr) < 0) {
		close(p->tun);
		p->tun = -1;
	}
	if (p->tun < 0)
		return 0;
	error = link_set_up(&p->nl, ifr.ifr_name, e);
	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++) {
		struct addr own = address(gateways[f], 0);

		if (p->plan.has_family[f])
			error = link_add_addr(&p->nl, ifr.ifr_name, &own,
					      f == FAMILY_V6 ? 64 : 24, e);
	}
	return error;
}

static int set_up(struct trial *p, struct err *e)
{
	struct messages m = { 0 };
	unsigned added = 0;
	int error;

	p->config = config_parse("probe", trial_text, strlen(trial_text), &m);
	messages_done(&m);
	if (!p->config)
		return err_set(e, ENOMEM, "no memory for the probe");
	p->plan.config = p->config;
	p->plan.is_private = true;
	memset(p->plan.fds, -1, sizeof(p->plan.fds));
	p->plan.has_family[FAMILY_V4] = true;
	p->plan.has_family[FAMILY_V6] =
		access("/proc/thread-self/net/if_inet6", F_OK) == 0;
	error = open_tun(p, e);
	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++)
		if (p->plan.has_family[f])
			error = open_listener(p, f, e);
	return error ? error : routing_install(&p->nl, &p->plan, &added, e);
}

/* packet_udp() leaves this one to the kernel, which fills it in for raw
 * sockets, but not here. */
static void add_checksum(uint8_t *head)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(head[i] << 8 | head[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	head[10] = (uint8_t)(sum >> 8);
	head[11] = (uint8_t)sum;
}

static int try_family(const struct trial *p, enum family_index f, struct err *e)
{
	struct pollfd readable = { .fd = p->listeners[f], .events = POLLIN };
	struct addr src = address(clients[f], 1000);
	struct addr dst = address(servers[f], 1);
	struct packet_head packet;

	packet_udp(&src, &dst, NULL, 0, &packet);
	if (f == FAMILY_V4)
		add_checksum(packet.bytes);
	if (write(p->tun, packet.bytes, packet.len) < 0)
		return err_errno(e, errno,
				 "cannot put a packet on the TUN "
				 "device of its trial");
	if (poll(&readable, 1, TRIAL_WAIT_MS) != 1)
		return err_set(e, EPROTO,
			       "it could be installed, but a datagram over "
			       "IPv%d did not reach the listener",
			       f == FAMILY_V6 ? 6 : 4);
	return 0;
}

static int try_all(const struct engine *engine, const struct trial *p,
		   struct err *e)
{
	struct engine_run *run = engine->new ? engine->new (e) : NULL;
	int error = engine->new && !run ? -e->code : 0;

	if (!error)
		error = engine->install(run, &p->plan, e);
	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++)
		if (p->plan.has_family[f] && p->tun >= 0)
			error = try_family(p, f, e);
	if (engine->free)
		engine->free(run);
	return error;
}

int trial_run(const struct engine *engine, struct err *e)
{
	struct trial p = { .tun = -1, .listeners = { -1, -1 } };
	int error = nl_open(&p.nl, NETLINK_ROUTE, 0);

	if (error)
		return err_errno(e, -error, "cannot open rtnetlink");
	error = set_up(&p, e);
	if (!error)
		error = try_all(engine, &p, e);
	for (int f = 0; f < FAMILY_COUNT; f++)
		if (p.listeners[f] >= 0)
			close(p.listeners[f]);
	if (p.tun >= 0)
		close(p.tun);
	config_free(p.config);
	nl_close(&p.nl);
	return error;
}
