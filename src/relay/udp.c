/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.c - the life of a relayed UDP flow; see udp.h.
 */
#include "relay/udp.h"

#include "net/dgram.h"
#include "net/sock.h"
#include "relay/udp_reply.h"
#include "relay/udp_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	DNS_PORT = 53,
	READ_BATCHES = 8, /* batches before other descriptors have their turn */
};

struct udp {
	struct worker *worker;
	struct udp_table table;
	struct udp_sender sender;
	struct dgram_batch batch;
	uint32_t first_slot; /* of ours in shared->flows */
};

static struct shared *shared_of(const struct udp *u)
{
	return u->worker->args.shared;
}

static uint32_t shared_slot(const struct udp *u, const struct udp_flow *f)
{
	return u->first_slot + udp_table_slot(&u->table, f);
}

static struct flow_record *record_of(const struct udp *u,
				     const struct udp_flow *f)
{
	return &shared_of(u)->flows[shared_slot(u, f)];
}

/* --- ending -------------------------------------------------------------- */

static void end_flow(struct udp *u, struct udp_flow *f, enum flow_end why)
{
	struct worker *w = u->worker;
	struct flow_record last = *record_of(u, f);

	last.end = (uint8_t)why;
	last.bytes[0] = f->bytes[0];
	last.bytes[1] = f->bytes[1];
	last.last_ms = f->last_ms;
	shared_publish(shared_of(u), shared_slot(u, f), NULL);
	wheel_cancel(&w->loop.wheel, &f->timer);
	close(f->fd);
	f->fd = -1;
	udp_table_remove(&u->table, f);
	atomic_fetch_sub(&shared_of(u)->udp_flows, 1);
	worker_end_flow(w, &last);
	worker_use_fds(w, -1);
	worker_check_done(w);
}

static uint64_t idle_limit_ms(const struct udp *u, const struct udp_flow *f)
{
	const struct timeouts *t = &u->worker->args.config->timeouts;

	return f->server.port == DNS_PORT ? t->dns_ms : t->udp_ms;
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct udp_flow *f =
		(struct udp_flow *)((char *)t -
				    offsetof(struct udp_flow, timer));
	struct udp *u = f->udp;
	uint64_t limit_ms = idle_limit_ms(u, f);

	if (!u->worker->is_draining && now_ms - f->last_ms < limit_ms) {
		wheel_set(&u->worker->loop.wheel, t, f->last_ms + limit_ms);
		return;
	}
	count(shared_of(u), COUNTER_udp_expired);
	end_flow(u, f, END_IDLE_TIMEOUT);
}

/* --- answers ------------------------------------------------------------- */

static void note_progress(struct udp *u, struct udp_flow *f, int dir,
			  uint64_t bytes, uint64_t dgrams)
{
	struct flow_record *r = record_of(u, f);

	f->bytes[dir] += bytes;
	f->last_ms = u->worker->loop.now_ms;
	r->bytes[dir] = f->bytes[dir];
	r->last_ms = f->last_ms;
	count_add(shared_of(u),
		  dir ? COUNTER_udp_bytes_down : COUNTER_udp_bytes_up, bytes);
	count_add(shared_of(u),
		  dir ? COUNTER_udp_dgrams_down : COUNTER_udp_dgrams_up,
		  dgrams);
}

/* Tell the client what the network told us about its datagram. */
static void pass_icmp(struct udp *u, const struct udp_flow *f,
		      const struct dgram_error *error)
{
	struct packet_icmp m = {
		.type = error->type,
		.code = error->code,
		.info = error->info,
		.offender = error->offender,
		.client = f->client,
		.server = f->server,
		.quoted_len = f->last_len,
	};

	/* The far side is the server itself, by whatever name we reach it. */
	if (!m.offender.family || addr_same_ip(&m.offender, &f->to))
		m.offender = f->server;
	udp_reply_icmp(&u->sender, &m);
}

static void read_errors(struct udp *u, struct udp_flow *f)
{
	struct dgram_error error;

	(void)sock_error(f->fd); /* the queue says more than SO_ERROR */
	for (int i = 0; i < DGRAM_BATCH && dgram_recv_error(f->fd, &error) > 0;
	     i++)
		if (error.is_icmp)
			pass_icmp(u, f, &error);
}

static void read_answers(struct udp *u, struct udp_flow *f)
{
	for (int i = 0; i < READ_BATCHES; i++) {
		int received = dgram_recv(f->fd, &u->batch);
		uint64_t bytes;

		if (received <= 0)
			return; /* empty, or an error that was read already */
		/* K19: a datagram that came between bind and connect can
		 * outlive the filter. */
		count_add(shared_of(u), COUNTER_udp_stranger,
			  dgram_keep_from(&u->batch, &f->to));
		if (u->batch.count)
			udp_table_answered(&u->table, f);
		bytes = udp_reply(&u->sender, &f->server, &f->client,
				  &u->batch);
		note_progress(u, f, 1, bytes, u->batch.count);
		if (received < DGRAM_BATCH)
			return;
	}
}

static void on_leg(struct loop *l, struct watch *w, uint32_t events)
{
	struct udp_flow *f = (struct udp_flow *)w; /* its first member */

	(void)l;
	if (f->fd < 0)
		return;
	if (events & EPOLLERR)
		read_errors(f->udp, f);
	if (events & EPOLLIN)
		read_answers(f->udp, f);
}

/* --- beginning ----------------------------------------------------------- */

static bool make_room(struct udp *u, const struct addr *client)
{
	const struct limits *limit = &u->worker->args.config->limits;
	struct udp_flow *oldest;

	if (udp_table_share(&u->table, client) >= limit->udp_per_client) {
		count(shared_of(u), COUNTER_udp_client_limit);
		return false;
	}
	if (u->table.flow_pool.used < u->table.flow_pool.size &&
	    worker_has_room(u->worker, 1))
		return true;
	oldest = udp_table_oldest(&u->table);
	if (!oldest) {
		count(shared_of(u), COUNTER_udp_table_full);
		return false;
	}
	count(shared_of(u), COUNTER_udp_evicted);
	end_flow(u, oldest, END_EVICTED);
	return true;
}

/* With `source client` the same ladder as for TCP: see leg.h. */
static int open_leg(struct udp *u, const struct flow_record *r,
		    struct udp_flow *f, struct addr *source)
{
	const struct config *c = u->worker->args.config;
	const struct upstream *up = &c->upstreams[r->upstream];
	uint32_t mark = worker_own_mark(u->worker);
	bool is_spoofed =
		up->source == SOURCE_CLIENT && f->to.family == f->client.family;
	struct addr from = f->client;
	int fd;

	if (c->intercepts[r->intercept].from_host)
		from.port = 0;
	*source = (struct addr){ 0 };
	if (!is_spoofed) {
		fd = sock_leg_udp(NULL, &f->to, mark);
	} else {
		fd = sock_leg_udp(&from, &f->to, mark);
		if ((fd == -EADDRINUSE || fd == -EACCES) && from.port) {
			from.port = 0;
			fd = sock_leg_udp(&from, &f->to, mark);
			count(shared_of(u), fd < 0 ? COUNTER_spoof_failed
						   : COUNTER_spoof_other_port);
			worker_notice(u->worker);
		}
	}
	if (fd >= 0)
		(void)sock_local_addr(fd, source); /* only for the record */
	return fd;
}

static void refuse(struct udp *u, const struct dgram *d)
{
	bool is_v6 = d->src.family == AF_INET6;
	struct packet_icmp m = {
		.type = is_v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
		.code = is_v6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH,
		.offender = d->origdst,
		.client = d->src,
		.server = d->origdst,
		.quoted_len = d->len,
	};

	udp_reply_icmp(&u->sender, &m);
}

static struct udp_flow *begin_flow(struct udp *u, const struct listener *l,
				   const struct dgram *d)
{
	struct worker *w = u->worker;
	const struct upstream *up;
	struct flow_record r;
	struct udp_flow *f;
	int fd;

	worker_begin_record(w, l, &d->src, &d->origdst, &r);
	up = &w->args.config->upstreams[r.upstream];
	if (up->kind == UPSTREAM_DROP) {
		count(shared_of(u), COUNTER_dropped);
		return NULL;
	}
	if (up->kind != UPSTREAM_DIRECT) { /* reject, or TCP only */
		count(shared_of(u), COUNTER_rejected);
		refuse(u, d);
		return NULL;
	}
	if (!make_room(u, &d->src))
		return NULL;
	f = udp_table_add(&u->table, &d->src, &d->origdst);
	if (!f)
		return NULL;
	f->to = up->has_to ? up->to : d->origdst;
	if (!f->to.port)
		f->to.port = d->origdst.port;
	fd = open_leg(u, &r, f, &r.source);
	f->watch.fn = on_leg;
	if (fd < 0 || loop_add(&w->loop, fd, EPOLLIN, &f->watch) < 0) {
		if (fd >= 0)
			close(fd);
		count(shared_of(u), COUNTER_udp_leg_failed);
		udp_table_remove(&u->table, f);
		return NULL;
	}
	f->fd = fd;
	f->udp = u;
	f->timer.fn = on_timer;
	f->last_ms = w->loop.now_ms;
	r.name = pool_name(&u->table.flow_pool, udp_table_slot(&u->table, f));
	r.state = FLOW_RELAYING;
	r.mover = MOVER_COPY;
	shared_publish(shared_of(u), shared_slot(u, f), &r);
	atomic_fetch_add(&shared_of(u)->udp_flows, 1);
	count(shared_of(u), COUNTER_udp_flows);
	worker_use_fds(w, 1);
	wheel_set(&w->loop.wheel, &f->timer, f->last_ms + idle_limit_ms(u, f));
	return f;
}

/* --- datagrams from clients ---------------------------------------------- */

/* It came in fragments, so it may leave in fragments, by the path MTU that
 * the kernel has learnt from the leg's ICMP errors. */
static int send_fragmented(struct udp *u, struct udp_flow *f, size_t at)
{
	bool is_v6 = f->to.family == AF_INET6;
	int level = is_v6 ? SOL_IPV6 : SOL_IP;
	int name = is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
	int fragment = IP_PMTUDISC_DONT, whole = IP_PMTUDISC_PROBE;
	int sent;

	if (setsockopt(f->fd, level, name, &fragment, sizeof(fragment)) < 0)
		return -errno;
	sent = dgram_send(f->fd, &u->batch, at, 1);
	(void)setsockopt(f->fd, level, name, &whole, sizeof(whole));
	return sent;
}

/* As many as can go by one call; what it returned. */
static int send_some(struct udp *u, struct udp_flow *f, size_t at, size_t end)
{
	const struct dgram *d = u->batch.dgrams;
	size_t whole = at;
	int sent;

	while (whole < end && !d[whole].is_fragmented)
		whole++;
	if (whole == at)
		return send_fragmented(u, f, at);
	sent = dgram_send(f->fd, &u->batch, at, whole - at);
	/* The leg's link is narrower than the client's. */
	return sent == -EMSGSIZE ? send_fragmented(u, f, at) : sent;
}

/* Send dgrams [at, end) of the batch, all of flow f. */
static void send_run(struct udp *u, struct udp_flow *f, size_t at, size_t end)
{
	uint64_t bytes = 0, dgrams = 0;
	bool is_error_read = false;

	f->last_len = (uint32_t)u->batch.dgrams[end - 1].len;
	while (at < end) {
		int sent = send_some(u, f, at, end);

		if (sent < 0 && !is_error_read) {
			/* An ICMP error of an earlier datagram is reported
			 * here first; then the way is free. */
			is_error_read = true;
			read_errors(u, f);
			continue;
		}
		is_error_read = false;
		if (sent <= 0) {
			count(shared_of(u), COUNTER_udp_send_failed);
			at++;
			continue;
		}
		for (int i = 0; i < sent; i++)
			bytes += u->batch.dgrams[at++].len;
		dgrams += (uint64_t)sent;
	}
	note_progress(u, f, 0, bytes, dgrams);
}

static bool is_acceptable(struct udp *u, const struct listener *l,
			  const struct dgram *d)
{
	if (!d->origdst.family) {
		count(shared_of(u), COUNTER_udp_no_origdst);
		return false;
	}
	if (addr_equal(&d->origdst, &l->is.at) || !d->src.port) {
		count(shared_of(u), COUNTER_direct_hit);
		return false;
	}
	return true;
}

static bool same_flow(const struct dgram *a, const struct dgram *b)
{
	return addr_equal(&a->src, &b->src) &&
	       addr_equal(&a->origdst, &b->origdst);
}

static void relay_batch(struct udp *u, const struct listener *l)
{
	struct dgram_batch *b = &u->batch;
	size_t at = 0, end;

	for (; at < b->count; at = end) {
		const struct dgram *d = &b->dgrams[at];
		struct udp_flow *f;

		for (end = at + 1;
		     end < b->count && same_flow(d, &b->dgrams[end]); end++)
			;
		if (!is_acceptable(u, l, d))
			continue;
		f = udp_table_find(&u->table, &d->src, &d->origdst);
		if (!f)
			f = begin_flow(u, l, d);
		if (f)
			send_run(u, f, at, end);
	}
}

void udp_on_listener(struct loop *loop, struct watch *w, uint32_t events)
{
	struct listener *l = (struct listener *)w; /* its first member */
	struct udp *u = l->worker->udp;

	(void)loop;
	(void)events;
	for (int i = 0; i < READ_BATCHES && l->is.fd >= 0; i++) {
		int received = dgram_recv(l->is.fd, &u->batch);

		if (received <= 0)
			return;
		relay_batch(u, l);
		if (received < DGRAM_BATCH)
			return;
	}
}

/* --- the whole ----------------------------------------------------------- */

int udp_new(struct worker *w, struct udp **out)
{
	uint32_t flow_max = w->args.config->limits.udp_flows;
	struct udp *u = calloc(1, sizeof(*u));
	int error;

	if (!u)
		return -ENOMEM;
	u->worker = w;
	u->first_slot = w->args.flow_max - flow_max;
	u->sender.raw_fd[0] = w->args.raw_fd[0];
	u->sender.raw_fd[1] = w->args.raw_fd[1];
	u->sender.shared = w->args.shared;
	error = udp_table_init(&u->table, flow_max);
	if (!error)
		error = dgram_init(&u->batch);
	/* Fragment numbers should not be guessable across a restart. */
	if (!error && getrandom(&u->sender.fragment_id, 4, 0) != 4)
		error = -EIO;
	*out = u;
	return error;
}

bool udp_is_idle(const struct udp *u)
{
	return u->table.flow_pool.used == 0;
}

void udp_last_batch(struct udp *u)
{
	struct worker *w = u->worker;

	for (size_t i = 0; i < w->args.listener_count; i++)
		if (w->listeners[i].is.proto == PROTO_UDP &&
		    w->listeners[i].is.fd >= 0)
			udp_on_listener(&w->loop, &w->listeners[i].watch, 0);
}

void udp_end_all(struct udp *u, enum flow_end why)
{
	for (uint32_t i = 0; i < u->table.flow_pool.fresh; i++) {
		struct udp_flow *f = &u->table.flows[i];

		if (f->fd < 0)
			continue;
		read_answers(u, f);
		end_flow(u, f, why);
	}
}

void udp_drain(struct udp *u)
{
	struct worker *w = u->worker;
	uint64_t end_ms = w->loop.now_ms + w->args.config->timeouts.dns_ms;

	for (uint32_t i = 0; i < u->table.flow_pool.fresh; i++)
		if (u->table.flows[i].fd >= 0)
			wheel_set(&w->loop.wheel, &u->table.flows[i].timer,
				  end_ms);
}
