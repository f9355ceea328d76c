/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_place_test.h - a pump between two pipes and a TCP connection over lo, of
 * which the test has the other ends.
 */
#ifndef WL_CLI_NC_PLACE_TEST_H
#define WL_CLI_NC_PLACE_TEST_H

#include "cli/nc_end.h"
#include "cli/nc_pump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	struct nc_take take;
	struct nc_watch watch;
	struct nc_options options;
	struct nc_pump pump;
	int in, out, peer; /* the far ends: write, read, both */
};

static inline int listen_on_lo(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static inline void connect_pair(int *net, int *peer)
{
	struct sockaddr_in at;
	int listener = listen_on_lo(&at);

	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*peer, (struct sockaddr *)&at, sizeof(at)), 0);
	*net = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*net >= 0);
	close(listener);
}

static inline void open_place(struct place *p)
{
	int in[2], out[2];
	struct err e;

	*p = (struct place){ .take = NC_TAKE_NONE };
	p->options.quit_ms = -1;
	assert_int_equal(nc_watch_open(&p->watch, &p->take, &e), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->in = in[1];
	p->out = out[0];
	p->pump = (struct nc_pump){ .watch = &p->watch,
				    .options = &p->options,
				    .in = in[0],
				    .out = out[1] };
	connect_pair(&p->pump.net, &p->peer);
}

static inline void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void close_place(struct place *p)
{
	close_one(&p->in);
	close_one(&p->out);
	close_one(&p->peer);
	close_one(&p->pump.in);
	close_one(&p->pump.out);
	close_one(&p->pump.net);
	nc_watch_close(&p->watch);
}

static inline void put(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* What is there until the end, or until now if there is none. */
static inline const char *get(int fd)
{
	static char text[256];
	ssize_t len, count = 0;

	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while ((len = read(fd, text + count,
			   sizeof(text) - 1 - (size_t)count)) > 0)
		count += len;
	text[count] = '\0';
	return text;
}

static inline bool has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static inline void reset_by_peer(struct place *p)
{
	assert_int_equal(nc_end_guarded(p->peer), 0);
	close_one(&p->peer);
}

#endif
