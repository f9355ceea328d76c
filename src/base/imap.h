/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap.h - a hash index over slots of an array.
 *
 * The caller keeps the objects in an array and names them by number; the map
 * chains numbers by hash.  It never looks at the objects and never allocates
 * after imap_init().  Hash with a secret seed what comes from the network
 * (T15).
 *
 *	for (i = imap_first(m, hash); i != IMAP_NONE; i = imap_next(m, i))
 *		if (is_the_one(&objects[i])) ...
 */
#ifndef WL_BASE_IMAP_H
#define WL_BASE_IMAP_H

#include <stdint.h>

enum { IMAP_NONE = UINT32_MAX >> 1 };

struct imap {
	uint32_t *heads;
	uint32_t *next; /* by slot */
	uint32_t mask;	/* heads - 1, a power of two minus one */
};

int imap_init(struct imap *m, uint32_t slots); /* 0 or -ENOMEM */
void imap_done(struct imap *m);
void imap_insert(struct imap *m, uint64_t hash, uint32_t slot);
void imap_remove(struct imap *m, uint64_t hash, uint32_t slot);

static inline uint32_t imap_first(const struct imap *m, uint64_t hash)
{
	return m->heads[hash & m->mask];
}

static inline uint32_t imap_next(const struct imap *m, uint32_t slot)
{
	return m->next[slot];
}

#endif
