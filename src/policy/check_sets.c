/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_sets.c - what terms come to: sets of networks, names and ports; see
 * parse.h.
 *
 * An address expression that is one list only shares the list's set, so that
 * many rules can name one large list.
 */
#include "policy/parse.h"
#include "policy/domains.h"
#include "policy/set.h"
#include "policy/words.h"
#include "base/arena.h"

#include <string.h>

enum {
	/* Prefixes copied into sets, all together: 4096 rules that each add
	 * a network to the same large list must not eat the memory. */
	RESOLVED_MAX = 4 * 1024 * 1024,
};

struct builder {
	struct parser *p;
	struct config *config;
	bool *is_list_used;
	size_t resolved;
};

/* --- networks ------------------------------------------------------------ */

/* The prefixes of a term; returns how many. */
static size_t term_prefixes(const struct builder *b,
			    const struct net_term *term,
			    const struct prefix **out)
{
	const struct net_set *set;

	switch (term->kind) {
	case NET_TERM_PREFIX:
		*out = &term->prefix;
		return 1;
	case NET_TERM_PRIVATE:
		return private_prefixes(out);
	case NET_TERM_LIST:
		break;
	}
	set = &b->config->lists[term->list].set;
	*out = set->prefixes;
	return set->count;
}

static bool new_set(struct builder *b, size_t count, struct net_set *out)
{
	out->prefixes = arena_array(b->config->arena, count ? count : 1,
				    sizeof(*out->prefixes));
	if (!out->prefixes)
		b->p->is_out_of_memory = true;
	return out->prefixes;
}

static void join_terms(struct builder *b, struct net_expr *e)
{
	const struct prefix *prefixes;
	size_t total = 0, count;

	for (size_t i = 0; i < e->count; i++)
		total += term_prefixes(b, &e->terms[i], &prefixes);
	if (total > RESOLVED_MAX - b->resolved) {
		(void)report_error(b->p->report, e->terms[0].at,
				   "too many networks: all lists that are "
				   "combined with others count");
		return;
	}
	b->resolved += total;
	if (!new_set(b, total, &e->set))
		return;
	for (size_t i = 0; i < e->count; i++) {
		count = term_prefixes(b, &e->terms[i], &prefixes);
		if (count)
			memcpy(e->set.prefixes + e->set.count, prefixes,
			       count * sizeof(*prefixes));
		e->set.count += count;
	}
	net_set_normalise(&e->set);
}

static void build_nets(struct builder *b, struct net_expr *e)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->terms[i].kind == NET_TERM_LIST)
			b->is_list_used[e->terms[i].list] = true;
	}
	if (e->count == 1 && e->terms[0].kind == NET_TERM_LIST)
		e->set = b->config->lists[e->terms[0].list].set;
	else if (e->count)
		join_terms(b, e);
}

/* Where addresses are asked for, a name can say nothing. */
static void build_pure_nets(struct builder *b, struct net_expr *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct net_term *term = &e->terms[i];
		const struct list *l;
		struct message *m;

		if (term->kind != NET_TERM_LIST)
			continue;
		l = &b->config->lists[term->list];
		if (!l->names)
			continue;
		m = report_error(b->p->report, term->at,
				 "list \"%s\" (line %u) has names in it, and "
				 "only networks can stand here",
				 l->name, l->at.line);
		message_help(m, "the condition \"list\" of a rule takes both");
	}
	build_nets(b, e);
}

/* --- names --------------------------------------------------------------- */

static int join_names(const struct domain_expr *e, struct domain_set **out)
{
	struct domain_builder *names = domain_builder_new();
	int err = names ? 0 : -1;

	for (size_t i = 0; i < e->count && !err; i++)
		err = domain_builder_add(names, e->terms[i].text);
	if (!err)
		return domain_builder_finish(names, out);
	domain_builder_free(names);
	return err;
}

static void build_names(struct builder *b, struct domain_expr *e)
{
	struct domain_set *set;

	if (!e->count)
		return;
	if (join_names(e, &set) < 0)
		b->p->is_out_of_memory = true;
	else
		e->set = set;
}

/* --- where they stand ---------------------------------------------------- */

/* `list`: what it asks for is what is in the list. */
static void build_list_condition(struct builder *b, struct rule *r)
{
	const struct list *l = &b->config->lists[r->dst.terms[0].list];

	build_nets(b, &r->dst);
	r->domains.set = l->names;
	r->is_dst_or_domain = l->names;
}

static void build_rule(struct builder *b, struct rule *r)
{
	build_pure_nets(b, &r->src);
	if (r->is_dst_or_domain) {
		build_list_condition(b, r);
	} else {
		build_pure_nets(b, &r->dst);
		build_names(b, &r->domains);
	}
	port_set_normalise(&r->ports);
}

static void build_intercept(struct builder *b, struct intercept *i)
{
	build_pure_nets(b, &i->except_src);
	build_pure_nets(b, &i->except_dst);
	build_pure_nets(b, &i->proxy_from);
	build_pure_nets(b, &i->redirected_from);
	port_set_normalise(&i->except_port);
	for (size_t proto = 0; proto < PROTO_COUNT; proto++)
		port_set_normalise(&i->ports[proto]);
}

void check_sets(struct parser *p, bool *is_list_used)
{
	struct config *c = p->config;
	struct builder b = { .p = p,
			     .config = c,
			     .is_list_used = is_list_used };

	for (size_t i = 0; i < c->intercept_count; i++)
		build_intercept(&b, &c->intercepts[i]);
	for (size_t i = 0; i < c->rule_count; i++)
		build_rule(&b, &c->rules[i]);
}
