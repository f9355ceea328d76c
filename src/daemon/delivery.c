/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.c - does a program listen where an intercept delivers?
 */
#include "daemon/delivery.h"

#include "net/sock.h"
#include "policy/policy.h"

#include <errno.h>

/* Nobody else could bind where a program listens. */
static bool has_listener(const struct addr *at, enum proto p)
{
	int type = p == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;

	return sock_probe_free(type, at, NULL) == -EADDRINUSE;
}

int delivery_check(const struct config *c, struct err *e)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];

		for (enum proto p = 0; p < PROTO_COUNT; p++)
			if (it->require_listener && it->ports[p].count &&
			    !has_listener(&it->deliver, p))
				return err_set(
					e, ENOTCONN,
					"intercept %s delivers to %s/%s, where "
					"no program listens (require-listener)",
					it->name,
					deliver_format(&it->deliver, text),
					p == PROTO_TCP ? "tcp" : "udp");
	}
	return 0;
}
