/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_sets.c - sets of addresses as named interval sets; see nft_text.h.
 *
 * A name is made of the content.  So rules that ask for the same addresses
 * share a set, and a set that the kernel has under this name need not be
 * loaded again: nft takes seconds for a million prefixes.
 */
#include "engine/nft_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- one family of a net_set --------------------------------------------- */

/* IPv4 stands first: prefix_compare(). */
bool nft_has_family(const struct net_set *nets, enum family_index f)
{
	size_t at = f == FAMILY_V4 ? 0 : nets->count - 1;

	return nets->count && nets->prefixes[at].net.family == plan_family(f);
}

struct range {
	const struct prefix *first;
	size_t count;
};

static struct range family_range(const struct net_set *nets,
				 enum family_index f)
{
	size_t low = 0, high = nets->count;

	while (low < high) { /* the first IPv6 prefix */
		size_t middle = low + (high - low) / 2;

		if (nets->prefixes[middle].net.family == AF_INET)
			low = middle + 1;
		else
			high = middle;
	}
	if (f == FAMILY_V4)
		return (struct range){ nets->prefixes, low };
	return (struct range){ nets->prefixes + low, nets->count - low };
}

static void put_elements(struct range r, struct str *out)
{
	char text[ADDR_TEXT_MAX];

	str_add(out, "{ ");
	for (size_t i = 0; i < r.count; i++) {
		if (i)
			str_add(out, ", ");
		str_add(out, prefix_format(&r.first[i], text));
	}
	str_add(out, " }");
}

/* --- all that a configuration needs -------------------------------------- */

static void name_set(struct nft_set *set, struct range r)
{
	uint64_t hash = r.count;

	for (size_t i = 0; i < r.count; i++) /* a prefix has padding */
		hash = XXH3_64bits_withSeed(&r.first[i].net,
					    sizeof(r.first[i].net),
					    hash ^ r.first[i].len);
	(void)snprintf(set->name, sizeof(set->name), "nets%d_%016llx",
		       set->family == FAMILY_V6 ? 6 : 4,
		       (unsigned long long)hash);
}

static int add_set(struct nft_sets *s, const struct net_set *nets,
		   enum family_index f)
{
	struct range r = family_range(nets, f);
	struct nft_set *set;

	if (r.count <= NFT_INLINE_MAX)
		return 0;
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 16;

		set = realloc(s->of, room * sizeof(*set));
		if (!set)
			return -ENOMEM;
		s->of = set;
		s->room = room;
	}
	set = &s->of[s->count];
	*set = (struct nft_set){ .nets = nets, .family = f, .count = r.count };
	name_set(set, r);
	set->is_repeated = nft_sets_find(s, set->name);
	if (!set->is_repeated)
		s->prefixes += r.count;
	s->count++;
	return 0;
}

static int add_expr(struct nft_sets *s, const struct net_expr *e)
{
	int error = add_set(s, &e->set, FAMILY_V4);

	return error ? error : add_set(s, &e->set, FAMILY_V6);
}

int nft_sets_init(struct nft_sets *s, const struct config *c)
{
	int error = 0;

	*s = (struct nft_sets){ 0 };
	for (size_t i = 0; i < c->intercept_count && !error; i++) {
		error = add_expr(s, &c->intercepts[i].except_src);
		if (!error)
			error = add_expr(s, &c->intercepts[i].except_dst);
	}
	for (size_t i = 0; i < c->rule_count && !error; i++) {
		const struct net_expr *dst = eval_rule_dst(&c->rules[i]);

		error = add_expr(s, &c->rules[i].src);
		if (!error && dst)
			error = add_expr(s, dst);
	}
	if (error)
		nft_sets_done(s);
	return error;
}

void nft_sets_done(struct nft_sets *s)
{
	free(s->of);
	*s = (struct nft_sets){ 0 };
}

const struct nft_set *nft_sets_find(const struct nft_sets *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->of[i].name, name))
			return &s->of[i];
	return NULL;
}

/* --- as text ------------------------------------------------------------- */

void nft_sets_put(const struct nft_sets *s, nft_kept_fn is_kept, void *ctx,
		  struct str *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct nft_set *set = &s->of[i];

		if (set->is_repeated || is_kept(ctx, set->name))
			continue;
		str_addf(out,
			 "\tset %s {\n\t\ttype %s\n\t\tflags interval\n"
			 "\t\telements = ",
			 set->name,
			 set->family == FAMILY_V6 ? "ipv6_addr" : "ipv4_addr");
		put_elements(family_range(set->nets, set->family), out);
		str_add(out, "\n\t}\n");
	}
}

static const struct nft_set *find_nets(const struct nft_sets *s,
				       const struct net_set *nets,
				       enum family_index f)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->of[i].nets == nets && s->of[i].family == f)
			return &s->of[i];
	return NULL;
}

void nft_put_nets(const struct nft_sets *s, const struct net_set *nets,
		  enum family_index f, const char *key, struct str *out)
{
	const struct nft_set *set = find_nets(s, nets, f);

	str_addf(out, "%s %s ", nft_prefix_key[f], key);
	if (set)
		str_addf(out, "@%s", set->name);
	else
		put_elements(family_range(nets, f), out);
	str_add(out, " ");
}
