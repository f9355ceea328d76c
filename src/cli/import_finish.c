/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_finish.c - all is read: what does it do?  See import_model.h.
 *
 * Values get their meaning, boxes walk, and each line its status.
 */
#include "cli/import_shell.h"
#include "cli/import_take.h"
#include "cli/import_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEPS_AT_LEAST = 100000,
	STEPS_PER_RULE = 16,
	STEPS_MAX = 2000000,
};

/* --- values -------------------------------------------------------------- */

static bool names_only_lo(const struct import_values *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->elements[i].text, "lo") != 0)
			return false;
	}
	return v->count > 0;
}

static const char *explain_values(struct import *im,
				  const struct import_values *v)
{
	if (v->name && !v->is_defined)
		return import_keepf(im, "the set %.60s is not among the inputs",
				    v->name);
	if (v->is_unread)
		return "it depends on a variable, or on a set of pairs";
	return import_keepf(im, "a value cannot be read: %.60s",
			    v->count ? v->elements[0].text : "");
}

static const char *find_fault(struct import *im, struct import_match *m,
			      const struct import_term *t)
{
	struct import_values *v = t->values;
	bool is_known = !v->is_unread && (!v->name || v->is_defined);

	switch (t->dim) {
	case DIM_PORT:
		is_known = import_values_ports(im, v);
		break;
	case DIM_SRC:
	case DIM_DST:
		is_known = import_values_nets(im, v);
		break;
	case DIM_OUT_IFNAME:
		m->is_self |= names_only_lo(v) && !t->is_negated;
		if (!names_only_lo(v))
			return "waylay cannot choose by the interface that "
			       "packets leave by";
		break;
	case DIM_IFNAME:
	case DIM_USER:
	case DIM_CGROUP:
		break;
	}
	return is_known ? NULL : explain_values(im, v);
}

static void give_meaning(struct import *im)
{
	for (struct import_chain *c = im->chains; c; c = c->next) {
		for (struct import_rule *r = c->rules; r; r = r->next) {
			struct import_match *m = &r->match;

			for (const struct import_term *t = m->terms; t;
			     t = t->next) {
				const char *fault = find_fault(im, m, t);

				if (fault)
					import_match_unknown(m, fault);
			}
		}
	}
}

/* --- walks --------------------------------------------------------------- */

/* Base chains at a hook, the one that packets come through last in front: a
 * later TPROXY takes what an earlier one has taken. */
struct base_chains {
	struct import_chain **chains;
	size_t count;
};

static int compare_chains(const void *left, const void *right)
{
	const struct import_chain *a = *(struct import_chain *const *)left;
	const struct import_chain *b = *(struct import_chain *const *)right;

	if (a->priority != b->priority)
		return a->priority < b->priority ? 1 : -1;
	return a->number < b->number ? 1 : -1;
}

static struct base_chains find_chains(struct import *im, enum import_hook hook)
{
	struct base_chains found = { .count = 0 };
	size_t cap = 0;

	for (struct import_chain *c = im->chains; c; c = c->next) {
		struct import_chain **chains;

		import_look_at(c);
		if (c->hook != hook || c->is_nat || !c->last_effect)
			continue;
		chains = import_grow(im, found.chains, found.count, &cap,
				     sizeof(struct import_chain *));
		if (!chains)
			return found;
		found.chains = chains;
		chains[found.count++] = c;
	}
	if (found.count)
		qsort(found.chains, found.count, sizeof(struct import_chain *),
		      compare_chains);
	return found;
}

static void begin(struct import_walk *w, enum import_family family,
		  enum import_place place)
{
	w->view.family = family;
	w->view.place = place;
	w->pending = NULL;
	w->is_doubtful = false;
}

static void walk_arriving(struct import_walk *w, const struct base_chains *in,
			  enum import_family family)
{
	for (size_t i = 0; i < in->count; i++) {
		struct import_box *box = import_box_of_all(w);

		begin(w, family, PLACE_ARRIVING);
		if (box)
			import_walk(w, in->chains[i], box);
	}
}

/* The rules that marked what nobody takes then. */
static void refuse_marks(struct import *im, const struct import_cause *c)
{
	for (; c; c = c->next) {
		if (c->rule->sets_mark &&
		    im->lines[c->at.first].status == IMPORT_FOREIGN)
			import_refuse(im, c->at,
				      "it sends packets back by lo, and no "
				      "rule takes them there");
	}
}

/* What came out of output with our mark goes through prerouting. */
static void walk_returned(struct import_walk *w, const struct base_chains *in)
{
	struct import_box *sent = w->sent;

	w->sent = NULL;
	w->view.place = PLACE_RETURNED;
	while (sent) {
		struct import_box *next = sent->next;
		size_t attempts = w->view.im->attempts;

		for (size_t i = 0; i < in->count; i++) {
			struct import_box *box = import_box_copy(w, sent);

			if (box)
				import_walk(w, in->chains[i], box);
		}
		if (w->view.im->attempts == attempts)
			refuse_marks(w->view.im, sent->causes);
		import_box_drop(w, sent);
		sent = next;
	}
}

static void walk_sent(struct import_walk *w, const struct base_chains *out,
		      const struct base_chains *in, enum import_family family)
{
	for (size_t i = 0; i < out->count; i++) {
		struct import_box *box = import_box_of_all(w);

		begin(w, family, PLACE_SENT);
		if (box)
			import_walk(w, out->chains[i], box);
		walk_returned(w, in);
	}
}

static void walk_all(struct import *im)
{
	struct base_chains in = find_chains(im, HOOK_PREROUTING);
	struct base_chains out = find_chains(im, HOOK_OUTPUT);
	struct import_walk w = { .view.im = im, .steps = STEPS_AT_LEAST };

	w.steps += STEPS_PER_RULE * im->rule_count;
	if (w.steps > STEPS_MAX)
		w.steps = STEPS_MAX;
	for (int family = 0; family < FAMILY_COUNT; family++)
		walk_arriving(&w, &in, (enum import_family)family);
	for (int family = 0; family < FAMILY_COUNT; family++)
		walk_sent(&w, &out, &in, (enum import_family)family);
	im->is_given_up = w.is_given_up;
}

/* --- what is left -------------------------------------------------------- */

static const char redirect_reason[] =
	"REDIRECT changes the destination, \"deliver\" does not: let the "
	"program listen transparently, or let waylay take these connections "
	"(\"redirected from\" in waylay.conf(5))";

static const char *explain_take(const struct import *im,
				const struct import_rule *r)
{
	if (im->is_given_up)
		return "the rules make too many cases; not all of them are in "
		       "the configuration";
	if (r->match.unknown)
		return r->match.unknown;
	if (r->match.is_self)
		return "waylay never takes what belongs to this host itself, "
		       "and needs no rule for flows that it has taken";
	return "no packet that waylay can take reaches it";
}

static enum import_status status_of(const struct import *im,
				    const struct import_rule *r)
{
	return im->lines[r->at.first].status;
}

static void judge_rule(struct import *im, const struct import_rule *r)
{
	const struct import_match *m = &r->match;
	bool is_plumbing =
		m->is_self || m->has_mark || r->sets_mark || r->is_bookkeeping;

	if (r->action == ACTION_TAKE &&
	    (im->is_given_up || status_of(im, r) == IMPORT_FOREIGN))
		import_refuse(im, r->at, explain_take(im, r));
	if (im->is_given_up && r->sets_mark &&
	    status_of(im, r) == IMPORT_FOREIGN &&
	    import_is_our_mark(im, r->mark_value))
		import_refuse(im, r->at, explain_take(im, r));
	if (r->action == ACTION_REDIRECT)
		import_refuse(im, r->at, redirect_reason);
	for (const struct import_term *t = m->terms; t; t = t->next)
		is_plumbing |= t->dim == DIM_IFNAME && !t->is_negated &&
			       names_only_lo(t->values);
	if (m->is_socket || (r->chain->is_walked && is_plumbing))
		import_raise(im, r->at, IMPORT_PLUMBING);
}

/* Where packets with a socket go: DIVERT. */
static void judge_divert(struct import *im, const struct import_rule *socket)
{
	if (!socket->match.is_socket || !socket->to)
		return;
	for (struct import_rule *r = socket->to->rules; r; r = r->next)
		import_raise(im, r->at, IMPORT_PLUMBING);
}

/* A chain is what is in it. */
static void judge_declaration(struct import *im, const struct import_chain *c)
{
	enum import_status status = IMPORT_FOREIGN;

	for (const struct import_rule *r = c->rules; r; r = r->next) {
		enum import_status s = status_of(im, r);

		if (s < IMPORT_NOT_EXPRESSED && s > status)
			status = s;
	}
	for (const struct import_cause *d = c->declared; d; d = d->next)
		import_raise(im, d->at, status);
}

/* There is one on-failure for all; dropping is the safe one. */
static void judge_failure(struct import *im)
{
	const struct import_take *t = im->takes;

	while (t && t->is_open)
		t = t->next;
	im->is_open = !t && im->takes;
	for (t = im->takes; t && !im->is_open; t = t->next) {
		for (const struct take_part *p = t->parts; t->is_open && p;
		     p = p->next)
			import_refuse(im, p->rule->at,
				      "it lets packets pass while nobody "
				      "listens, others drop them, and "
				      "\"on-failure\" is one for all: closed");
	}
}

static void judge(struct import *im)
{
	judge_failure(im);
	for (struct import_chain *c = im->chains; c; c = c->next) {
		for (struct import_rule *r = c->rules; r; r = r->next)
			judge_rule(im, r);
	}
	for (struct import_chain *c = im->chains; c; c = c->next) {
		for (struct import_rule *r = c->rules; r; r = r->next)
			judge_divert(im, r);
	}
	for (struct import_chain *c = im->chains; c; c = c->next)
		judge_declaration(im, c);
	import_judge_routing(im);
}

int import_finish(struct import *im)
{
	give_meaning(im);
	walk_all(im);
	import_merge_takes(im);
	judge(im);
	return im->is_out_of_memory ? -ENOMEM : 0;
}
