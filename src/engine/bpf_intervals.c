/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_intervals.c - prefixes to intervals; see bpf_intervals.h.
 *
 * Prefixes come in the order of prefix_compare(), each before those inside of
 * it.  A stack holds the prefixes around the place where the walk is:
 *
 *	10.0.0.0/8  A	|A      |B   |C |B |A               |
 *	10.1.0.0/16 B	10.0    10.1              10.2      10.255.255.255
 *	10.1.7.0/24 C
 *
 * A prefix that begins ends the interval of the one around it, and where it
 * ends, the one around goes on.
 */
#include "engine/bpf_intervals.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKET_BITS = 16,
	BUCKET_ADDRESSES = 1 << BUCKET_BITS,
	DEPTH_MAX = 1 + 33, /* outside, and lengths 0 to 32 */
};

/* A prefix that is not over yet. */
struct open {
	uint64_t end; /* the first address behind it */
	uint32_t class;
};

struct walk {
	struct bpf_intervals *out;
	uint64_t at; /* the first address that is in no interval yet */
	struct open stack[DEPTH_MAX];
	size_t depth;
};

static_assert(WL_BUCKETS == (UINT64_C(1) << 32) / BUCKET_ADDRESSES,
	      "buckets hold all addresses");
static_assert(BPF_CLASSES_MAX <= UINT16_MAX, "a class fits into an interval");

/* The part of one bucket from w->at on has this class. */
static void cover_in_bucket(struct walk *w, uint32_t class)
{
	struct bpf_intervals *out = w->out;
	struct wl_bucket *b = &out->buckets[w->at >> BUCKET_BITS];
	uint16_t start = (uint16_t)(w->at % BUCKET_ADDRESSES);

	if (!start)
		b->first = (uint32_t)out->count;
	else if (out->of[out->count - 1].class == class)
		return;
	out->of[out->count++] = (struct wl_interval){
		.start = start,
		.class = (uint16_t) class,
	};
	b->count = (uint32_t)out->count - b->first;
}

/* All up to `end` that is in no interval yet has the innermost class. */
static void cover(struct walk *w, uint64_t end)
{
	uint32_t class = w->stack[w->depth - 1].class;

	while (w->at < end) {
		uint64_t next = (w->at | (BUCKET_ADDRESSES - 1)) + 1;

		cover_in_bucket(w, class);
		w->at = next < end ? next : end;
	}
}

static void close_before(struct walk *w, uint64_t address)
{
	for (; w->depth && w->stack[w->depth - 1].end <= address; w->depth--)
		cover(w, w->stack[w->depth - 1].end);
}

static void open_prefix(struct walk *w, const struct bpf_prefix *p)
{
	uint32_t net;
	uint64_t start;

	memcpy(&net, p->net.net.ip, sizeof(net));
	start = ntohl(net);
	close_before(w, start);
	cover(w, start);
	assert(w->depth < DEPTH_MAX);
	w->stack[w->depth++] = (struct open){
		.end = start + (UINT64_C(1) << (32 - p->net.len)),
		.class = p->class,
	};
}

int bpf_intervals_make(const struct bpf_prefixes *from,
		       struct bpf_intervals *out)
{
	/* A bucket begins one, and so do a prefix and what goes on behind it;
	 * what is never written costs no memory. */
	size_t room = WL_BUCKETS + 2 * from->count;
	struct bpf_intervals made = {
		.buckets = calloc(WL_BUCKETS, sizeof(*made.buckets)),
		.of = calloc(room, sizeof(*made.of)),
	};
	struct walk w = {
		.out = &made,
		.stack[0] = { .end = UINT64_C(1) << 32,
			      .class = from->outside },
		.depth = 1,
	};

	if (!made.buckets || !made.of) {
		bpf_intervals_done(&made);
		return -ENOMEM;
	}
	for (size_t i = 0; i < from->count; i++)
		open_prefix(&w, &from->of[i]);
	close_before(&w, UINT64_C(1) << 32);
	assert(made.count <= room);
	*out = made;
	return 0;
}

void bpf_intervals_done(struct bpf_intervals *i)
{
	free(i->buckets);
	free(i->of);
	*i = (struct bpf_intervals){ .count = 0 };
}
