/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_intern.c - equal bit sets get one number; see bpf_tables_priv.h.
 */
#include "engine/bpf_tables_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int bpf_intern_init(struct bpf_intern *n)
{
	*n = (struct bpf_intern){ .count = 0 };
	return imap_init(&n->index, BPF_CLASSES_MAX);
}

void bpf_intern_done(struct bpf_intern *n)
{
	imap_done(&n->index);
	free(n->values);
	n->values = NULL;
}

static int grow(struct bpf_intern *n)
{
	uint32_t room = n->room ? n->room * 2 : 64;
	struct wl_bits *values;

	values = realloc(n->values, room * sizeof(*values));
	if (!values)
		return -ENOMEM;
	n->values = values;
	n->room = room;
	return 0;
}

int bpf_intern_add(struct bpf_intern *n, const struct wl_bits *value)
{
	uint64_t hash = XXH3_64bits(value, sizeof(*value));
	uint32_t i;

	for (i = imap_first(&n->index, hash); i != IMAP_NONE;
	     i = imap_next(&n->index, i)) {
		if (memcmp(&n->values[i], value, sizeof(*value)) == 0)
			return (int)i;
	}
	if (n->count == BPF_CLASSES_MAX)
		return -E2BIG;
	if (n->count == n->room && grow(n) < 0)
		return -ENOMEM;
	n->values[n->count] = *value;
	imap_insert(&n->index, hash, n->count);
	return (int)n->count++;
}
