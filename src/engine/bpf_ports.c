/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_ports.c - the port dimension; see bpf_tables_priv.h.
 *
 * One pass over all ports of a protocol.  A port set switches its selections
 * on where a range begins and off behind its end.  Each set waits at the port
 * where it switches next, so that a port costs what happens there and no more.
 */
#include "engine/bpf_tables_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* What a port set is to the selections that name it. */
enum role { ROLE_TAKES, ROLE_RULE, ROLE_EXCEPT, ROLE_COUNT };

enum {
	/* A set for each rule, two for each intercept. */
	SETS_MAX = SELECTIONS_MAX + 2 * INTERCEPTS_MAX,
};

struct named_ports {
	const struct port_set *ports;
	enum role role;
	struct wl_bits selections;
	size_t switches;	  /* made until now: two for each range */
	struct named_ports *next; /* that waits at the same port */
};

struct sweep {
	const struct selections *all;
	enum proto proto;
	struct wl_bits open; /* selections whose rule does not ask for ports */
	struct wl_bits on[ROLE_COUNT];
	struct named_ports sets[SETS_MAX];
	size_t set_count;
	struct named_ports *waits_at[WL_PORTS + 1]; /* the last: for ever */
};

/* A set stands at one place of the model, so that it has one role. */
static struct named_ports *name_ports(struct sweep *s, enum role role,
				      const struct port_set *ports)
{
	struct named_ports *set = s->sets;

	for (; set < s->sets + s->set_count; set++) {
		if (set->ports == ports)
			return set;
	}
	s->set_count++;
	set->role = role;
	set->ports = ports;
	return set;
}

static void collect_sets(struct sweep *s)
{
	for (size_t i = 0; i < s->all->count; i++) {
		const struct selection *sel = &s->all->of[i];
		const struct intercept *in =
			&s->all->config->intercepts[sel->intercept];
		const struct rule *r = sel->rule;
		struct named_ports *set;

		set = name_ports(s, ROLE_TAKES, &in->ports[s->proto]);
		bits_add(&set->selections, i);
		set = name_ports(s, ROLE_EXCEPT, &in->except_port);
		bits_add(&set->selections, i);
		if (r && !(r->protos & 1u << s->proto))
			continue;
		if (r && r->has_ports) {
			set = name_ports(s, ROLE_RULE, &r->ports);
			bits_add(&set->selections, i);
		} else {
			bits_add(&s->open, i);
		}
	}
}

static void wait_for_switch(struct sweep *s, struct named_ports *set)
{
	const struct port_range *r = &set->ports->ranges[set->switches / 2];
	size_t port;

	if (set->switches == 2 * set->ports->count)
		return;
	port = set->switches % 2 ? r->last + 1u : r->first;
	set->next = s->waits_at[port];
	s->waits_at[port] = set;
}

/* True if a set switched at this port. */
static bool arrive_at(struct sweep *s, size_t port)
{
	struct named_ports *set = s->waits_at[port], *next;
	bool has_switched = set;

	for (; set; set = next) {
		struct wl_bits *on = &s->on[set->role];

		next = set->next;
		for (size_t i = 0; i < WL_BITS_WORDS; i++)
			on->word[i] ^= set->selections.word[i];
		set->switches++;
		wait_for_switch(s, set);
	}
	return has_switched;
}

static void bits_now(const struct sweep *s, struct wl_bits *out)
{
	for (size_t i = 0; i < WL_BITS_WORDS; i++)
		out->word[i] = s->on[ROLE_TAKES].word[i] &
			       (s->open.word[i] | s->on[ROLE_RULE].word[i]) &
			       ~s->on[ROLE_EXCEPT].word[i];
}

/* Port 0 is in no set. */
static int sweep(struct sweep *s, struct bpf_intern *classes,
		 uint16_t class_of[WL_PORTS], uint16_t *some_class,
		 struct wl_bits *any)
{
	struct wl_bits bits = { .word = { 0 } }, some = bits, always;
	int class = bpf_intern_add(classes, &bits);

	for (size_t i = 0; i < WL_BITS_WORDS; i++)
		always.word[i] = ~(__u64)0;
	for (size_t port = 0; class >= 0 && port < WL_PORTS; port++) {
		if (arrive_at(s, port)) {
			bits_now(s, &bits);
			class = bpf_intern_add(classes, &bits);
		}
		bits_or(&some, &bits);
		if (port)
			bits_and(&always, &bits);
		class_of[port] = (uint16_t) class;
	}
	if (class >= 0)
		class = bpf_intern_add(classes, &some);
	if (class < 0)
		return class;
	*some_class = (uint16_t) class;
	*any = always;
	return 0;
}

int bpf_ports_make(struct bpf_tables *t, struct bpf_intern *classes,
		   enum proto proto, struct wl_bits *any)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int rc;

	static_assert(BPF_CLASSES_MAX <= UINT16_MAX, "class_of is uint16_t");
	if (!s)
		return -ENOMEM;
	s->all = &t->selections;
	s->proto = proto;
	collect_sets(s);
	for (size_t i = 0; i < s->set_count; i++)
		wait_for_switch(s, &s->sets[i]);
	rc = sweep(s, classes, t->port_class[proto],
		   &t->some_port_class[proto], any);
	free(s);
	return rc;
}
