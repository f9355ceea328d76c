/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c - the TCP flows of a worker, and how they are accepted; see tcp.h.
 */
#include "relay/tcp.h"

#include "net/sock.h"
#include "policy/eval.h"
#include "relay/tcp_cut.h"
#include "relay/tcp_flow.h"
#include "relay/tcp_open.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPT_BATCH = 32,
	FDS_PER_FLOW = 2,
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
		.dial.fd = -1,
		.tcp = t,
		.state = FLOW_FREE,
	};
	return f;
}

static void begin_flow(struct tcp *t, const struct listener *l, int fd,
		       const struct addr *client, const struct addr *server)
{
	struct worker *w = t->worker;
	enum flow_state state = FLOW_CONNECTING;
	struct flow_record r;
	struct tcp_flow *f = take_flow(t, fd);

	if (!f) {
		count(w->args.shared, COUNTER_no_memory);
		close(fd);
		return;
	}
	worker_use_fds(w, 1);
	atomic_fetch_add(&w->args.shared->tcp_flows, 1);
	if (worker_begin_record(w, l, client, server, &r))
		state = FLOW_SNIFFING;
	if (w->args.config->intercepts[l->is.intercept].proxy_from.count)
		state = FLOW_HEADER; /* the header begins the record anew */
	r.name = pool_name(&t->pool, tcp_flow_slot(f));
	r.state = (uint8_t)state;
	shared_publish(w->args.shared, tcp_flow_slot(f), &r);
	tcp_flow_set_state(f, state);
	f->last_ms = w->loop.now_ms;
	tcp_open_begin(f);
}

/* Whom NAT rules bring says the kernel whom it called.  What only this host
 * can reach was not called from outside (T07). */
static enum counter judge_redirected(const struct intercept *i, int fd,
				     const struct addr *client,
				     struct addr *server)
{
	struct addr own = *server;

	if (!net_set_has(&i->redirected_from.set, client))
		return COUNTER_header_stranger;
	if (sock_redirected_addr(fd, server) < 0 || addr_equal(server, &own) ||
	    eval_is_special(server))
		return COUNTER_direct_hit;
	return COUNTER_tcp_accepted;
}

/* Fills in whom the client called.  Any other counter than tcp_accepted: it
 * called us by our own name, and may not.  Nobody may call a transparent
 * listener so (T01); a plain one is for those whom it names. */
static enum counter judge_client(const struct worker *w,
				 const struct listener *l, int fd,
				 const struct addr *client, struct addr *server)
{
	const struct intercept *i =
		&w->args.config->intercepts[l->is.intercept];

	if (sock_local_addr(fd, server) < 0)
		return COUNTER_direct_hit;
	if (!l->is.is_plain)
		return addr_equal(server, &l->is.at) ? COUNTER_direct_hit
						     : COUNTER_tcp_accepted;
	if (i->redirected_from.count)
		return judge_redirected(i, fd, client, server);
	return net_set_has(&i->proxy_from.set, client)
		       ? COUNTER_tcp_accepted
		       : COUNTER_header_stranger;
}

/* One connection; false when there is none, or no more can be taken. */
static bool accept_one(struct tcp *t, struct listener *l)
{
	struct worker *w = t->worker;
	struct sockaddr_storage ss;
	struct addr client, server;
	socklen_t len = sizeof(ss);
	enum counter why;
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
	why = judge_client(w, l, fd, &client, &server);
	if (why != COUNTER_tcp_accepted) {
		count(w->args.shared, why);
		worker_notice(w);
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

void tcp_end_disabled(struct tcp *t)
{
	for (uint32_t i = 0; i < t->pool.fresh; i++) {
		struct tcp_flow *f = &t->flows[i];

		/* Who is asked for is looked at after the answer. */
		if (f->state == FLOW_FREE || !tcp_flow_is_disabled(f) ||
		    tcp_cut_is_asked(f))
			continue;
		if (f->state == FLOW_RELAYING || f->state == FLOW_HALF_CLOSED)
			tcp_flow_end(f, END_UPSTREAM_DISABLED, 0);
		else
			tcp_open_on_disabled(f);
	}
}
