/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - complete the model when the whole text is read.
 *
 * Resolves names, computes the sets that the terms stand for and adds the
 * default rule.  An address expression that is one list only shares the
 * list's set, so that many rules can name one large list.  What is merely
 * doubtful is left to check_warn.c.
 */
#include "policy/parse.h"
#include "policy/set.h"
#include "policy/suggest.h"
#include "policy/words.h"
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Prefixes copied into sets, all together: 4096 rules that each add
	 * a network to the same large list must not eat the memory. */
	RESOLVED_MAX = 4 * 1024 * 1024,
	NAMES_MAX = LISTS_MAX, /* the largest kind */
};

_Static_assert((int)NAMES_MAX >= (int)UPSTREAMS_MAX &&
		       (int)NAMES_MAX >= (int)INTERCEPTS_MAX,
	       "room for the names of each kind");

/* The names of one kind, sorted, with their indexes. */
struct names {
	const char *noun;
	struct name {
		const char *text;
		size_t index;
	} sorted[NAMES_MAX];
	size_t count;
};

struct checker {
	struct parser *p;
	struct config *config;
	struct names lists, intercepts, upstreams;
	struct net_set list_sets[LISTS_MAX];
	bool is_list_used[LISTS_MAX];
	size_t resolved;
};

/* --- names --------------------------------------------------------------- */

static int compare_names(const void *left, const void *right)
{
	const struct name *a = left, *b = right;

	return strcmp(a->text, b->text);
}

static void names_add(struct names *n, const char *text, size_t index)
{
	n->sorted[n->count].text = text;
	n->sorted[n->count].index = index;
	n->count++;
}

static void names_sort(struct names *n, const char *noun)
{
	n->noun = noun;
	qsort(n->sorted, n->count, sizeof(n->sorted[0]), compare_names);
}

static void collect_names(struct checker *ck)
{
	const struct config *c = ck->config;

	for (size_t i = 0; i < c->list_count; i++)
		names_add(&ck->lists, c->lists[i].name, i);
	for (size_t i = 0; i < c->intercept_count; i++)
		names_add(&ck->intercepts, c->intercepts[i].name, i);
	for (size_t i = 0; i < c->upstream_count; i++)
		names_add(&ck->upstreams, c->upstreams[i].name, i);
	names_sort(&ck->lists, "list");
	names_sort(&ck->intercepts, "intercept");
	names_sort(&ck->upstreams, "upstream");
}

static void report_undefined(struct parser *p, const struct names *n,
			     const struct ref *ref)
{
	struct suggestion s;
	struct message *m;

	m = report_error(p->report, ref->at, "%s \"%s\" is not defined",
			 n->noun, ref->name);
	if (!m)
		return;
	suggest_init(&s, ref->name);
	for (size_t i = 0; i < n->count; i++)
		suggest_offer(&s, n->sorted[i].text);
	if (s.best)
		message_help(m, "did you mean \"%s\"?", s.best);
}

/* *index goes in as an index into p->refs and comes out as one of the kind. */
static void resolve_name(struct checker *ck, const struct names *n,
			 size_t *index)
{
	const struct ref *ref = &ck->p->refs[*index];
	const struct name key = { .text = ref->name };
	const struct name *found;

	found = bsearch(&key, n->sorted, n->count, sizeof(key), compare_names);
	if (found)
		*index = found->index;
	else
		report_undefined(ck->p, n, ref);
}

static void resolve_terms(struct checker *ck, struct net_expr *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct net_term *term = &e->terms[i];

		if (term->kind == NET_TERM_LIST)
			resolve_name(ck, &ck->lists, &term->list);
	}
}

static void resolve_names(struct checker *ck)
{
	struct config *c = ck->config;

	for (size_t i = 0; i < c->intercept_count; i++) {
		resolve_terms(ck, &c->intercepts[i].except_src);
		resolve_terms(ck, &c->intercepts[i].except_dst);
	}
	for (size_t i = 0; i < c->rule_count; i++) {
		struct rule *r = &c->rules[i];

		if (r->has_intercept)
			resolve_name(ck, &ck->intercepts, &r->intercept);
		resolve_terms(ck, &r->src);
		resolve_terms(ck, &r->dst);
		resolve_name(ck, &ck->upstreams, &r->upstream);
	}
}

/* --- sets ---------------------------------------------------------------- */

/* The prefixes of a term; returns how many. */
static size_t term_prefixes(const struct checker *ck,
			    const struct net_term *term,
			    const struct prefix **out)
{
	switch (term->kind) {
	case NET_TERM_PREFIX:
		*out = &term->prefix;
		return 1;
	case NET_TERM_PRIVATE:
		return private_prefixes(out);
	case NET_TERM_LIST:
		break;
	}
	*out = ck->list_sets[term->list].prefixes;
	return ck->list_sets[term->list].count;
}

static bool new_set(struct checker *ck, size_t count, struct net_set *out)
{
	out->prefixes = arena_array(ck->config->arena, count ? count : 1,
				    sizeof(*out->prefixes));
	if (!out->prefixes)
		ck->p->is_out_of_memory = true;
	return out->prefixes;
}

static void build_set(struct checker *ck, struct net_expr *e)
{
	const struct prefix *prefixes;
	size_t total = 0, count;

	for (size_t i = 0; i < e->count; i++) {
		total += term_prefixes(ck, &e->terms[i], &prefixes);
		if (e->terms[i].kind == NET_TERM_LIST)
			ck->is_list_used[e->terms[i].list] = true;
	}
	if (e->count == 1 && e->terms[0].kind == NET_TERM_LIST) {
		e->set = ck->list_sets[e->terms[0].list];
		return;
	}
	if (total > RESOLVED_MAX - ck->resolved) {
		(void)report_error(ck->p->report, e->terms[0].at,
				   "too many networks: all lists that are "
				   "combined with others count");
		return;
	}
	ck->resolved += total;
	if (!e->count || !new_set(ck, total, &e->set))
		return;
	for (size_t i = 0; i < e->count; i++) {
		count = term_prefixes(ck, &e->terms[i], &prefixes);
		if (count)
			memcpy(e->set.prefixes + e->set.count, prefixes,
			       count * sizeof(*prefixes));
		e->set.count += count;
	}
	net_set_normalise(&e->set);
}

static void build_list_sets(struct checker *ck)
{
	for (size_t i = 0; i < ck->config->list_count; i++) {
		const struct list *l = &ck->config->lists[i];
		struct net_set *s = &ck->list_sets[i];

		if (!l->count || !new_set(ck, l->count, s))
			continue;
		memcpy(s->prefixes, l->nets, l->count * sizeof(*l->nets));
		s->count = l->count;
		net_set_normalise(s);
	}
}

static void build_sets(struct checker *ck)
{
	struct config *c = ck->config;

	build_list_sets(ck);
	for (size_t i = 0; i < c->intercept_count; i++) {
		struct intercept *in = &c->intercepts[i];

		build_set(ck, &in->except_src);
		build_set(ck, &in->except_dst);
		port_set_normalise(&in->except_port);
		for (size_t proto = 0; proto < PROTO_COUNT; proto++)
			port_set_normalise(&in->ports[proto]);
	}
	for (size_t i = 0; i < c->rule_count; i++) {
		build_set(ck, &c->rules[i].src);
		build_set(ck, &c->rules[i].dst);
		port_set_normalise(&c->rules[i].ports);
	}
}

/* --- the default rule ---------------------------------------------------- */

static void add_default(struct parser *p)
{
	struct config *c = p->config;
	struct rule *rules;

	if (p->default_at.line)
		return;
	rules = parse_grow(p, c->rules, c->rule_count, sizeof(*rules));
	if (!rules)
		return;
	c->rules = rules;
	rules[c->rule_count++] = (struct rule){
		.is_default = true,
		.protos = (1u << PROTO_COUNT) - 1,
		.upstream = UPSTREAM_DIRECT, /* built in, at this index */
	};
}

void check_config(struct parser *p)
{
	struct checker *ck = calloc(1, sizeof(*ck));
	struct config *c = p->config;

	if (!ck) {
		p->is_out_of_memory = true;
		return;
	}
	ck->p = p;
	ck->config = c;
	collect_names(ck);
	resolve_names(ck);
	if (!c->timeouts.half_closed_ms)
		c->timeouts.half_closed_ms = c->timeouts.idle_ms;
	if (!p->report->errors && !p->is_out_of_memory) {
		build_sets(ck);
		add_default(p);
	}
	if (!p->report->errors && !p->is_out_of_memory)
		check_warn(p, ck->is_list_used);
	free(ck);
}
