/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_prefixes.c - the two address dimensions; see bpf_tables_priv.h.
 *
 * All sets of networks that matter to a side are merged in the order of
 * prefix_compare().  There a prefix comes before everything inside of it, so
 * that a stack holds the prefixes around the one at hand:
 *
 *	10.0.0.0/8	[root] [10/8]
 *	10.1.0.0/16	[root] [10/8] [10.1/16]
 *	10.1.7.0/24	[root] [10/8] [10.1/16] [10.1.7/24]
 *	10.2.0.0/16	[root] [10/8] [10.2/16]
 *
 * A frame says which sets its prefix is in, as the selections whose rule names
 * such a set and those whose intercept excepts it.  It begins with what the
 * frame below says, and the sets that hold this very prefix are added.
 *
 * The same large list may be named by each of a thousand rules: sets of equal
 * content are one set here, and the cost is that of their union.
 */
#include "engine/bpf_tables_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	/* A set for each rule and one for each intercept's exceptions. */
	SETS_MAX = SELECTIONS_MAX + INTERCEPTS_MAX,
	DEPTH_MAX = 1 + 129, /* the root, and lengths 0 to 128 */
};

/* A set of networks, and who names it. */
struct named_nets {
	const struct net_set *nets;
	uint64_t hash;
	struct wl_bits rules, excepts; /* selections */
	size_t at;		       /* the next prefix to merge */
};

struct frame {
	const struct prefix *net; /* NULL: the root */
	struct wl_bits rules, excepts;
	uint32_t class;
};

struct walk {
	struct bpf_tables *t;
	struct bpf_intern *classes;
	enum bpf_side side;
	struct wl_bits open; /* selections whose rule does not ask this side */
	struct wl_bits able; /* selections that can take the family at hand */
	struct named_nets sets[SETS_MAX];
	size_t set_count;
	struct named_nets *heap[SETS_MAX]; /* least next prefix first */
	size_t heap_count;
	struct frame stack[DEPTH_MAX];
	size_t depth;
};

/* --- the sets ------------------------------------------------------------ */

static struct named_nets *name_nets(struct walk *w, const struct net_set *nets)
{
	struct named_nets *s = w->sets;

	/* A set that is one list shares the list's prefixes. */
	for (; s < w->sets + w->set_count; s++) {
		if (s->nets->prefixes == nets->prefixes &&
		    s->nets->count == nets->count)
			return s;
	}
	w->set_count++;
	s->nets = nets;
	return s;
}

static void collect_sets(struct walk *w)
{
	const struct selections *all = &w->t->selections;
	bool is_src = w->side == BPF_SIDE_SRC;

	for (size_t i = 0; i < all->count; i++) {
		const struct selection *s = &all->of[i];
		const struct intercept *in =
			&all->config->intercepts[s->intercept];
		const struct net_expr *e;

		e = is_src ? &in->except_src : &in->except_dst;
		if (e->set.count)
			bits_add(&name_nets(w, &e->set)->excepts, i);
		e = !s->rule ? NULL
		    : is_src ? &s->rule->src
			     : eval_rule_dst(s->rule);
		if (!e || !e->count)
			bits_add(&w->open, i);
		else if (e->set.count)
			bits_add(&name_nets(w, &e->set)->rules, i);
	}
}

/* A chain: the bytes behind prefix.len have no defined value. */
static uint64_t hash_nets(const struct net_set *s)
{
	uint64_t hash = s->count;

	for (size_t i = 0; i < s->count; i++)
		hash = XXH3_64bits_withSeed(&s->prefixes[i].net,
					    sizeof(s->prefixes[i].net),
					    hash + s->prefixes[i].len);
	return hash;
}

static bool is_equal(const struct named_nets *a, const struct named_nets *b)
{
	if (a->hash != b->hash || a->nets->count != b->nets->count)
		return false;
	for (size_t i = 0; i < a->nets->count; i++) {
		if (prefix_compare(&a->nets->prefixes[i],
				   &b->nets->prefixes[i]) != 0)
			return false;
	}
	return true;
}

static void unite_equal_sets(struct walk *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->set_count; i++) {
		struct named_nets *s = &w->sets[i];
		size_t same = 0;

		s->hash = hash_nets(s->nets);
		while (same < kept && !is_equal(&w->sets[same], s))
			same++;
		if (same == kept) {
			w->sets[kept++] = *s;
			continue;
		}
		bits_or(&w->sets[same].rules, &s->rules);
		bits_or(&w->sets[same].excepts, &s->excepts);
	}
	w->set_count = kept;
}

/* --- merging them -------------------------------------------------------- */

static const struct prefix *next_of(const struct named_nets *s)
{
	return &s->nets->prefixes[s->at];
}

static bool is_before(const struct named_nets *a, const struct named_nets *b)
{
	return prefix_compare(next_of(a), next_of(b)) < 0;
}

static void sift_down(struct walk *w, size_t at)
{
	struct named_nets *s = w->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= w->heap_count)
			break;
		if (child + 1 < w->heap_count &&
		    is_before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!is_before(w->heap[child], s))
			break;
		w->heap[at] = w->heap[child];
		at = child;
	}
	w->heap[at] = s;
}

static void make_heap(struct walk *w)
{
	for (size_t i = 0; i < w->set_count; i++)
		w->heap[i] = &w->sets[i];
	w->heap_count = w->set_count;
	for (size_t i = w->heap_count / 2; i > 0; i--)
		sift_down(w, i - 1);
}

/* The least prefix of all; NULL: none of this family is left. */
static const struct prefix *peek(const struct walk *w, int family)
{
	const struct prefix *p;

	if (!w->heap_count)
		return NULL;
	p = next_of(w->heap[0]);
	return p->net.family == family ? p : NULL;
}

static void step(struct walk *w)
{
	struct named_nets *s = w->heap[0];

	if (++s->at == s->nets->count)
		w->heap[0] = w->heap[--w->heap_count];
	if (w->heap_count)
		sift_down(w, 0);
}

/* --- one family ---------------------------------------------------------- */

static int set_class(struct walk *w, struct frame *f)
{
	struct wl_bits bits;
	int class;

	for (size_t i = 0; i < WL_BITS_WORDS; i++)
		bits.word[i] = (w->open.word[i] | f->rules.word[i]) &
			       ~f->excepts.word[i] & w->able.word[i];
	class = bpf_intern_add(w->classes, &bits);
	if (class < 0)
		return class;
	f->class = (uint32_t) class;
	return 0;
}

static int push_root(struct walk *w, int family)
{
	const struct selections *all = &w->t->selections;

	w->able = (struct wl_bits){ .word = { 0 } };
	for (size_t i = 0; i < all->count; i++) {
		if (selection_has_family(all->config, &all->of[i], family))
			bits_add(&w->able, i);
	}
	w->stack[0] = (struct frame){ .net = NULL };
	w->depth = 1;
	return set_class(w, &w->stack[0]);
}

/* The frame of p, which is the next prefix; takes p from all sets. */
static int push(struct walk *w, const struct prefix *p)
{
	struct frame *f;

	/* In this order what begins inside a prefix lies inside of it. */
	while (w->depth > 1 &&
	       !prefix_contains(w->stack[w->depth - 1].net, &p->net))
		w->depth--;
	f = &w->stack[w->depth++];
	*f = f[-1];
	f->net = p;
	while (w->heap_count && prefix_compare(next_of(w->heap[0]), p) == 0) {
		bits_or(&f->rules, &w->heap[0]->rules);
		bits_or(&f->excepts, &w->heap[0]->excepts);
		step(w);
	}
	return set_class(w, f);
}

/* Room for every prefix that is left, so that none need be counted before;
 * what is never written costs no memory. */
static int make_room(const struct walk *w, struct bpf_prefixes *out)
{
	size_t room = 1;

	for (size_t i = 0; i < w->heap_count; i++)
		room += w->heap[i]->nets->count - w->heap[i]->at;
	out->of = malloc(room * sizeof(*out->of));
	return out->of ? 0 : -ENOMEM;
}

static void give_back_room(struct bpf_prefixes *out)
{
	size_t count = out->count ? out->count : 1;
	struct bpf_prefix *of = realloc(out->of, count * sizeof(*of));

	if (of)
		out->of = of;
}

static int make_family(struct walk *w, enum family_index f)
{
	struct bpf_prefixes *out = &w->t->prefixes[w->side][f];
	int family = plan_family(f);
	const struct prefix *p;
	int rc = push_root(w, family);

	if (rc == 0)
		rc = make_room(w, out);
	if (rc < 0)
		return rc;
	out->outside = w->stack[0].class;
	while (rc == 0 && (p = peek(w, family))) {
		const struct frame *top;

		rc = push(w, p);
		top = &w->stack[w->depth - 1];
		if (rc == 0 && top->class != top[-1].class)
			out->of[out->count++] =
				(struct bpf_prefix){ .net = *p,
						     .class = top->class };
	}
	give_back_room(out);
	return rc;
}

int bpf_prefixes_make(struct bpf_tables *t, struct bpf_intern *classes,
		      enum bpf_side side)
{
	struct walk *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (!w)
		return -ENOMEM;
	w->t = t;
	w->classes = classes;
	w->side = side;
	collect_sets(w);
	unite_equal_sets(w);
	make_heap(w);
	/* In the order of prefix_compare(). */
	static_assert(AF_INET < AF_INET6 && (int)FAMILY_V4 < (int)FAMILY_V6,
		      "IPv4 is merged before IPv6");
	for (int f = 0; rc == 0 && f < FAMILY_COUNT; f++)
		rc = make_family(w, f);
	free(w);
	return rc;
}
