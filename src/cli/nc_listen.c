/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_listen.c - listen, accept, and say who came; see nc_listen.h.
 */
#include "cli/nc_listen.h"

#include "cli/nc_end.h"
#include "cli/nc_names.h"
#include "net/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- opening ------------------------------------------------------------- */

static int open_transparent(const struct nc_options *o, const struct addr *at,
			    struct err *e)
{
	struct waylay_options options = WAYLAY_OPTIONS_INIT;
	struct waylay_error error = WAYLAY_ERROR_INIT;
	struct sockaddr_storage ss;
	int fd;

	options.flags = WAYLAY_NONBLOCK;
	(void)addr_to_sockaddr(at, &ss);
	fd = o->is_udp ? waylay_listen_udp((struct sockaddr *)&ss, &options,
					   &error)
		       : waylay_listen_tcp((struct sockaddr *)&ss, &options,
					   &error);
	return fd < 0 ? err_set(e, -fd, "%s", error.text) : fd;
}

static int bind_udp(int fd, const struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(at, &ss);
	const int on = 1;

	if (at->family == AF_INET6 &&
	    setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return sock_set_option(fd, at->family, SOCK_RECVORIGDST, 1);
}

static int open_udp(const struct addr *at, struct err *e)
{
	int fd = socket(at->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);
	char text[ADDR_TEXT_MAX];
	int error;

	error = fd < 0 ? -errno : bind_udp(fd, at);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_errno(e, -error, "cannot listen on %s/udp",
			 addr_format(at, text));
}

/* The relay's listener, which shares its port; but not with a stranger. */
static int open_tcp(const struct addr *at, struct err *e)
{
	struct addr place = *at;
	int error = sock_probe_free(SOCK_STREAM, at, e);

	return error < 0 ? error : sock_listen_plain(&place, 0, e);
}

static int open_one(const struct nc_options *o, const struct addr *at,
		    struct err *e)
{
	if (o->is_transparent)
		return open_transparent(o, at, e);
	return o->is_udp ? open_udp(at, e) : open_tcp(at, e);
}

/* Both versions' wildcard, or with --from their loopback: then nobody comes
 * but by interception. */
static void usual_places(const struct nc_options *o, struct nc_addresses *out)
{
	static const struct {
		int family;
		const char *any, *loopback;
	} versions[] = {
		{ AF_INET, "0.0.0.0", "127.0.0.1" },
		{ AF_INET6, "::", "::1" },
	};

	*out = (struct nc_addresses){ 0 };
	for (size_t i = 0; i < NC_LISTENERS_MAX; i++) {
		if (o->family != AF_UNSPEC && o->family != versions[i].family)
			continue;
		(void)addr_parse_ip(o->from ? versions[i].loopback
					    : versions[i].any,
				    &out->list[out->count++]);
	}
}

static uint16_t port_of(const struct nc_options *o)
{
	if (o->is_transparent)
		return o->tproxy_port;
	return o->port_count ? o->ports[0].first : o->source.port;
}

static int find_places(const struct nc_options *o, struct nc_addresses *out,
		       struct err *e)
{
	int error = 0;

	if (o->host) {
		error = nc_names_resolve(o, out, e);
		out->count = 1; /* of a name, the first */
	} else if (o->source.family) {
		*out = (struct nc_addresses){ { o->source }, 1 };
	} else {
		usual_places(o, out);
	}
	return error;
}

/* A host without IPv6, or without IPv4, does with the other. */
static bool is_missing_version(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

int nc_listen_open(const struct nc_options *o, struct nc_listeners *out,
		   struct err *e)
{
	struct nc_listeners l = { .fds = { -1, -1 } };
	struct nc_addresses places = { 0 };
	int error = find_places(o, &places, e);

	for (size_t i = 0; i < places.count && !error; i++) {
		int fd;

		places.list[i].port = port_of(o);
		fd = open_one(o, &places.list[i], e);
		if (fd >= 0)
			l.fds[l.count++] = fd;
		else if (!is_missing_version(fd) || places.count == 1)
			error = fd;
	}
	if (!error && !l.count)
		error = -e->code; /* no version at all */
	if (error < 0) {
		nc_listen_close(&l);
		return error;
	}
	*out = l;
	return 0;
}

void nc_listen_close(struct nc_listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		close(l->fds[i]);
	l->count = 0;
}

/* --- accepting ----------------------------------------------------------- */

static int learn(int fd, struct nc_visit *v, struct err *e)
{
	struct waylay_error error = WAYLAY_ERROR_INIT;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int way;

	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return -EAGAIN; /* it has gone again */
	*v = (struct nc_visit){ 0 };
	addr_from_sockaddr((struct sockaddr *)&ss, &v->client);
	way = waylay_destination(fd, &ss, &error);
	if (way < 0)
		return err_set(e, -way, "%s", error.text);
	v->way = (enum waylay_way)way;
	addr_from_sockaddr((struct sockaddr *)&ss, &v->destination);
	return 0;
}

/* accept(2): these are errors of that connection, and not ours. */
static bool is_of_connection(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED ||
	       error == EPROTO || error == EPERM || error == ENETDOWN ||
	       error == EHOSTUNREACH || error == ENETUNREACH;
}

int nc_listen_take(int listener, struct nc_visit *out, struct err *e)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int error;

	if (fd < 0)
		return is_of_connection(errno)
			       ? -EAGAIN
			       : err_errno(e, errno, "cannot accept");
	error = nc_end_guarded(fd);
	if (!error)
		error = learn(fd, out, e);
	if (!error)
		return fd;
	close(fd);
	return error;
}

int nc_listen_accept(const struct nc_listeners *l, struct nc_watch *w,
		     struct nc_visit *out, struct err *e)
{
	struct pollfd p[1 + NC_LISTENERS_MAX];
	int result;

	for (;;) {
		for (size_t i = 0; i < l->count; i++)
			p[1 + i] = (struct pollfd){ l->fds[i], POLLIN, 0 };
		result = nc_poll(w, p, 1 + l->count, -1);
		if (result < 0)
			return result;
		for (size_t i = 0; i < l->count; i++) {
			if (!p[1 + i].revents)
				continue;
			result = nc_listen_take(l->fds[i], out, e);
			if (result != -EAGAIN)
				return result;
		}
	}
}

/* --- saying -------------------------------------------------------------- */

void nc_listen_say_ready(const struct nc_options *o,
			 const struct nc_listeners *l)
{
	char ip[ADDR_TEXT_MAX];

	for (size_t i = 0; i < l->count && o->is_verbose; i++) {
		struct addr at;

		if (sock_local_addr(l->fds[i], &at) == 0)
			fprintf(stderr, "Listening on %s %u\n",
				addr_format_ip(&at, ip), at.port);
	}
}

const char *nc_listen_way_name(enum waylay_way way)
{
	switch (way) {
	case WAYLAY_PLAIN:
		return "plain";
	case WAYLAY_TPROXY:
		return "tproxy";
	case WAYLAY_REDIRECT:
		return "redirect";
	}
	return "plain";
}

void nc_listen_say_visit(const struct nc_options *o, const struct nc_visit *v,
			 size_t bytes)
{
	char client[ADDR_TEXT_MAX], destination[ADDR_TEXT_MAX] = "-";

	if (o->is_verbose && !v->is_udp)
		fprintf(stderr, "Connection received on %s %u\n",
			addr_format_ip(&v->client, client), v->client.port);
	if (!o->tells_destination)
		return;
	addr_format(&v->client, client);
	if (v->destination.family)
		addr_format(&v->destination, destination);
	if (v->is_udp)
		fprintf(stderr, "udp %s %s %s %zu\n", client, destination,
			nc_listen_way_name(v->way), bytes);
	else
		fprintf(stderr, "tcp %s %s %s\n", client, destination,
			nc_listen_way_name(v->way));
}
