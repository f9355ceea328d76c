/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c - chunks in a list, filled from the front; see arena.h.
 */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16384, ALIGN = _Alignof(max_align_t) };

struct chunk {
	struct chunk *next;
	size_t used;
	size_t cap;
	_Alignas(max_align_t) char bytes[];
};

struct arena {
	struct chunk *head; /* the one being filled */
};

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = a->head;
	size_t cap;
	void *p;

	if (size > (size_t)-1 / 2)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (!c || c->cap - c->used < size) {
		cap = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		c = calloc(1, sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->cap = cap;
		c->next = a->head;
		a->head = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > (size_t)-1 / 2 / size)
		return NULL;
	return arena_alloc(a, count * size);
}

char *arena_strn(struct arena *a, const char *bytes, size_t len)
{
	char *s = arena_alloc(a, len + 1);

	if (s)
		memcpy(s, bytes, len);
	return s;
}

void arena_free(struct arena *a)
{
	struct chunk *c, *next;

	if (!a)
		return;
	for (c = a->head; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}
