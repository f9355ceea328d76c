/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_scene_test.h - a worker that relays TCP, with a test for cutter.
 *
 *	client ==> 127.0.0.2:5000 [worker] ==> 127.0.0.3:80 server
 *				     ||
 *				   cutter
 *
 * Client, server and cutter are the test.  All that is real runs in real time;
 * what waits for time is made due by make_due(), so that nothing sleeps.
 */
#ifndef WL_RELAY_CUT_SCENE_TEST_H
#define WL_RELAY_CUT_SCENE_TEST_H

#include "net/netns_test.h"
#include "net/sock.h"
#include "relay/tcp.h"
#include "relay/tcp_cut.h"
#include "relay/udp.h"
#include "relay/udp_cut.h"
#include "relay/upstreams_test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include <linux/tcp.h>

enum { MARK = 0x2000, PATIENCE_MS = 20000, FLOWS = 64, UDP_FLOWS = 16 };

struct scene {
	struct world w;
	struct intercept intercept;
	struct rule rule;
	struct worker worker;
	struct timer alarm; /* so that a turn ends */
	uint64_t end_ms;    /* of patience */
	int cutter, supervisor, servers;
	struct cut_ask ask; /* the last one */
	int fd[2];	    /* that came with it */
};

/* One flow, seen from outside. */
struct pair {
	int fd[2]; /* client, server */
	struct tcp_flow *flow;
	uint64_t sent[2], got[2]; /* by who sends */
};

/* --- time ---------------------------------------------------------------- */

static inline void on_alarm(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
}

static inline void turn(struct scene *s)
{
	struct loop *l = &s->worker.loop;

	if (clock_ms() > s->end_ms)
		fail_msg("what was waited for does not come");
	wheel_set(&l->wheel, &s->alarm, l->now_ms + 1);
	loop_turn(l);
}

/* Until every event that is there has been handled. */
static inline void settle(struct scene *s)
{
	struct loop *l = &s->worker.loop;
	struct pollfd p = { .fd = l->epoll_fd, .events = POLLIN };

	while (l->deferred || poll(&p, 1, 0) > 0)
		turn(s);
}

static inline void make_due(struct pair *t)
{
	assert_int_not_equal(t->flow->cut.next_ms, CUT_NEVER);
	t->flow->cut.next_ms = 0;
}

/* Not due before it is made so, however long the test takes. */
static inline void make_young(struct tcp_flow *f)
{
	if (f->cut.next_ms != CUT_NEVER)
		f->cut.next_ms = CUT_NEVER - 1;
}

/* --- the scene ----------------------------------------------------------- */

static inline struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline void set_config(struct scene *s)
{
	struct config *c = &s->w.config;

	world_init(&s->w);
	s->rule.upstream =
		world_add(&s->w, "there", UPSTREAM_DIRECT, "127.0.0.3:80");
	s->w.upstreams[s->rule.upstream].source = SOURCE_SELF;
	s->rule.is_default = true;
	c->rules = &s->rule;
	c->rule_count = 1;
	c->intercepts = &s->intercept;
	c->intercept_count = 1;
	c->mark = 0x1000;
	c->mask = 0x3000;
	c->timeouts = (struct timeouts){ .connect_ms = 10000,
					 .upstream_ms = 5000,
					 .idle_ms = 60000,
					 .half_closed_ms = 60000,
					 .udp_ms = 60000,
					 .dns_ms = 5000 };
	c->limits.udp_flows = UDP_FLOWS;
	c->limits.udp_per_client = UDP_FLOWS;
	c->log.flows_every = 1;
}

static inline void begin_worker(struct scene *s)
{
	struct addr here = at("127.0.0.2:5000"), elsewhere = at("127.0.0.9:1");
	struct worker_listener l = { .proto = PROTO_TCP, .at = elsewhere };
	struct worker_args args = { .config = &s->w.config,
				    .listeners = &l,
				    .listener_count = 1,
				    .raw_fd = { -1, -1 },
				    .lock_fd = -1,
				    .slot = 1, /* makes no checks */
				    .nofile = 1024,
				    .flow_max = FLOWS + UDP_FLOWS };
	int line[2], channel[2];
	struct err e;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
	l.fd = sock_listen_tcp(&here, MARK, &e);
	assert_true(l.fd >= 0);
	args.shared = shared_new(args.flow_max);
	args.board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(args.shared);
	assert_non_null(args.board);
	args.cut_fd = line[0];
	s->cutter = line[1];
	args.channel_fd = channel[0];
	s->supervisor = channel[1];
	assert_int_equal(worker_init(&s->worker, &args), 0);
}

/* Segments as on Ethernet: loopback's are larger than small windows.  And a
 * queue that is full soon, and stays so. */
static inline int make_small(int fd)
{
	int segment = 1400, queue = 32 << 10;

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue)),
		0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment,
				    sizeof(segment)),
			 0);
	return fd;
}

static inline struct scene *scene_begin(void)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct addr there = at("127.0.0.3:80");
	struct err e;

	assert_non_null(s);
	(void)signal(SIGPIPE, SIG_IGN); /* as a worker does */
	netns_begin();
	set_config(s);
	s->servers = make_small(sock_listen_plain(&there, MARK, &e));
	begin_worker(s);
	s->alarm.fn = on_alarm;
	s->end_ms = clock_ms() + PATIENCE_MS;
	s->fd[0] = s->fd[1] = -1;
	return s;
}

/* As a worker ends: everything else goes with its process. */
static inline void scene_end(struct scene *s)
{
	tcp_end_all(s->worker.tcp, END_SHUTDOWN);
	udp_end_all(s->worker.udp, END_SHUTDOWN);
	settle(s);
	assert_int_equal(s->worker.tcp->pool.used, 0);
	if (s->cutter >= 0)
		close(s->cutter);
	if (s->worker.args.cut_fd >= 0)
		close(s->worker.args.cut_fd);
	close(s->supervisor);
	close(s->worker.args.channel_fd);
	close(s->worker.listeners[0].is.fd);
	close(s->servers);
	loop_close(&s->worker.loop);
	shared_free(s->worker.args.shared);
	board_free(s->worker.args.board);
	free(s);
}

static inline unsigned counted(const struct scene *s, enum counter c)
{
	return (unsigned)s->worker.args.shared->counters[c];
}

/* All that were not cut, whatever the cause. */
static inline unsigned not_cut(const struct scene *s)
{
	unsigned all = 0;

	for (int c = COUNTER_cut_not_seen; c <= COUNTER_cut_error; c++)
		all += counted(s, (enum counter)c);
	return all;
}

/* How the last flow has ended; END_NONE: no end was told. */
static inline enum flow_end told(struct scene *s)
{
	struct flow_record r;

	return shared_next_ended(s->worker.args.shared, &r)
		       ? (enum flow_end)r.end
		       : END_NONE;
}

/* --- flows --------------------------------------------------------------- */

static inline uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

/* What the kernel takes of so many bytes, at once. */
static inline size_t say(struct pair *t, int who, size_t count)
{
	static uint8_t bytes[1 << 16];
	ssize_t len;

	if (count > sizeof(bytes))
		count = sizeof(bytes);
	for (size_t i = 0; i < count; i++)
		bytes[i] = byte_at(t->sent[who] + i);
	len = send(t->fd[who], bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (len > 0)
		t->sent[who] += (uint64_t)len;
	return len > 0 ? (size_t)len : 0;
}

/* Read what `who` has said, as far as it has come: 0 at its end, or -errno. */
static inline ssize_t hear(struct pair *t, int who)
{
	static uint8_t bytes[1 << 16];
	ssize_t len = recv(t->fd[!who], bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(t->got[who]++))
			fail_msg("byte %u is another", (unsigned)t->got[who]);
	return len < 0 ? -errno : len;
}

/* Until all that was said has come. */
static inline void hear_all(struct scene *s, struct pair *t, int who)
{
	while (t->got[who] < t->sent[who])
		if (hear(t, who) <= 0)
			turn(s);
}

static inline void converse(struct scene *s, struct pair *t)
{
	for (int who = 0; who < 2; who++) {
		assert_int_equal(say(t, who, 10), 10);
		hear_all(s, t, who);
	}
	settle(s);
}

static inline struct pair pair_begin(struct scene *s)
{
	struct addr here = at("127.0.0.2:5000");
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&here, &ss);
	int client = make_small(socket(AF_INET, SOCK_STREAM, 0));
	struct pair t = { .fd = { client, -1 } };
	uint32_t slot = s->worker.tcp->pool.free_head;

	if (slot == POOL_NONE)
		slot = s->worker.tcp->pool.fresh;
	t.flow = &s->worker.tcp->flows[slot];
	assert_int_equal(connect(t.fd[0], (struct sockaddr *)&ss, len), 0);
	while (t.fd[1] < 0) {
		turn(s);
		t.fd[1] = accept(s->servers, NULL, NULL);
	}
	while (t.flow->state != FLOW_RELAYING)
		turn(s);
	return t;
}

static inline void pair_end(struct pair *t)
{
	for (int i = 0; i < 2; i++)
		if (t->fd[i] >= 0)
			close(t->fd[i]);
}

/* --- the cutter ---------------------------------------------------------- */

static inline void drop_fds(struct scene *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->fd[i] >= 0)
			close(s->fd[i]);
		s->fd[i] = -1;
	}
}

/* Is there a word of the worker's?  It is read. */
static inline bool is_asked(struct scene *s)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { &s->ask, sizeof(s->ask) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(s->cutter, &m, MSG_DONTWAIT);

	if (len < 0)
		return false;
	assert_int_equal(len, sizeof(s->ask));
	assert_false(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	drop_fds(s);
	if (m.msg_controllen) {
		assert_int_equal(control.head.cmsg_len,
				 CMSG_LEN(2 * sizeof(int)));
		memcpy(s->fd, CMSG_DATA(&control.head), 2 * sizeof(int));
	}
	return true;
}

static inline void fill_line(struct scene *s)
{
	while (send(s->worker.args.cut_fd, "junk", 4, MSG_DONTWAIT) > 0)
		;
}

static inline void drain_line(struct scene *s)
{
	char junk[4];

	while (recv(s->cutter, junk, 4, MSG_DONTWAIT | MSG_PEEK) == 4 &&
	       !memcmp(junk, "junk", 4))
		(void)recv(s->cutter, junk, 4, MSG_DONTWAIT);
}

static inline void end_line(struct scene *s)
{
	drop_fds(s);
	close(s->cutter);
	s->cutter = -1;
}

static inline void expect(struct scene *s, enum cut_ask_kind kind)
{
	while (!is_asked(s))
		turn(s);
	assert_int_equal(s->ask.kind, kind);
	if (kind != CUT_CUT || s->ask.proto == PROTO_UDP)
		assert_int_equal(s->fd[0], -1);
	else
		assert_true(s->fd[0] >= 0 && s->fd[1] >= 0);
}

static inline void answer(struct scene *s, enum cut_answer_kind kind,
			  enum cut_cause cause)
{
	struct cut_answer a = { .kind = (uint8_t)kind,
				.cause = (uint8_t)cause,
				.slot = s->ask.slot,
				.name = s->ask.name };

	if (kind != CUT_DONE)
		drop_fds(s);
	assert_int_equal(send(s->cutter, &a, sizeof(a), 0), sizeof(a));
	if (a.slot < FLOWS) {
		struct tcp_flow *f = &s->worker.tcp->flows[a.slot];

		while (f->state != FLOW_FREE && tcp_cut_is_asked(f))
			turn(s);
		make_young(f);
	}
	settle(s);
}

/* A byte of the client's makes it go. */
static inline void get_watched(struct scene *s, struct pair *t)
{
	make_due(t);
	assert_int_equal(say(t, 0, 1), 1);
	expect(s, CUT_WATCH);
	assert_int_equal(t->flow->cut.stage, CUT_WATCHED);
	make_young(t->flow);
	hear_all(s, t, 0);
	converse(s, t);
}

static inline void get_asked(struct scene *s, struct pair *t)
{
	make_due(t);
	assert_int_equal(say(t, 0, 1), 1);
	expect(s, CUT_CUT);
	assert_true(tcp_cut_is_asked(t->flow));
	hear_all(s, t, 0);
	settle(s);
}

#endif
