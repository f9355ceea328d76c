/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_table.h - the map of cut-through flows, for who has its descriptors.
 *
 * Works in a process without privileges but CAP_BPF: cut.h loads and attaches,
 * hands over the descriptors, and this is all that is needed from then on.
 * Read abi/cut.h first.
 */
#ifndef WL_ENGINE_CUT_TABLE_H
#define WL_ENGINE_CUT_TABLE_H

#include "abi/cut.h"
#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cut_table {
	int flows_fd;	 /* map `cuts` */
	int counters_fd; /* map `cut_counters` */
	int change_fd;	 /* program `cut_change` */
};

/* One leg as its far end sends: from `peer` to `own`.  True: peer is low. */
bool cut_key(int proto, const struct addr *peer, const struct addr *own,
	     struct wl_cut_key *out);
void cut_tuple(const struct addr *src, const struct addr *dst,
	       struct wl_cut_tuple *out);
/* The two ends of a key; without scope, which the map does not have. */
void cut_ends(const struct wl_cut_key *key, struct addr *low,
	      struct addr *high);
/* The entry of the other leg, of one that is readdressed. */
void cut_other_key(const struct wl_cut_key *key, const struct wl_cut_tuple *to,
		   struct wl_cut_key *out);

/* All return 0 or -errno. */
/* -EEXIST: a flow of these addresses is there already.  -E2BIG: full; -ENOMEM.
 */
int cut_table_add(const struct cut_table *t, const struct wl_cut_key *key,
		  const struct wl_cut *value);
int cut_table_get(const struct cut_table *t, const struct wl_cut_key *key,
		  struct wl_cut *out);
/* By the program, in place; see enum wl_cut_op. */
int cut_table_change(const struct cut_table *t, struct wl_cut_change *c);
int cut_table_drop(const struct cut_table *t, const struct wl_cut_key *key);

/* Walk in pieces: what comes or goes meanwhile may be missed or met twice. */
enum { CUT_WALK_MAX = 1024 };
struct cut_walk {
	uint32_t cursor;
	bool is_begun;
	uint32_t count; /* of the piece */
	struct wl_cut_key keys[CUT_WALK_MAX];
	struct wl_cut values[CUT_WALK_MAX];
};
/* The next piece; count 0 and is_begun false: the walk is over, and the next
 * call begins another one.  So does one after is_begun was set to false. */
int cut_table_walk(const struct cut_table *t, struct cut_walk *w);

/* Sum over CPUs, whose number libbpf asks of sysfs once: cut_open() did. */
int cut_table_counters(const struct cut_table *t,
		       uint64_t out[WL_CUT_COUNTERS]);

/* Seconds of CLOCK_MONOTONIC as the program counts them: by the coarse clock,
 * whose seconds end some milliseconds later. */
uint32_t cut_now_s(void);

#endif
