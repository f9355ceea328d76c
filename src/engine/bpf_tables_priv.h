/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_tables_priv.h - what the parts of bpf_tables share with one another.
 *
 * bpf_tables.c begins and ends; bpf_prefixes.c and bpf_ports.c fill one
 * dimension each; bpf_intern.c gives equal bit sets one number.
 */
#ifndef WL_ENGINE_BPF_TABLES_PRIV_H
#define WL_ENGINE_BPF_TABLES_PRIV_H

#include "base/imap.h"
#include "engine/bpf_tables.h"

/* --- bit sets ------------------------------------------------------------ */

static inline void bits_add(struct wl_bits *b, size_t i)
{
	b->word[i / 64] |= (__u64)1 << i % 64;
}

static inline bool bits_has(const struct wl_bits *b, size_t i)
{
	return b->word[i / 64] >> i % 64 & 1;
}

static inline void bits_or(struct wl_bits *b, const struct wl_bits *other)
{
	for (size_t i = 0; i < WL_BITS_WORDS; i++)
		b->word[i] |= other->word[i];
}

static inline void bits_and(struct wl_bits *b, const struct wl_bits *other)
{
	for (size_t i = 0; i < WL_BITS_WORDS; i++)
		b->word[i] &= other->word[i];
}

/* --- bpf_intern.c -------------------------------------------------------- */

/* Bit sets, each once, numbered in the order in which they came. */
struct bpf_intern {
	struct imap index;
	struct wl_bits *values;
	uint32_t count, room;
};

int bpf_intern_init(struct bpf_intern *n); /* 0 or -ENOMEM */
void bpf_intern_done(struct bpf_intern *n);
/* The number of this value, or -errno: -E2BIG, -ENOMEM. */
int bpf_intern_add(struct bpf_intern *n, const struct wl_bits *value);

/* --- the dimensions ------------------------------------------------------ */

/* Fill t->prefixes[side]; 0 or -errno of bpf_intern_add(). */
int bpf_prefixes_make(struct bpf_tables *t, struct bpf_intern *classes,
		      enum bpf_side side);
/* Fill t->port_class[proto] and t->some_port_class[proto]; `any` gets the selections that hold for every
 * port.  0 or -errno of bpf_intern_add(). */
int bpf_ports_make(struct bpf_tables *t, struct bpf_intern *classes,
		   enum proto proto, struct wl_bits *any);

#endif
