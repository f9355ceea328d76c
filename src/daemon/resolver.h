/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - addresses for the names of proxies.
 *
 * Upstreams may name their proxy.  What name servers answer is hostile input
 * and asking takes time, so it is done in a process of its own, with c-ares,
 * which writes to the board what it finds (relay/board.h).  Nobody waits for
 * it: a flow that needs an address before there is one fails.
 *
 * A name is looked up in /etc/hosts when the process begins, and if it is not
 * there asked for again and again:
 *
 *	found		after the TTL, but not below RESOLVER_TTL_MIN_S nor
 *			above RESOLVER_TTL_MAX_S
 *	not found	after RESOLVER_RETRY_MS, doubling up to
 *			RESOLVER_RETRY_MAX_MS; the addresses that are known
 *			stay in use
 *
 * Its sockets carry waylay's own mark, so no engine takes its questions.  The
 * search list is not used: a name is what the configuration says, or a
 * password might go to a stranger.  Read resolver_child.h for who starts it.
 */
#ifndef WL_DAEMON_RESOLVER_H
#define WL_DAEMON_RESOLVER_H

#include "base/err.h"
#include "relay/board.h"

enum {
	RESOLVER_TTL_MIN_S = 30,
	RESOLVER_TTL_MAX_S = 600,
	RESOLVER_RETRY_MS = 5000,
	RESOLVER_RETRY_MAX_MS = 60000,
};

struct resolver;

/* Is there any name to be looked up? */
bool resolver_is_needed(const struct config *c);

/* Reads /etc/resolv.conf and /etc/hosts, so it comes before privileges go.
 * mark: of its sockets; 0: none.  Keeps c and b. */
int resolver_new(const struct config *c, struct board *b, uint32_t mark,
		 struct resolver **out, struct err *e);
void resolver_free(struct resolver *r); /* NULL is allowed */

/* Send the questions that are due at now_ms (CLOCK_MONOTONIC). */
void resolver_ask(struct resolver *r, uint64_t now_ms);
/* Milliseconds until the next is due, -1 if none will ever be. */
int resolver_wait_ms(const struct resolver *r, uint64_t now_ms);
/* Wait at most wait_ms (-1: without end) for answers and take them.  False:
 * channel_fd (-1: none) has ended. */
bool resolver_serve(struct resolver *r, int channel_fd, int wait_ms);
/* All of this until channel_fd ends. */
void resolver_run(struct resolver *r, int channel_fd);

#endif
