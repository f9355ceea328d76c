/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_path.c - what all ways of datagrams have in common; see udp_path.h.
 */
#include "relay/udp_path.h"

#include "relay/udp_flow.h"

#include <errno.h>
#include <netinet/in.h>

const struct udp_path *udp_path_of(const struct upstream *u)
{
	switch (u->kind) {
	case UPSTREAM_DIRECT:
	case UPSTREAM_PROXY_V2:
		return &udp_path_leg;
	case UPSTREAM_SOCKS5:
		return u->is_udp ? &udp_path_association : NULL;
	case UPSTREAM_REJECT:
	case UPSTREAM_DROP:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_HTTP_CONNECT:
	case UPSTREAM_GROUP:
		break;
	}
	return NULL;
}

/* --- packets that are too long -------------------------------------------- */

static int set_discovery(const struct udp_target *to, int how)
{
	bool is_v6 = to->family == AF_INET6;
	int level = is_v6 ? SOL_IPV6 : SOL_IP;
	int name = is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;

	return setsockopt(to->fd, level, name, &how, sizeof(how)) < 0 ? -errno
								      : 0;
}

static size_t ip_header_len(uint16_t family)
{
	return family == AF_INET6 ? 40 : 20;
}

/* How much longer a packet is behind us than it came. */
static size_t overhead_of(const struct udp_flow *f, const struct udp_target *to)
{
	size_t came = ip_header_len(f->client.family);
	size_t goes = ip_header_len(to->family) + to->head.len;

	return goes > came ? goes - came : 0;
}

void udp_path_pass_icmp(struct udp_flow *f, const struct udp_target *to,
			const struct dgram_error *error)
{
	if (!udp_flow_pass_icmp(f, error, overhead_of(f, to)))
		(void)set_discovery(to, IP_PMTUDISC_DONT); /* else: as before */
}

/* --- sending ------------------------------------------------------------- */

/* It came in fragments, so it may leave in fragments, by the path MTU that
 * the kernel has learnt from the leg's ICMP errors. */
static int send_fragmented(const struct udp_target *to, struct dgram_batch *b,
			   size_t at)
{
	int sent = set_discovery(to, IP_PMTUDISC_DONT);

	if (sent < 0)
		return sent;
	sent = dgram_send_headed(to->fd, b, at, 1, &to->head);
	(void)set_discovery(to, IP_PMTUDISC_PROBE);
	return sent;
}

/* As many as can go by one call; what it returned. */
static int send_some(const struct udp_target *to, struct dgram_batch *b,
		     size_t at, size_t end)
{
	const struct dgram *d = b->dgrams;
	size_t whole = at;
	int sent;

	while (whole < end && !d[whole].is_fragmented)
		whole++;
	if (whole == at)
		return send_fragmented(to, b, at);
	sent = dgram_send_headed(to->fd, b, at, whole - at, &to->head);
	/* The leg's link is narrower than the client's, or the header was too
	 * much for it. */
	return sent == -EMSGSIZE ? send_fragmented(to, b, at) : sent;
}

void udp_path_send(struct udp_flow *f, const struct udp_target *to,
		   struct dgram_batch *b, size_t at, size_t end)
{
	uint64_t bytes = 0, dgrams = 0;
	bool is_error_read = false;

	while (at < end) {
		int sent = send_some(to, b, at, end);

		if (sent < 0 && !is_error_read) {
			/* An ICMP error of an earlier datagram is reported
			 * here first; then the way is free. */
			is_error_read = true;
			to->read_errors(f);
			continue;
		}
		is_error_read = false;
		if (sent <= 0) {
			count(udp_flow_shared(f), COUNTER_udp_send_failed);
			at++;
			continue;
		}
		for (int i = 0; i < sent; i++)
			bytes += b->dgrams[at++].len;
		dgrams += (uint64_t)sent;
	}
	udp_flow_note(f, 0, bytes, dgrams);
}
