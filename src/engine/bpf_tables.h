/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_tables.h - selections as tables for look-ups in constant time.
 *
 * For each dimension (source, destination, port with protocol, interface) a
 * value has a set of selections that it allows, one bit each; the first bit of
 * the AND of all dimensions is the selection that decides.  Many values share
 * a set, so that tables hold the number of a class and the sets stand once in
 * `classes`.  Addresses are looked up by longest prefix: the class of a prefix
 * already says all that shorter prefixes around it say.  A selection whose
 * listener takes one family only is in no class of the other's addresses.
 *
 * Pure: a configuration in, arrays out.  bpf_load.c puts them into maps.
 * Building costs as many steps as there are prefixes, and ports 65536 each
 * protocol; not that many times the selections.
 */
#ifndef WL_ENGINE_BPF_TABLES_H
#define WL_ENGINE_BPF_TABLES_H

#include "abi/data_plane.h"
#include "engine/plan.h"
#include "engine/select.h"

enum {
	/* Numbers of classes fit in 16 bits; 0 is the class of no selection. */
	BPF_CLASSES_MAX = 65535,
};

enum bpf_side { BPF_SIDE_SRC, BPF_SIDE_DST, BPF_SIDE_COUNT };

struct bpf_prefix {
	struct prefix net;
	uint32_t class;
};

/* One family of one side.  Sorted by prefix_compare(), no duplicates; prefixes
 * that say what the one around them says are left out. */
struct bpf_prefixes {
	struct bpf_prefix *of;
	size_t count;
	uint32_t outside; /* class of addresses that are in none of them */
};

struct bpf_tables {
	struct selections selections;
	struct wl_selection targets[SELECTIONS_MAX];
	struct wl_bits *classes;
	size_t class_count; /* 1..BPF_CLASSES_MAX */
	struct bpf_prefixes prefixes[BPF_SIDE_COUNT][FAMILY_COUNT];
	uint16_t port_class[PROTO_COUNT][WL_PORTS];
	/* What any port of the protocol allows: for fragments without ports. */
	uint16_t some_port_class[PROTO_COUNT];
};

/* NULL and e (no memory, too many selections or classes) or the tables, which
 * borrow from c. */
struct bpf_tables *bpf_tables_new(const struct config *c, struct err *e);
void bpf_tables_free(struct bpf_tables *t); /* NULL is allowed */

/* The interface dimension: not in tables, since interfaces come and go.
 * ifname NULL: this host itself.  False if no selection names it. */
bool bpf_tables_link(const struct bpf_tables *t, const char *ifname,
		     struct wl_bits *out);

#endif
