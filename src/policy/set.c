/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.c - sets of ports and of addresses; see set.h.
 *
 * Both are sorted arrays: looked up by bisection, compared by walking side
 * by side.
 */
#include "policy/set.h"
#include "policy/eval.h"

#include <stdlib.h>
#include <string.h>

enum { MERGED_RUNS_MAX = 16 };

/* --- ports --------------------------------------------------------------- */

static int compare_ranges(const void *left, const void *right)
{
	const struct port_range *a = left, *b = right;

	return (int)a->first - (int)b->first;
}

void port_set_normalise(struct port_set *s)
{
	size_t kept = 0;

	if (!s->count)
		return;
	qsort(s->ranges, s->count, sizeof(*s->ranges), compare_ranges);
	for (size_t i = 1; i < s->count; i++) {
		struct port_range *last = &s->ranges[kept], *r = &s->ranges[i];

		if (r->first > last->last + 1)
			s->ranges[++kept] = *r;
		else if (r->last > last->last)
			last->last = r->last;
	}
	s->count = kept + 1;
}

/* The first range that ends at or behind port, or NULL. */
static const struct port_range *find_range(const struct port_set *s,
					   uint16_t port)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].last < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count ? &s->ranges[low] : NULL;
}

bool port_set_has(const struct port_set *s, uint16_t port)
{
	const struct port_range *r = find_range(s, port);

	return r && r->first <= port;
}

bool port_set_covers(const struct port_set *outer, const struct port_set *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		const struct port_range *r = &inner->ranges[i];
		const struct port_range *around = find_range(outer, r->first);

		if (!around || around->first > r->first ||
		    around->last < r->last)
			return false;
	}
	return true;
}

/* The first port at or behind `port` that is in s, or 0. */
static unsigned next_in(const struct port_set *s, unsigned port)
{
	const struct port_range *r =
		port > UINT16_MAX ? NULL : find_range(s, (uint16_t)port);

	if (!r)
		return 0;
	return r->first > port ? r->first : port;
}

/* The first port at or behind `port` that is not in s. */
static unsigned next_outside(const struct port_set *s, unsigned port)
{
	const struct port_range *r = find_range(s, (uint16_t)port);

	return r && r->first <= port ? r->last + 1u : port;
}

uint16_t port_set_meets(const struct port_set *a, const struct port_set *b,
			const struct port_set *without)
{
	unsigned port = next_in(a, 1);

	while (port) {
		unsigned next = next_in(b, port);

		if (!next)
			return 0;
		if (next == port) {
			next = next_outside(without, port);
			if (next == port)
				return (uint16_t)port;
		}
		port = next_in(a, next);
	}
	return 0;
}

/* --- networks ------------------------------------------------------------ */

static int compare_prefixes(const void *left, const void *right)
{
	return prefix_compare(left, right);
}

static bool is_inside(const struct prefix *inner, const struct prefix *outer)
{
	return outer->len <= inner->len && prefix_contains(outer, &inner->net);
}

/* Where the sorted run that begins at `at` ends. */
static size_t find_run(const struct net_set *s, size_t at)
{
	do
		at++;
	while (at < s->count &&
	       prefix_compare(&s->prefixes[at - 1], &s->prefixes[at]) <= 0);
	return at;
}

static size_t count_runs(const struct net_set *s, size_t max)
{
	size_t runs = 0;

	for (size_t at = 0; at < s->count && runs <= max; runs++)
		at = find_run(s, at);
	return runs;
}

/* Elements from..middle and middle..end are sorted: write both to out. */
static void merge(const struct net_set *s, size_t from, size_t middle,
		  size_t end, struct prefix *out)
{
	const struct prefix *a = s->prefixes + from;
	const struct prefix *b = s->prefixes + middle;
	const struct prefix *a_end = b, *b_end = s->prefixes + end;

	while (a < a_end && b < b_end)
		*out++ = *(prefix_compare(a, b) <= 0 ? a++ : b++);
	memcpy(out, a, (size_t)(a_end - a) * sizeof(*a));
	out += a_end - a;
	memcpy(out, b, (size_t)(b_end - b) * sizeof(*b));
}

/* Two runs become one, for all of them, in `spare`; then the arrays change
 * places. */
static void merge_runs(struct net_set *s, struct prefix **spare)
{
	struct prefix *merged = *spare;
	size_t at = 0;

	while (at < s->count) {
		size_t middle = find_run(s, at);
		size_t end = middle < s->count ? find_run(s, middle) : middle;

		merge(s, at, middle, end, merged + at);
		at = end;
	}
	*spare = s->prefixes;
	s->prefixes = merged;
}

/*
 * Long lists mostly come sorted, and a set made of several terms is a few
 * sorted ones in a row, since those of lists are normal already.  Merging
 * these is linear; what is in no order at all is left to qsort().
 */
static void sort_nets(struct net_set *s)
{
	size_t runs = count_runs(s, MERGED_RUNS_MAX);
	struct prefix *own = s->prefixes, *spare = NULL;

	if (runs <= 1)
		return;
	if (runs <= MERGED_RUNS_MAX)
		spare = reallocarray(NULL, s->count, sizeof(*spare));
	if (!spare) {
		qsort(own, s->count, sizeof(*own), compare_prefixes);
		return;
	}
	for (; runs > 1; runs = (runs + 1) / 2)
		merge_runs(s, &spare);
	if (s->prefixes != own) {
		memcpy(own, s->prefixes, s->count * sizeof(*own));
		spare = s->prefixes;
		s->prefixes = own;
	}
	free(spare);
}

void net_set_normalise(struct net_set *s)
{
	size_t kept = 0;

	if (!s->count)
		return;
	sort_nets(s);
	for (size_t i = 1; i < s->count; i++) {
		if (!is_inside(&s->prefixes[i], &s->prefixes[kept]))
			s->prefixes[++kept] = s->prefixes[i];
	}
	s->count = kept + 1;
}

/* The last element that begins at or before p, or NULL. */
static const struct prefix *find_prefix(const struct net_set *s,
					const struct prefix *p)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (prefix_compare(&s->prefixes[middle], p) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &s->prefixes[low - 1] : NULL;
}

bool net_set_covers(const struct net_set *outer, const struct prefix *inner)
{
	const struct prefix *p = find_prefix(outer, inner);

	return p && is_inside(inner, p);
}

bool net_set_has(const struct net_set *s, const struct addr *a)
{
	struct prefix one = { .net = *a };

	one.len = (uint8_t)(addr_ip_len(a) * 8);
	return net_set_covers(s, &one);
}
