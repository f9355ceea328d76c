/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_end_test.h - how the TCP of cut_end_send_test.h receives, and what its
 * owner may do with it.
 *
 * It counts what a right rewrite never brings about: acknowledgements of what
 * was not sent, bytes that change, segments beyond the window.
 */
#ifndef WL_ENGINE_CUT_END_TEST_H
#define WL_ENGINE_CUT_END_TEST_H

#include "engine/cut_end_send_test.h"

/* --- receiving: acknowledgements ----------------------------------------- */

static inline void end_on_sack(struct end *e, const uint8_t *option, size_t len)
{
	for (size_t i = 2; i + 8 <= len; i += 8) {
		uint32_t from = frame_32(option + i) - e->out_base;
		uint32_t to = frame_32(option + i + 4) - e->out_base;

		if (from >= to || to > e->max || from < e->una)
			continue; /* as Linux: not valid */
		for (; from < to && from < e->written; from++)
			e->sacked[from] = true;
	}
}

static inline void end_advance(struct end *e, uint32_t ack)
{
	e->una = ack;
	if (e->nxt < ack)
		e->nxt = ack;
	e->dup_acks = 0;
	e->rto = END_RTO;
	e->rto_at = 0;
	if (e->una < end_sent_max(e))
		end_arm(e);
	if (ack < e->recover)
		end_retransmit(e);
}

static inline void end_on_window(struct end *e, uint32_t seq, uint32_t ack,
				 uint32_t window)
{
	uint32_t right = ack + window;

	if (window > e->window_max)
		e->window_max = window;
	if (ack > e->una || (int32_t)(seq - e->wl_seq) > 0 ||
	    (seq == e->wl_seq && (right > e->right || !window))) {
		e->wl_seq = seq;
		e->right = right;
	}
}

static inline void end_on_ack(struct end *e, uint32_t seq, uint32_t wire_ack,
			      uint32_t window, bool is_pure)
{
	uint32_t ack = wire_ack - e->out_base, was = e->right;

	if ((int32_t)ack < (int32_t)e->una)
		return;
	if (ack > e->max) {
		e->strange_acks++;
		end_ack(e);
		return;
	}
	end_on_window(e, seq, ack, window);
	if (ack > e->una)
		end_advance(e, ack);
	else if (is_pure && ack < e->max && was == e->right &&
		 ++e->dup_acks == 3) {
		e->recover = e->nxt;
		end_retransmit(e);
	}
}

/* --- receiving: bytes ---------------------------------------------------- */

static inline void end_store(struct end *e, uint32_t at, const uint8_t *bytes,
			     uint32_t len)
{
	for (uint32_t i = 0; i < len; i++, at++) {
		if (at < e->read)
			continue;
		if (at >= END_STREAM_MAX || at >= e->offered)
			return;
		if (e->have[at] && e->in[at] != bytes[i])
			e->strange_bytes++;
		e->in[at] = bytes[i];
		e->have[at] = true;
	}
	while (e->rcv_nxt < END_STREAM_MAX && e->have[e->rcv_nxt])
		e->rcv_nxt++;
}

static inline void end_on_data(struct end *e, uint32_t at, const uint8_t *bytes,
			       uint32_t len, bool has_fin)
{
	uint32_t was = e->rcv_nxt;

	end_store(e, at, bytes, len);
	if (has_fin && at + len <= e->offered) {
		e->has_fin = true;
		e->fin_at = at + len;
	}
	if (e->has_fin && e->rcv_nxt == e->fin_at)
		e->rcv_nxt++;
	if (e->rcv_nxt == was || has_fin || e->ack_at || at != was)
		end_ack(e); /* the second one, or one that tells of a hole */
	else
		e->ack_at = e->now + END_DELAY;
}

/* --- receiving ----------------------------------------------------------- */

struct end_heard {
	uint32_t seq, len, tsval, tsecr; /* seq: position; len with FIN */
	const uint8_t *tcp, *payload, *sack;
	size_t sack_len;
	uint8_t flags;
	bool has_tsval;
};

static inline void end_hear(const struct end *e, const struct packet *p,
			    struct end_heard *h)
{
	struct packet_view v;

	assert(packet_look(p, &v));
	*h = (struct end_heard){ .tcp = p->bytes + v.transport,
				 .payload = p->bytes + v.payload };
	h->flags = h->tcp[13];
	h->seq = frame_32(h->tcp + 4) - e->in_base;
	h->len = (uint32_t)(p->len - v.payload) + !!(h->flags & FRAME_FIN);
	for (const uint8_t *at = h->tcp + 20; at < h->payload;) {
		if (*at == OPTION_TIMESTAMPS) {
			h->has_tsval = true;
			h->tsval = frame_32(at + 2);
			h->tsecr = frame_32(at + 6);
		} else if (*at == OPTION_SACK) {
			h->sack = at;
			h->sack_len = at[1];
		}
		at += *at == OPTION_NOP ? 1 : at[1];
	}
}

/* RFC 7323, 5.3; what is lost by it and was wanted is noted. */
static inline bool end_is_old(struct end *e, const struct end_heard *h)
{
	if (!h->has_tsval || h->flags & FRAME_RST ||
	    (int32_t)(h->tsval - e->ts_recent) >= 0)
		return false;
	if (h->len && h->seq <= e->rcv_nxt && h->seq + h->len > e->rcv_nxt)
		e->paws_losses++;
	return true;
}

/* As Linux: tcp_sequence(). */
static inline bool end_is_acceptable(const struct end *e,
				     const struct end_heard *h)
{
	return (int32_t)(h->seq + h->len - e->last_ack) >= 0 &&
	       (int32_t)(h->seq - e->offered) <= 0;
}

/* RFC 5961, 5.2: such a segment may be forged. */
static inline bool end_has_old_ack(const struct end *e,
				   const struct end_heard *h)
{
	uint32_t ack = frame_32(h->tcp + 8) - e->out_base;

	return (int32_t)(ack - e->una) < 0 && e->una - ack > e->window_max &&
	       e->una > e->window_max;
}

static inline void end_on_reset(struct end *e, const struct end_heard *h)
{
	if (h->seq == e->rcv_nxt)
		e->is_reset = true;
	else if (end_is_acceptable(e, h))
		end_ack(e); /* RFC 5961, 3.2 */
}

/* Nobody is here: RFC 9293, 3.10.7.1. */
static inline void end_refuse(struct end *e, const struct end_heard *h)
{
	struct segment s = { .proto = IPPROTO_TCP,
			     .has_df = true,
			     .ttl = 64,
			     .flags = FRAME_RST,
			     .at = e->at,
			     .seq = frame_32(h->tcp + 8) };

	if (!(h->flags & FRAME_RST))
		e->send(e, &s);
}

static inline void end_receive(struct end *e, const struct packet *p)
{
	struct end_heard h;

	end_hear(e, p, &h);
	if (e->is_reset)
		return;
	if (e->is_dead) {
		end_refuse(e, &h);
		return;
	}
	if (h.flags & FRAME_RST) {
		end_on_reset(e, &h);
		return;
	}
	if (end_is_old(e, &h) || !end_is_acceptable(e, &h) ||
	    end_has_old_ack(e, &h)) {
		end_ack(e);
		return;
	}
	if (h.len && (int32_t)(h.seq + h.len - e->rcv_nxt) > 0 &&
	    h.seq + h.len > e->offered + END_ROUNDED)
		e->overruns++;
	if (h.has_tsval && (int32_t)(h.seq - e->last_ack) <= 0)
		e->ts_recent = h.tsval;
	if (h.sack)
		end_on_sack(e, h.sack, h.sack_len);
	end_on_ack(e, h.seq, frame_32(h.tcp + 8),
		   (uint32_t)frame_16(h.tcp + 14) << e->peer_scale, !h.len);
	if (h.len)
		end_on_data(e, h.seq, h.payload,
			    h.len - !!(h.flags & FRAME_FIN),
			    h.flags & FRAME_FIN);
	end_output(e);
}

/* --- its owner ----------------------------------------------------------- */

static inline void end_write(struct end *e, const uint8_t *bytes, uint32_t len)
{
	memcpy(e->out + e->written, bytes, len);
	e->written += len;
	end_output(e);
}

static inline void end_shut(struct end *e)
{
	e->is_shut = true;
	end_output(e);
}

/* After bytes were read: tell of the room, when it is worth it. */
static inline void end_consume(struct end *e, uint32_t len)
{
	uint32_t room = e->read + e->buffer;

	e->read += len;
	room = e->read + e->buffer;
	if (room > e->offered && room - e->offered >= e->buffer / 2 &&
	    !e->is_reset && !e->is_dead)
		end_ack(e);
}

static inline void end_abort(struct end *e)
{
	struct segment s = { .proto = IPPROTO_TCP,
			     .has_df = true,
			     .ttl = 64,
			     .flags = FRAME_RST | FRAME_ACK,
			     .at = e->at,
			     .seq = e->out_base + e->nxt,
			     .ack = e->in_base + e->rcv_nxt };

	e->is_dead = true;
	e->rto_at = e->ack_at = 0;
	e->send(e, &s);
}

static inline void end_tick(struct end *e, uint64_t now)
{
	e->now = now;
	if (e->is_dead || e->is_reset)
		return;
	if (e->ack_at && e->ack_at <= now)
		end_ack(e);
	if (e->rto_at && e->rto_at <= now)
		end_timeout(e);
}

#endif
