/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_model_test.h - what becomes of a packet of a cut-through flow.
 *
 * Written from doc/cut-through.md and abi/cut.h, one packet and one entry at a
 * time, in plain C: whole packets are copied, and all sums made anew.  It knows
 * no maps, no time and no routes: those are told.  ICMP errors from beyond are
 * not here, but in cut_icmp_test.c.
 */
#ifndef WL_ENGINE_CUT_MODEL_TEST_H
#define WL_ENGINE_CUT_MODEL_TEST_H

#include "engine/cut_model_parts_test.h"

/* --- TCP ----------------------------------------------------------------- */

static inline void model_watch(const struct model_tcp *t)
{
	uint32_t tsval, ack = frame_32(t->tcp + 8);
	struct wl_cut_way *way = t->way;

	if (t->flags & SEGMENT_URG)
		way->marks |= WL_CUT_URGENT;
	if (!model_options(t, false))
		way->marks |= WL_CUT_ODD;
	if (model_tsval(t, &tsval)) {
		way->marks |= WL_CUT_HAS_TSVAL;
		way->tsval = tsval;
	}
	if (t->flags & FRAME_FIN) {
		way->marks |= WL_CUT_FIN;
		way->fin = frame_32(t->tcp + 4) + (uint32_t)t->payload_len + 1;
	}
	if (!(t->flags & FRAME_ACK))
		return;
	if (!(way->marks & WL_CUT_SEEN) || model_is_after(ack, way->ack))
		way->ack = ack;
	way->marks |= WL_CUT_SEEN;
}

static inline void model_syn(const struct model_tcp *t, struct model_out *out)
{
	bool is_reset = t->way->marks & WL_CUT_RESET;
	bool is_over = t->way->marks & WL_CUT_FIN;

	if (t->other) {
		is_reset |= !!(t->other->marks & WL_CUT_RESET);
		is_over &= !!(t->other->marks & WL_CUT_FIN);
	}
	if (!is_reset && !is_over) {
		model_end(out, MODEL_DROPPED, WL_CUT_COUNT_dropped_syn);
		return;
	}
	t->m->is_there = false;
	model_end(out, MODEL_PASSED, WL_CUT_COUNT_reopened);
}

/* Is this acknowledgement about bytes of our own socket? */
static inline bool model_is_below_edge(const struct model_tcp *t)
{
	return t->way->is_draining && t->flags & FRAME_ACK &&
	       model_is_after(t->way->edge, frame_32(t->tcp + 8));
}

/* Is it further ahead than our other socket may lag behind? */
static inline bool model_is_ahead(const struct model_tcp *t)
{
	return t->way->is_draining && t->flags & FRAME_ACK &&
	       !model_is_below_edge(t) &&
	       model_is_after(frame_32(t->tcp + 8),
			      t->way->edge + WL_CUT_AHEAD_MAX);
}

static inline bool model_is_pure_ack(const struct model_tcp *t)
{
	return !t->payload_len &&
	       !(t->flags & (FRAME_SYN | FRAME_FIN | FRAME_RST));
}

/* Can the far end have taken a FIN or RST with this number?  abi/cut.h does
 * not say how far a window goes: 16 MiB are believed. */
static inline bool model_is_taken(const struct model_tcp *t, uint32_t number)
{
	return t->other &&
	       number - (t->other->ack + t->other->ack_add) <= 1u << 24;
}

static inline void model_learn_end(const struct model_tcp *t)
{
	uint32_t seq = frame_32(t->tcp + 4);
	uint32_t behind = seq + (uint32_t)t->payload_len;

	if (t->flags & FRAME_FIN && model_is_taken(t, behind)) {
		t->way->marks |= WL_CUT_FIN;
		t->way->fin = behind + 1;
	}
	if (t->flags & FRAME_RST && model_is_taken(t, seq)) {
		t->way->marks |= WL_CUT_RESET;
		if (model_is_readdressed(t->m))
			t->other->marks |= WL_CUT_OBJECTS;
	}
}

/* An end that goes on has not taken the other one's RST. */
static inline void model_object(const struct model_tcp *t)
{
	bool is_asked = t->way->marks & WL_CUT_OBJECTS;

	if (model_is_readdressed(t->m) && !is_asked)
		return;
	t->way->marks &= (uint8_t)~WL_CUT_OBJECTS;
	if (t->other)
		t->other->marks &= (uint8_t)~WL_CUT_RESET;
}

static inline void model_learn(const struct model_tcp *t)
{
	uint32_t ack = frame_32(t->tcp + 8);

	t->way->seen_s = t->m->now_s;
	if (t->flags & FRAME_ACK && model_is_after(ack, t->way->ack))
		t->way->ack = ack;
	model_learn_end(t);
	if (!(t->flags & FRAME_RST))
		model_object(t);
}

static inline void model_window(const struct model_tcp *t)
{
	uint32_t window = frame_16(t->tcp + 14);

	if (t->way->shift >= 0)
		window <<= t->way->shift;
	else
		window >>= -t->way->shift;
	packet_set_16(t->tcp + 14, window > 65535 ? 65535 : window);
}

/* Its acknowledgement is another one: it ends where it did. */
static inline void model_window_moved(const struct model_tcp *t, uint32_t ack)
{
	uint32_t scale = t->way->how >> WL_CUT_SCALE_SHIFT;
	int64_t window = (int32_t)(((uint32_t)frame_16(t->tcp + 14) << scale) +
				   frame_32(t->tcp + 8) - ack);

	window = window < 0
			 ? 0
			 : window >> ((scale - (uint32_t)t->way->shift) & 15);
	packet_set_16(t->tcp + 14, window > 65535 ? 65535 : (uint32_t)window);
}

/* Everything in a segment that differs between the legs. */
static inline void model_rewrite(const struct model_tcp *t,
				 struct model_out *out)
{
	const struct wl_cut_way *way = t->way;
	bool is_raised = model_is_below_edge(t);
	uint32_t ack = frame_32(t->tcp + 8);

	model_add_32(t->tcp + 4, way->seq_add);
	t->m->raised += is_raised;
	if (is_raised)
		ack = way->edge;
	else if (model_is_ahead(t))
		ack = way->edge + WL_CUT_AHEAD_MAX;
	if (ack != frame_32(t->tcp + 8) && t->flags & FRAME_ACK)
		model_window_moved(t, ack);
	else
		model_window(t);
	if (t->flags & FRAME_ACK)
		packet_set_32(t->tcp + 8, ack + way->ack_add);
	(void)model_options(t, true); /* known to be readable */
	if (way->how & WL_CUT_NO_ECN) {
		model_clear_ect(&out->packet);
		t->tcp[13] &= (uint8_t) ~(SEGMENT_ECE | SEGMENT_CWR);
	}
}

/* What the socket has received: the byte at the other way's edge would be the
 * next one. */
static inline uint32_t model_received(const struct model_tcp *t)
{
	return t->other->edge - t->way->seq_add;
}

/* Its number may be far ahead of what the socket has seen: bytes in front of
 * it have gone past it.  It must stand in the window that the socket offers. */
static inline void model_to_socket(const struct model_tcp *t,
				   struct model_out *out)
{
	model_learn(t);
	if (t->other &&
	    model_is_after(frame_32(t->tcp + 4), model_received(t))) {
		packet_set_32(t->tcp + 4, model_received(t));
		packet_fill_sums(&out->packet, t->view.transport, IPPROTO_TCP);
	}
	model_end(out, MODEL_PASSED, WL_CUT_COUNT_to_socket);
}

static inline void model_tcp_on(const struct model_tcp *t,
				struct model_out *out)
{
	bool has_met_ce = (model_tos(&out->packet) & 3) == 3;

	if (t->flags & FRAME_SYN) {
		model_syn(t, out);
		return;
	}
	if (!model_options(t, false)) {
		model_end(out, MODEL_DROPPED, WL_CUT_COUNT_dropped_malformed);
		return;
	}
	if (model_is_below_edge(t) && model_is_pure_ack(t)) {
		model_to_socket(t, out);
		return;
	}
	if (model_expires(t->m, out))
		return;
	if (t->way->how & WL_CUT_NO_ECN && has_met_ce) {
		model_end(out, MODEL_DROPPED, WL_CUT_COUNT_dropped_ce);
		return;
	}
	if (!model_leaves(t->m, t->way, t->view.payload, out))
		return;
	model_learn(t);
	model_rewrite(t, out);
	model_send(t->m, t->way, &t->view, out, WL_CUT_COUNT_tcp);
	packet_fill_sums(&out->packet, t->view.transport, IPPROTO_TCP);
}

/* Headers cut short, or a fragment. */
static inline void model_malformed(const struct model *m,
				   struct wl_cut_way *way,
				   struct model_out *out)
{
	if (m->cut.state == WL_CUT_ON) {
		model_end(out, MODEL_DROPPED, WL_CUT_COUNT_dropped_malformed);
		return;
	}
	way->marks |= WL_CUT_ODD;
	model_end(out, MODEL_PASSED, WL_CUT_COUNT_watched);
}

static inline void model_tcp(struct model *m, const struct packet_view *v,
			     struct wl_cut_way *way, struct model_out *out)
{
	struct model_tcp t = { .m = m, .way = way, .view = *v };

	t.tcp = out->packet.bytes + v->transport;
	t.flags = t.tcp[13];
	t.other = model_other(m, way);
	if (v->is_fragment || v->payload > out->packet.len ||
	    v->payload < v->transport + 20) {
		model_malformed(m, way, out);
		return;
	}
	t.payload_len = out->packet.len - v->payload;
	if (m->cut.state == WL_CUT_ON) {
		model_tcp_on(&t, out);
		return;
	}
	model_watch(&t);
	model_end(out, MODEL_PASSED, WL_CUT_COUNT_watched);
}

/* --- UDP ----------------------------------------------------------------- */

static inline void model_udp(struct model *m, const struct packet_view *v,
			     struct wl_cut_way *way, struct model_out *out)
{
	struct packet *p = &out->packet;
	bool has_sum = frame_16(p->bytes + v->transport + 6);

	if (m->cut.state != WL_CUT_ON) {
		way->marks |= WL_CUT_SEEN | (v->is_fragment ? WL_CUT_ODD : 0);
		model_end(out, MODEL_PASSED, WL_CUT_COUNT_watched);
		return;
	}
	if (v->is_fragment || model_expires(m, out) ||
	    !model_leaves(m, way, v->payload, out))
		return;
	way->seen_s = m->now_s;
	model_send(m, way, v, out, WL_CUT_COUNT_udp);
	packet_fill_sums(p, v->transport, IPPROTO_UDP);
	if (!has_sum)
		packet_set_16(p->bytes + v->transport + 6, 0);
}

/* --- a packet ------------------------------------------------------------ */

/* The part of a frame's IP packet that its header speaks of: padding behind it
 * is no part; 0: many segments, all that is there.  False: it speaks of more
 * than there is. */
static inline bool model_trim(struct packet *p)
{
	size_t len;

	if (p->len < 20)
		return false;
	len = frame_16(p->bytes + (p->bytes[0] >> 4 == 6 ? 4 : 2));
	if (!len)
		return true;
	if (p->bytes[0] >> 4 == 6)
		len += 40;
	if (len > p->len)
		return false;
	p->len = len;
	return true;
}

/* Later fragments do not tell whose they are. */
static inline bool model_is_later_fragment(const struct packet *p)
{
	return p->bytes[0] >> 4 == 4 && frame_16(p->bytes + 6) & 0x1fff;
}

static inline void model_judge(struct model *m, struct model_out *out)
{
	struct wl_cut_way *way;
	struct packet_view v;

	if (!model_trim(&out->packet) || !packet_look(&out->packet, &v) ||
	    model_is_later_fragment(&out->packet))
		return;
	if (v.proto != IPPROTO_TCP && v.proto != IPPROTO_UDP)
		return;
	way = model_way(m, &v);
	if (!way)
		return;
	if (m->cut.state == WL_CUT_WATCH) {
		way->seen_s = m->now_s;
		if (m->route_mtu)
			way->marks |= WL_CUT_ROUTED;
	}
	if (v.proto == IPPROTO_TCP)
		model_tcp(m, &v, way, out);
	else
		model_udp(m, &v, way, out);
}

static inline void model_run(struct model *m, const struct packet *in,
			     struct model_out *out)
{
	out->packet = *in;
	out->is_marked = false;
	out->limit = 0;
	model_end(out, MODEL_PASSED, -1);
	model_judge(m, out);
	if (out->fate != MODEL_SENT && out->fate != MODEL_TO_KERNEL &&
	    out->counter != WL_CUT_COUNT_to_socket)
		out->packet = *in;
}

#endif
