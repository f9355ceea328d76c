/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_box.c - parts of all traffic; see import_box.h.
 */
#include "cli/import_box.h"

#include <string.h>

enum { TERMS_COMPARED_MAX = 64 };

/* --- ports --------------------------------------------------------------- */

static void add_range(uint64_t *ports, const struct port_range *r)
{
	for (unsigned port = r->first; port <= r->last; port++) {
		if (port % 64 == 0 && port + 63 <= r->last) {
			ports[port / 64] = UINT64_MAX;
			port += 63;
		} else {
			ports[port / 64] |= UINT64_C(1) << port % 64;
		}
	}
}

/* The ports for which a term holds. */
static void ports_of(struct import *im, const struct import_term *t,
		     uint64_t *out)
{
	const struct port_set *set = import_values_ports(im, t->values);

	memset(out, 0, PORT_WORDS * sizeof(*out));
	for (size_t i = 0; set && i < set->count; i++)
		add_range(out, &set->ranges[i]);
	for (size_t i = 0; t->is_negated && i < PORT_WORDS; i++)
		out[i] = ~out[i];
}

static enum import_relation relate_ports(const struct import_view *v,
					 const struct import_box *box,
					 const struct import_match *m,
					 uint64_t *ports)
{
	uint64_t one[PORT_WORDS], meets = 0, without = 0;
	bool is_asked = false;

	for (const struct import_term *t = m->terms; t; t = t->next) {
		if (t->dim != DIM_PORT)
			continue;
		ports_of(v->im, t, is_asked ? one : ports);
		for (size_t i = 0; is_asked && i < PORT_WORDS; i++)
			ports[i] &= one[i];
		is_asked = true;
	}
	if (!is_asked)
		return MATCHES_ALL;
	for (size_t i = 0; i < PORT_WORDS; i++) {
		meets |= box->ports[i] & ports[i];
		without |= box->ports[i] & ~ports[i];
	}
	return !meets ? MATCHES_NONE : without ? MATCHES_SOME : MATCHES_ALL;
}

/* --- terms --------------------------------------------------------------- */

static enum import_relation all_if(bool is_true)
{
	return is_true ? MATCHES_ALL : MATCHES_NONE;
}

/* What a term of the box says about one of the rule. */
static enum import_relation relate_terms(struct import *im,
					 const struct import_term *has,
					 const struct import_term *t)
{
	struct import_values *a = has->values, *b = t->values;

	if (has->dim != t->dim)
		return MATCHES_SOME;
	if (!has->is_negated && import_values_cover(im, t->dim, b, a))
		return all_if(!t->is_negated);
	if (!has->is_negated && !import_values_meet(im, t->dim, a, b))
		return all_if(t->is_negated);
	if (has->is_negated && import_values_cover(im, t->dim, a, b))
		return all_if(t->is_negated);
	return MATCHES_SOME;
}

const struct import_term *import_box_term(const struct import_box *box,
					  const struct import_term *t)
{
	if (!t)
		return box->held ? box->held : box->excluded;
	if (t->next || t->is_negated)
		return t->next;
	return box->excluded;
}

static enum import_relation relate_to_list(struct import *im,
					   const struct import_term *list,
					   const struct import_term *t)
{
	size_t count = 0;

	for (; list && count < TERMS_COMPARED_MAX; list = list->next, count++) {
		enum import_relation r = relate_terms(im, list, t);

		if (r != MATCHES_SOME)
			return r;
	}
	return MATCHES_SOME;
}

/* Not all terms are compared, so that many exceptions take linear time. */
static enum import_relation relate_to_terms(struct import *im,
					    const struct import_box *box,
					    const struct import_term *t)
{
	enum import_relation r = relate_to_list(im, box->held, t);

	return r == MATCHES_SOME ? relate_to_list(im, box->excluded, t) : r;
}

static bool names_lo(const struct import_values *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (import_ifname_covers(v->elements[i].text, "lo"))
			return true;
	}
	return false;
}

static bool names_only_lo(const struct import_values *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->elements[i].text, "lo") != 0)
			return false;
	}
	return true;
}

/* Nothing that waylay takes from an interface comes by lo. */
static enum import_relation relate_ifname(const struct import_view *v,
					  const struct import_box *box,
					  const struct import_term *t)
{
	switch (v->place) {
	case PLACE_RETURNED:
		return all_if(names_lo(t->values) != t->is_negated);
	case PLACE_SENT:
		return all_if(t->is_negated);
	case PLACE_ARRIVING:
		break;
	}
	if (names_only_lo(t->values))
		return all_if(t->is_negated);
	return relate_to_terms(v->im, box, t);
}

static bool has_nets_of(const struct net_set *set, enum import_family family)
{
	uint16_t wanted = family == FAMILY_V4 ? AF_INET : AF_INET6;

	for (size_t i = 0; i < set->count; i++) {
		if (set->prefixes[i].net.family == wanted)
			return true;
	}
	return false;
}

static enum import_relation relate_term(const struct import_view *v,
					const struct import_box *box,
					const struct import_term *t)
{
	switch (t->dim) {
	case DIM_PORT:
		return MATCHES_ALL; /* relate_ports() */
	case DIM_IFNAME:
		return relate_ifname(v, box, t);
	case DIM_OUT_IFNAME:
		return all_if(t->is_negated); /* only lo comes so far */
	case DIM_SRC:
	case DIM_DST:
		if (!has_nets_of(import_values_nets(v->im, t->values),
				 v->family))
			return all_if(t->is_negated);
		break;
	case DIM_USER:
	case DIM_CGROUP:
		if (v->place != PLACE_SENT)
			return MATCHES_NONE;
		break;
	}
	return relate_to_terms(v->im, box, t);
}

/* --- the whole match ----------------------------------------------------- */

/* Marks are known: what arrives has none. */
static bool is_mark_other(const struct import_box *box,
			  const struct import_match *m)
{
	bool is_same = (box->mark & m->mask) == (m->mark & m->mask);

	return m->has_mark && is_same == m->is_mark_negated;
}

static bool is_own_mark(const struct import_view *v,
			const struct import_box *box,
			const struct import_match *m)
{
	return m->has_mark && v->place == PLACE_SENT && !box->mark &&
	       m->mark & m->mask;
}

static enum import_relation relate_all_terms(const struct import_view *v,
					     const struct import_box *box,
					     const struct import_match *m,
					     struct import_open *out)
{
	for (const struct import_term *t = m->terms; t; t = t->next) {
		enum import_relation r = relate_term(v, box, t);

		if (r == MATCHES_NONE)
			return MATCHES_NONE;
		if (r == MATCHES_ALL)
			continue;
		if (out->term_count == BOX_OPEN_MAX) {
			out->unknown = "it has too many conditions";
			return MATCHES_NONE;
		}
		out->terms[out->term_count++] = t;
	}
	return out->term_count ? MATCHES_SOME : MATCHES_ALL;
}

void import_box_relate(const struct import_view *v,
		       const struct import_box *box,
		       const struct import_match *m, struct import_open *out)
{
	enum import_relation ports, terms;

	out->relation = MATCHES_NONE;
	out->unknown = NULL;
	out->term_count = 0;
	out->is_own_mark = is_own_mark(v, box, m);
	if (!(m->families & 1 << v->family) || !(m->protos & box->protos) ||
	    m->is_self || is_mark_other(box, m))
		return;
	out->unknown = m->unknown;
	if (m->unknown)
		return;
	ports = relate_ports(v, box, m, out->ports);
	if (ports == MATCHES_NONE)
		return;
	terms = relate_all_terms(v, box, m, out);
	if (terms == MATCHES_NONE)
		return;
	out->are_ports_open = ports == MATCHES_SOME;
	out->are_protos_open = box->protos & ~m->protos;
	out->relation = import_open_count(out) ? MATCHES_SOME : MATCHES_ALL;
}

size_t import_open_count(const struct import_open *o)
{
	return (size_t)o->are_protos_open + (size_t)o->are_ports_open +
	       o->term_count;
}

/* --- cutting ------------------------------------------------------------- */

static void add_term(struct import *im, struct import_box *box,
		     const struct import_term *t, bool holds)
{
	struct import_term *added = import_alloc(im, sizeof(*added));
	const struct import_term **list;

	if (!added)
		return;
	*added = *t;
	added->is_negated = t->is_negated == holds;
	list = added->is_negated ? &box->excluded : &box->held;
	added->next = *list;
	*list = added;
}

void import_box_cut(struct import *im, struct import_box *box,
		    const struct import_match *m, const struct import_open *o,
		    size_t which, bool holds)
{
	box->is_cut = true;
	if (o->are_protos_open) {
		if (!which) {
			box->protos &= holds ? m->protos : (uint8_t)~m->protos;
			return;
		}
		which--;
	}
	if (o->are_ports_open) {
		for (size_t i = 0; !which && i < PORT_WORDS; i++)
			box->ports[i] &= holds ? o->ports[i] : ~o->ports[i];
		if (!which)
			return;
		which--;
	}
	add_term(im, box, o->terms[which], holds);
}
