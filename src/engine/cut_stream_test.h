/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_stream_test.h - a connection that is relayed, then cut through, in one
 * process and without a kernel.
 *
 *	end[0] ---- leg 0 ---- sock[0] | sock[1] ---- leg 1 ---- end[1]
 *	                 \____ program, later ____/
 *
 * Ends and sockets are those of cut_end_test.h, the program is the model of
 * cut_model_test.h, the relay and the cutter are here: as doc/cut-through.md
 * tells, with WATCH, ON (late packets, drain) and SETTLE.  Links lose, double
 * and reorder.  Who draws and judges: cut_stream_test.c.
 */
#ifndef WL_ENGINE_CUT_STREAM_TEST_H
#define WL_ENGINE_CUT_STREAM_TEST_H

#include "base/random_test.h"
#include "engine/cut_end_test.h"
#include "engine/cut_model_test.h"

enum {
	STREAM_FLIGHTS = 2048,
	STREAM_LATE = 3 * END_TICKS_MS,	 /* from program to socket, at most */
	STREAM_GRACE = 4 * END_TICKS_MS, /* so it is a grace period */
	STREAM_UNREAD_MAX = 64 << 10,
	STREAM_SEND_BUFFER = 64 << 10, /* of a socket */
};

enum stream_phase { STREAM_RELAYED, STREAM_ON, STREAM_SETTLE, STREAM_CLOSED };

enum flight_to { TO_PROGRAM, TO_SOCKET, TO_END, TO_END_TOO_BIG };

struct flight {
	uint64_t due, order;
	enum flight_to to;
	int leg;
	uint16_t limit; /* TO_END_TOO_BIG */
	struct packet packet;
};

struct stream_shape {
	unsigned loss, twice, late; /* one in so many; 0: never */
	unsigned jitter, delay;	    /* ticks */
	unsigned laziness;	    /* the relay works once in so many ticks */
	unsigned ts_margin;
	bool is_readdressed, is_bulk[2]; /* by leg: much comes on it */
};

struct stream {
	struct rnd *r;
	struct stream_shape shape;
	uint64_t now, settled_at, switched_at, flown;
	enum stream_phase phase;
	struct end end[2], sock[2];
	struct model model[2]; /* by leg; equal legs: the first */
	unsigned flight_count, wrong_sums, stray;
	struct flight flight[STREAM_FLIGHTS];
};

static inline bool stream_chance(struct stream *w, unsigned one_in)
{
	return one_in && !rnd_draw(w->r, one_in);
}

static inline struct model *stream_model(struct stream *w, int leg)
{
	return &w->model[w->shape.is_readdressed ? leg : 0];
}

/* The way of the packets that end[leg] sends. */
static inline struct wl_cut_way *stream_way(struct stream *w, int leg)
{
	struct packet_view v = { .proto = IPPROTO_TCP, .at = w->end[leg].at };
	struct wl_cut_key key;

	if (w->shape.is_readdressed)
		return &w->model[leg].cut.only;
	return &w->model[0].cut.way[packet_key(&v, &key) ? 0 : 1];
}

/* --- the links ----------------------------------------------------------- */

static inline void stream_fly(struct stream *w, enum flight_to to, int leg,
			      uint64_t due, const struct packet *p)
{
	struct flight *f = &w->flight[w->flight_count];

	if (w->flight_count == STREAM_FLIGHTS)
		return; /* a queue that is full drops */
	f->due = due;
	f->order = w->flown++;
	f->to = to;
	f->leg = leg;
	f->packet.len = p->len;
	memcpy(f->packet.bytes, p->bytes, p->len);
	w->flight_count++;
}

static inline void stream_transmit(struct stream *w, enum flight_to to, int leg,
				   const struct packet *p)
{
	int copies = stream_chance(w, w->shape.twice) ? 2 : 1;

	if (stream_chance(w, w->shape.loss))
		return;
	while (copies-- > 0)
		stream_fly(w, to, leg,
			   w->now + w->shape.delay +
				   (stream_chance(w, w->shape.late)
					    ? rnd_draw(w->r, w->shape.jitter)
					    : 0),
			   p);
}

/* Which leg, and is it an end's? */
static inline void stream_send(struct stream *w, const struct end *e,
			       const struct segment *s)
{
	static struct packet p;

	packet_build(s, &p);
	for (int leg = 0; leg < 2; leg++) {
		if (e == &w->end[leg])
			stream_transmit(w, TO_PROGRAM, leg, &p);
		if (e == &w->sock[leg])
			stream_transmit(w, TO_END, leg, &p);
	}
}

static inline void stream_on_program(struct stream *w, int leg,
				     const struct packet *p)
{
	struct model *m = stream_model(w, leg);
	static struct model_out out;

	m->now_s = (uint32_t)(w->now / END_TICKS_MS / 1000);
	model_run(m, p, &out);
	switch (out.fate) {
	case MODEL_PASSED:
		stream_fly(w, TO_SOCKET, leg,
			   w->now + rnd_draw(w->r, STREAM_LATE), &out.packet);
		return;
	case MODEL_SENT:
		stream_transmit(w, TO_END, !leg, &out.packet);
		return;
	case MODEL_ANSWERED:
		stream_fly(w, TO_END_TOO_BIG, leg, w->now + w->shape.delay, p);
		w->flight[w->flight_count - 1].limit = out.limit;
		return;
	case MODEL_TO_KERNEL: /* never: there is a route */
	case MODEL_DROPPED:
		return;
	}
}

static inline void stream_on_flight(struct stream *w, const struct flight *f)
{
	struct end *e = &w->end[f->leg];

	switch (f->to) {
	case TO_PROGRAM:
		stream_on_program(w, f->leg, &f->packet);
		return;
	case TO_SOCKET:
		w->stray += w->phase == STREAM_CLOSED;
		if (w->phase != STREAM_CLOSED)
			end_receive(&w->sock[f->leg], &f->packet);
		return;
	case TO_END:
		w->wrong_sums +=
			!!packet_check_sums(&f->packet, 20, IPPROTO_TCP);
		end_receive(e, &f->packet);
		return;
	case TO_END_TOO_BIG:
		if (f->limit < e->mss + 40 + 12)
			e->mss = (uint16_t)(f->limit - 40 - 12);
		return;
	}
}

static inline bool flight_is_before(const struct flight *a,
				    const struct flight *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

/* The first that is due, taken out; false: none is. */
static inline bool stream_next(struct stream *w, struct flight *out)
{
	struct flight *first = NULL, *last;

	for (unsigned i = 0; i < w->flight_count; i++) {
		struct flight *f = &w->flight[i];

		if (f->due <= w->now && (!first || flight_is_before(f, first)))
			first = f;
	}
	if (!first)
		return false;
	*out = *first;
	last = &w->flight[--w->flight_count];
	if (first != last)
		*first = *last;
	return true;
}

static inline void stream_deliver(struct stream *w)
{
	static struct flight f;

	while (stream_next(w, &f))
		stream_on_flight(w, &f);
}

/* --- the relay, and the cutter with late bytes --------------------------- */

/* First the program is told that more is the socket's, then it is written. */
static inline void stream_raise_edge(struct stream *w, int leg, uint32_t count)
{
	if (w->phase == STREAM_ON)
		stream_way(w, leg)->edge += count;
}

/* What does not leave at once is taken as sent, and goes out as if it had been
 * lost: else the far end may acknowledge bytes which it got from the other end,
 * and which the socket, that has not sent them, does not believe. */
static inline void stream_push(struct stream *w, struct end *to)
{
	if (w->phase != STREAM_ON || to->nxt == end_sent_max(to))
		return;
	to->nxt = to->max = end_sent_max(to);
	if (!to->rto_at)
		end_arm(to);
}

static inline void stream_move(struct stream *w, int leg)
{
	struct end *from = &w->sock[leg], *to = &w->sock[!leg];
	uint32_t room = w->phase == STREAM_RELAYED
				? STREAM_SEND_BUFFER - (to->written - to->una)
				: END_STREAM_MAX;
	uint32_t count = end_unread(from);

	if (count > room)
		count = room;
	if (count) {
		stream_raise_edge(w, !leg, count);
		end_write(to, from->in + from->read, count);
		end_consume(from, count);
	}
	if (end_has_eof(from) && !end_unread(from) && !to->is_shut) {
		stream_raise_edge(w, !leg, 1);
		end_shut(to);
	}
	stream_push(w, to);
}

/* --- the switch ---------------------------------------------------------- */

static inline bool stream_is_known(struct stream *w, int leg)
{
	uint8_t need = WL_CUT_SEEN | WL_CUT_ROUTED;

	if (w->end[leg].has_timestamps)
		need |= WL_CUT_HAS_TSVAL;
	return (stream_way(w, leg)->marks & need) == need;
}

/* May end[leg] send more than end[!leg] takes? */
static inline bool stream_may_overrun(const struct stream *w, int leg)
{
	const struct end *own = &w->sock[leg], *far = &w->sock[!leg];

	return (int32_t)((own->offered - own->read) -
			 (far->right - far->written)) > 0;
}

static inline bool stream_may_switch(struct stream *w)
{
	for (int leg = 0; leg < 2; leg++) {
		const struct end *s = &w->sock[leg];

		if (!stream_is_known(w, leg) || s->has_fin || s->is_shut ||
		    s->nxt != s->written || s->max != s->nxt ||
		    end_unread(s) > STREAM_UNREAD_MAX ||
		    (w->shape.is_bulk[leg] && stream_may_overrun(w, leg)))
			return false;
	}
	return true;
}

/* The numbers of doc/cut-through.md: the next byte that would be written to
 * one leg and the next that is read from the other are the same. */
static inline void stream_fill_way(struct stream *w, int leg)
{
	struct wl_cut_way *way = stream_way(w, leg);
	const struct end *own = &w->sock[leg], *far = &w->sock[!leg];

	way->seq_add = far->out_base + far->written - own->in_base - own->read;
	way->ack_add = far->in_base + far->read - own->out_base - own->written;
	way->edge = own->out_base + own->written;
	way->ack = own->out_base + own->una;
	way->is_draining = 1;
	way->size_max = (uint16_t)(w->end[!leg].mss_taken + 40);
	way->shift = (int8_t)(own->peer_scale - far->own_scale);
	way->how = (own->has_timestamps ? WL_CUT_TIMESTAMPS : 0) |
		   (far->has_sack ? 0 : WL_CUT_NO_SACK) |
		   (uint8_t)(own->peer_scale << WL_CUT_SCALE_SHIFT);
	way->ts_add = end_ts(far) + w->shape.ts_margin - way->tsval;
}

static inline void stream_switch(struct stream *w)
{
	for (int leg = 0; leg < 2; leg++)
		stream_fill_way(w, leg);
	for (int leg = 0; leg < 2; leg++) {
		w->sock[leg].is_held = true; /* repair_hold_window() */
		if (w->sock[leg].ack_at)     /* repair_flush_ack() */
			end_ack(&w->sock[leg]);
		stream_way(w, leg)->echo_add = -stream_way(w, !leg)->ts_add;
		stream_model(w, leg)->cut.state = WL_CUT_ON;
	}
	w->phase = STREAM_ON;
	w->switched_at = w->now;
}

static inline bool stream_is_drained(struct stream *w, int leg)
{
	const struct wl_cut_way *way = stream_way(w, leg);
	const struct end *s = &w->sock[leg];

	if (end_unread(s) || (end_has_eof(s) && !w->sock[!leg].is_shut))
		return false; /* late bytes, or a FIN, wait */
	return !model_is_after(way->edge, way->ack) ||
	       s->una == end_sent_max(s);
}

static inline void stream_settle(struct stream *w)
{
	if (w->now < w->switched_at + STREAM_GRACE ||
	    !stream_is_drained(w, 0) || !stream_is_drained(w, 1))
		return;
	for (int leg = 0; leg < 2; leg++)
		stream_way(w, leg)->is_draining = 0;
	w->phase = STREAM_SETTLE;
	w->settled_at = w->now;
}

/* --- time ---------------------------------------------------------------- */

/* A relay that would like to be cut stands still for a while, so that what it
 * has written leaves. */
static inline unsigned stream_pace(const struct stream *w, bool may_cut)
{
	return w->phase == STREAM_RELAYED && may_cut ? 400 : w->shape.laziness;
}

/* May it be cut from now on? */
static inline void stream_tick(struct stream *w, bool may_cut)
{
	w->now++;
	for (int leg = 0; leg < 2; leg++) {
		w->sock[leg].now = w->now;
		end_tick(&w->end[leg], w->now);
		if (w->phase != STREAM_CLOSED)
			end_tick(&w->sock[leg], w->now);
	}
	stream_deliver(w);
	if (w->phase <= STREAM_ON &&
	    stream_chance(w, stream_pace(w, may_cut))) {
		stream_move(w, 0);
		stream_move(w, 1);
	}
	if (w->phase == STREAM_RELAYED && may_cut && stream_may_switch(w))
		stream_switch(w);
	else if (w->phase == STREAM_ON)
		stream_settle(w);
	else if (w->phase == STREAM_SETTLE &&
		 w->now >= w->settled_at + STREAM_GRACE)
		w->phase = STREAM_CLOSED;
}

#endif
