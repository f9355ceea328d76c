/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_expect_test.h - what has to become of a packet, by policy/eval.
 *
 * A whole packet or a first fragment, in a world of bpf_run_test.h.
 */
#ifndef WL_ENGINE_BPF_EXPECT_TEST_H
#define WL_ENGINE_BPF_EXPECT_TEST_H

#include "engine/bpf_run_test.h"

struct drawn {
	struct facts facts;
	struct shape shape;
	int link;
	uint32_t mark;
	enum bpf_entry entry;
};

struct expected {
	int retval;
	uint32_t mark;
	size_t counter;
	int listener; /* index into the map; -1: none */
};

/* The order in which the program asks is not that of the reference: selections
 * come first. */
static inline size_t expect_pass(const struct run_world *w,
				 const struct facts *f)
{
	const struct selections *all = &w->tables->selections;
	struct facts elsewhere = *f;
	struct verdict v;

	if (first_selection(all, f) == all->count)
		return WL_COUNT_passed_no_intercept;
	elsewhere.is_src_local = elsewhere.is_dst_local = false;
	eval_packet(all->config, &elsewhere, &v);
	if (v.reason == PASS_DST_SPECIAL || v.reason == PASS_SRC_SPECIAL)
		return WL_COUNT_passed_special;
	return f->is_src_local || f->is_dst_local ? WL_COUNT_passed_local
						  : WL_COUNT_passed_direct;
}

static inline void expect_taken(const struct run_world *w,
				const struct drawn *d, const struct verdict *v,
				struct expected *out)
{
	const struct config *c = w->plan.config;

	out->mark = (d->mark & ~c->mask) | c->mark;
	out->counter = d->shape.proto == PROTO_TCP ? WL_COUNT_taken_tcp
						   : WL_COUNT_taken_udp;
	out->listener =
		(int)wl_listener_index((uint32_t)v->intercept, d->shape.proto,
				       d->shape.src.family == AF_INET6);
}

static inline void expect_refused(const struct drawn *d, struct expected *out)
{
	out->retval = TC_ACT_REDIRECT;
	out->counter = WL_COUNT_rejected_udp;
	if (d->shape.proto == PROTO_UDP)
		return;
	out->counter = WL_COUNT_rejected_tcp;
	if (!(d->shape.flags & FRAME_RST))
		return;
	out->retval = TC_ACT_SHOT; /* nobody answers a reset */
	out->counter = WL_COUNT_dropped_no_answer;
}

static inline void expect_deaf(const struct run_world *w, struct expected *out)
{
	bool is_closed = w->plan.config->on_failure == ON_FAILURE_CLOSED;

	out->retval = is_closed ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	out->counter = is_closed ? WL_COUNT_dropped_no_listener
				 : WL_COUNT_passed_no_listener;
}

static inline void expect_verdict(const struct run_world *w,
				  const struct drawn *d,
				  const struct verdict *v, bool is_deaf,
				  struct expected *out)
{
	switch (v->kind) {
	case VERDICT_PASS:
		out->counter = expect_pass(w, &d->facts);
		return;
	case VERDICT_RELAY:
	case VERDICT_DELIVER:
		if (is_deaf)
			expect_deaf(w, out);
		else
			expect_taken(w, d, v, out);
		return;
	case VERDICT_REJECT:
		expect_refused(d, out);
		return;
	case VERDICT_DROP:
		out->retval = TC_ACT_SHOT;
		out->counter = WL_COUNT_dropped_rule;
		return;
	}
}

static inline void expect(const struct run_world *w, const struct drawn *d,
			  bool is_deaf, struct expected *out)
{
	struct verdict v;

	*out = (struct expected){ .retval = TC_ACT_UNSPEC,
				  .mark = d->mark,
				  .listener = -1 };
	eval_packet(w->plan.config, &d->facts, &v);
	if (d->mark & w->plan.config->mask)
		out->counter = WL_COUNT_passed_own;
	else if (d->shape.link_to[5] != 1)
		out->counter = WL_COUNT_passed_not_ours;
	else
		expect_verdict(w, d, &v, is_deaf, out);
}

#endif
