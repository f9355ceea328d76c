/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_open.c - a TCP flow up to its first relayed byte; see tcp_open.h.
 *
 * Who carries the flow is asked of tries.h; dial.h opens the leg.
 * What comes before that is in tcp_look.c.
 */
#include "relay/tcp_open.h"

#include "net/sock.h"
#include "policy/eval.h"
#include "relay/proxy_header.h"
#include "relay/tcp_look.h"
#include "relay/tries.h"

#include <errno.h>
#include <string.h>

/* --- CONNECTING: who carries it ------------------------------------------ */

static const struct group *group_of(const struct tcp_flow *f)
{
	return tries_group(f->tcp->worker, tcp_flow_record(f));
}

/* The built-in `direct` has nothing that could be well or ill. */
static bool is_noted(const struct tcp_flow *f, size_t upstream)
{
	return upstream >= UPSTREAM_BUILTIN_COUNT || group_of(f);
}

/* One try gets its share of the time, all together `timeouts connect`. */
static void arm_try(struct tcp_flow *f)
{
	const struct timeouts *limit = &tcp_flow_config(f)->timeouts;
	uint64_t spent = f->tcp->worker->loop.now_ms - f->last_ms;
	uint64_t left =
		spent < limit->connect_ms ? limit->connect_ms - spent : 0;

	if (left > limit->upstream_ms &&
	    tries_has_other(f->tcp->worker, tcp_flow_record(f), &f->path))
		left = limit->upstream_ms;
	tcp_flow_arm(f, left);
}

static bool is_talked_to(const struct upstream *u)
{
	return u->kind == UPSTREAM_SOCKS5 || u->kind == UPSTREAM_HTTP_CONNECT;
}

/* Does who listens `at` listen on `a`?  A wildcard is every address of this
 * host, and [::] is those of IPv4, too. */
static bool is_at(const struct addr *at, const struct addr *a)
{
	static const uint8_t any[16];

	if (addr_equal(at, a))
		return true;
	return at->port == a->port && !memcmp(at->ip, any, addr_ip_len(at)) &&
	       sock_is_local(a);
}

/* Is this where connections come to us, as this one came? */
static bool is_own_listener(const struct tcp_flow *f, const struct addr *a)
{
	const struct worker *w = f->tcp->worker;
	struct addr here;

	if (!sock_local_addr(f->side[CLIENT].fd, &here) && addr_equal(&here, a))
		return true;
	for (size_t i = 0; i < w->args.listener_count; i++)
		if (is_at(&w->listeners[i].is.at, a))
			return true;
	return false;
}

/*
 * Behind a plain listener the server is what a header said, or ourselves if it
 * said LOCAL; a packet's own destination was judged by the engine.  Nobody's
 * word leads to our listeners, or to what only this host can reach (T07);
 * where the configuration says `to`, its word counts.
 */
static enum flow_end judge_server(const struct tcp_flow *f,
				  const struct upstream *u)
{
	const struct addr *server = &tcp_flow_record(f)->server;
	bool is_asked_for = !u->has_to || is_talked_to(u);

	if (!tcp_flow_intercept(f)->has_listen)
		return END_NONE;
	if (is_own_listener(f, is_asked_for ? server : &u->to))
		return END_LOOP;
	if (is_asked_for && eval_is_special(server))
		return END_BAD_HEADER;
	return END_NONE;
}

/* Did somebody's NAT rules bring it? */
static bool is_redirected(const struct tcp_flow *f)
{
	return tcp_flow_intercept(f)->redirected_from.count;
}

static void begin_dial(struct tcp_flow *f, size_t upstream)
{
	struct worker *w = f->tcp->worker;
	const struct flow_record *r = tcp_flow_record(f);
	const struct intercept *i = tcp_flow_intercept(f);
	struct dial_request request = {
		.config = w->args.config,
		.board = w->args.board,
		.counters = w->args.shared,
		.upstream = upstream,
		.client = &r->client,
		.server = &r->server,
		.name = *r->host ? r->host : NULL,
		.mark = worker_own_mark(w),
		.pick = f->tcp->picks++,
		.is_from_host = i->from_host,
		.is_redirected = is_redirected(f),
		.is_taken = !i->from_host && !i->proxy_from.count,
	};

	f->opening_us = is_noted(f, upstream) ? clock_us() : 0;
	f->side[SERVER] = (struct move_side){ .fd = -1 };
	dial_begin(&f->dial, &request);
}

/* A line in the log says how often ports could not be kept. */
static void notice_source(struct tcp_flow *f, const struct upstream *u)
{
	const struct flow_record *r = tcp_flow_record(f);

	if (u->source == SOURCE_CLIENT && r->source.port &&
	    r->source.port != r->client.port &&
	    !tcp_flow_intercept(f)->from_host && !is_redirected(f))
		worker_notice(f->tcp->worker);
}

/* What a try that failed leaves behind.  True: another one may do better, and
 * there is time. */
static bool note_failure(struct tcp_flow *f)
{
	const struct worker_args *a = &f->tcp->worker->args;
	struct flow_record *r = tcp_flow_record(f);
	const struct dial *d = &f->dial;
	uint64_t now_ms = f->tcp->worker->loop.now_ms;

	r->reply = d->reply;
	if (f->opening_us)
		count(a->shared, COUNTER_upstream_failed);
	if (f->opening_us && d->is_to_blame)
		board_failed(a->board, r->upstream, d->end, d->reply,
			     group_fall(a->config, &f->path), now_ms);
	return d->can_retry &&
	       now_ms - f->last_ms < a->config->timeouts.connect_ms;
}

/* --- CONNECTING: flows that go round ------------------------------------- */

/* Is the far end of this leg on this host?  What NAT rules bring from there
 * comes to a loopback address, whatever its own. */
static bool is_near(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr own, peer;

	if (sock_local_addr(fd, &own) < 0 ||
	    getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return false;
	addr_from_sockaddr((struct sockaddr *)&ss, &peer);
	return addr_is_loopback(&own) || addr_same_ip(&own, &peer);
}

/* For the server's first byte; see loop_guard.h.  False: too many do. */
static bool begin_wait(struct tcp_flow *f)
{
	int row = loop_guard_enter(&f->tcp->guard, &tcp_flow_record(f)->server);

	if (row < 0)
		return false;
	f->guard = (uint8_t)row;
	return true;
}

/* NAT rules for this host's own connections may not know our mark.  Then they
 * bring each leg back as it connects, so this is asked before there is one. */
static bool is_brought_back(struct tcp_flow *f)
{
	return is_redirected(f) && !f->guard && is_near(f->side[CLIENT].fd) &&
	       !begin_wait(f);
}

/* True: it is under way, or the flow has ended.  False: ask the next one. */
static bool try_one(struct tcp_flow *f, size_t upstream)
{
	struct worker *w = f->tcp->worker;
	const struct upstream *u = &w->args.config->upstreams[upstream];
	struct flow_record *r = tcp_flow_record(f);
	enum flow_end why = judge_server(f, u);

	if (!why && is_brought_back(f))
		why = END_LOOP;
	if (why) {
		r->upstream = (uint32_t)upstream;
		tcp_flow_end(f, why, 0);
		return true;
	}
	tries_begin(w, r, upstream);
	begin_dial(f, upstream);
	r->source = f->dial.source;
	if (f->dial.state == DIAL_FAILED) {
		worker_notice(w);
		if (note_failure(f))
			return false;
		tcp_flow_end(f, f->dial.end, f->dial.error);
		return true;
	}
	worker_use_fds(w, 1);
	notice_source(f, u);
	if (!tcp_flow_watch_client(f))
		return true;
	if (loop_add(&w->loop, f->dial.fd, TCP_EVENTS, &f->watch[SERVER]) < 0)
		tcp_flow_end(f, END_ERROR, ENOMEM);
	else
		arm_try(f);
	return true;
}

/* Nobody is left. */
static void end_unserved(struct tcp_flow *f)
{
	const struct flow_record *r = tcp_flow_record(f);

	tcp_flow_end(f, tries_give_up(f->tcp->worker, r, f->dial.end),
		     r->attempts ? f->dial.error : 0);
}

/* The rule says so, or it is all that is left of a group. */
static void refuse(struct tcp_flow *f, enum flow_end why)
{
	if (group_of(f))
		end_unserved(f);
	else
		tcp_flow_end(f, why, 0);
}

/* Give the flow to the next upstream; it may have ended when this returns. */
static void open_next(struct tcp_flow *f)
{
	const struct config *c = tcp_flow_config(f);
	size_t upstream;

	while (tries_next(f->tcp->worker, tcp_flow_record(f), &f->path,
			  &upstream)) {
		switch (eval_upstream_kind(&c->upstreams[upstream])) {
		case VERDICT_REJECT:
			refuse(f, END_REJECTED);
			return;
		case VERDICT_DROP:
			/* The SYN was answered: silence would be a lie. */
			refuse(f, END_DROPPED);
			return;
		case VERDICT_PASS:
		case VERDICT_DELIVER:
		case VERDICT_RELAY:
			if (try_one(f, upstream))
				return;
		}
	}
	end_unserved(f);
}

/* The dial has failed, and its descriptor is closed. */
static void on_failed(struct tcp_flow *f)
{
	worker_use_fds(f->tcp->worker, -1);
	tcp_flow_unguard(f);
	if (!note_failure(f)) {
		tcp_flow_end(f, f->dial.end, f->dial.error);
		return;
	}
	tcp_flow_set_state(f, FLOW_CONNECTING);
	open_next(f);
}

/* --- HANDSHAKE, and the end of it ---------------------------------------- */

/* The leg is connected.  False: the flow went round, by a proxy on this host,
 * and has ended. */
static bool guard(struct tcp_flow *f)
{
	const struct flow_record *r = tcp_flow_record(f);

	if (!tcp_flow_intercept(f)->from_host ||
	    !tcp_flow_config(f)->upstreams[r->upstream].has_to ||
	    !is_near(f->dial.fd) || begin_wait(f))
		return true;
	worker_notice(f->tcp->worker);
	tcp_flow_end(f, END_LOOP, 0);
	return false;
}

static void on_talking(struct tcp_flow *f)
{
	if (f->state == FLOW_CONNECTING && guard(f))
		tcp_flow_set_state(f, FLOW_HANDSHAKE);
}

/* What the server must read before the client's first byte. */
static bool preload_header(struct tcp_flow *f)
{
	const struct flow_record *r = tcp_flow_record(f);
	enum upstream_kind kind =
		tcp_flow_config(f)->upstreams[r->upstream].kind;
	uint8_t header[PROXY_HEADER_WRITE_MAX];
	size_t len;

	if (kind != UPSTREAM_PROXY_V1 && kind != UPSTREAM_PROXY_V2)
		return true;
	len = proxy_header_write(kind, PROTO_TCP, &r->client, &r->server,
				 header);
	return move_preload(&f->tcp->mover, &f->dir[CLIENT], header, len) == 0;
}

static void on_opened(struct tcp_flow *f)
{
	const struct worker_args *a = &f->tcp->worker->args;

	if (f->state == FLOW_CONNECTING && !guard(f))
		return;
	if (!preload_header(f)) {
		tcp_flow_end(f, END_ERROR, ENOMEM);
		return;
	}
	if (f->opening_us)
		board_opened(a->board, tcp_flow_record(f)->upstream,
			     (uint32_t)(clock_us() - f->opening_us));
	f->side[SERVER].fd = dial_take(&f->dial);
	tcp_flow_relay(f);
}

/* --- what happens -------------------------------------------------------- */

static bool is_looking(const struct tcp_flow *f)
{
	return f->state == FLOW_HEADER || f->state == FLOW_SNIFFING;
}

void tcp_open_begin(struct tcp_flow *f)
{
	if (is_looking(f))
		tcp_look(f);
	else
		open_next(f);
}

void tcp_open_on_client(struct tcp_flow *f, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP))
		tcp_flow_end(f, END_CLIENT_RESET,
			     sock_error(f->side[CLIENT].fd));
	else if (is_looking(f))
		tcp_look(f);
}

void tcp_open_on_server(struct tcp_flow *f, uint32_t events)
{
	if (f->dial.fd < 0)
		return;
	switch (dial_on_event(&f->dial, events)) {
	case DIAL_IDLE:
	case DIAL_CONNECTING:
		return;
	case DIAL_TALKING:
		on_talking(f);
		return;
	case DIAL_DONE:
		on_opened(f);
		return;
	case DIAL_FAILED:
		on_failed(f);
		return;
	}
}

void tcp_open_on_timer(struct tcp_flow *f)
{
	if (is_looking(f)) {
		tcp_look_on_timer(f);
		return;
	}
	dial_time_out(&f->dial);
	on_failed(f);
}

void tcp_open_on_disabled(struct tcp_flow *f)
{
	if (f->dial.fd < 0)
		return; /* nobody has it yet */
	dial_end(&f->dial);
	f->dial.end = END_UPSTREAM_DISABLED;
	f->dial.error = 0;
	f->dial.can_retry = true;
	f->dial.is_to_blame = false;
	on_failed(f);
}
