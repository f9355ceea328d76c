/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_tables.c - selections as tables; see bpf_tables.h.
 *
 * Here is what a selection does, and the interface dimension; read
 * bpf_prefixes.c and bpf_ports.c for the others.
 */
#include "engine/bpf_tables.h"
#include "engine/bpf_tables_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)SELECTIONS_MAX == (int)WL_SELECTIONS_MAX &&
		      (int)INTERCEPTS_MAX == (int)WL_INTERCEPTS_MAX &&
		      (int)PROTO_COUNT == (int)WL_PROTOS &&
		      (int)FAMILY_COUNT == (int)WL_FAMILIES,
	      "the model and the data plane have the same limits");
static_assert((int)VERDICT_PASS == (int)WL_PASS &&
		      (int)VERDICT_RELAY == (int)WL_RELAY &&
		      (int)VERDICT_DELIVER == (int)WL_DELIVER &&
		      (int)VERDICT_REJECT == (int)WL_REJECT &&
		      (int)VERDICT_DROP == (int)WL_DROP,
	      "a verdict is an action");

/* --- the targets --------------------------------------------------------- */

static void make_targets(struct bpf_tables *t)
{
	for (size_t i = 0; i < t->selections.count; i++) {
		const struct selection *s = &t->selections.of[i];
		const struct addr *to =
			&t->selections.config->intercepts[s->intercept].deliver;
		struct wl_selection *target = &t->targets[i];

		target->action = s->kind;
		target->intercept = (__u32)s->intercept;
		if (s->kind != VERDICT_DELIVER)
			continue;
		target->on_port = to->port;
		if (to->family != AF_UNSPEC)
			memcpy(target->on_ip, to->ip, sizeof(target->on_ip));
	}
}

static void add_any_port(struct bpf_tables *t, enum proto proto,
			 const struct wl_bits *any)
{
	for (size_t i = 0; i < t->selections.count; i++) {
		if (bits_has(any, i))
			t->targets[i].has_any_port |= 1u << proto;
	}
}

/* --- the tables ---------------------------------------------------------- */

static int make_dimensions(struct bpf_tables *t, struct bpf_intern *classes)
{
	const struct wl_bits nothing = { .word = { 0 } };
	int rc = bpf_intern_add(classes, &nothing); /* is class 0 */

	for (int p = 0; rc >= 0 && p < PROTO_COUNT; p++) {
		struct wl_bits any;

		rc = bpf_ports_make(t, classes, p, &any);
		if (rc == 0)
			add_any_port(t, p, &any);
	}
	for (int side = 0; rc >= 0 && side < BPF_SIDE_COUNT; side++)
		rc = bpf_prefixes_make(t, classes, side);
	return rc;
}

static int make_tables(struct bpf_tables *t, struct err *e)
{
	struct bpf_intern classes;
	int rc = bpf_intern_init(&classes);

	if (rc == 0)
		rc = make_dimensions(t, &classes);
	t->class_count = classes.count;
	t->classes = classes.values;
	classes.values = NULL; /* t has taken them */
	bpf_intern_done(&classes);
	if (rc == -E2BIG)
		return err_set(e, E2BIG,
			       "addresses and ports fall into more than %d "
			       "classes, each with other rules and exceptions "
			       "that apply: the ebpf engine has no room for "
			       "more",
			       BPF_CLASSES_MAX);
	if (rc < 0)
		return err_errno(e, -rc, "cannot build the selection tables");
	return 0;
}

struct bpf_tables *bpf_tables_new(const struct config *c, struct err *e)
{
	struct bpf_tables *t = calloc(1, sizeof(*t));

	if (!t) {
		(void)err_errno(e, ENOMEM, "cannot build the selection tables");
		return NULL;
	}
	if (selections_make(c, &t->selections, e) < 0)
		goto fail;
	make_targets(t);
	if (make_tables(t, e) < 0)
		goto fail;
	return t;
fail:
	bpf_tables_free(t);
	return NULL;
}

void bpf_tables_free(struct bpf_tables *t)
{
	if (!t)
		return;
	for (int side = 0; side < BPF_SIDE_COUNT; side++) {
		for (int f = 0; f < FAMILY_COUNT; f++)
			free(t->prefixes[side][f].of);
	}
	free(t->classes);
	free(t);
}

bool bpf_tables_link(const struct bpf_tables *t, const char *ifname,
		     struct wl_bits *out)
{
	const struct selections *all = &t->selections;
	struct wl_bits bits = { .word = { 0 } };
	bool is_named = false;

	for (size_t i = 0; i < all->count; i++) {
		if (!selection_has_link(all->config, &all->of[i], ifname))
			continue;
		bits_add(&bits, i);
		is_named = true;
	}
	if (is_named)
		*out = bits;
	return is_named;
}
