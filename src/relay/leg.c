/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg.c - open the server leg of a TCP flow; see leg.h.
 */
#include "relay/leg.h"

#include "net/sock.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

/* Half of the ports may be in use, and one flow in 65536 finds none. */
enum { QUIET_TRIES = 16 };

void leg_destination(const struct leg_request *r, struct addr *out)
{
	*out = *r->server;
	if (!r->upstream->has_to)
		return;
	*out = r->to ? *r->to : r->upstream->to;
	if (!out->port)
		out->port = r->server->port;
}

void leg_source(const struct leg_request *r, struct addr *out)
{
	const struct addr none = { 0 };
	struct addr to;

	*out = none;
	leg_destination(r, &to);
	switch (r->upstream->source) {
	case SOURCE_CLIENT:
		if (!r->client || r->client->family != to.family)
			return;
		*out = *r->client;
		if (r->is_from_host || r->is_redirected)
			out->port = 0;
		return;
	case SOURCE_ADDRESS:
		*out = r->upstream->source_addr[to.family == AF_INET6];
		return;
	case SOURCE_SELF:
		return;
	}
}

/* Linux chooses from 32768 on, most others from 49152 on (RFC 6335). */
static uint16_t quiet_port(void)
{
	enum { FIRST = 10240, COUNT = 32768 - FIRST };
	uint16_t port;

	if (getrandom(&port, sizeof(port), GRND_NONBLOCK) != sizeof(port))
		return 0; /* the kernel chooses */
	return (uint16_t)(FIRST + port % COUNT);
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

/* Earlier legs have some of these ports, and their TIME_WAIT. */
static int try_quiet(const struct leg_request *r, struct addr *from,
		     const struct addr *to, int *fd)
{
	int error = -EADDRINUSE;

	for (int i = 0; i < QUIET_TRIES && is_about_port(error); i++) {
		from->port = quiet_port();
		error = try_from(r, from, to, fd);
	}
	return error;
}

int leg_open(const struct leg_request *r, struct shared *counters,
	     struct addr *source)
{
	struct addr to, from;
	int error, fd;

	leg_destination(r, &to);
	leg_source(r, &from);
	if (!from.family) {
		error = try_from(r, NULL, &to, &fd);
		if (error < 0)
			return error;
		*source = from;
		return fd;
	}
	if (r->is_redirected && r->upstream->source == SOURCE_CLIENT)
		error = try_quiet(r, &from, &to, &fd);
	else
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
