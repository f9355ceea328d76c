/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c - the life of a relayed TCP flow; see tcp.h.
 *
 * Flows live in a pool that is allocated once; a slot is used again only
 * after the batch of events in which its flow ended, so a late event finds a
 * flow in state FREE and is ignored.
 */
#include "relay/tcp.h"

#include "base/pool.h"
#include "net/sock.h"
#include "relay/leg.h"
#include "relay/tcp_move.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENT,
	SERVER,
	ACCEPT_BATCH = 32,
	FDS_PER_FLOW = 2,
	EVENTS = (int)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET),
};

struct tcp_flow {
	struct watch watch[2]; /* by side */
	struct move_side side[2];
	struct move_dir dir[2]; /* dir[CLIENT]: client to server */
	struct timer timer;
	struct deferred later; /* freeing, or going on for fairness */
	struct tcp *tcp;
	uint64_t bytes[2], last_ms;
	uint8_t state; /* enum flow_state */
	bool is_again; /* `later` is in use for going on */
};

struct tcp {
	struct worker *worker;
	struct mover mover;
	struct pool pool;
	struct tcp_flow *flows; /* by slot; the same slots as shared->flows */
	uint32_t flow_max;
};

static void on_client(struct loop *l, struct watch *w, uint32_t events);
static void on_server(struct loop *l, struct watch *w, uint32_t events);
static void on_timer(struct timer *t, uint64_t now_ms);

/* --- small views ---------------------------------------------------------------- */

static uint32_t slot_of(const struct tcp_flow *f)
{
	return (uint32_t)(f - f->tcp->flows);
}

static struct flow_record *record_of(const struct tcp_flow *f)
{
	return &f->tcp->worker->args.shared->flows[slot_of(f)];
}

static const struct config *config_of(const struct tcp_flow *f)
{
	return f->tcp->worker->args.config;
}

static struct shared *shared_of(const struct tcp_flow *f)
{
	return f->tcp->worker->args.shared;
}

/* The one place that changes the state of a flow. */
static void set_state(struct tcp_flow *f, enum flow_state to)
{
	static const bool can[FLOW_STATE_COUNT][FLOW_STATE_COUNT] = {
		[FLOW_FREE] = { [FLOW_CONNECTING] = true },
		[FLOW_CONNECTING] = { [FLOW_RELAYING] = true,
				      [FLOW_FREE] = true },
		[FLOW_RELAYING] = { [FLOW_HALF_CLOSED] = true,
				    [FLOW_FREE] = true },
		[FLOW_HALF_CLOSED] = { [FLOW_FREE] = true },
	};

	assert(can[f->state][to]);
	f->state = (uint8_t)to;
	if (to != FLOW_FREE)
		record_of(f)->state = (uint8_t)to;
}

/* --- ending ------------------------------------------------------------------------ */

static const enum counter end_counters[END_COUNT] = {
	[END_NONE] = COUNTER_tcp_error,
	[END_FINISHED] = COUNTER_tcp_finished,
	[END_CLIENT_RESET] = COUNTER_tcp_reset,
	[END_SERVER_RESET] = COUNTER_tcp_reset,
	[END_SERVER_REFUSED] = COUNTER_tcp_connect_failed,
	[END_SERVER_UNREACHABLE] = COUNTER_tcp_connect_failed,
	[END_CONNECT_TIMEOUT] = COUNTER_tcp_timeout,
	[END_IDLE_TIMEOUT] = COUNTER_tcp_timeout,
	[END_REJECTED] = COUNTER_rejected,
	[END_DROPPED] = COUNTER_dropped,
	[END_NO_PORT] = COUNTER_tcp_connect_failed,
	[END_EVICTED] = COUNTER_tcp_error,
	[END_SHUTDOWN] = COUNTER_tcp_error,
	[END_WORKER_DIED] = COUNTER_tcp_error,
	[END_ERROR] = COUNTER_tcp_error,
};

static void free_flow(struct deferred *d)
{
	struct tcp_flow *f = (struct tcp_flow *)((char *)d -
						 offsetof(struct tcp_flow,
							  later));
	struct tcp *t = f->tcp;

	pool_give(&t->pool, slot_of(f));
	worker_check_done(t->worker);
}

static void close_legs(struct tcp_flow *f, bool is_orderly)
{
	int closed = 0;

	for (int i = 0; i < 2; i++) {
		if (f->side[i].fd < 0)
			continue;
		if (is_orderly)
			sock_close_orderly(f->side[i].fd);
		else
			close(f->side[i].fd); /* SO_LINGER 0: RST */
		f->side[i].fd = -1;
		closed++;
	}
	worker_use_fds(f->tcp->worker, -closed);
}

static void end_flow(struct tcp_flow *f, enum flow_end why, int error)
{
	struct worker *w = f->tcp->worker;
	struct flow_record *slot = record_of(f), last;

	for (int i = 0; i < 2; i++)
		move_done(&f->tcp->mover, &f->dir[i]);
	close_legs(f, why == END_FINISHED);
	wheel_cancel(&w->loop.wheel, &f->timer);
	last = *slot;
	last.end = (uint8_t)why;
	last.error = (uint32_t)error;
	last.bytes[0] = f->bytes[0];
	last.bytes[1] = f->bytes[1];
	last.last_ms = w->loop.now_ms;
	shared_publish(w->args.shared, slot_of(f), NULL);
	count(w->args.shared, end_counters[why]);
	atomic_fetch_sub(&w->args.shared->tcp_flows, 1);
	worker_end_flow(w, &last);
	set_state(f, FLOW_FREE);
	if (!f->is_again) /* else go_on() frees it */
		loop_defer(&w->loop, &f->later, free_flow);
}

/* The leg was not even sent off: no port, no route, no memory. */
static void fail_open(struct tcp_flow *f, int error)
{
	enum flow_end why = END_ERROR;

	if (error == EADDRINUSE || error == EADDRNOTAVAIL || error == EACCES)
		why = END_NO_PORT;
	else if (error == EHOSTUNREACH || error == ENETUNREACH)
		why = END_SERVER_UNREACHABLE;
	end_flow(f, why, error);
}

/* The network answered; EACCES and EPERM are ICMP's "prohibited". */
static void fail_connect(struct tcp_flow *f, int error)
{
	enum flow_end why = END_SERVER_UNREACHABLE;

	if (error == ECONNREFUSED || error == ECONNRESET)
		why = END_SERVER_REFUSED;
	else if (error == ETIMEDOUT)
		why = END_CONNECT_TIMEOUT;
	end_flow(f, why, error);
}

/* --- moving ------------------------------------------------------------------------- */

static void arm(struct tcp_flow *f, uint64_t delay_ms)
{
	struct loop *l = &f->tcp->worker->loop;

	wheel_set(&l->wheel, &f->timer, l->now_ms + delay_ms);
}

static void on_fin(struct tcp_flow *f)
{
	if (f->dir[0].is_fin_sent && f->dir[1].is_fin_sent) {
		end_flow(f, END_FINISHED, 0);
		return;
	}
	set_state(f, FLOW_HALF_CLOSED);
	arm(f, config_of(f)->timeouts.half_closed_ms);
}

static void go_on(struct deferred *d);

static void note_progress(struct tcp_flow *f, int dir, uint64_t moved)
{
	struct flow_record *r = record_of(f);

	if (!moved)
		return;
	f->bytes[dir] += moved;
	f->last_ms = f->tcp->worker->loop.now_ms;
	r->bytes[dir] = f->bytes[dir];
	r->last_ms = f->last_ms;
	if (r->mover != f->dir[dir].mover)
		r->mover = f->dir[dir].mover;
	count_add(shared_of(f),
		  dir == CLIENT ? COUNTER_tcp_bytes_up : COUNTER_tcp_bytes_down,
		  moved);
}

static void run_dir(struct tcp_flow *f, int dir)
{
	struct move_side *from = &f->side[dir], *to = &f->side[!dir];
	enum flow_end reset[2] = { END_CLIENT_RESET, END_SERVER_RESET };
	uint64_t moved;
	int error = 0;
	enum move_result result = move_run(&f->tcp->mover, &f->dir[dir], from,
					   to, &moved, &error);

	note_progress(f, dir, moved);
	switch (result) {
	case MOVE_WAIT:
		return;
	case MOVE_AGAIN:
		if (!f->is_again) {
			f->is_again = true;
			loop_defer(&f->tcp->worker->loop, &f->later, go_on);
		}
		return;
	case MOVE_FIN:
		on_fin(f);
		return;
	case MOVE_READ_FAILED:
		end_flow(f, error == ETIMEDOUT ? END_IDLE_TIMEOUT : reset[dir],
			 error);
		return;
	case MOVE_WRITE_FAILED:
		end_flow(f, error == ETIMEDOUT ? END_IDLE_TIMEOUT : reset[!dir],
			 error);
		return;
	}
}

static void run_both(struct tcp_flow *f)
{
	for (int dir = 0; dir < 2; dir++)
		if (f->state == FLOW_RELAYING || f->state == FLOW_HALF_CLOSED)
			run_dir(f, dir);
}

/* What the peer sent before its RST is passed on first; then the RST is
 * carried at once, also if neither direction would meet the error: one has
 * seen FIN, the other waits for room. */
static void run_events(struct tcp_flow *f, int side, uint32_t events)
{
	static const enum flow_end reset[2] = { END_CLIENT_RESET,
						END_SERVER_RESET };
	int error;

	run_both(f);
	if (!(events & EPOLLERR) || f->state == FLOW_FREE || f->is_again)
		return;
	error = sock_error(f->side[side].fd);
	end_flow(f, error == ETIMEDOUT ? END_IDLE_TIMEOUT : reset[side],
		 error);
}

static void go_on(struct deferred *d)
{
	struct tcp_flow *f = (struct tcp_flow *)((char *)d -
						 offsetof(struct tcp_flow,
							  later));

	f->is_again = false;
	if (f->state == FLOW_FREE)
		free_flow(d);
	else
		run_both(f);
}

/* --- events -------------------------------------------------------------------------- */

static void note_events(struct move_side *s, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->is_readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->is_writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->has_hup = true;
}

static struct tcp_flow *flow_of(struct watch *w, int side)
{
	return (struct tcp_flow *)((char *)w -
				   offsetof(struct tcp_flow, watch) -
				   (size_t)side * sizeof(struct watch));
}

static void on_client(struct loop *l, struct watch *w, uint32_t events)
{
	struct tcp_flow *f = flow_of(w, CLIENT);

	(void)l;
	if (f->state == FLOW_FREE)
		return;
	note_events(&f->side[CLIENT], events);
	if (f->state != FLOW_CONNECTING)
		run_events(f, CLIENT, events);
	else if (events & (EPOLLERR | EPOLLHUP))
		end_flow(f, END_CLIENT_RESET, sock_error(f->side[CLIENT].fd));
}

static void on_connected(struct tcp_flow *f)
{
	set_state(f, FLOW_RELAYING);
	count(shared_of(f), COUNTER_tcp_connected);
	f->last_ms = f->tcp->worker->loop.now_ms;
	arm(f, config_of(f)->timeouts.idle_ms);
	run_both(f);
}

static void on_server(struct loop *l, struct watch *w, uint32_t events)
{
	struct tcp_flow *f = flow_of(w, SERVER);

	(void)l;
	if (f->state == FLOW_FREE)
		return;
	note_events(&f->side[SERVER], events);
	if (f->state != FLOW_CONNECTING)
		run_events(f, SERVER, events);
	else if (events & (EPOLLERR | EPOLLHUP))
		fail_connect(f, sock_error(f->side[SERVER].fd));
	else if (events & EPOLLOUT)
		on_connected(f);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct tcp_flow *f = (struct tcp_flow *)((char *)t -
						 offsetof(struct tcp_flow,
							  timer));
	const struct timeouts *limit = &config_of(f)->timeouts;
	uint64_t idle_ms = f->state == FLOW_HALF_CLOSED ? limit->half_closed_ms
							: limit->idle_ms;

	if (f->state == FLOW_CONNECTING)
		end_flow(f, END_CONNECT_TIMEOUT, 0);
	else if (now_ms - f->last_ms >= idle_ms)
		end_flow(f, END_IDLE_TIMEOUT, 0);
	else /* there was progress since the timer was set */
		wheel_set(&f->tcp->worker->loop.wheel, t,
			  f->last_ms + idle_ms);
}

/* --- beginning ------------------------------------------------------------------------ */

static struct tcp_flow *take_flow(struct tcp *t, int client_fd)
{
	uint32_t slot = pool_take(&t->pool);
	struct tcp_flow *f;

	if (slot == POOL_NONE)
		return NULL;
	f = &t->flows[slot];
	*f = (struct tcp_flow){
		.watch = { { on_client }, { on_server } },
		.side = { { .fd = client_fd, .is_writable = true },
			  { .fd = -1 } },
		.dir = { { .pipe = -1, .mover = MOVER_COPY },
			 { .pipe = -1, .mover = MOVER_COPY } },
		.timer.fn = on_timer,
		.tcp = t,
		.state = FLOW_FREE,
	};
	return f;
}

/* Open the server leg; the flow may have ended when this returns. */
static void connect_flow(struct tcp_flow *f, const struct flow_record *r)
{
	struct worker *w = f->tcp->worker;
	struct leg_request request = {
		.upstream = &w->args.config->upstreams[r->upstream],
		.client = &r->client,
		.server = &r->server,
		.mark = worker_own_mark(w),
	};
	uint8_t header[LEG_HEADER_MAX];
	size_t header_len = leg_header(&request, header);
	struct addr source;
	int fd = leg_open(&request, w->args.shared, &source);

	if (fd < 0) {
		fail_open(f, -fd);
		return;
	}
	f->side[SERVER].fd = fd;
	worker_use_fds(w, 1);
	record_of(f)->source = source;
	if (header_len && move_preload(&f->tcp->mover, &f->dir[CLIENT], header,
				       header_len) < 0) {
		end_flow(f, END_ERROR, ENOMEM);
		return;
	}
	if (loop_add(&w->loop, f->side[CLIENT].fd, EVENTS,
		     &f->watch[CLIENT]) < 0 ||
	    loop_add(&w->loop, fd, EVENTS, &f->watch[SERVER]) < 0) {
		end_flow(f, END_ERROR, ENOMEM);
		return;
	}
	arm(f, w->args.config->timeouts.connect_ms);
}

static void begin_flow(struct tcp *t, const struct listener *l, int fd,
		       const struct addr *client, const struct addr *server)
{
	struct worker *w = t->worker;
	struct flow_record r;
	struct tcp_flow *f = take_flow(t, fd);

	if (!f) {
		count(w->args.shared, COUNTER_no_memory);
		close(fd);
		return;
	}
	worker_use_fds(w, 1);
	atomic_fetch_add(&w->args.shared->tcp_flows, 1);
	worker_begin_record(w, l, client, server, &r);
	r.name = pool_name(&t->pool, slot_of(f));
	r.state = FLOW_CONNECTING;
	shared_publish(w->args.shared, slot_of(f), &r);
	set_state(f, FLOW_CONNECTING);
	f->last_ms = w->loop.now_ms;
	switch (w->args.config->upstreams[r.upstream].kind) {
	case UPSTREAM_REJECT:
		end_flow(f, END_REJECTED, 0);
		return;
	case UPSTREAM_DROP:
		/* The SYN was answered already: silence would be a lie. */
		end_flow(f, END_DROPPED, 0);
		return;
	case UPSTREAM_DIRECT:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
		connect_flow(f, &r);
	}
}

/* One connection; false when there is none, or no more can be taken. */
static bool accept_one(struct tcp *t, struct listener *l)
{
	struct worker *w = t->worker;
	struct sockaddr_storage ss;
	struct addr client, server;
	socklen_t len = sizeof(ss);
	int fd;

	if (!worker_has_room(w, FDS_PER_FLOW)) {
		worker_pause(w);
		return false;
	}
	fd = accept4(l->is.fd, (struct sockaddr *)&ss, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			worker_pause(w);
		if (errno != EAGAIN && errno != EINTR)
			count(w->args.shared, COUNTER_accept_failed);
		return errno == ECONNABORTED || errno == EINTR;
	}
	count(w->args.shared, COUNTER_tcp_accepted);
	addr_from_sockaddr((struct sockaddr *)&ss, &client);
	if (sock_local_addr(fd, &server) < 0 ||
	    addr_equal(&server, &l->is.at)) {
		/* Somebody called us by our own name: T01. */
		count(w->args.shared, COUNTER_direct_hit);
		close(fd);
		return true;
	}
	begin_flow(t, l, fd, &client, &server);
	return true;
}

void tcp_on_listener(struct loop *loop, struct watch *w, uint32_t events)
{
	struct listener *l = (struct listener *)w; /* its first member */

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && l->is.fd >= 0; i++)
		if (!accept_one(l->worker->tcp, l))
			return;
}

/* --- the whole -------------------------------------------------------------------------- */

int tcp_new(struct worker *w, struct tcp **out)
{
	uint32_t udp_max = w->args.config->limits.udp_flows;
	struct tcp *t = calloc(1, sizeof(*t));
	void *flows;

	if (!t)
		return -ENOMEM;
	t->worker = w;
	t->flow_max = w->args.flow_max - udp_max;
	/* Anonymous memory is touched, and so used, only as flows come. */
	flows = mmap(NULL, (size_t)t->flow_max * sizeof(struct tcp_flow),
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (flows == MAP_FAILED || pool_init(&t->pool, t->flow_max) < 0 ||
	    mover_init(&t->mover, w->args.shared) < 0)
		return -ENOMEM; /* the worker does not start: exit frees */
	t->flows = flows;
	*out = t;
	return 0;
}

bool tcp_is_idle(const struct tcp *t)
{
	return t->pool.used == 0;
}

void tcp_end_all(struct tcp *t, enum flow_end why)
{
	for (uint32_t i = 0; i < t->pool.fresh; i++)
		if (t->flows[i].state != FLOW_FREE)
			end_flow(&t->flows[i], why, 0);
}
