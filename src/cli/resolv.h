/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv.h - a resolv.conf that works in another network namespace.
 *
 * A resolver on this host's loopback (systemd-resolved's 127.0.0.53) cannot
 * be reached from a namespace with a loopback of its own.  Each such name
 * server is given a stand-in address from 192.0.0.0/24 (RFC 7335); the relay
 * sends what goes there to the real one.  All other lines are kept.
 */
#ifndef WL_CLI_RESOLV_H
#define WL_CLI_RESOLV_H

#include "base/err.h"
#include "base/str.h"
#include "net/addr.h"

enum { RESOLV_MAX = 8 };

struct resolv {
	struct addr real[RESOLV_MAX]; /* the loopback name servers */
	size_t count;		      /* 0: resolv.conf works as it is */
	struct addr far[RESOLV_MAX];  /* the others */
	size_t far_count;
	struct str text; /* the new resolv.conf */
};

/* Read /etc/resolv.conf; a missing file means 127.0.0.1, resolv.conf(5). */
int resolv_read(const char *path, struct resolv *out, struct err *e);
void resolv_stand_in(size_t i, struct addr *out);
void resolv_done(struct resolv *r);

#endif
