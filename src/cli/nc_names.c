/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_names.c - look up hosts and services; see nc_names.h.
 */
#include "cli/nc_names.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

static int say(const struct nc_options *o, int error, struct err *e)
{
	const char *advice = o->is_numeric ? " (-n looks no names up)" : "";

	if (error == EAI_SYSTEM)
		return err_errno(e, errno, "cannot look up '%s'", o->host);
	return err_set(e, ENOENT, "cannot look up '%s': %s%s", o->host,
		       gai_strerror(error), advice);
}

int nc_names_resolve(const struct nc_options *o, struct nc_addresses *out,
		     struct err *e)
{
	const struct addrinfo hints = {
		.ai_family = o->family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = o->is_numeric ? AI_NUMERICHOST : 0,
	};
	struct addrinfo *found;
	int error = getaddrinfo(o->host, NULL, &hints, &found);

	if (error)
		return say(o, error, e);
	*out = (struct nc_addresses){ 0 };
	for (struct addrinfo *i = found; i; i = i->ai_next) {
		struct addr a;

		addr_from_sockaddr(i->ai_addr, &a);
		if (a.family && out->count < NC_ADDRESSES_MAX)
			out->list[out->count++] = a;
	}
	freeaddrinfo(found);
	if (out->count)
		return 0;
	return err_set(e, ENOENT, "'%s' has no address", o->host);
}

const char *nc_names_service(const struct nc_options *o, uint16_t port)
{
	struct servent *s =
		o->is_numeric
			? NULL
			: getservbyport(htons(port), o->is_udp ? "udp" : "tcp");

	return s ? s->s_name : "*";
}
