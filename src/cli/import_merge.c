/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_merge.c - fewer intercepts; see import_take.h.
 *
 * A rule for TCP and one for UDP, or the same rules of iptables and of
 * ip6tables, are mostly meant as one.
 */
#include "cli/import_take.h"

#include <string.h>

/* --- equal --------------------------------------------------------------- */

static bool same_names(const struct take_names *a, const struct take_names *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	}
	return true;
}

static bool has_set(const struct take_nets *n, const struct import_values *v)
{
	for (size_t i = 0; i < n->set_count; i++) {
		if (n->sets[i] == v)
			return true;
	}
	return false;
}

static bool same_nets(const struct take_nets *a, const struct take_nets *b)
{
	if (a->set_count != b->set_count || a->set.count != b->set.count)
		return false;
	for (size_t i = 0; i < a->set_count; i++) {
		if (!has_set(b, a->sets[i]))
			return false;
	}
	return !a->set.count ||
	       memcmp(a->set.prefixes, b->set.prefixes,
		      a->set.count * sizeof(*a->set.prefixes)) == 0;
}

/* But for families, networks and ports. */
static bool same_kind(const struct import_take *a, const struct import_take *b)
{
	return a->is_host == b->is_host && a->is_doubtful == b->is_doubtful &&
	       a->is_open == b->is_open &&
	       memcmp(&a->deliver, &b->deliver, sizeof(a->deliver)) == 0 &&
	       same_names(&a->ifnames, &b->ifnames) &&
	       same_names(&a->users, &b->users) &&
	       same_names(&a->cgroups, &b->cgroups);
}

static bool same_ports(const struct import_take *a, const struct import_take *b)
{
	for (size_t i = 0; i < PROTO_COUNT; i++) {
		if (!a->ports[i] != !b->ports[i])
			return false;
		if (a->ports[i] && memcmp(a->ports[i], b->ports[i],
					  PORT_WORDS * sizeof(uint64_t)) != 0)
			return false;
	}
	return true;
}

/* --- merging ------------------------------------------------------------- */

static void merge_parts(struct import_take *into,
			const struct import_take *from)
{
	into->last_part->next = from->parts; /* that take is given up */
	into->last_part = from->last_part;
}

/* What of the protocol is in one of them; the sets of a take are its own. */
static const uint64_t *join_ports(struct import *im, const uint64_t *into,
				  const uint64_t *from)
{
	uint64_t *joined;

	if (!from)
		return into;
	joined = into ? (uint64_t *)into : import_alloc(im, PORT_BYTES);
	for (size_t i = 0; joined && i < PORT_WORDS; i++)
		joined[i] |= from[i];
	return joined;
}

bool import_merge_ports(struct import *im, struct import_take *into,
			const struct import_take *from)
{
	if (!same_kind(into, from) || into->families != from->families ||
	    !same_nets(&into->src, &from->src) ||
	    !same_nets(&into->dst, &from->dst))
		return false;
	for (size_t i = 0; i < PROTO_COUNT; i++)
		into->ports[i] = join_ports(im, into->ports[i], from->ports[i]);
	merge_parts(into, from);
	return true;
}

/* IPv4 networks sort before those of IPv6. */
static void merge_nets(struct import *im, struct take_nets *into,
		       const struct take_nets *v4, const struct take_nets *v6)
{
	struct take_nets both = { .set_count = 0 };
	size_t count = v4->set.count + v6->set.count;

	both.set.prefixes = import_alloc(im, count * sizeof(struct prefix));
	both.sets = import_alloc(im, (v4->set_count + v6->set_count) *
					     sizeof(struct import_values *));
	if (!both.set.prefixes || !both.sets)
		return;
	if (v4->set.count)
		memcpy(both.set.prefixes, v4->set.prefixes,
		       v4->set.count * sizeof(struct prefix));
	if (v6->set.count)
		memcpy(both.set.prefixes + v4->set.count, v6->set.prefixes,
		       v6->set.count * sizeof(struct prefix));
	both.set.count = count;
	for (size_t i = 0; i < v4->set_count; i++)
		both.sets[both.set_count++] = v4->sets[i];
	for (size_t i = 0; i < v6->set_count; i++) {
		if (!has_set(v4, v6->sets[i]))
			both.sets[both.set_count++] = v6->sets[i];
	}
	*into = both;
}

static bool merge_families(struct import *im, struct import_take *into,
			   const struct import_take *from)
{
	const struct import_take *v4 = into, *v6 = from;

	if (into->deliver.family || into->families & from->families ||
	    !same_kind(into, from) || !same_ports(into, from))
		return false;
	if (from->families == 1 << FAMILY_V4) {
		v4 = from;
		v6 = into;
	}
	merge_nets(im, &into->src, &v4->src, &v6->src);
	merge_nets(im, &into->dst, &v4->dst, &v6->dst);
	into->families |= from->families;
	merge_parts(into, from);
	return true;
}

typedef bool (*merge_fn)(struct import *im, struct import_take *into,
			 const struct import_take *from);

static void merge_all(struct import *im, merge_fn merge)
{
	for (struct import_take *into = im->takes; into; into = into->next) {
		struct import_take **at = &into->next;

		while (*at) {
			if (merge(im, into, *at))
				*at = (*at)->next;
			else
				at = &(*at)->next;
		}
	}
}

/* --- order and number ---------------------------------------------------- */

static struct import_take *reverse(struct import_take *list)
{
	struct import_take *out = NULL;

	while (list) {
		struct import_take *next = list->next;

		list->next = out;
		out = list;
		list = next;
	}
	return out;
}

void import_merge_takes(struct import *im)
{
	struct import_take **at = &im->takes;
	size_t count = 0;

	im->takes = reverse(im->takes);
	merge_all(im, import_merge_ports);
	merge_all(im, merge_families);
	while (*at && count < INTERCEPTS_MAX) {
		at = &(*at)->next;
		count++;
	}
	for (const struct import_take *t = *at; t; t = t->next) {
		for (const struct take_part *p = t->parts; p; p = p->next)
			import_refuse(im, p->rule->at,
				      "a configuration has at most 64 "
				      "intercepts");
	}
	*at = NULL;
}
