/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept_test.h - an interception and what is seen of it, for its tests.
 */
#ifndef WL_LIB_INTERCEPT_TEST_H
#define WL_LIB_INTERCEPT_TEST_H

#include "lib/face_test.h"

#include "engine/choose.h"
#include "net/rule.h"

#include <linux/netlink.h>

enum { PROTOCOL = 119 };

static inline void must(int result, const struct waylay_error *e)
{
	if (result < 0)
		fail_msg("%s", e->text);
}

static inline void set(struct waylay_intercept *i, const char *name,
		       const char *value)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;

	must(waylay_intercept_set(i, name, value, &e), &e);
}

static inline int listen_on(const char *ip)
{
	struct at any = at(ip, 0);
	int fd = waylay_listen_tcp(at_sockaddr(&any), NULL, NULL);

	assert_true(fd >= 0);
	return fd;
}

/* All that is needed, from lan0, which may come later. */
static inline struct waylay_intercept *make(int listener, const char *engine)
{
	struct waylay_intercept *i = waylay_intercept_new();
	struct waylay_error e = WAYLAY_ERROR_INIT;

	assert_non_null(i);
	set(i, "engine", engine);
	set(i, "from", "lan0");
	set(i, "tcp", "80");
	must(waylay_intercept_deliver(i, listener, &e), &e);
	return i;
}

static inline int has_rule(void)
{
	const struct ip_rule wanted = {
		.family = AF_INET,
		.priority = 7701,
		.action = RULE_LOOKUP,
		.target = 7700,
		.mark = 0x1000,
		.mask = 0x3000,
		.protocol = PROTOCOL,
	};
	struct nl nl;
	int has;

	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	has = rule_has(&nl, &wanted, NULL);
	nl_close(&nl);
	return has;
}

static inline void flush_rules(void)
{
	struct nl nl;

	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, 0), 0);
	assert_int_equal(rule_flush(&nl, PROTOCOL, NULL, 0, NULL), 0);
	nl_close(&nl);
}

static inline bool can_install(const char *engine)
{
	const struct engine *found = engine_find(engine);
	struct err e = { 0 };

	assert_non_null(found);
	if (engine_probe(found, &e) == 0)
		return true;
	print_message("left out: %s: %s\n", engine, e.text);
	return false;
}

static inline void for_engines(void (*run)(const char *engine))
{
	for (size_t i = 0; engine_at(i); i++) {
		netns_begin();
		if (can_install(engine_at(i)->name))
			run(engine_at(i)->name);
	}
}

#endif
