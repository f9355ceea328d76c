/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_read_test.h - what holds for each reader of a stream's beginning.
 *
 * Bytes are always read from memory of exactly their length, so that a read
 * behind the end is one that a sanitizer sees.
 */
#ifndef WL_RELAY_NAME_READ_TEST_H
#define WL_RELAY_NAME_READ_TEST_H

#include "relay/name.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum name_result (*name_fn)(const uint8_t *bytes, size_t len,
				    char out[HOST_TEXT_MAX]);

static inline enum name_result read_exact(name_fn read, const uint8_t *bytes,
					  size_t len, char out[HOST_TEXT_MAX])
{
	uint8_t *copy = malloc(len + !len);
	enum name_result r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = read(copy, len, out);
	free(copy);
	return r;
}

/* `name` NULL: there is none. */
static inline void expect_name(name_fn read, const uint8_t *bytes, size_t len,
			       const char *name)
{
	char out[HOST_TEXT_MAX] = "untouched";
	enum name_result r = read_exact(read, bytes, len, out);

	assert_int_equal(r, name ? NAME_FOUND : NAME_NONE);
	assert_string_equal(out, name ? name : "untouched");
}

/* Every beginning asks for more, and nothing behind the end changes it. */
static inline void expect_name_when_whole(name_fn read, const uint8_t *bytes,
					  size_t len, const char *name)
{
	char out[HOST_TEXT_MAX];
	uint8_t *longer = calloc(1, len + 64);

	assert_non_null(longer);
	memcpy(longer, bytes, len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(read_exact(read, bytes, cut, out), NAME_MORE);
	expect_name(read, bytes, len, name);
	expect_name(read, longer, len + 64, name);
	free(longer);
}

/* What was found or given up stays so, however many bytes follow. */
static inline void expect_steady(name_fn read, const uint8_t *bytes, size_t len)
{
	char whole[HOST_TEXT_MAX] = "", out[HOST_TEXT_MAX] = "";
	enum name_result last = read_exact(read, bytes, len, whole);

	for (size_t cut = 0; cut < len; cut++) {
		enum name_result r = read_exact(read, bytes, cut, out);

		if (r == NAME_MORE)
			continue;
		assert_int_equal(r, last);
		if (r == NAME_FOUND)
			assert_string_equal(out, whole);
	}
}

/* The same for what random changes make of valid bytes. */
static inline void expect_steady_when_changed(name_fn read,
					      const uint8_t *bytes, size_t len,
					      unsigned rounds)
{
	uint8_t *changed = malloc(len);
	struct rnd rnd;

	assert_non_null(changed);
	rnd_begin(&rnd);
	while (rounds--) {
		memcpy(changed, bytes, len);
		for (unsigned n = 1 + rnd_draw(&rnd, 3); n; n--)
			changed[rnd_draw(&rnd, (unsigned)len)] =
				(uint8_t)rnd_draw(&rnd, 256);
		expect_steady(read, changed, len);
	}
	free(changed);
}

#endif
