/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that lives and dies together.
 *
 * A configuration is read into one arena and is const afterwards.  Nothing
 * is freed alone; arena_free() ends it all.  Memory is zeroed and aligned for
 * any type.
 */
#ifndef WL_BASE_ARENA_H
#define WL_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* NULL when memory is out. */
struct arena *arena_new(void);
/* NULL when memory is out or size would overflow. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strn(struct arena *a, const char *bytes, size_t len);
void arena_free(struct arena *a);

#endif
