/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_listen.h - the listeners of `waylay nc -l`, and what comes to them.
 *
 * One for each IP version.  They are transparent with --tproxy and --from
 * (the library's), and ordinary otherwise: then no privilege is needed.
 */
#ifndef WL_CLI_NC_LISTEN_H
#define WL_CLI_NC_LISTEN_H

#include "base/err.h"
#include "cli/nc_options.h"
#include "cli/nc_watch.h"

#include <waylay.h>

enum { NC_LISTENERS_MAX = 2 };

struct nc_listeners {
	int fds[NC_LISTENERS_MAX]; /* non-blocking */
	size_t count;
};

/* Who came, and to whom it wanted. */
struct nc_visit {
	struct addr client, destination; /* destination: family 0 if nobody
					  * knows (UDP) */
	enum waylay_way way;
	bool is_udp;
};

int nc_listen_open(const struct nc_options *o, struct nc_listeners *out,
		   struct err *e);
void nc_listen_close(struct nc_listeners *l);

/* The next connection.  A descriptor, -EINTR (a signal), or -errno. */
int nc_listen_accept(const struct nc_listeners *l, struct nc_watch *w,
		     struct nc_visit *out, struct err *e);
/* The same for one listener that poll(2) has named: -EAGAIN, nobody came. */
int nc_listen_take(int listener, struct nc_visit *out, struct err *e);

/* What -v and --orig-dst say on standard error.  bytes: of a datagram. */
void nc_listen_say_ready(const struct nc_options *o,
			 const struct nc_listeners *l);
void nc_listen_say_visit(const struct nc_options *o, const struct nc_visit *v,
			 size_t bytes);

const char *nc_listen_way_name(enum waylay_way way);

#endif
