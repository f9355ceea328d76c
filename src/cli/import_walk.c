/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_walk.c - boxes on their way through chains; see import_walk.h.
 */
#include "cli/import_walk.h"

#include "cli/import_shell.h"
#include "cli/import_take.h"

#include <string.h>

enum { BOXES_MAX = 256, CHAINS_DEEP_MAX = 32 };

/* Boxes on their way through a chain. */
struct flow {
	struct import_box *live; /* at the next rule */
	struct import_box *left; /* by RETURN */
};

/* --- boxes --------------------------------------------------------------- */

static struct import_box *new_box(struct import_walk *w)
{
	struct import_box *box = w->spare;

	if (box) {
		w->spare = box->next;
		return box;
	}
	if (w->box_count == BOXES_MAX) {
		w->is_given_up = true;
		return NULL;
	}
	box = import_alloc(w->view.im, sizeof(*box));
	w->box_count += box != NULL;
	w->is_given_up |= !box;
	return box;
}

static struct import_box *copy_box(struct import_walk *w,
				   const struct import_box *of)
{
	struct import_box *box = new_box(w);

	if (box)
		*box = *of;
	return box;
}

static void push(struct import_box **list, struct import_box *box)
{
	if (!box)
		return;
	box->next = *list;
	*list = box;
}

static struct import_box *pop(struct import_box **list)
{
	struct import_box *box = *list;

	if (box)
		*list = box->next;
	return box;
}

static void drop_box(struct import_walk *w, struct import_box *box)
{
	push(&w->spare, box);
}

static void add_cause(struct import_walk *w, struct import_box *box,
		      const struct import_rule *r)
{
	struct import_cause *c = import_alloc(w->view.im, sizeof(*c));

	if (!c)
		return;
	*c = (struct import_cause){ box->causes, r->at, r };
	box->causes = c;
}

/* --- what can happen in a chain ------------------------------------------ */

static bool matters(const struct import_rule *r)
{
	if (r->to)
		return r->to->can_take || r->to->can_end;
	return r->action != ACTION_NEXT || r->sets_mark;
}

static void look_at(struct import_chain *c, size_t depth)
{
	if (c->is_asked || depth == CHAINS_DEEP_MAX)
		return;
	c->is_asked = true; /* also against circles */
	for (const struct import_rule *r = c->rules; r; r = r->next) {
		c->can_take |= r->action == ACTION_TAKE;
		c->can_end |= r->action == ACTION_ACCEPT ||
			      r->action == ACTION_DROP || r->sets_mark;
		if (r->to) {
			look_at(r->to, depth + 1);
			c->can_take |= r->to->can_take;
			c->can_end |= r->to->can_end;
		}
		if (matters(r) && r->action != ACTION_RETURN)
			c->last_effect = r;
	}
}

void import_look_at(struct import_chain *c)
{
	look_at(c, 0);
}

static bool lets_pass(const struct import_rule *r)
{
	return r->action == ACTION_ACCEPT || r->action == ACTION_DROP ||
	       r->action == ACTION_RETURN;
}

/* --- what we do not know ------------------------------------------------- */

static void note_pending(struct import_walk *w, const struct import_rule *r,
			 const char *reason)
{
	struct import_pending *c = import_alloc(w->view.im, sizeof(*c));

	if (!c)
		return;
	*c = (struct import_pending){ w->pending, r, reason };
	w->pending = c;
}

static void refuse_pending(struct import_walk *w)
{
	for (const struct import_pending *p = w->pending; p; p = p->next) {
		w->is_doubtful = true;
		import_refuse(w->view.im, p->rule->at, p->reason);
		p->rule->chain->is_walked = true;
	}
	w->pending = NULL;
}

static void meet_unknown(struct import_walk *w, const struct import_rule *r,
			 const char *reason)
{
	struct import *im = w->view.im;

	if (r->action == ACTION_TAKE || (r->to && r->to->can_take))
		import_refuse(im, r->at, reason);
	else if (r->sets_mark && w->view.place == PLACE_SENT &&
		 import_is_our_mark(im, r->mark_value))
		import_refuse(im, r->at, reason);
	else if (matters(r) && !r->sets_mark)
		note_pending(w, r, reason);
}

static void meet_own_mark(struct import_walk *w, const struct import_rule *r)
{
	if (!import_is_target_mark(w->view.im, r->match.mark & r->match.mask))
		note_pending(w, r,
			     "waylay does not know a proxy's own traffic by "
			     "its mark: use \"except user\" or \"except "
			     "cgroup\"");
}

/* --- one rule ------------------------------------------------------------ */

static struct import_box *walk_chain(struct import_walk *w,
				     struct import_chain *c,
				     struct import_box *in);

/* In the chain that it leads to, RETURN is the end if nothing follows here. */
static struct import_box *walk_jump(struct import_walk *w,
				    const struct import_rule *r,
				    struct import_box *box)
{
	bool was_tail = w->is_tail;
	struct import_box *out;

	box->next = NULL;
	w->is_tail &= r->action == ACTION_GOTO || r == r->chain->last_effect;
	out = walk_chain(w, r->to, box);
	w->is_tail = was_tail;
	return out;
}

static void set_mark(struct import_box *box, const struct import_rule *r)
{
	if (!r->sets_mark)
		return;
	box->mark = (box->mark & ~r->mark_mask) ^ r->mark_value;
	box->is_cut = true;
}

static bool comes_back(const struct import_walk *w,
		       const struct import_box *box)
{
	return w->view.place == PLACE_SENT &&
	       import_is_our_mark(w->view.im, box->mark);
}

/* No rule will see it any more. */
static void finish(struct import_walk *w, struct import_box *box)
{
	if (comes_back(w, box))
		push(&w->sent, box);
	else
		drop_box(w, box);
}

static void append(struct import_box **list, struct import_box *boxes)
{
	while (*list)
		list = &(*list)->next;
	*list = boxes;
}

static void act(struct import_walk *w, const struct import_rule *r,
		struct import_box *box, struct flow *f)
{
	set_mark(box, r);
	switch (r->action) {
	case ACTION_NEXT:
	case ACTION_REDIRECT:
		push(&f->live, box);
		return;
	case ACTION_ACCEPT:
		finish(w, box);
		return;
	case ACTION_DROP:
		drop_box(w, box);
		return;
	case ACTION_RETURN:
		if (w->is_tail)
			finish(w, box);
		else
			push(&f->left, box);
		return;
	case ACTION_JUMP:
		append(&f->live, walk_jump(w, r, box));
		return;
	case ACTION_GOTO:
		append(&f->left, walk_jump(w, r, box));
		return;
	case ACTION_TAKE:
		refuse_pending(w);
		import_take(&w->view, box, r,
			    w->is_doubtful && w->view.place == PLACE_RETURNED);
		drop_box(w, box);
		return;
	}
}

/* The box, for which the match is open, becomes the part that matches; the
 * rest is added to *rest. */
static void cut(struct import_walk *w, const struct import_rule *r,
		const struct import_open *o, struct import_box *box,
		struct import_box **rest)
{
	size_t count = import_open_count(o);

	for (size_t i = 0; i < count && !w->is_given_up; i++) {
		struct import_box *other = copy_box(w, box);

		if (!other)
			return;
		import_box_cut(w->view.im, other, &r->match, o, i, false);
		if (lets_pass(r))
			add_cause(w, other, r);
		push(rest, other);
		import_box_cut(w->view.im, box, &r->match, o, i, true);
	}
}

/* The usual exception: the box loses the one part and is done. */
static bool except(struct import_walk *w, const struct import_rule *r,
		   const struct import_open *o, struct import_box *box,
		   struct flow *f)
{
	if (!lets_pass(r) || import_open_count(o) != 1 || r->sets_mark ||
	    comes_back(w, box) || (r->action == ACTION_RETURN && !w->is_tail))
		return false;
	import_box_cut(w->view.im, box, &r->match, o, 0, false);
	add_cause(w, box, r);
	push(&f->live, box);
	return true;
}

/* A jump that led to nothing has not cut the box. */
static void jump(struct import_walk *w, const struct import_rule *r,
		 const struct import_open *o, struct import_box *box,
		 struct flow *f)
{
	struct import_box *whole = copy_box(w, box), *rest = NULL, *back;

	if (!whole)
		return;
	cut(w, r, o, box, &rest);
	box->is_cut = false;
	add_cause(w, box, r);
	back = walk_jump(w, r, box);
	if (back == box && !back->next && !back->is_cut) {
		push(&f->live, whole);
		drop_box(w, box);
		while (rest)
			drop_box(w, pop(&rest));
		return;
	}
	drop_box(w, whole);
	append(&f->live, back);
	append(&f->live, rest);
}

static void walk_rule(struct import_walk *w, const struct import_rule *r,
		      struct import_box *box, struct flow *f)
{
	struct import_open o;

	import_box_relate(&w->view, box, &r->match, &o);
	if (o.unknown)
		meet_unknown(w, r, o.unknown);
	if (o.is_own_mark && matters(r))
		meet_own_mark(w, r);
	if (o.relation == MATCHES_NONE) {
		push(&f->live, box);
		return;
	}
	if (o.relation == MATCHES_SOME && r->action == ACTION_JUMP) {
		jump(w, r, &o, box, f);
		return;
	}
	if (o.relation == MATCHES_SOME && except(w, r, &o, box, f))
		return;
	if (o.relation == MATCHES_SOME)
		cut(w, r, &o, box, &f->live);
	add_cause(w, box, r);
	act(w, r, box, f);
}

/* --- chains -------------------------------------------------------------- */

static bool step(struct import_walk *w)
{
	if (w->steps)
		w->steps--;
	else
		w->is_given_up = true;
	return !w->is_given_up;
}

/* What comes out at the end, or by RETURN. */
static struct import_box *walk_chain(struct import_walk *w,
				     struct import_chain *c,
				     struct import_box *in)
{
	struct flow f = { .live = in };
	bool is_behind = !c->last_effect;

	if (w->depth == CHAINS_DEEP_MAX || c->is_being_walked)
		return in;
	w->depth++;
	c->is_being_walked = true;
	for (struct import_rule *r = c->rules; r; r = r->next) {
		struct import_box *now = f.live;

		if (!matters(r))
			continue;
		if (r->action == ACTION_RETURN && is_behind)
			continue; /* the end of the chain does the same */
		is_behind |= r == c->last_effect;
		f.live = NULL;
		while (now && step(w))
			walk_rule(w, r, pop(&now), &f);
		append(&f.live, now);
		if (w->is_given_up || !f.live)
			break;
	}
	c->is_being_walked = false;
	w->depth--;
	append(&f.live, f.left);
	return f.live;
}

void import_walk(struct import_walk *w, struct import_chain *c,
		 struct import_box *in)
{
	struct import_box *out;

	w->is_tail = true;
	in->next = NULL;
	out = walk_chain(w, c, in);
	while (out)
		finish(w, pop(&out));
}

struct import_box *import_box_of_all(struct import_walk *w)
{
	struct import_box *box = new_box(w);

	if (!box)
		return NULL;
	*box = (struct import_box){ .protos = PROTOS_ALL };
	memset(box->ports, 0xff, sizeof(box->ports));
	box->ports[0] &= ~UINT64_C(1); /* port 0 is none */
	return box;
}

struct import_box *import_box_copy(struct import_walk *w,
				   const struct import_box *of)
{
	return copy_box(w, of);
}

void import_box_drop(struct import_walk *w, struct import_box *box)
{
	drop_box(w, box);
}
