/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h - reading forwards in bytes of known length.
 *
 * A read that does not fit changes nothing and says so.
 */
#ifndef WL_RELAY_CURSOR_H
#define WL_RELAY_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at, *end;
};

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool cursor_bytes(struct cursor *c, uint64_t count,
				const uint8_t **out)
{
	if (count > cursor_left(c))
		return false;
	*out = c->at;
	c->at += count;
	return true;
}

/* A number of 1 to 8 bytes, highest first. */
static inline bool cursor_number(struct cursor *c, size_t size, uint64_t *out)
{
	const uint8_t *bytes;
	uint64_t number = 0;

	if (!cursor_bytes(c, size, &bytes))
		return false;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	*out = number;
	return true;
}

#endif
