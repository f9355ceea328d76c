/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - complete the model when the whole text is read.
 *
 * Resolves names, has the sets computed that the terms stand for
 * (check_files.c, check_sets.c) and adds the default rule.  What is merely
 * doubtful is left to check_warn.c.
 */
#include "policy/parse.h"
#include "policy/suggest.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = LISTS_MAX /* the largest kind */ };

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
	struct place fallback_at[UPSTREAMS_MAX];
	bool is_list_used[LISTS_MAX];
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
static bool resolve_name(struct checker *ck, const struct names *n,
			 size_t *index)
{
	const struct ref *ref = &ck->p->refs[*index];
	const struct name key = { .text = ref->name };
	const struct name *found;

	found = bsearch(&key, n->sorted, n->count, sizeof(key), compare_names);
	if (!found) {
		report_undefined(ck->p, n, ref);
		return false;
	}
	*index = found->index;
	return true;
}

static void resolve_terms(struct checker *ck, struct net_expr *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct net_term *term = &e->terms[i];

		if (term->kind == NET_TERM_LIST)
			(void)resolve_name(ck, &ck->lists, &term->list);
	}
}

static void resolve_group(struct checker *ck, size_t index)
{
	struct group *g = ck->config->upstreams[index].group;

	for (size_t i = 0; i < g->member_count; i++) {
		const struct ref *ref = &ck->p->refs[g->members[i]];

		if (resolve_name(ck, &ck->upstreams, &g->members[i]))
			check_member(ck->p, ref, g->members[i]);
	}
	ck->fallback_at[index] = ck->p->refs[g->fallback].at;
	(void)resolve_name(ck, &ck->upstreams, &g->fallback);
}

static void resolve_rule(struct checker *ck, struct rule *r)
{
	if (r->has_intercept)
		(void)resolve_name(ck, &ck->intercepts, &r->intercept);
	resolve_terms(ck, &r->src);
	resolve_terms(ck, &r->dst);
	(void)resolve_name(ck, &ck->upstreams, &r->upstream);
}

/* What is not found is told, and stays an index into p->refs: nobody may
 * follow it then. */
static void resolve_names(struct checker *ck)
{
	struct config *c = ck->config;

	for (size_t i = 0; i < c->intercept_count; i++) {
		resolve_terms(ck, &c->intercepts[i].except_src);
		resolve_terms(ck, &c->intercepts[i].except_dst);
		resolve_terms(ck, &c->intercepts[i].proxy_from);
		resolve_terms(ck, &c->intercepts[i].redirected_from);
	}
	for (size_t i = 0; i < c->upstream_count; i++) {
		if (c->upstreams[i].kind == UPSTREAM_GROUP)
			resolve_group(ck, i);
	}
	for (size_t i = 0; i < c->rule_count; i++)
		resolve_rule(ck, &c->rules[i]);
}

/* --- listeners ----------------------------------------------------------- */

static void check_listeners(struct parser *p)
{
	const struct config *c = p->config;

	for (size_t i = 1; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];

		for (size_t n = 0; n < i && in->has_listen; n++) {
			const struct intercept *other = &c->intercepts[n];

			if (other->has_listen &&
			    addr_equal(&other->listen, &in->listen))
				(void)report_error(
					p->report, in->at,
					"intercept \"%s\" listens where \"%s\" "
					"(line %u) does",
					in->name, other->name, other->at.line);
		}
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

/* Only now is anything followed or fetched: names lead somewhere. */
static void complete(struct checker *ck)
{
	struct parser *p = ck->p;

	check_groups(p, ck->fallback_at);
	check_secrets(p);
	check_lists(p);
	if (p->report->errors || p->is_out_of_memory)
		return;
	check_sets(p, ck->is_list_used);
	add_default(p);
	if (!p->report->errors && !p->is_out_of_memory)
		check_warn(p, ck->is_list_used);
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
	check_listeners(p);
	if (!c->timeouts.half_closed_ms)
		c->timeouts.half_closed_ms = c->timeouts.idle_ms;
	if (!p->report->errors && !p->is_out_of_memory)
		complete(ck);
	free(ck);
}
