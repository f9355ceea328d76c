/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_leg.c - a flow with a socket of its own; see udp_path.h.
 *
 * Connected to the server, or to where the upstream says.  With `source client`
 * it speaks from the client's own address and port, by the same ladder as TCP:
 * see leg.h.  With `proxy-protocol-v2` each datagram has the header in front,
 * in the same packet (R-PP-7); what comes back has none.
 *
 * DNS.  A client that asks a server of its choice and is answered by another
 * one relies on us: see dns.h.
 */
#include "relay/udp_path.h"

#include "net/sock.h"
#include "relay/proxy_header.h"
#include "relay/udp_flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

/* --- DNS ----------------------------------------------------------------- */

static struct dns_asked *asked_of(const struct udp_flow *f)
{
	return &f->udp->asked[udp_table_slot(&f->udp->table, f)];
}

static void note_queries(struct udp_flow *f, const struct dgram_batch *b,
			 size_t at, size_t end)
{
	struct dns_query query;

	for (; at < end; at++)
		if (dns_read_query(b->dgrams[at].bytes, b->dgrams[at].len,
				   &query))
			dns_asked_add(asked_of(f), &query);
}

static bool was_asked(const struct udp_flow *f, const struct dgram *d)
{
	struct dns_query answer;

	return dns_read_answer(d->bytes, d->len, &answer) &&
	       dns_asked_take(asked_of(f), &answer);
}

/* --- datagrams ----------------------------------------------------------- */

static size_t write_header(const struct udp_flow *f,
			   uint8_t out[PROXY_HEADER_WRITE_MAX])
{
	const struct upstream *up = udp_flow_upstream(f);

	if (up->kind != UPSTREAM_PROXY_V2)
		return 0;
	return proxy_header_write(up->kind, PROTO_UDP, &f->client, &f->server,
				  out);
}

static void read_errors(struct udp_flow *f);

static struct udp_target target_of(const struct udp_flow *f,
				   uint8_t header[PROXY_HEADER_WRITE_MAX])
{
	return (struct udp_target){
		.fd = f->fd,
		.family = f->to.family,
		.head = { header, write_header(f, header) },
		.read_errors = read_errors,
	};
}

static void read_errors(struct udp_flow *f)
{
	uint8_t header[PROXY_HEADER_WRITE_MAX];
	struct udp_target to = target_of(f, header);
	struct dgram_error error;

	(void)sock_error(f->fd); /* the queue says more than SO_ERROR */
	for (int i = 0; i < DGRAM_BATCH && dgram_recv_error(f->fd, &error) > 0;
	     i++)
		if (error.is_icmp)
			udp_path_pass_icmp(f, &to, &error);
}

static void send_run(struct udp_flow *f, struct dgram_batch *b, size_t at,
		     size_t end)
{
	uint8_t header[PROXY_HEADER_WRITE_MAX];
	struct udp_target to = target_of(f, header);

	if (f->is_asking_dns)
		note_queries(f, b, at, end);
	udp_path_send(f, &to, b, at, end);
}

static bool is_answer(void *ctx, struct dgram *d)
{
	struct udp_flow *f = ctx;
	struct shared *s = udp_flow_shared(f);

	/* K19: a datagram that came between bind and connect can outlive the
	 * filter. */
	if (!addr_same_ip(&d->src, &f->to) || d->src.port != f->to.port) {
		count(s, COUNTER_udp_stranger);
		return false;
	}
	if (d->len > UDP_REPLY_BYTES_MAX) {
		count(s, COUNTER_udp_reply_failed);
		return false;
	}
	if (f->is_asking_dns && !was_asked(f, d)) {
		count(s, COUNTER_dns_mismatch);
		return false;
	}
	return true;
}

static void pass_answers(struct udp_flow *f, struct dgram_batch *b)
{
	struct udp *u = f->udp;
	uint64_t bytes;

	(void)dgram_keep(b, is_answer, f); /* counted there */
	if (!b->count)
		return;
	udp_table_answered(&u->table, f);
	bytes = udp_reply(&u->sender, &f->server, &f->client, b);
	udp_flow_note(f, 1, bytes, b->count);
}

static void read_answers(struct udp_flow *f)
{
	struct dgram_batch *b = &f->udp->batch;

	for (int i = 0; i < UDP_READ_BATCHES; i++) {
		int received = dgram_recv(f->fd, b);

		if (received <= 0)
			return; /* empty, or an error that was read already */
		pass_answers(f, b);
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
		read_errors(f);
	if (events & EPOLLIN)
		read_answers(f);
}

/* --- opening ------------------------------------------------------------- */

static bool is_from_host(const struct udp_flow *f)
{
	uint32_t intercept = udp_flow_record(f)->intercept;

	return udp_config(f->udp)->intercepts[intercept].from_host;
}

/* The client is the very host that its datagrams would be sent to: they would
 * come round (T04, T05). */
static bool is_going_round(const struct udp_flow *f)
{
	return udp_flow_upstream(f)->kind == UPSTREAM_PROXY_V2 &&
	       !is_from_host(f) && addr_same_ip(&f->client, &f->to);
}

/* False: it is a name whose addresses are not known. */
static bool find_destination(struct udp_flow *f)
{
	const struct upstream *up = udp_flow_upstream(f);
	const struct udp *u = f->udp;

	if (up->kind == UPSTREAM_PROXY_V2)
		return board_address(u->worker->args.board, udp_config(u),
				     f->upstream, udp_table_slot(&u->table, f),
				     &f->to);
	f->to = up->has_to ? up->to : f->server;
	if (!f->to.port)
		f->to.port = f->server.port;
	return true;
}

/* Whose address the server sees; family 0: this host's. */
static struct addr find_source(const struct udp_flow *f)
{
	const struct upstream *up = udp_flow_upstream(f);
	struct addr from = { 0 };

	switch (up->source) {
	case SOURCE_SELF:
		break;
	case SOURCE_ADDRESS:
		from = up->source_addr[f->to.family == AF_INET6];
		break;
	case SOURCE_CLIENT:
		from = f->client;
		if (is_from_host(f))
			from.port = 0;
		break;
	}
	return from.family == f->to.family ? from : (struct addr){ 0 };
}

static int open_socket(struct udp_flow *f)
{
	uint32_t mark = worker_own_mark(f->udp->worker);
	struct addr from = find_source(f);
	int fd;

	if (!from.family)
		return sock_leg_udp(NULL, &f->to, mark);
	fd = sock_leg_udp(&from, &f->to, mark);
	if ((fd != -EADDRINUSE && fd != -EACCES) || !from.port)
		return fd;
	from.port = 0;
	fd = sock_leg_udp(&from, &f->to, mark);
	count(udp_flow_shared(f),
	      fd < 0 ? COUNTER_spoof_failed : COUNTER_spoof_other_port);
	worker_notice(f->udp->worker);
	return fd;
}

static int fail(struct udp_flow *f, int error, struct udp_failure *why)
{
	bool is_about_port = error == EADDRINUSE || error == EADDRNOTAVAIL ||
			     error == EACCES;

	count(udp_flow_shared(f), COUNTER_udp_leg_failed);
	*why = (struct udp_failure){
		.end = is_about_port ? END_NO_PORT : END_SERVER_UNREACHABLE,
		.error = error,
		.can_retry = true,
	};
	return -error;
}

static int refuse_round(struct udp_flow *f, struct udp_failure *why)
{
	count(udp_flow_shared(f), COUNTER_loop);
	*why = (struct udp_failure){ .end = END_LOOP };
	return -ELOOP;
}

static int open_leg(struct udp_flow *f, struct udp_failure *why)
{
	const struct upstream *up = udp_flow_upstream(f);
	struct worker *w = f->udp->worker;
	int fd;

	if (!find_destination(f))
		return fail(f, EHOSTUNREACH, why);
	if (is_going_round(f))
		return refuse_round(f, why);
	fd = open_socket(f);
	f->watch.fn = on_leg;
	if (fd < 0)
		return fail(f, -fd, why);
	if (loop_add(&w->loop, fd, EPOLLIN, &f->watch) < 0) {
		close(fd);
		return fail(f, ENOMEM, why);
	}
	f->fd = fd;
	worker_use_fds(w, 1);
	/* Only for the record. */
	(void)sock_local_addr(fd, &udp_flow_record(f)->source);
	f->is_asking_dns = up->kind == UPSTREAM_DIRECT && up->has_to &&
			   f->server.port == UDP_DNS_PORT;
	if (f->is_asking_dns)
		*asked_of(f) = (struct dns_asked){ 0 };
	return 0;
}

static void close_leg(struct udp_flow *f)
{
	close(f->fd);
	f->fd = -1;
	worker_use_fds(f->udp->worker, -1);
}

const struct udp_path udp_path_leg = {
	.open = open_leg,
	.send = send_run,
	.read = read_answers,
	.close = close_leg,
};
