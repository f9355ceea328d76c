/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners_test.h - what both tests of listeners look at.
 */
#ifndef WL_DAEMON_LISTENERS_TEST_H
#define WL_DAEMON_LISTENERS_TEST_H

#include "daemon/listeners.h"

#include "net/netns_test.h"
#include "net/sock.h"
#include "policy/policy.h"

#include <stdlib.h>

static inline struct config *parse(const char *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", text, strlen(text), &m);

	if (!c)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	return c;
}

static inline void begin(struct listeners *l)
{
	struct err e = { 0 };

	netns_begin();
	assert_int_equal(listeners_init(l, &e), 0);
	assert_true(l->has_family[FAMILY_V4]);
	assert_int_equal(l->has_family[FAMILY_V6], netns_has_v6());
}

static inline void open_for(struct listeners *l, const struct config *c,
			    uint32_t slots)
{
	struct err e = { 0 };

	if (listeners_open(l, c, slots, &e))
		fail_msg("%s", e.text);
}

static inline size_t kinds(void)
{
	return PROTO_COUNT * (1 + (size_t)netns_has_v6());
}

/* All workers together hold every socket of every set, each once. */
static inline void expect_shares(const struct listeners *l,
				 const struct config *c, uint32_t slots,
				 size_t sockets)
{
	bool is_held[1024] = { false };
	size_t held = 0;

	for (uint32_t slot = 0; slot < slots; slot++) {
		size_t count;
		struct worker_listener *mine =
			listeners_of(l, c, slot, slots, &count);

		assert_non_null(mine);
		for (size_t i = 0; i < count; i++) {
			struct addr at;

			assert_true(mine[i].fd >= 0 && mine[i].fd < 1024);
			assert_false(is_held[mine[i].fd]);
			is_held[mine[i].fd] = true;
			assert_int_equal(sock_local_addr(mine[i].fd, &at), 0);
			assert_true(addr_equal(&at, &mine[i].at));
			assert_false(
				c->intercepts[mine[i].intercept].has_deliver);
		}
		held += count;
		free(mine);
	}
	assert_int_equal(held, sockets);
}

static inline void expect_socket(int fd, enum proto proto, uint16_t port)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct addr at;

	assert_int_equal(sock_local_addr(fd, &at), 0);
	assert_int_equal(at.port, port);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM);
}

#endif
