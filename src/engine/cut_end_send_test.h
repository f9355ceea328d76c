/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_end_send_test.h - a TCP that speaks in real packets, but lives in no
 * kernel: what it is, and how it sends.  How it receives: cut_end_test.h.
 *
 * Enough of RFC 9293, 7323 and 2018 to notice what a wrong rewrite does:
 * sequence and window checks, window updates in order, PAWS, SACK with a
 * scoreboard that is forgotten at a timeout, delayed acknowledgements, zero
 * window probes, FIN, RST with challenge.  Connections begin established.
 *
 * Positions in a stream count from 0, FIN is one behind the last byte; numbers
 * on the wire are a base more.  Time is in ticks of 100 us.
 */
#ifndef WL_ENGINE_CUT_END_SEND_TEST_H
#define WL_ENGINE_CUT_END_SEND_TEST_H

#include "engine/cut_packet_test.h"

enum {
	END_STREAM_MAX = 200 << 10,
	END_TICKS_MS = 10,
	END_RTO = 200 * END_TICKS_MS,
	END_RTO_MAX = 3200 * END_TICKS_MS,
	END_DELAY = 40 * END_TICKS_MS, /* of an acknowledgement */
	/* What is offered is rounded up to the scale, with each of the late
	 * acknowledgements once more. */
	END_ROUNDED = 1 << 10,
};

struct end {
	void (*send)(struct end *e, const struct segment *s);
	uint64_t now;
	/* agreed */
	struct wl_cut_tuple at; /* as it sends */
	uint32_t out_base, in_base;
	uint32_t buffer;    /* bytes it takes */
	uint16_t mss, cwnd; /* payload of a segment; bytes on their way */
	uint16_t mss_taken; /* the MSS that it has announced */
	uint8_t own_scale, peer_scale;
	bool has_timestamps, has_sack;
	bool is_held; /* it offers no more than it has */
	/* its clock: clock_base + milliseconds * clock_hz / 1000 */
	uint32_t clock_base, clock_hz;
	/* sent */
	uint32_t written, una, nxt, max, recover;
	uint32_t right;	     /* edge of the window that the peer has offered */
	uint32_t window_max; /* the largest that it ever was */
	uint32_t wl_seq;     /* of the segment that said so */
	uint64_t rto_at;     /* 0: nothing is waited for */
	uint64_t rto;
	unsigned dup_acks;
	bool is_shut; /* FIN behind `written` */
	/* received */
	uint32_t rcv_nxt, read, offered, last_ack;
	uint32_t ts_recent;
	uint32_t fin_at; /* position of the peer's FIN, if has_fin */
	uint64_t ack_at; /* a delayed acknowledgement; 0: none */
	bool has_fin, is_reset, is_dead; /* dead: answers with RST alone */
	/* what should not happen */
	unsigned strange_acks, strange_bytes, overruns, paws_losses;
	uint8_t out[END_STREAM_MAX], in[END_STREAM_MAX];
	bool sacked[END_STREAM_MAX], have[END_STREAM_MAX];
};

static inline uint32_t end_ts(const struct end *e)
{
	return e->clock_base +
	       (uint32_t)(e->now / END_TICKS_MS * e->clock_hz / 1000);
}

static inline uint32_t end_sent_max(const struct end *e)
{
	return e->written + e->is_shut;
}

static inline bool end_has_eof(const struct end *e)
{
	return e->has_fin && e->rcv_nxt == e->fin_at + 1;
}

/* Bytes that are there to be read. */
static inline uint32_t end_unread(const struct end *e)
{
	return e->rcv_nxt - end_has_eof(e) - e->read;
}

/* --- segments ------------------------------------------------------------ */

/* Never takes back what was offered: as Linux it rather offers a bit more. */
static inline uint16_t end_window(struct end *e)
{
	uint32_t right = e->read + e->buffer, unit = 1u << e->own_scale;
	uint32_t round = 0, window;

	if (right <= e->offered || e->is_held) {
		right = e->offered;
		round = unit - 1;
	}
	window = (right - e->rcv_nxt + round) >> e->own_scale;
	if (window > 65535)
		window = 65535;
	right = e->rcv_nxt + window * unit;
	if (right > e->offered)
		e->offered = right;
	return (uint16_t)window;
}

static inline void end_put_timestamps(const struct end *e, struct segment *s)
{
	uint8_t *at = s->options + s->options_len;

	at[0] = at[1] = OPTION_NOP;
	at[2] = OPTION_TIMESTAMPS;
	at[3] = 10;
	packet_set_32(at + 4, end_ts(e));
	packet_set_32(at + 8, e->ts_recent);
	s->options_len += 12;
}

/* The first runs of bytes behind a hole. */
static inline void end_put_sack(const struct end *e, struct segment *s)
{
	uint8_t *at = s->options + s->options_len;
	uint32_t from = e->rcv_nxt, to;
	unsigned count = 0, count_max = e->has_timestamps ? 3 : 4;

	for (; count < count_max; from = to) {
		while (from < e->offered && from < END_STREAM_MAX &&
		       !e->have[from])
			from++;
		for (to = from; to < END_STREAM_MAX && e->have[to];)
			to++;
		if (to == from)
			break;
		packet_set_32(at + 4 + 8 * count, e->in_base + from);
		packet_set_32(at + 8 + 8 * count, e->in_base + to);
		count++;
	}
	if (!count)
		return;
	at[0] = at[1] = OPTION_NOP;
	at[2] = OPTION_SACK;
	at[3] = (uint8_t)(2 + 8 * count);
	s->options_len = (uint8_t)(s->options_len + 4 + 8 * count);
}

static inline void end_emit(struct end *e, uint32_t at, uint32_t len,
			    uint8_t flags)
{
	struct segment s = { .proto = IPPROTO_TCP,
			     .has_df = true,
			     .ttl = 64,
			     .flags = flags | FRAME_ACK,
			     .at = e->at,
			     .seq = e->out_base + at,
			     .ack = e->in_base + e->rcv_nxt,
			     .payload_len = len,
			     .payload = e->out + at };

	s.window = end_window(e);
	if (e->has_timestamps)
		end_put_timestamps(e, &s);
	if (e->has_sack && !len)
		end_put_sack(e, &s);
	e->last_ack = e->rcv_nxt;
	e->ack_at = 0;
	e->send(e, &s);
}

/* Where the window has been shrunk, by more than what is lost by scales, its
 * edge is what the peer accepts: as Linux, tcp_acceptable_seq(). */
static inline void end_ack(struct end *e)
{
	bool is_shrunk = e->nxt >= e->right + (1u << e->own_scale);

	end_emit(e, is_shrunk ? e->right : e->nxt, 0, 0);
}

/* Bytes (and FIN) from `at` on; returns how far it went. */
static inline uint32_t end_emit_data(struct end *e, uint32_t at, uint32_t len)
{
	bool has_fin;

	if (len > e->mss)
		len = e->mss;
	if (at + len > e->written)
		len = e->written - at;
	has_fin = e->is_shut && at + len == e->written && e->nxt >= e->written;
	end_emit(e, at, len,
		 (uint8_t)(has_fin ? FRAME_FIN
			   : len   ? SEGMENT_PSH
				   : 0));
	return at + len + has_fin;
}

static inline void end_arm(struct end *e)
{
	e->rto_at = e->now + e->rto;
}

static inline void end_output(struct end *e)
{
	uint32_t limit = e->una + e->cwnd;

	if (e->is_dead || e->is_reset)
		return;
	if (limit > e->right)
		limit = e->right;
	while (e->nxt < end_sent_max(e) && e->nxt < limit) {
		e->nxt = end_emit_data(e, e->nxt, limit - e->nxt);
		if (e->nxt > e->max)
			e->max = e->nxt;
	}
	if (!e->rto_at && e->una < end_sent_max(e))
		end_arm(e);
}

/* What is missing first.  A peer that has shrunk its window to nothing is asked
 * by it for more: as Linux, tcp_retransmit_timer(). */
static inline void end_retransmit(struct end *e)
{
	uint32_t at = e->una, to = e->max;

	while (at < to && at < e->written && e->sacked[at])
		at++;
	if (at >= to)
		return;
	if (at < e->right && to > e->right)
		to = e->right;
	(void)end_emit_data(e, at, to - at);
}

static inline void end_timeout(struct end *e)
{
	memset(e->sacked + e->una, 0, sizeof(e->sacked) - e->una);
	if (e->una < e->max)
		end_retransmit(e);
	else /* zero window: linux/net/ipv4/tcp_output.c, tcp_xmit_probe_skb()
	      */
		end_emit(e, e->una - 1, 0, 0);
	e->recover = e->nxt;
	e->rto = e->rto * 2 < END_RTO_MAX ? e->rto * 2 : END_RTO_MAX;
	end_arm(e);
}

#endif
