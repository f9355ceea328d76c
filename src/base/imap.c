/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap.c - a hash index over slots of an array; see imap.h.
 */
#include "base/imap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int imap_init(struct imap *m, uint32_t slots)
{
	uint32_t heads = 16;

	assert(slots < IMAP_NONE);
	while (heads < slots)
		heads *= 2;
	*m = (struct imap){ .mask = heads - 1 };
	m->heads = calloc(heads, sizeof(*m->heads));
	m->next = calloc(slots ? slots : 1, sizeof(*m->next));
	if (!m->heads || !m->next) {
		imap_done(m);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < heads; i++)
		m->heads[i] = IMAP_NONE;
	return 0;
}

void imap_done(struct imap *m)
{
	free(m->heads);
	free(m->next);
	*m = (struct imap){ 0 };
}

void imap_insert(struct imap *m, uint64_t hash, uint32_t slot)
{
	uint32_t *head = &m->heads[hash & m->mask];

	m->next[slot] = *head;
	*head = slot;
}

void imap_remove(struct imap *m, uint64_t hash, uint32_t slot)
{
	uint32_t *at = &m->heads[hash & m->mask];

	while (*at != slot) {
		assert(*at != IMAP_NONE);
		at = &m->next[*at];
	}
	*at = m->next[slot];
}
