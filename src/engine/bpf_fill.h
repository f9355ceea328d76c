/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_fill.h - put the tables of a generation into its maps.
 *
 * Only for bpf_load.c, which owns the generation.
 */
#ifndef WL_ENGINE_BPF_FILL_H
#define WL_ENGINE_BPF_FILL_H

#include "base/err.h"
#include "engine/bpf_intervals.h"
#include "engine/bpf_tables.h"
#include "engine/plan.h"

struct bpf_map;
struct waylay_bpf;

/* Classes, selections, prefixes and listeners; `intervals` are the prefixes of
 * IPv4. */
int bpf_fill(struct waylay_bpf *skel, const struct bpf_tables *t,
	     const struct bpf_intervals intervals[BPF_SIDE_COUNT],
	     const struct plan *p, struct err *e);

struct bpf_senders;
int bpf_fill_senders(struct waylay_bpf *skel, const struct bpf_senders *s,
		     struct err *e);

/* One prefix into the trie of its family; value NULL: take it out. */
int bpf_fill_prefix(struct bpf_map *trie4, struct bpf_map *trie6,
		    const struct prefix *prefix, const uint32_t *value,
		    struct err *e);

#endif
