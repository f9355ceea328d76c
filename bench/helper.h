/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.h - what the traffic helpers of bench/ share.
 *
 * Each helper is one small program: it says `ready` on stdout when it can be
 * used and prints its result as one JSON object.  They end the process on any
 * failure with a sentence; a benchmark has nobody to recover for.  helpers.py
 * compiles them, measures.py starts them.
 */
#ifndef WL_BENCH_HELPER_H
#define WL_BENCH_HELPER_H

#include <stdint.h>
#include <sys/socket.h>

struct endpoint {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* Ends the process: "WHAT: strerror(errno)". */
_Noreturn void helper_die(const char *what);

uint64_t helper_now_ns(void);

/* A decimal number in [min, max], or the end. */
long helper_number(const char *text, long min, long max);

/* Numeric address, v4 or v6, and port. */
struct endpoint helper_endpoint(const char *addr, const char *port);

/* A socket bound to `at`; `type` may carry SOCK_NONBLOCK. */
int helper_bound_socket(const struct endpoint *at, int type);

/* A UDP socket connected to `peer`. */
int helper_udp_to(const struct endpoint *peer);

/* One line on stdout, at once. */
void helper_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
