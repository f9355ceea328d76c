/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c - the TCP flows of a worker, and how they begin; see tcp.h.
 */
#include "relay/tcp.h"

#include "net/sock.h"
#include "relay/leg.h"
#include "relay/tcp_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPT_BATCH = 32,
	FDS_PER_FLOW = 2,
	EVENTS = (int)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET),
};

/* --- beginning ----------------------------------------------------------- */

static struct tcp_flow *take_flow(struct tcp *t, int client_fd)
{
	uint32_t slot = pool_take(&t->pool);
	struct tcp_flow *f;

	if (slot == POOL_NONE)
		return NULL;
	f = &t->flows[slot];
	*f = (struct tcp_flow){
		.watch = { { tcp_flow_on_client }, { tcp_flow_on_server } },
		.side = { { .fd = client_fd, .is_writable = true },
			  { .fd = -1 } },
		.dir = { { .pipe = -1, .mover = MOVER_COPY },
			 { .pipe = -1, .mover = MOVER_COPY } },
		.timer.fn = tcp_flow_on_timer,
		.tcp = t,
		.state = FLOW_FREE,
	};
	return f;
}

/* The leg was not even sent off: no port, no route, no memory. */
static void fail_open(struct tcp_flow *f, int error)
{
	enum flow_end why = END_ERROR;

	if (error == EADDRINUSE || error == EADDRNOTAVAIL || error == EACCES)
		why = END_NO_PORT;
	else if (error == EHOSTUNREACH || error == ENETUNREACH)
		why = END_SERVER_UNREACHABLE;
	tcp_flow_end(f, why, error);
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
		.is_from_host =
			w->args.config->intercepts[r->intercept].from_host,
	};
	uint8_t header[LEG_HEADER_MAX];
	size_t header_len = leg_header(&request, header);
	struct addr source;
	int fd = leg_open(&request, w->args.shared, &source);

	if (fd < 0) {
		worker_notice(w);
		fail_open(f, -fd);
		return;
	}
	f->side[SERVER].fd = fd;
	worker_use_fds(w, 1);
	if (source.port && source.port != r->client.port &&
	    !request.is_from_host)
		worker_notice(w);
	tcp_flow_record(f)->source = source;
	if (header_len && move_preload(&f->tcp->mover, &f->dir[CLIENT], header,
				       header_len) < 0) {
		tcp_flow_end(f, END_ERROR, ENOMEM);
		return;
	}
	if (loop_add(&w->loop, f->side[CLIENT].fd, EVENTS, &f->watch[CLIENT]) <
		    0 ||
	    loop_add(&w->loop, fd, EVENTS, &f->watch[SERVER]) < 0) {
		tcp_flow_end(f, END_ERROR, ENOMEM);
		return;
	}
	tcp_flow_arm(f, w->args.config->timeouts.connect_ms);
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
	r.name = pool_name(&t->pool, tcp_flow_slot(f));
	r.state = FLOW_CONNECTING;
	shared_publish(w->args.shared, tcp_flow_slot(f), &r);
	tcp_flow_set_state(f, FLOW_CONNECTING);
	f->last_ms = w->loop.now_ms;
	switch (w->args.config->upstreams[r.upstream].kind) {
	case UPSTREAM_REJECT:
		tcp_flow_end(f, END_REJECTED, 0);
		return;
	case UPSTREAM_DROP:
		/* The SYN was answered already: silence would be a lie. */
		tcp_flow_end(f, END_DROPPED, 0);
		return;
	case UPSTREAM_DIRECT:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
	case UPSTREAM_GROUP:
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
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
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

/* --- the whole ----------------------------------------------------------- */

int tcp_new(struct worker *w, struct tcp **out)
{
	uint32_t flow_max = w->args.flow_max - w->args.config->limits.udp_flows;
	struct tcp *t = calloc(1, sizeof(*t));
	void *flows;

	if (!t)
		return -ENOMEM;
	t->worker = w;
	/* Anonymous memory is touched, and so used, only as flows come. */
	flows = mmap(NULL, (size_t)flow_max * sizeof(struct tcp_flow),
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (flows == MAP_FAILED || pool_init(&t->pool, flow_max) < 0 ||
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
			tcp_flow_end(&t->flows[i], why, 0);
}
