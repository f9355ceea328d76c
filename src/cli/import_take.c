/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_take.c - intercepts; see import_take.h.
 */
#include "cli/import_take.h"

#include "policy/policy.h"
#include "policy/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TAKEN_NETS_MAX = 4096,	/* that must hold: all others are excepted */
	JUDGED_NETS_MAX = 1024, /* is anything left? */
};

/* --- names --------------------------------------------------------------- */

/* Would a configuration take this word there? */
static bool is_valid(const char *statement, const char *word)
{
	struct messages m = { .errors = 0 };
	struct str text = { 0 };
	struct config *c;

	str_addf(&text, "intercept x { tcp 1; %s \"%s\" }\n", statement, word);
	c = strpbrk(word, "\"\\")
		    ? NULL
		    : config_parse("", str_get(&text), text.len, &m);
	config_free(c);
	messages_done(&m);
	str_done(&text);
	return c;
}

static void add_name(struct import *im, struct take_names *n, const char *name)
{
	const char **names;
	size_t at = 0;

	while (at < n->count && strcmp(n->names[at], name) < 0)
		at++;
	if (at < n->count && strcmp(n->names[at], name) == 0)
		return;
	names = import_grow(im, n->names, n->count, &n->cap, sizeof(*names));
	if (!names)
		return;
	n->names = names;
	memmove(names + at + 1, names + at, (n->count - at) * sizeof(*names));
	names[at] = name;
	n->count++;
}

/* --- interfaces ---------------------------------------------------------- */

/* What of the names is in `v`, too. */
static struct take_names intersect(struct import *im,
				   const struct take_names *n,
				   const struct import_values *v)
{
	struct take_names both = { .count = 0 };

	for (size_t i = 0; i < n->count; i++) {
		for (size_t k = 0; k < v->count; k++) {
			const char *a = n->names[i];
			const char *b = v->elements[k].text;

			if (import_ifname_covers(b, a))
				add_name(im, &both, a);
			else if (import_ifname_covers(a, b))
				add_name(im, &both, b);
		}
	}
	return both;
}

/* False: an interface that is left matches only in part. */
static bool subtract(struct import *im, struct take_names *n,
		     const struct import_values *v)
{
	struct take_names rest = { .count = 0 };

	for (size_t i = 0; i < n->count; i++) {
		bool is_covered = false, is_met = false;

		for (size_t k = 0; k < v->count; k++) {
			const char *other = v->elements[k].text;

			is_covered |= import_ifname_covers(other, n->names[i]);
			is_met |= strcmp(other, "lo") != 0 &&
				  import_ifname_meets(other, n->names[i]);
		}
		if (is_met && !is_covered)
			return false;
		if (!is_covered)
			add_name(im, &rest, n->names[i]);
	}
	*n = rest;
	return true;
}

static const char *find_ifnames(struct import *im, const struct import_box *box,
				struct take_names *out)
{
	add_name(im, out, "*");
	for (const struct import_term *t = import_box_term(box, NULL); t;
	     t = import_box_term(box, t)) {
		if (t->dim == DIM_IFNAME && !t->is_negated)
			*out = intersect(im, out, t->values);
	}
	for (const struct import_term *t = import_box_term(box, NULL); t;
	     t = import_box_term(box, t)) {
		if (t->dim == DIM_IFNAME && t->is_negated &&
		    !subtract(im, out, t->values))
			return "waylay has no \"all interfaces but this one\": "
			       "name those that the clients are behind";
	}
	if (out->count > IFNAMES_MAX)
		return "an intercept has at most 64 interfaces";
	for (size_t i = 0; i < out->count; i++) {
		if (!is_valid("from", out->names[i]))
			return "this name of an interface cannot be written";
	}
	return NULL;
}

/* --- users and cgroups --------------------------------------------------- */

static const char *find_owners(struct import *im, const struct import_box *box,
			       enum import_dim dim, struct take_names *out)
{
	const char *statement = dim == DIM_USER ? "from host; except user"
						: "from host; except cgroup";

	for (const struct import_term *t = import_box_term(box, NULL); t;
	     t = import_box_term(box, t)) {
		if (t->dim != dim)
			continue;
		if (!t->is_negated)
			return "waylay can except users and cgroups, not take "
			       "only theirs";
		for (size_t i = 0; i < t->values->count; i++) {
			const char *text = t->values->elements[i].text;

			if (!is_valid(statement, text))
				return "this user or cgroup cannot be written";
			add_name(im, out, text);
		}
	}
	if (out->count > (size_t)(dim == DIM_USER ? USERS_MAX : CGROUPS_MAX))
		return "an intercept excepts at most 64 users and 16 cgroups";
	return NULL;
}

/* --- networks ------------------------------------------------------------ */

static void add_set(struct import *im, struct take_nets *n,
		    struct import_values *v)
{
	struct import_values **sets;

	for (size_t i = 0; i < n->set_count; i++) {
		if (n->sets[i] == v)
			return;
	}
	sets = import_grow(im, n->sets, n->set_count, &n->set_cap,
			   sizeof(struct import_values *));
	if (!sets)
		return;
	n->sets = sets;
	sets[n->set_count++] = v;
}

static uint16_t af_of(enum import_family family)
{
	return family == FAMILY_V4 ? AF_INET : AF_INET6;
}

static size_t count_family(const struct net_set *set, enum import_family family)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += set->prefixes[i].net.family == af_of(family);
	return count;
}

/* Append what of `from` is of the family. */
static void append(const struct net_set *from, enum import_family family,
		   struct net_set *to)
{
	for (size_t i = 0; i < from->count; i++) {
		if (from->prefixes[i].net.family == af_of(family))
			to->prefixes[to->count++] = from->prefixes[i];
	}
}

/* What one term excepts; false: too much to be written. */
static bool term_nets(const struct import_view *v, const struct import_term *t,
		      struct net_set *out)
{
	const struct net_set *set = import_values_nets(v->im, t->values);

	if (t->is_negated)
		*out = *set;
	else if (set->count <= TAKEN_NETS_MAX)
		*out = import_complement(v->im, v->family, set);
	else
		return false;
	return true;
}

static bool is_named(const struct import_term *t)
{
	return t->is_negated && t->values->name;
}

static const char *find_nets(const struct import_view *v,
			     const struct import_box *box, enum import_dim dim,
			     struct take_nets *out)
{
	struct net_set one = { .count = 0 };
	size_t count = 0;

	for (const struct import_term *t = import_box_term(box, NULL); t;
	     t = import_box_term(box, t)) {
		if (t->dim != dim || is_named(t))
			continue;
		if (!term_nets(v, t, &one))
			return "only what is in a large set is taken, and "
			       "waylay excepts networks";
		count += count_family(&one, v->family);
	}
	out->set.prefixes = import_alloc(v->im, count * sizeof(struct prefix));
	if (!out->set.prefixes)
		return NULL;
	for (const struct import_term *t = import_box_term(box, NULL); t;
	     t = import_box_term(box, t)) {
		if (t->dim != dim)
			continue;
		if (is_named(t)) {
			add_set(v->im, out, t->values);
			continue;
		}
		(void)term_nets(v, t, &one); /* as above */
		append(&one, v->family, &out->set);
	}
	net_set_normalise(&out->set);
	return NULL;
}

/* Is every address excepted? */
static bool is_nothing_left(const struct import_view *v,
			    const struct take_nets *n)
{
	return n->set.count && n->set.count <= JUDGED_NETS_MAX &&
	       !import_complement(v->im, v->family, &n->set).count;
}

/* --- one take ------------------------------------------------------------ */

static size_t count_ports(const uint64_t *ports)
{
	size_t count = 0;

	for (size_t i = 0; i < PORT_WORDS; i++)
		count += (size_t)__builtin_popcountll(ports[i]);
	return count;
}

static uint16_t first_port(const uint64_t *ports)
{
	for (unsigned i = 0; i < PORT_WORDS; i++) {
		if (ports[i])
			return (uint16_t)(i * 64 +
					  (unsigned)__builtin_ctzll(ports[i]));
	}
	return 0;
}

static const char *find_ports(const struct import_box *box,
			      const struct import_rule *rule,
			      struct import_take *out)
{
	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (box->protos & 1 << proto)
			out->ports[proto] = box->ports; /* add_take() copies */
	}
	out->deliver = rule->deliver;
	if (!out->deliver.port && count_ports(box->ports) != 1)
		return "it keeps the port, and \"deliver\" needs one: write a "
		       "rule for each port";
	if (!out->deliver.port)
		out->deliver.port = first_port(box->ports);
	return NULL;
}

static const char *describe(const struct import_view *v,
			    const struct import_box *box,
			    const struct import_rule *rule,
			    struct import_take *out)
{
	const char *fault = find_ports(box, rule, out);

	if (!fault && out->is_host)
		fault = find_owners(v->im, box, DIM_USER, &out->users);
	if (!fault && out->is_host)
		fault = find_owners(v->im, box, DIM_CGROUP, &out->cgroups);
	if (!fault && !out->is_host)
		fault = find_ifnames(v->im, box, &out->ifnames);
	if (!fault)
		fault = find_nets(v, box, DIM_SRC, &out->src);
	if (!fault)
		fault = find_nets(v, box, DIM_DST, &out->dst);
	return fault;
}

/* The lines of the named sets that the rule compares with. */
static void use_sets(struct import *im, const struct import_rule *r)
{
	for (const struct import_term *t = r->match.terms; t; t = t->next) {
		struct import_values *v = t->values;

		if (!v->name || v->is_used)
			continue;
		v->is_used = true;
		import_raise(im, v->at, IMPORT_EXPRESSED);
		for (size_t i = 0; i < v->count; i++)
			import_raise(
				im,
				(struct import_span){ v->elements[i].line,
						      v->elements[i].line },
				IMPORT_EXPRESSED);
	}
}

/* Of an intercept that is only a comment, no line is expressed by it. */
static void raise_causes(struct import *im, const struct take_part *part,
			 bool is_doubtful)
{
	for (const struct import_cause *c = part->causes; c; c = c->next) {
		if (!is_doubtful)
			import_raise(im, c->at, IMPORT_EXPRESSED);
		else if (im->lines[c->at.first].status == IMPORT_FOREIGN)
			import_refuse(im, c->at,
				      "its intercept is only a comment: it "
				      "could take the proxy's own traffic");
		c->rule->chain->is_walked = true;
		use_sets(im, c->rule);
	}
}

/* The box goes its way, its ports stay. */
static void keep_ports(struct import *im, struct import_take *take)
{
	for (size_t i = 0; i < PROTO_COUNT; i++) {
		uint64_t *own =
			take->ports[i] ? import_alloc(im, PORT_BYTES) : NULL;

		if (own)
			memcpy(own, take->ports[i], PORT_BYTES);
		take->ports[i] = own;
	}
}

static void add_take(const struct import_view *v, struct import_take *take,
		     const struct import_box *box,
		     const struct import_rule *rule)
{
	struct import *im = v->im;
	struct take_part *part = import_alloc(im, sizeof(*part));
	struct import_cause *last = import_alloc(im, sizeof(*last));

	if (!part || !last)
		return;
	*last = (struct import_cause){ box->causes, rule->at, rule };
	*part = (struct take_part){ NULL, rule, last };
	take->parts = take->last_part = part;
	if (!im->takes || !import_merge_ports(im, im->takes, take)) {
		if (im->take_count == TAKES_MAX) {
			import_refuse(im, rule->at,
				      "there are too many intercepts");
			return;
		}
		keep_ports(im, take);
		take->next = im->takes;
		im->takes = take;
		im->take_count++;
	}
	raise_causes(im, part, take->is_doubtful);
}

/* Of what this host sends, the rules of output had the say. */
static void refuse(const struct import_view *v, const struct import_box *box,
		   const struct import_rule *rule, const char *fault)
{
	struct import *im = v->im;

	import_refuse(im, rule->at, fault);
	for (const struct import_cause *c = box->causes; c; c = c->next) {
		if (v->place == PLACE_RETURNED &&
		    im->lines[c->at.first].status == IMPORT_FOREIGN)
			import_refuse(im, c->at, fault);
	}
}

void import_take(const struct import_view *v, const struct import_box *box,
		 const struct import_rule *rule, bool is_doubtful)
{
	struct import_take *take;
	const char *fault;

	v->im->attempts++;
	take = import_alloc(v->im, sizeof(*take));
	if (!take)
		return;
	take->families = (uint8_t)(1 << v->family);
	take->is_host = v->place == PLACE_RETURNED;
	take->is_doubtful = is_doubtful;
	take->is_open = rule->is_open;
	fault = describe(v, box, rule, take);
	if (fault)
		refuse(v, box, rule, fault);
	else if ((take->is_host || take->ifnames.count) &&
		 !is_nothing_left(v, &take->src) &&
		 !is_nothing_left(v, &take->dst))
		add_take(v, take, box, rule);
}
