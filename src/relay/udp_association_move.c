/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association_move.c - datagrams to and from a SOCKS5 proxy; see
 * udp_association.h.
 *
 * Each has its header in front (socks_udp.h), which is written once for a run
 * of datagrams and sent from where it is.  An answer goes to the client with
 * the address of whoever sent it, be it the server of a flow or not (R-NAT-4),
 * but for addresses that no server can have.
 */
#include "relay/udp_association.h"

#include "net/sock.h"
#include "policy/eval.h"
#include "relay/socks_udp.h"

/* --- answers ------------------------------------------------------------- */

/* No server has such an address, and a client must not be told so. */
static bool is_possible(const struct udp_association *a,
			const struct addr *server)
{
	return server->family == a->key.client.family && server->port &&
	       !eval_is_special(server);
}

static bool is_answer(void *ctx, struct dgram *d)
{
	struct udp_association *a = ctx;
	struct shared *s = udp_shared(a->udp);
	struct addr server;
	size_t head;

	/* R-SOCKS-9; see also K19 in udp_leg.c */
	if (!addr_same_ip(&d->src, &a->bound) || d->src.port != a->bound.port) {
		count(s, COUNTER_udp_stranger);
		return false;
	}
	head = socks_udp_read(d->bytes, d->len, &server);
	if (a->key.server.family)
		server = a->key.server; /* the proxy was told a name */
	if (!head || !is_possible(a, &server) ||
	    d->len - head > UDP_REPLY_BYTES_MAX) {
		count(s, COUNTER_udp_bad_header);
		return false;
	}
	dgram_trim(d, head);
	d->src = server;
	return true;
}

static void note_run(struct udp_association *a, const struct addr *server,
		     uint64_t bytes, uint64_t dgrams)
{
	struct udp *u = a->udp;
	struct udp_flow *f = udp_table_find(&u->table, &a->key.client, server);

	if (!f) { /* nobody asked this server, but the client may be asked */
		count_add(udp_shared(u), COUNTER_udp_bytes_down, bytes);
		count_add(udp_shared(u), COUNTER_udp_dgrams_down, dgrams);
		return;
	}
	udp_table_answered(&u->table, f);
	udp_flow_note(f, 1, bytes, dgrams);
}

static void note_answers(struct udp_association *a, const struct dgram_batch *b)
{
	size_t at = 0, end;

	for (; at < b->count; at = end) {
		const struct addr *server = &b->dgrams[at].src;
		uint64_t bytes = 0;

		for (end = at;
		     end < b->count && addr_equal(server, &b->dgrams[end].src);
		     end++)
			bytes += b->dgrams[end].len;
		note_run(a, server, bytes, end - at);
	}
}

void udp_association_read(struct udp_association *a)
{
	struct udp *u = a->udp;

	for (int i = 0; i < UDP_READ_BATCHES; i++) {
		int received = dgram_recv(a->fd, &u->batch);

		if (received <= 0)
			return; /* empty, or an error that was read already */
		(void)dgram_keep(&u->batch, is_answer, a); /* counted there */
		(void)udp_reply(&u->sender, NULL, &a->key.client, &u->batch);
		note_answers(a, &u->batch);
		if (received < DGRAM_BATCH)
			return;
	}
}

/* --- errors -------------------------------------------------------------- */

/* The flow whose datagram is quoted. */
static struct udp_flow *flow_of_error(struct udp_association *a,
				      const struct dgram_error *error)
{
	struct udp_flow *only = udp_association_first(a);
	struct addr server;

	if (only && udp_association_next(only) == NULL)
		return only;
	if (!socks_udp_read(error->quoted, error->quoted_len, &server))
		return NULL;
	return udp_table_find(&a->udp->table, &a->key.client, &server);
}

static void read_errors(struct udp_flow *f)
{
	udp_association_read_errors(udp_association_of(f));
}

static size_t write_header(const struct udp_flow *f,
			   uint8_t out[SOCKS_UDP_HEADER_MAX])
{
	const char *host = udp_flow_record(f)->host;
	bool is_named = udp_association_of(f)->key.server.family;

	return socks_udp_write(&f->server, is_named ? host : NULL, out);
}

static struct udp_target target_of(const struct udp_flow *f,
				   uint8_t header[SOCKS_UDP_HEADER_MAX])
{
	return (struct udp_target){
		.fd = udp_association_of(f)->fd,
		.family = f->to.family,
		.head = { header, write_header(f, header) },
		.read_errors = read_errors,
	};
}

void udp_association_read_errors(struct udp_association *a)
{
	struct dgram_error error;

	(void)sock_error(a->fd); /* the queue says more than SO_ERROR */
	for (int i = 0; i < DGRAM_BATCH && dgram_recv_error(a->fd, &error) > 0;
	     i++) {
		struct udp_flow *f = flow_of_error(a, &error);
		uint8_t header[SOCKS_UDP_HEADER_MAX];
		struct udp_target to;

		if (!f || !error.is_icmp)
			continue;
		to = target_of(f, header);
		udp_path_pass_icmp(f, &to, &error);
	}
}

/* --- to the proxy -------------------------------------------------------- */

void udp_association_send(struct udp_flow *f, struct dgram_batch *b, size_t at,
			  size_t end)
{
	uint8_t header[SOCKS_UDP_HEADER_MAX];
	struct udp_target to = target_of(f, header);

	udp_path_send(f, &to, b, at, end);
}
