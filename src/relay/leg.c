/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg.c - open the server leg of a TCP flow; see leg.h.
 *
 * The headers are those of the PROXY protocol specification, sections 2.1
 * (text) and 2.2 (binary).
 */
#include "relay/leg.h"

#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void leg_destination(const struct leg_request *r, struct addr *out)
{
	*out = *r->server;
	if (!r->upstream->has_to)
		return;
	*out = r->upstream->to;
	if (!out->port)
		out->port = r->server->port;
}

/* 0 or -errno of bind or connect; *fd is -1 then. */
static int try_from(const struct leg_request *r, const struct addr *source,
		    const struct addr *to, int *fd)
{
	int error;

	*fd = sock_leg_tcp(to->family, source, r->mark);
	if (*fd < 0)
		return *fd;
	error = sock_connect(*fd, to);
	if (!error || error == -EINPROGRESS)
		return 0;
	close(*fd);
	*fd = -1;
	return error;
}

/* Errors that another port may cure. */
static bool is_about_port(int error)
{
	return error == -EADDRINUSE || error == -EADDRNOTAVAIL ||
	       error == -EACCES;
}

int leg_open(const struct leg_request *r, struct shared *counters,
	     struct addr *source)
{
	struct addr to, from = *r->client;
	int error, fd;

	leg_destination(r, &to);
	if (r->upstream->source == SOURCE_SELF || to.family != from.family) {
		*source = (struct addr){ 0 };
		error = try_from(r, NULL, &to, &fd);
		return error < 0 ? error : fd;
	}
	if (r->is_from_host)
		from.port = 0;
	error = try_from(r, &from, &to, &fd);
	if (is_about_port(error) && from.port) {
		from.port = 0;
		error = try_from(r, &from, &to, &fd);
		if (!error)
			count(counters, COUNTER_spoof_other_port);
		else if (is_about_port(error))
			count(counters, COUNTER_spoof_failed);
	}
	if (error < 0)
		return error;
	if (!from.port)
		(void)sock_local_addr(fd, &from); /* only for the record */
	*source = from;
	return fd;
}

/* --- PROXY protocol ------------------------------------------------------ */

static size_t header_v1(const struct leg_request *r,
			uint8_t out[LEG_HEADER_MAX])
{
	char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX];
	struct addr c = *r->client, s = *r->server;
	int len;

	c.scope = s.scope = 0; /* the text form knows no scope */
	len = snprintf(
		(char *)out, LEG_HEADER_MAX, "PROXY TCP%c %s %s %u %u\r\n",
		c.family == AF_INET6 ? '6' : '4', addr_format_ip(&c, client),
		addr_format_ip(&s, server), c.port, s.port);
	return len > 0 && len < LEG_HEADER_MAX ? (size_t)len : 0;
}

static size_t header_v2(const struct leg_request *r,
			uint8_t out[LEG_HEADER_MAX])
{
	static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a,
					       0x00, 0x0d, 0x0a, 0x51,
					       0x55, 0x49, 0x54, 0x0a };
	size_t ip_len = addr_ip_len(r->client), len = 2 * ip_len + 4;
	uint16_t ports[2] = { htons(r->client->port), htons(r->server->port) };
	uint8_t *p = out;

	memcpy(p, signature, sizeof(signature));
	p += sizeof(signature);
	*p++ = 0x21; /* version 2, PROXY */
	*p++ = r->client->family == AF_INET6 ? 0x21 : 0x11; /* stream */
	*p++ = (uint8_t)(len >> 8);
	*p++ = (uint8_t)len;
	memcpy(p, r->client->ip, ip_len);
	memcpy(p + ip_len, r->server->ip, ip_len);
	memcpy(p + 2 * ip_len, ports, sizeof(ports));
	return 16 + len;
}

size_t leg_header(const struct leg_request *r, uint8_t out[LEG_HEADER_MAX])
{
	switch (r->upstream->kind) {
	case UPSTREAM_PROXY_V1:
		return header_v1(r, out);
	case UPSTREAM_PROXY_V2:
		return header_v2(r, out);
	case UPSTREAM_DIRECT:
	case UPSTREAM_REJECT:
	case UPSTREAM_DROP:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
	case UPSTREAM_GROUP:
		break;
	}
	return 0;
}
