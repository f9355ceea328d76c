/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_flow.c - record, time and end of a UDP flow; see udp_flow.h.
 */
#include "relay/udp_flow.h"

#include "relay/udp_cut.h"
#include "relay/udp_open.h"
#include "relay/udp_path.h"

#include <assert.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stddef.h>

/* No host takes the path for narrower: RFC 8201 section 4, and what Linux has
 * as net.ipv4.route.min_pmtu. */
enum { MTU_MIN_V6 = 1280, MTU_MIN_V4 = 552 };

/* --- record -------------------------------------------------------------- */

void udp_flow_set_state(struct udp_flow *f, enum flow_state to)
{
	static const bool can[FLOW_STATE_COUNT][FLOW_STATE_COUNT] = {
		[FLOW_FREE] = { [FLOW_SNIFFING] = true,
				[FLOW_CONNECTING] = true },
		[FLOW_SNIFFING] = { [FLOW_CONNECTING] = true,
				    [FLOW_FREE] = true },
		[FLOW_CONNECTING] = { [FLOW_CONNECTING] = true,
				      [FLOW_HANDSHAKE] = true,
				      [FLOW_RELAYING] = true,
				      [FLOW_FREE] = true },
		[FLOW_HANDSHAKE] = { [FLOW_CONNECTING] = true,
				     [FLOW_RELAYING] = true,
				     [FLOW_FREE] = true },
		[FLOW_RELAYING] = { [FLOW_FREE] = true },
	};

	assert(can[f->state][to]);
	f->state = (uint8_t)to;
	if (to != FLOW_FREE)
		udp_flow_record(f)->state = (uint8_t)to;
}

void udp_flow_use_upstream(struct udp_flow *f, uint32_t upstream)
{
	struct shared *s = udp_flow_shared(f);

	if (f->upstream != POOL_NONE)
		atomic_fetch_sub(&s->upstream_flows[f->upstream], 1);
	f->upstream = upstream;
	if (upstream == POOL_NONE)
		return;
	atomic_fetch_add(&s->upstream_flows[upstream], 1);
	udp_flow_record(f)->upstream = upstream;
}

void udp_flow_note(struct udp_flow *f, int dir, uint64_t bytes, uint64_t dgrams)
{
	struct flow_record *r = udp_flow_record(f);
	struct shared *s = udp_flow_shared(f);

	f->bytes[dir] += bytes;
	f->last_ms = f->udp->worker->loop.now_ms;
	r->bytes[dir] = f->bytes[dir];
	r->last_ms = f->last_ms;
	count_add(s, dir ? COUNTER_udp_bytes_down : COUNTER_udp_bytes_up,
		  bytes);
	count_add(s, dir ? COUNTER_udp_dgrams_down : COUNTER_udp_dgrams_up,
		  dgrams);
	f->dgrams += (uint32_t)dgrams;
	if (f->last_ms >= f->cut.next_ms)
		udp_cut_consider(f);
}

/* --- time ---------------------------------------------------------------- */

uint64_t udp_flow_idle_ms(const struct udp_flow *f)
{
	const struct timeouts *t = &udp_config(f->udp)->timeouts;

	return f->server.port == UDP_DNS_PORT ? t->dns_ms : t->udp_ms;
}

void udp_flow_arm(struct udp_flow *f, uint64_t due_ms)
{
	struct udp *u = f->udp;

	if (u->drain_end_ms && due_ms > u->drain_end_ms)
		due_ms = u->drain_end_ms;
	wheel_set(&u->worker->loop.wheel, &f->timer, due_ms);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct udp_flow *f =
		(struct udp_flow *)((char *)t -
				    offsetof(struct udp_flow, timer));
	struct udp *u = f->udp;
	uint64_t limit_ms = udp_flow_idle_ms(f);
	bool is_over = u->drain_end_ms && now_ms >= u->drain_end_ms;

	if (f->state == FLOW_SNIFFING && !is_over) {
		udp_open_late(f);
		return;
	}
	if (f->state != FLOW_RELAYING) {
		udp_flow_end(f, END_SHUTDOWN, 0);
		return;
	}
	if (udp_cut_is_gone(f)) { /* and what was late has come */
		f->path->read(f);
		udp_flow_end(f, END_NONE, 0);
		return;
	}
	if (!is_over && now_ms - f->last_ms < limit_ms) {
		udp_flow_arm(f, f->last_ms + limit_ms);
		return;
	}
	count(udp_shared(u), COUNTER_udp_expired);
	udp_flow_end(f, END_IDLE_TIMEOUT, 0);
}

/* --- beginning and end --------------------------------------------------- */

void udp_flow_begin(struct udp_flow *f, struct flow_record *r,
		    enum flow_state state)
{
	struct udp *u = f->udp;

	f->timer.fn = on_timer;
	f->last_ms = u->worker->loop.now_ms;
	r->name = pool_name(&u->table.flow_pool, udp_table_slot(&u->table, f));
	r->mover = MOVER_COPY;
	r->state = (uint8_t)state;
	shared_publish(udp_shared(u), udp_flow_slot(f), r);
	udp_flow_set_state(f, state);
	atomic_fetch_add(&udp_shared(u)->udp_flows, 1);
	count(udp_shared(u), COUNTER_udp_flows);
}

void udp_flow_end(struct udp_flow *f, enum flow_end why, int error)
{
	struct udp *u = f->udp;
	struct worker *w = u->worker;
	struct flow_record last = *udp_flow_record(f);

	udp_cut_end(f);
	last.end = (uint8_t)why;
	last.error = (uint32_t)error;
	last.bytes[0] = f->bytes[0];
	last.bytes[1] = f->bytes[1];
	last.last_ms = f->last_ms;
	shared_publish(udp_shared(u), udp_flow_slot(f), NULL);
	wheel_cancel(&w->loop.wheel, &f->timer);
	if (f->path)
		f->path->close(f);
	f->path = NULL;
	udp_flow_use_upstream(f, POOL_NONE);
	udp_hold_drop(&u->hold, &f->hold);
	if (f->quic != POOL_NONE)
		pool_give(&u->quic_pool, f->quic);
	udp_flow_set_state(f, FLOW_FREE);
	udp_table_remove(&u->table, f);
	atomic_fetch_sub(&udp_shared(u)->udp_flows, 1);
	if (!udp_cut_is_gone(f))
		worker_end_flow(w, &last);
	worker_check_done(w);
}

/* --- ICMP ---------------------------------------------------------------- */

/* The far leg may be of the other family, whose errors have other numbers. */
static void translate(const struct dgram_error *error, struct packet_icmp *m)
{
	bool is_v6 = m->client.family == AF_INET6;

	m->offender = m->server;
	m->type = is_v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH;
	switch (error->error) {
	case EMSGSIZE:
		m->type = is_v6 ? ICMP6_PACKET_TOO_BIG : ICMP_DEST_UNREACH;
		m->code = is_v6 ? 0 : ICMP_FRAG_NEEDED;
		return;
	case ECONNREFUSED:
		m->code = is_v6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH;
		return;
	default:
		m->code = is_v6 ? ICMP6_DST_UNREACH_ADDR : ICMP_HOST_UNREACH;
	}
}

bool udp_flow_pass_icmp(struct udp_flow *f, const struct dgram_error *error,
			size_t overhead)
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
	uint32_t least = f->client.family == AF_INET6 ? MTU_MIN_V6 : MTU_MIN_V4;
	bool is_too_big = error->error == EMSGSIZE && error->info;
	bool is_possible = !is_too_big || error->info >= least + overhead;

	/* The far side is the server itself, by whatever name we reach it. */
	if (!m.offender.family || addr_same_ip(&m.offender, &f->to))
		m.offender = f->server;
	if (f->to.family != f->client.family)
		translate(error, &m);
	if (is_too_big)
		m.info = is_possible ? error->info - (uint32_t)overhead : least;
	udp_reply_icmp(&f->udp->sender, &m);
	return is_possible;
}

void udp_flow_refuse(struct udp_flow *f)
{
	udp_reply_refuse(&f->udp->sender, &f->client, &f->server, f->last_len);
}
