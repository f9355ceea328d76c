/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_run_test.h - a talk with a proxy that has said everything already.
 *
 * The run plays the owner of the socket: it hands in what came in pieces, in
 * memory of just that size, and sends what the talk has to say.
 */
#ifndef WL_RELAY_TALK_RUN_TEST_H
#define WL_RELAY_TALK_RUN_TEST_H

#include "relay/talk.h"

#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static inline struct addr run_addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* --- the upstream -------------------------------------------------------- */

struct scene {
	struct upstream upstream;
	struct addr server;
	struct talk_request request;
};

static inline void scene_begin(struct scene *s, enum upstream_kind kind,
			       bool has_user)
{
	*s = (struct scene){ .upstream = { .kind = kind },
			     .server = run_addr("198.51.100.7:443") };
	s->request = (struct talk_request){ .upstream = &s->upstream,
					    .server = &s->server };
	if (!has_user)
		return;
	s->upstream.user = "alice";
	s->upstream.password.secret = secret_new("hunter2", 7);
	assert_non_null(s->upstream.password.secret);
}

static inline void scene_end(struct scene *s)
{
	secret_free(s->upstream.password.secret);
}

/* --- the run ------------------------------------------------------------- */

struct talk_run {
	struct talk talk;
	enum talk_result result;
	size_t used;	 /* of all that was handed in */
	bool is_sending; /* else nothing that was said has left us yet */
};

static inline void run_begin(struct talk_run *r, const struct talk_request *q)
{
	memset(r, 0xa5, sizeof(*r)); /* begin must not rely on zeros */
	r->result = TALK_MORE;
	r->used = 0;
	r->is_sending = true;
	assert_int_equal(talk_begin(&r->talk, q), 0);
	r->talk.out_at = r->talk.out_len;
}

/* All of bytes[0..come) is there. */
static inline void run_input(struct talk_run *r, const uint8_t *bytes,
			     size_t come)
{
	size_t len = come - r->used, used = 0;
	uint8_t *copy;

	if (r->result != TALK_MORE || !len)
		return;
	copy = malloc(len); /* a byte too far is seen by the sanitizer */
	assert_non_null(copy);
	memcpy(copy, bytes + r->used, len);
	r->result = talk_input(&r->talk, copy, len, &used);
	assert_true(used <= len);
	r->used += used;
	free(copy);
	if (r->is_sending)
		r->talk.out_at = r->talk.out_len;
}

/* In two pieces. */
static inline void run_cut(struct talk_run *r, const uint8_t *bytes, size_t len,
			   size_t cut)
{
	run_input(r, bytes, cut);
	run_input(r, bytes, len);
}

static inline void run_bytewise(struct talk_run *r, const uint8_t *bytes,
				size_t len)
{
	for (size_t come = 1; come <= len; come++)
		run_input(r, bytes, come);
}

/* --- what came of it ----------------------------------------------------- */

static inline void run_expect_same(const struct talk_run *a,
				   const struct talk_run *b, const char *name)
{
	if (a->result != b->result || a->used != b->used ||
	    a->talk.end != b->talk.end || a->talk.reply != b->talk.reply ||
	    a->talk.can_retry != b->talk.can_retry ||
	    a->talk.is_to_blame != b->talk.is_to_blame ||
	    !addr_equal(&a->talk.bound, &b->talk.bound) ||
	    a->talk.out_len != b->talk.out_len ||
	    memcmp(a->talk.out, b->talk.out, a->talk.out_len) != 0)
		fail_msg("%s: it matters how the answer is cut", name);
}

/* What a talk that failed must say of it. */
struct run_failure {
	enum flow_end end;
	unsigned reply;
	bool can_retry, is_to_blame;
};

static inline void run_expect_failure(const struct talk_run *r,
				      const struct run_failure *f,
				      const char *name)
{
	if (r->result != TALK_FAILED || r->talk.end != f->end ||
	    r->talk.reply != f->reply || r->talk.can_retry != f->can_retry ||
	    r->talk.is_to_blame != f->is_to_blame)
		fail_msg("%s: result %d, end %s, reply %u, retry %d, blame %d",
			 name, r->result, flow_end_name(r->talk.end),
			 r->talk.reply, r->talk.can_retry, r->talk.is_to_blame);
}

#endif
