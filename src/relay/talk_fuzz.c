/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_fuzz.c - any bytes as a proxy's answer (libFuzzer).
 *
 * The first byte chooses the talk, the second where the answer is cut.  It
 * does not matter how the answer was cut, and of what is glued behind it no
 * byte is taken.
 */
#include "relay/talk.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	IS_CONNECT = 1,
	HAS_USER = 2,
	IS_UDP = 4,
	IS_PIPELINED = 8,
	HAS_NAME = 16,
	IS_IPV6 = 32,
};

struct run {
	struct talk talk;
	enum talk_result result;
	size_t used;
};

static void begin(struct run *r, unsigned how)
{
	static struct upstream u;
	static struct addr server = { .port = 443 };
	struct talk_request request = { .upstream = &u, .server = &server };

	if (!u.password.secret)
		u.password.secret = secret_new("hunter2", 7);
	u.kind = how & IS_CONNECT ? UPSTREAM_HTTP_CONNECT : UPSTREAM_SOCKS5;
	u.user = how & HAS_USER ? "alice" : NULL;
	server.family = how & IS_IPV6 ? AF_INET6 : AF_INET;
	request.name = how & HAS_NAME ? "www.example.org" : NULL;
	request.is_udp = !(how & IS_CONNECT) && how & IS_UDP;
	request.is_pipelined = how & IS_PIPELINED;
	*r = (struct run){ .result = TALK_MORE };
	if (talk_begin(&r->talk, &request) < 0)
		abort();
	r->talk.out_at = r->talk.out_len;
}

/* In memory of its own, so that a byte too far is seen. */
static void hand_in(struct run *r, const uint8_t *bytes, size_t come)
{
	size_t len = come - r->used, used = 0;
	uint8_t *copy;

	if (r->result != TALK_MORE || !len)
		return;
	copy = malloc(len);
	memcpy(copy, bytes + r->used, len);
	r->result = talk_input(&r->talk, copy, len, &used);
	free(copy);
	if (used > len)
		abort();
	r->used += used;
	if (r->talk.out_len > TALK_OUT_MAX || r->talk.out_at > r->talk.out_len)
		abort();
	r->talk.out_at = r->talk.out_len;
	if (r->result == TALK_FAILED && r->talk.end == END_NONE)
		abort();
}

/* In pieces of 1 to 16 bytes, by a sequence that begins with seed. */
static void hand_in_pieces(struct run *r, const uint8_t *bytes, size_t len,
			   unsigned seed)
{
	for (size_t come = 0; come < len;) {
		seed = seed * 1103515245 + 12345;
		come += 1 + (seed >> 16) % 16;
		if (come > len)
			come = len;
		hand_in(r, bytes, come);
	}
}

static void hand_in_bytewise(struct run *r, const uint8_t *bytes, size_t len)
{
	for (size_t come = 1; come <= len; come++)
		hand_in(r, bytes, come);
}

static void expect_same(const struct run *a, const struct run *b)
{
	const struct talk *x = &a->talk, *y = &b->talk;

	if (a->result != b->result || a->used != b->used || x->end != y->end ||
	    x->reply != y->reply || x->can_retry != y->can_retry ||
	    x->is_to_blame != y->is_to_blame || x->out_len != y->out_len ||
	    memcmp(x->out, y->out, x->out_len) != 0 ||
	    !addr_equal(&x->bound, &y->bound))
		abort();
}

/* Word by word, an answer before its question is refused: that depends on
 * how it came. */
static bool is_early(const struct run *r, unsigned how)
{
	return !(how & (IS_CONNECT | IS_PIPELINED)) &&
	       r->result == TALK_FAILED && r->talk.end == END_UPSTREAM_PROTOCOL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, bytewise, pieces;
	unsigned how, seed;

	if (size < 2)
		return 0;
	how = data[0];
	seed = data[1];
	data += 2;
	size -= 2;
	begin(&bytewise, how);
	hand_in_bytewise(&bytewise, data, size);
	begin(&whole, how);
	hand_in(&whole, data, size);
	if (!is_early(&whole, how))
		expect_same(&whole, &bytewise);
	begin(&pieces, how);
	hand_in_pieces(&pieces, data, size, seed);
	if (!is_early(&pieces, how))
		expect_same(&pieces, &bytewise);
	return 0;
}
