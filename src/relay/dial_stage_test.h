/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial_stage_test.h - a dial, and a proxy that does as it is told.
 *
 * Both are one process, on loopback.  The dial is driven as its owners drive
 * it: by edges of an epoll.
 */
#ifndef WL_RELAY_DIAL_STAGE_TEST_H
#define WL_RELAY_DIAL_STAGE_TEST_H

#include "net/netns_test.h"
#include "net/sock.h"
#include "relay/dial.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/time.h>

enum { MARK = 0x2000, PATIENCE_MS = 10000 };

static inline struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

struct stage {
	struct shared *shared;
	struct config config;
	struct upstream upstream;
	struct board *board;
	struct addr proxy, client, server;
	struct dial_request request;
	struct dial dial;
	int listener, epoll;
	int peer; /* the proxy's end of the connection; -1: none */
};

static inline void begin(struct stage *s, enum upstream_kind kind)
{
	struct err e;

	netns_begin();
	*s = (struct stage){ .proxy = at("127.0.0.5:1080"),
			     .client = at("192.0.2.1:4000"),
			     .server = at("198.51.100.7:443"),
			     .dial.fd = -1,
			     .peer = -1 };
	s->upstream = (struct upstream){ .name = "up",
					 .kind = kind,
					 .source = SOURCE_SELF,
					 .has_to = true,
					 .to = s->proxy };
	s->config = (struct config){ .upstreams = &s->upstream,
				     .upstream_count = 1 };
	s->shared = shared_new(0);
	s->board = board_new(&s->config, NULL, NULL);
	assert_non_null(s->shared);
	assert_non_null(s->board);
	s->request = (struct dial_request){ .config = &s->config,
					    .board = s->board,
					    .counters = s->shared,
					    .client = &s->client,
					    .server = &s->server,
					    .mark = MARK };
	s->listener = sock_listen_tcp(&s->proxy, MARK, &e);
	assert_true(s->listener >= 0);
	assert_int_equal(fcntl(s->listener, F_SETFL, 0), 0); /* blocking */
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	assert_true(s->epoll >= 0);
}

static inline void hang_up(struct stage *s)
{
	dial_end(&s->dial);
	assert_int_equal(s->dial.fd, -1);
	assert_null(s->dial.talk);
	if (s->peer >= 0)
		close(s->peer);
	s->peer = -1;
}

static inline void end(struct stage *s)
{
	hang_up(s);
	close(s->listener);
	close(s->epoll);
	board_free(s->board);
	shared_free(s->shared);
}

/* Wait for an edge of the dial's descriptor, and pass it on. */
static inline enum dial_state turn(struct stage *s)
{
	struct epoll_event ev;

	assert_int_equal(epoll_wait(s->epoll, &ev, 1, PATIENCE_MS), 1);
	return dial_on_event(&s->dial, ev.events);
}

/* Blocking, but not for ever. */
static inline void be_patient(int fd)
{
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
}

/* Begin, and let the proxy accept. */
static inline void call(struct stage *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					    EPOLLET };

	dial_begin(&s->dial, &s->request);
	assert_int_equal(s->dial.state, DIAL_CONNECTING);
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->dial.fd, &ev),
			 0);
	s->peer = accept(s->listener, NULL, NULL);
	assert_true(s->peer >= 0);
	be_patient(s->peer);
	while (s->dial.state == DIAL_CONNECTING)
		(void)turn(s);
}

static inline void say(const struct stage *s, const char *bytes, size_t len)
{
	assert_int_equal(send(s->peer, bytes, len, MSG_NOSIGNAL), len);
}

/* Exactly these bytes come next. */
static inline void hear(const struct stage *s, const char *bytes, size_t len)
{
	char got[512];

	assert_true(len <= sizeof(got));
	assert_int_equal(recv(s->peer, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, bytes, len);
}

static inline void hear_nothing(const struct stage *s)
{
	char byte;

	assert_int_equal(recv(s->peer, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

#endif
