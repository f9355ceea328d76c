/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_links.c - interfaces and addresses; see ebpf_links.h.
 */
#include "engine/ebpf_links.h"

#include "net/link.h"
#include "net/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ebpf_links_open(struct ebpf_links *l, const struct bpf_pins *pins,
		    struct err *e)
{
	int error = nl_open(&l->nl, NETLINK_ROUTE, 0);

	l->pins = pins;
	return error < 0 ? err_errno(e, -error, "cannot open netlink") : 0;
}

void ebpf_links_close(struct ebpf_links *l)
{
	for (size_t i = 0; i < l->count; i++)
		for (int way = 0; way < BPF_WAYS; way++)
			bpf_hook_close(&l->devices[i].hooks[way]);
	free(l->devices);
	free(l->locals);
	nl_close(&l->nl);
	*l = (struct ebpf_links){ 0 };
}

/* --- devices ------------------------------------------------------------- */

static struct ebpf_device *find_device(struct ebpf_links *l, int ifindex)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->devices[i].ifindex == ifindex)
			return &l->devices[i];
	return NULL;
}

static struct ebpf_device *add_device(struct ebpf_links *l, int ifindex)
{
	struct ebpf_device *d =
		reallocarray(l->devices, l->count + 1, sizeof(*l->devices));

	if (!d)
		return NULL;
	l->devices = d;
	d += l->count++;
	*d = (struct ebpf_device){ .ifindex = ifindex };
	for (int way = 0; way < BPF_WAYS; way++)
		d->hooks[way] = (struct bpf_hook){ .ifindex = ifindex,
						   .way = way,
						   .link_fd = -1 };
	return d;
}

struct look {
	struct ebpf_links *links;
	const struct bpf_tables *tables;
	bool has_host;
	int error;
};

static void see_link(void *ctx, const struct link *link)
{
	struct look *look = ctx;
	struct ebpf_device *d;
	bool is_host = link->index == WL_HOST_IFINDEX;
	const char *name = is_host ? NULL : link->name;

	if (link->is_port || (is_host && !look->has_host))
		return;
	d = find_device(look->links, link->index);
	if (!d)
		d = add_device(look->links, link->index);
	if (!d) {
		look->error = -ENOMEM;
		return;
	}
	d->is_seen = true;
	d->is_raw = link->head != LINK_HEAD_ETHER;
	memset(&d->value, 0, sizeof(d->value));
	d->is_intercepted = bpf_tables_link(look->tables, name, &d->value.bits);
}

/* The first one is the primary one. */
static void see_address(void *ctx, int ifindex, const struct addr *addr)
{
	static const uint8_t none[16];
	struct look *look = ctx;
	struct ebpf_device *d = find_device(look->links, ifindex);
	uint8_t *primary;

	if (!d)
		return;
	primary = d->value.primary[addr->family == AF_INET6];
	if (!memcmp(primary, none, sizeof(none)))
		memcpy(primary, addr->ip, addr_ip_len(addr));
}

/* An interface that has gone took its links with it, but for their pins; one
 * that became a port of a bridge did not. */
static void forget_devices(struct ebpf_links *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct ebpf_device *d = &l->devices[i];

		if (d->is_seen)
			l->devices[kept++] = *d;
		else
			for (int way = 0; way < BPF_WAYS; way++)
				bpf_hook_clear(&d->hooks[way], l->pins);
	}
	l->count = kept;
}

static int look_at_devices(struct ebpf_links *l, const struct bpf_tables *t,
			   struct bpf_generation *g, struct err *e)
{
	struct look look = {
		.links = l,
		.tables = t,
		.has_host = plan_has_host(t->selections.config),
	};
	int error;

	for (size_t i = 0; i < l->count; i++)
		l->devices[i].is_seen = false;
	error = link_each(&l->nl, see_link, &look, e);
	if (!error)
		error = local_addresses(&l->nl, see_address, &look, e);
	if (!error && look.error)
		error = err_set(e, ENOMEM, "no memory for the interfaces");
	if (error)
		return error;
	for (size_t i = 0; i < l->count; i++)
		if (!l->devices[i].is_seen)
			bpf_generation_drop_link(
				g, (uint32_t)l->devices[i].ifindex);
	forget_devices(l);
	for (size_t i = 0; i < l->count && !error; i++) {
		struct ebpf_device *d = &l->devices[i];

		if (d->is_intercepted)
			error = bpf_generation_set_link(g, (uint32_t)d->ifindex,
							&d->value, e);
		else
			bpf_generation_drop_link(g, (uint32_t)d->ifindex);
	}
	return error;
}

/* --- this host's own addresses ------------------------------------------- */

struct locals {
	struct prefix *of;
	size_t count, room;
	bool is_out_of_memory;
};

static void see_local(void *ctx, const struct prefix *prefix)
{
	struct locals *now = ctx;

	if (now->count == now->room) {
		size_t room = now->room ? 2 * now->room : 64;
		struct prefix *of = reallocarray(now->of, room, sizeof(*of));

		if (!of) {
			now->is_out_of_memory = true;
			return;
		}
		now->of = of;
		now->room = room;
	}
	now->of[now->count++] = *prefix;
}

static int compare(const void *a, const void *b)
{
	return prefix_compare(a, b);
}

static bool has_prefix(const struct prefix *of, size_t count,
		       const struct prefix *wanted)
{
	return count && bsearch(wanted, of, count, sizeof(*of), compare);
}

/* New ones first: an address that only moves is never without an entry. */
static int change_locals(struct ebpf_links *l, const struct locals *now,
			 struct bpf_generation *g, bool is_new, struct err *e)
{
	int error = 0;

	for (size_t i = 0; i < now->count && !error; i++)
		if (is_new ||
		    !has_prefix(l->locals, l->local_count, &now->of[i]))
			error = bpf_generation_add_local(g, &now->of[i], e);
	for (size_t i = 0; i < l->local_count && !is_new && !error; i++)
		if (!has_prefix(now->of, now->count, &l->locals[i]))
			bpf_generation_drop_local(g, &l->locals[i]);
	return error;
}

static int look_at_locals(struct ebpf_links *l, struct bpf_generation *g,
			  bool is_new, struct err *e)
{
	struct locals now = { 0 };
	int error = local_each(&l->nl, see_local, &now, e);

	if (!error && now.is_out_of_memory)
		error = err_set(e, ENOMEM, "no memory for local addresses");
	if (!error && now.count)
		qsort(now.of, now.count, sizeof(*now.of), compare);
	if (!error)
		error = change_locals(l, &now, g, is_new, e);
	if (error) {
		free(now.of);
		return error;
	}
	free(l->locals);
	l->locals = now.of;
	l->local_count = now.count;
	return 0;
}

int ebpf_links_look(struct ebpf_links *l, const struct bpf_tables *t,
		    struct bpf_generation *g, bool is_new, struct err *e)
{
	int error = look_at_devices(l, t, g, e);

	return error ? error : look_at_locals(l, g, is_new, e);
}

/* --- hooks --------------------------------------------------------------- */

/* At egress: what must not leak, what is begun towards clients, and what this
 * host sends.  Nothing leaves by lo. */
static bool needs_out(const struct ebpf_links *l, const struct ebpf_device *d)
{
	return d->ifindex != WL_HOST_IFINDEX &&
	       (l->is_closed || l->has_host || d->is_intercepted);
}

static enum bpf_entry entry_of(const struct ebpf_device *d,
			       enum bpf_side_of_link way)
{
	if (d->ifindex == WL_HOST_IFINDEX)
		return BPF_ENTRY_IN_HOST;
	if (way == BPF_IN)
		return d->is_raw ? BPF_ENTRY_IN_RAW : BPF_ENTRY_IN_ETHER;
	return d->is_raw ? BPF_ENTRY_OUT_RAW : BPF_ENTRY_OUT_ETHER;
}

static int attach_device(const struct ebpf_links *l, struct ebpf_device *d,
			 const struct bpf_generation *g, struct err *e)
{
	int error = 0;

	if (needs_out(l, d))
		error = bpf_hook_set(
			&d->hooks[BPF_OUT], l->pins,
			bpf_generation_entry(g, entry_of(d, BPF_OUT)), l->how,
			e);
	else
		bpf_hook_clear(&d->hooks[BPF_OUT], l->pins);
	if (!error)
		error = bpf_hook_set(
			&d->hooks[BPF_IN], l->pins,
			bpf_generation_entry(g, entry_of(d, BPF_IN)), l->how,
			e);
	return error == -ENODEV ? 0 : error; /* it has just gone */
}

int ebpf_links_attach(struct ebpf_links *l, const struct bpf_generation *g,
		      struct err *e)
{
	int error = 0;

	for (size_t i = 0; i < l->count && !error; i++)
		error = attach_device(l, &l->devices[i], g, e);
	return error;
}

/* An interface went while nobody looked: its pin would keep the program, and
 * the tables behind it, for ever. */
static void prune_pin(void *ctx, const char *name)
{
	struct ebpf_links *l = ctx;
	int ifindex = bpf_hook_of_pin(name);

	if (ifindex > 0 && !find_device(l, ifindex))
		bpf_pin_drop(l->pins, name);
}

void ebpf_links_prune(struct ebpf_links *l)
{
	bpf_pins_each(l->pins, prune_pin, l);
}

bool ebpf_links_are_intact(const struct ebpf_links *l)
{
	for (size_t i = 0; i < l->count; i++)
		for (int way = 0; way < BPF_WAYS; way++) {
			const struct bpf_hook *h = &l->devices[i].hooks[way];

			if (h->is_attached && !bpf_hook_is_intact(h, l->pins))
				return false;
		}
	return true;
}

void ebpf_links_detach(struct ebpf_links *l)
{
	for (size_t i = 0; i < l->count; i++)
		for (int way = 0; way < BPF_WAYS; way++)
			bpf_hook_clear(&l->devices[i].hooks[way], l->pins);
}

static void sweep(void *ctx, const struct link *link)
{
	(void)ctx; /* none is needed */
	bpf_hook_sweep(link->index);
}

int ebpf_links_sweep(struct ebpf_links *l, struct err *e)
{
	return link_each(&l->nl, sweep, NULL, e);
}
