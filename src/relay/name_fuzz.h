/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_fuzz.h - what holds for each reader of a beginning, whatever it reads.
 *
 * What was found or given up stays so, whatever follows; what was found is a
 * normal name.  Bytes are read from memory of exactly their length.
 */
#ifndef WL_RELAY_NAME_FUZZ_H
#define WL_RELAY_NAME_FUZZ_H

#include "policy/domains.h"
#include "relay/name.h"

#include <stdlib.h>
#include <string.h>

enum { FUZZ_CUTS = 64 }; /* of a long input; a short one is cut everywhere */

typedef enum name_result (*name_fn)(const uint8_t *bytes, size_t len,
				    char out[HOST_TEXT_MAX]);

/* To be freed. */
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len + !len);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

/* `out` is "" without a name. */
static inline enum name_result fuzz_read(name_fn read, const uint8_t *bytes,
					 size_t len, char out[HOST_TEXT_MAX])
{
	uint8_t *copy = fuzz_copy(bytes, len);
	enum name_result r;

	out[0] = '\0';
	r = read(copy, len, out);
	free(copy);
	if (r != NAME_FOUND && out[0])
		abort();
	return r;
}

static inline void fuzz_expect_normal(const char *name)
{
	char again[HOST_TEXT_MAX];

	if (!domain_normalise(name, strlen(name), again) ||
	    strcmp(name, again) != 0)
		abort();
}

/* What `read` says of the whole. */
static inline enum name_result fuzz_read_steady(name_fn read,
						const uint8_t *bytes,
						size_t len,
						char out[HOST_TEXT_MAX])
{
	char earlier[HOST_TEXT_MAX];
	enum name_result last = fuzz_read(read, bytes, len, out);

	if (last == NAME_FOUND)
		fuzz_expect_normal(out);
	for (size_t cut = 0; cut < len;
	     cut += 1 + len / FUZZ_CUTS * (1 + bytes[cut] % 2)) {
		enum name_result r = fuzz_read(read, bytes, cut, earlier);

		if (r != NAME_MORE && (r != last || strcmp(earlier, out) != 0))
			abort();
	}
	return last;
}

#endif
