/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut_change.h - what user space changes in an entry, beside the programs.
 *
 * An update of the map would be a new entry, and what the programs learn in the
 * moment between read and write were lost.
 *
 * On machines that load out of order (not x86) a packet of the very moment of
 * WL_CUT_OP_START may be rewritten with nothing added: its receiver drops it,
 * since it is out of its window, and gets it again.
 */
#ifndef WL_BPF_CUT_CHANGE_H
#define WL_BPF_CUT_CHANGE_H

#include "cut_state.h"

static __always_inline void change_way(struct wl_cut_way *way,
				       const struct wl_cut_way *from)
{
	way->seq_add = from->seq_add;
	way->ack_add = from->ack_add;
	way->ts_add = from->ts_add;
	way->echo_add = from->echo_add;
	way->edge = from->edge;
	way->size_max = from->size_max;
	way->is_draining = from->is_draining;
	way->shift = from->shift;
	way->how = from->how;
}

/* The word that the state is a byte of. */
_Static_assert(offsetof(struct wl_cut, state) % 4 == 2, "its third byte");
enum {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	STATE_SHIFT = 16,
#else
	STATE_SHIFT = 8,
#endif
};

/* All that is written before must be seen by who sees the entry on: an atomic
 * exchange is a full barrier. */
static __always_inline void change_state(struct wl_cut *cut,
					 enum wl_cut_state state)
{
	__u32 *word = (__u32 *)(&cut->state - 2), was = *word;
	__u32 now = (was & ~(0xffu << STATE_SHIFT)) | (__u32)state
							      << STATE_SHIFT;

	/* nobody else changes what is in this word */
	(void)__sync_val_compare_and_swap(word, was, now);
}

static __always_inline void change_start(struct wl_cut *cut,
					 const struct wl_cut_change *c)
{
	change_way(&cut->way[0], &c->way[0]);
	if (!is_readdressed(cut))
		change_way(&cut->way[1], &c->way[1]);
	change_state(cut, WL_CUT_ON);
}

static __always_inline int change(const struct wl_cut_change *c)
{
	struct wl_cut_key key = c->key; /* verifier: maps want the stack */
	struct wl_cut *cut = bpf_map_lookup_elem(&cuts, &key);
	__u32 edge[2] = { c->way[0].edge, c->way[1].edge };
	__u32 which = c->which & 1;

	barrier_var(edge[0]); /* verifier: places in *c are constants */
	if (!cut)
		return -2; /* ENOENT */
	if (is_readdressed(cut))
		which = 0;
	switch (c->op) {
	case WL_CUT_OP_START:
		change_start(cut, c);
		break;
	case WL_CUT_OP_EDGE:
		cut->way[which].edge = which ? edge[1] : edge[0];
		break;
	case WL_CUT_OP_SETTLE:
		cut->way[which].is_draining = 0;
		break;
	}
	return 0;
}

#endif
