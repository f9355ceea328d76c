/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.c - datagrams from the listeners, and all flows together; see udp.h.
 */
#include "relay/udp.h"

#include "relay/udp_flow.h"
#include "relay/udp_open.h"
#include "relay/udp_path.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

/* --- datagrams from clients ---------------------------------------------- */

static bool is_acceptable(struct udp *u, const struct listener *l,
			  const struct dgram *d)
{
	if (!d->origdst.family) {
		count(udp_shared(u), COUNTER_udp_no_origdst);
		return false;
	}
	if (addr_equal(&d->origdst, &l->is.at) || !d->src.port) {
		count(udp_shared(u), COUNTER_direct_hit);
		return false;
	}
	return true;
}

static bool same_flow(const struct dgram *a, const struct dgram *b)
{
	return addr_equal(&a->src, &b->src) &&
	       addr_equal(&a->origdst, &b->origdst);
}

/* Send dgrams[at, end) of the batch, all of one pair. */
static void relay_run(struct udp *u, const struct listener *l, size_t at,
		      size_t end)
{
	struct dgram_batch *b = &u->batch;
	const struct dgram *d = &b->dgrams[at];
	struct udp_flow *f = udp_table_find(&u->table, &d->src, &d->origdst);

	if (!f) {
		udp_open_begin(u, l, at, end);
		return;
	}
	if (f->state != FLOW_RELAYING) {
		udp_open_more(f, at, end);
		return;
	}
	f->last_len = (uint32_t)b->dgrams[end - 1].len;
	f->path->send(f, b, at, end);
}

static void relay_batch(struct udp *u, const struct listener *l)
{
	struct dgram_batch *b = &u->batch;
	size_t at = 0, end;

	for (; at < b->count; at = end) {
		const struct dgram *d = &b->dgrams[at];

		for (end = at + 1;
		     end < b->count && same_flow(d, &b->dgrams[end]); end++)
			;
		if (is_acceptable(u, l, d))
			relay_run(u, l, at, end);
	}
}

void udp_on_listener(struct loop *loop, struct watch *w, uint32_t events)
{
	struct listener *l = (struct listener *)w; /* its first member */
	struct udp *u = l->worker->udp;

	(void)loop;
	(void)events;
	for (int i = 0; i < UDP_READ_BATCHES && l->is.fd >= 0; i++) {
		int received = dgram_recv(l->is.fd, &u->batch);

		if (received <= 0)
			return;
		relay_batch(u, l);
		if (received < DGRAM_BATCH)
			return;
	}
}

/* --- the whole ----------------------------------------------------------- */

/* Not used before it is touched. */
static void *map_array(size_t count, size_t size)
{
	void *p = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int init_memory(struct udp *u, uint32_t flow_max)
{
	int error = udp_table_init(&u->table, flow_max);

	/* An association exists only with a flow, but one that has ended keeps
	 * its slot until the batch is over. */
	if (!error)
		error = udp_association_table_init(&u->associations,
						   2 * flow_max);
	if (!error)
		error = udp_hold_init(&u->hold, UDP_HOLD_BLOCKS);
	if (!error)
		error = dgram_init(&u->batch);
	if (!error)
		error = dgram_init(&u->held);
	if (!error)
		error = pool_init(&u->quic_pool, UDP_QUIC_MAX);
	u->quics = map_array(UDP_QUIC_MAX, sizeof(*u->quics));
	u->asked = map_array(flow_max, sizeof(*u->asked));
	if (!error && (!u->quics || !u->asked))
		error = -ENOMEM;
	return error;
}

/* On failure the worker does not start: exit frees. */
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
	error = init_memory(u, flow_max);
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

		if (f->state == FLOW_RELAYING)
			f->path->read(f);
		if (f->state != FLOW_FREE)
			udp_flow_end(f, why, 0);
	}
}

void udp_end_disabled(struct udp *u)
{
	const struct board *b = u->worker->args.board;

	for (uint32_t i = 0; i < u->table.flow_pool.fresh; i++) {
		struct udp_flow *f = &u->table.flows[i];

		if (f->state != FLOW_FREE && f->upstream != POOL_NONE &&
		    b->upstreams[f->upstream].want == BOARD_DISABLED)
			udp_flow_end(f, END_UPSTREAM_DISABLED, 0);
	}
}

void udp_drain(struct udp *u)
{
	struct worker *w = u->worker;

	u->drain_end_ms = w->loop.now_ms + w->args.config->timeouts.dns_ms;
	for (uint32_t i = 0; i < u->table.flow_pool.fresh; i++) {
		struct udp_flow *f = &u->table.flows[i];

		if (f->state != FLOW_FREE && f->state != FLOW_SNIFFING)
			udp_flow_arm(f, u->drain_end_ms);
	}
}
