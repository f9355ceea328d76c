/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_model_parts_test.h - what the model of cut-through is made of: TCP
 * options, the IP header, and whether a packet can leave.
 *
 * The model itself: cut_model_test.h.
 */
#ifndef WL_ENGINE_CUT_MODEL_PARTS_TEST_H
#define WL_ENGINE_CUT_MODEL_PARTS_TEST_H

#include "engine/cut_packet_test.h"

enum model_fate {
	MODEL_PASSED,	 /* unchanged, to whoever comes next */
	MODEL_SENT,	 /* rewritten */
	MODEL_TO_KERNEL, /* rewritten, and left to the kernel to send on */
	MODEL_ANSWERED,	 /* an ICMP error goes back: too_big */
	MODEL_DROPPED,
};

struct model {
	struct wl_cut_key key;
	struct wl_cut cut;
	bool is_there;
	struct model *partner; /* readdressed: of the other leg, or NULL */
	unsigned raised; /* acknowledgements that were raised to the edge */
	/* told */
	uint16_t route_mtu; /* 0: no way out is known */
	uint32_t now_s;
	uint16_t gso_size; /* of the packet */
};

struct model_out {
	enum model_fate fate;
	bool is_marked; /* passed with our own mark: no engine takes it */
	int counter;	/* enum wl_cut_counter; -1: none */
	uint16_t limit; /* MODEL_ANSWERED: largest packet that would go */
	struct packet packet;
};

/* A TCP segment under its work. */
struct model_tcp {
	struct model *m;
	struct wl_cut_way *way, *other; /* other: NULL where it is elsewhere */
	struct packet_view view;
	uint8_t *tcp;
	size_t payload_len;
	uint8_t flags;
};

static inline bool model_is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool model_is_readdressed(const struct model *m)
{
	return m->cut.shape & WL_CUT_READDRESSED;
}

/* The way that a packet is of; NULL: it is none of this entry's. */
static inline struct wl_cut_way *model_way(struct model *m,
					   const struct packet_view *v)
{
	struct wl_cut_key key;
	bool is_low = packet_key(v, &key);

	if (!m->is_there || memcmp(&key, &m->key, sizeof(key)) != 0)
		return NULL;
	if (!model_is_readdressed(m))
		return &m->cut.way[is_low ? 0 : 1];
	return is_low == !!(m->cut.shape & WL_CUT_LOW) ? &m->cut.only : NULL;
}

/* The other way of the flow; NULL: it is gone. */
static inline struct wl_cut_way *model_other(struct model *m,
					     const struct wl_cut_way *way)
{
	if (!model_is_readdressed(m))
		return &m->cut.way[way == &m->cut.way[0]];
	return m->partner && m->partner->is_there ? &m->partner->cut.only
						  : NULL;
}

static inline void model_end(struct model_out *out, enum model_fate fate,
			     int counter)
{
	out->fate = fate;
	out->counter = counter;
}

/* --- options ------------------------------------------------------------- */

/* The next option at *at, 0 at the end, -1 if it is cut short. */
static inline int model_option(const uint8_t *options, size_t len, size_t *at,
			       size_t *option_len)
{
	if (*at >= len || options[*at] == OPTION_END)
		return 0;
	*option_len = 1;
	if (options[*at] == OPTION_NOP)
		return OPTION_NOP;
	if (*at + 1 >= len || options[*at + 1] < 2 ||
	    *at + options[*at + 1] > len)
		return -1;
	*option_len = options[*at + 1];
	return options[*at];
}

static inline void model_add_32(uint8_t *at, uint32_t add)
{
	packet_set_32(at, frame_32(at) + add);
}

static inline void model_timestamps(const struct model_tcp *t, uint8_t *option)
{
	if (!(t->way->how & WL_CUT_TIMESTAMPS))
		return;
	model_add_32(option + 2, t->way->ts_add);
	if (t->flags & FRAME_ACK && frame_32(option + 6))
		model_add_32(option + 6, t->way->echo_add);
}

static inline void model_sack(const struct model_tcp *t, uint8_t *option,
			      size_t len)
{
	if (t->way->how & WL_CUT_NO_SACK) {
		memset(option, OPTION_NOP, len);
		return;
	}
	for (size_t i = 2; i < len; i += 4)
		model_add_32(option + i, t->way->ack_add);
}

/* True: all of them can be read. */
static inline bool model_options(const struct model_tcp *t, bool is_to_change)
{
	size_t len = t->view.payload - t->view.transport - 20, at = 0, n;
	uint8_t *options = t->tcp + 20;
	int kind;

	while ((kind = model_option(options, len, &at, &n)) > 0) {
		if (is_to_change && kind == OPTION_TIMESTAMPS && n == 10)
			model_timestamps(t, options + at);
		if (is_to_change && kind == OPTION_SACK && n > 2 && n % 8 == 2)
			model_sack(t, options + at, n);
		at += n;
	}
	return kind == 0;
}

/* The last TSval of a segment. */
static inline bool model_tsval(const struct model_tcp *t, uint32_t *out)
{
	size_t len = t->view.payload - t->view.transport - 20, at = 0, n;
	const uint8_t *options = t->tcp + 20;
	bool is_there = false;
	int kind;

	while ((kind = model_option(options, len, &at, &n)) > 0) {
		if (kind == OPTION_TIMESTAMPS && n == 10) {
			*out = frame_32(options + at + 2);
			is_there = true;
		}
		at += n;
	}
	return is_there;
}

/* --- the IP header ------------------------------------------------------- */

static inline uint8_t model_tos(const struct packet *p)
{
	if (p->bytes[0] >> 4 == 4)
		return p->bytes[1];
	return (uint8_t)(frame_16(p->bytes) >> 4);
}

static inline void model_clear_ect(struct packet *p)
{
	if (p->bytes[0] >> 4 == 4)
		p->bytes[1] &= 0xfc;
	else
		p->bytes[1] &= 0xcf;
}

static inline uint8_t *model_ttl(struct packet *p)
{
	return p->bytes + (p->bytes[0] >> 4 == 4 ? 8 : 7);
}

static inline bool model_may_fragment(const struct packet *p)
{
	return p->bytes[0] >> 4 == 4 && !(p->bytes[6] & 0x40);
}

static inline void model_readdress(const struct model *m,
				   const struct packet_view *v,
				   struct packet *p)
{
	const struct wl_cut_tuple *to = &m->cut.to;
	size_t len = v->is_v6 ? 16 : 4;
	uint8_t *ports = p->bytes + v->transport;

	memcpy(p->bytes + (v->is_v6 ? 8 : 12), to->src, len);
	memcpy(p->bytes + (v->is_v6 ? 24 : 16), to->dst, len);
	memcpy(ports, &to->sport, 2);
	memcpy(ports + 2, &to->dport, 2);
}

/* Of the packet as it leaves, as one of its segments if it is many.  By IPv6
 * nobody can be told to send less than 1280 bytes. */
static inline bool model_is_too_big(const struct model *m,
				    const struct wl_cut_way *way,
				    const struct packet *p, size_t head_len,
				    uint16_t *limit)
{
	size_t len = m->gso_size ? head_len + m->gso_size : p->len;
	uint16_t max = m->route_mtu;

	if (way->size_max && (!max || way->size_max < max))
		max = way->size_max;
	if (max && max < 1280 && p->bytes[0] >> 4 == 6)
		max = 1280;
	*limit = max;
	return max && len > max;
}

/* What the kernel has to do: to look for the way, to divide the packet, to
 * understand its IP options.  But it does not forward what has an address of
 * this host for its source. */
static inline bool model_is_kernels(const struct model *m, bool is_too_big,
				    const struct packet *p)
{
	bool has_options = p->bytes[0] >> 4 == 4 && packet_ip_len(p) > 20;

	return !m->route_mtu ||
	       (!model_is_readdressed(m) && (is_too_big || has_options));
}

/* The end of the work on a packet that is sent on. */
static inline void model_send(struct model *m, struct wl_cut_way *way,
			      const struct packet_view *v,
			      struct model_out *out, int counter)
{
	struct packet *p = &out->packet;
	bool is_kernels = out->fate == MODEL_TO_KERNEL;

	if (model_is_readdressed(m)) {
		model_readdress(m, v, p);
		*model_ttl(p) = 64;
	} else if (!is_kernels) {
		--*model_ttl(p);
	}
	way->bytes += p->len;
	out->is_marked = true;
	out->counter = is_kernels ? WL_CUT_COUNT_to_kernel : counter;
}

/* Can it leave?  If not, out says what becomes of it. */
static inline bool model_leaves(struct model *m, const struct wl_cut_way *way,
				size_t head_len, struct model_out *out)
{
	const struct packet *p = &out->packet;
	bool is_too_big = model_is_too_big(m, way, p, head_len, &out->limit);

	if (is_too_big && (!model_may_fragment(p) || model_is_readdressed(m))) {
		model_end(out, MODEL_ANSWERED, WL_CUT_COUNT_too_big);
		return false;
	}
	out->fate = model_is_kernels(m, is_too_big, p) ? MODEL_TO_KERNEL
						       : MODEL_SENT;
	return true;
}

/* True: its TTL ends here, and the kernel answers. */
static inline bool model_expires(const struct model *m, struct model_out *out)
{
	if (model_is_readdressed(m) || *model_ttl(&out->packet) > 1)
		return false;
	out->is_marked = true;
	model_end(out, MODEL_PASSED, WL_CUT_COUNT_expired);
	return true;
}

#endif
