/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_udp.h - datagrams between standard streams and the network.
 *
 * What one read(2) of standard input gives is one datagram, and a datagram is
 * one write to standard output.  A listener talks to whom the first datagram
 * came from, and answers from where it was sent to; with -k it prints what
 * anybody sends, and answers nobody.
 */
#ifndef WL_CLI_NC_UDP_H
#define WL_CLI_NC_UDP_H

#include "cli/nc_listen.h"
#include "cli/nc_pump.h"

struct nc_udp {
	struct nc_watch *watch;
	const struct nc_options *options;
	struct nc_listeners sockets; /* one that is connected, or listeners;
				      * closed by nc_udp_run() */
	bool is_connected;
};

/* NC_FINISHED, NC_STOPPED, or NC_CUT and a sentence. */
enum nc_pumped nc_udp_run(struct nc_udp *u, struct err *e);

/* For datagrams of any length. */
enum { NC_DATAGRAM_MAX = 65535 };

/* The next datagram of a listener into bytes, of NC_DATAGRAM_MAX.  Its length,
 * -EAGAIN, or -errno. */
int nc_udp_receive(int fd, char *bytes, struct nc_visit *out, struct err *e);
/* Answer from the address that the visitor called.  sender: the library's, or
 * -1 to send by the ordinary `listener`. */
int nc_udp_answer(int sender, int listener, const struct nc_visit *v,
		  const char *bytes, size_t len, struct err *e);
/* For nc_udp_answer(), if there are transparent listeners; -1: not needed. */
int nc_udp_sender(const struct nc_options *o, int family, int *out,
		  struct err *e);

#endif
