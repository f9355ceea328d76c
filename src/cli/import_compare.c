/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_compare.c - does one set of values hold another; see import_box.h.
 *
 * Only asked to keep results small, so long sets are not compared: then the
 * answer is the one that decides nothing.
 */
#include "cli/import_box.h"

#include "policy/set.h"

#include <string.h>

enum { COMPARED_MAX = 64 };

/* --- names --------------------------------------------------------------- */

static size_t stem_length(const char *name, bool *is_pattern)
{
	size_t len = strlen(name);

	*is_pattern = len && name[len - 1] == '*';
	return len - *is_pattern;
}

bool import_ifname_covers(const char *outer, const char *inner)
{
	bool is_outer_pattern, is_inner_pattern;
	size_t outer_len = stem_length(outer, &is_outer_pattern);
	size_t inner_len = stem_length(inner, &is_inner_pattern);

	if (!is_outer_pattern)
		return strcmp(outer, inner) == 0;
	return outer_len <= inner_len && memcmp(outer, inner, outer_len) == 0;
}

bool import_ifname_meets(const char *a, const char *b)
{
	return import_ifname_covers(a, b) || import_ifname_covers(b, a);
}

static bool name_covers(enum import_dim dim, const char *outer,
			const char *inner)
{
	return dim == DIM_IFNAME ? import_ifname_covers(outer, inner)
				 : strcmp(outer, inner) == 0;
}

static bool is_named_in(enum import_dim dim, const struct import_values *v,
			const char *name)
{
	for (size_t i = 0; i < v->count; i++) {
		if (name_covers(dim, v->elements[i].text, name))
			return true;
	}
	return false;
}

static bool names_cover(enum import_dim dim, const struct import_values *outer,
			const struct import_values *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		if (!is_named_in(dim, outer, inner->elements[i].text))
			return false;
	}
	return true;
}

static bool names_meet(enum import_dim dim, const struct import_values *a,
		       const struct import_values *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const char *name = a->elements[i].text;

		for (size_t n = 0; n < b->count; n++) {
			const char *other = b->elements[n].text;

			if (name_covers(dim, name, other) ||
			    name_covers(dim, other, name))
				return true;
		}
	}
	return false;
}

/* --- networks ------------------------------------------------------------ */

static bool nets_cover(const struct net_set *outer, const struct net_set *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		if (!net_set_covers(outer, &inner->prefixes[i]))
			return false;
	}
	return true;
}

static bool nets_meet(const struct net_set *a, const struct net_set *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct prefix *p = &a->prefixes[i];

		for (size_t n = 0; n < b->count; n++) {
			const struct prefix *q = &b->prefixes[n];

			if (p->net.family == q->net.family &&
			    (prefix_contains(p, &q->net) ||
			     prefix_contains(q, &p->net)))
				return true;
		}
	}
	return false;
}

/* --- both ---------------------------------------------------------------- */

static bool is_net(enum import_dim dim)
{
	return dim == DIM_SRC || dim == DIM_DST;
}

bool import_values_cover(struct import *im, enum import_dim dim,
			 struct import_values *outer,
			 struct import_values *inner)
{
	const struct net_set *a, *b;

	if (outer == inner)
		return true;
	if (inner->count > COMPARED_MAX)
		return false;
	if (!is_net(dim))
		return outer->count <= COMPARED_MAX &&
		       names_cover(dim, outer, inner);
	a = import_values_nets(im, outer);
	b = import_values_nets(im, inner);
	return a && b && nets_cover(a, b);
}

bool import_values_meet(struct import *im, enum import_dim dim,
			struct import_values *a, struct import_values *b)
{
	const struct net_set *a_nets, *b_nets;

	if (a == b || a->count > COMPARED_MAX || b->count > COMPARED_MAX)
		return true;
	if (!is_net(dim))
		return names_meet(dim, a, b);
	a_nets = import_values_nets(im, a);
	b_nets = import_values_nets(im, b);
	return !a_nets || !b_nets || nets_meet(a_nets, b_nets);
}
