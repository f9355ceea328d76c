// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * match_test.c - the first selection, compiled natively, against a plain loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "native_test.h"

#include "match.h"

enum {
	ROUNDS = 20000,
	DIMS_MAX = 5,
};

static uint64_t draw_word(void)
{
	return (uint64_t)mrand48() << 32 ^ (uint64_t)mrand48();
}

static int lowest(uint64_t word)
{
	int bit = 0;

	while (!(word & 1)) {
		word >>= 1;
		bit++;
	}
	return bit;
}

static void test_each_bit(void **state)
{
	(void)state; /* unused */
	for (int bit = 0; bit < 64; bit++)
		assert_int_equal(match_lowest((__u64)1 << bit), bit);
}

/* What stands above the lowest bit does not matter. */
static void test_random_words(void **state)
{
	(void)state; /* unused */
	native_seed();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t word = draw_word() << native_draw(64);

		if (word)
			assert_int_equal(match_lowest(word), lowest(word));
	}
}

static int search(const struct wl_bits *const dims[], int count, __u32 words)
{
	for (unsigned bit = 0; bit < words * 64; bit++) {
		int d = 0;

		while (d < count &&
		       dims[d]->word[bit / 64] & (__u64)1 << bit % 64)
			d++;
		if (d == count)
			return (int)bit;
	}
	return MATCH_NONE;
}

/* Dimensions that have few bits in common, so that any word may decide. */
static void draw_dims(struct wl_bits dims[], int count)
{
	uint32_t from = native_draw(WL_BITS_WORDS + 1);

	for (int d = 0; d < count; d++) {
		for (uint32_t i = 0; i < WL_BITS_WORDS; i++)
			dims[d].word[i] = draw_word() | draw_word();
	}
	for (uint32_t i = 0; i < from; i++) {
		if (native_draw(2))
			dims[native_draw((uint32_t)count)].word[i] = 0;
		else
			dims[0].word[i] = count > 1 ? ~dims[1].word[i] : 0;
	}
}

static void test_random_dimensions(void **state)
{
	(void)state; /* unused */
	native_seed();
	for (int i = 0; i < ROUNDS; i++) {
		int count = 1 + (int)native_draw(DIMS_MAX);
		__u32 words = native_draw(WL_BITS_WORDS + 1);
		struct wl_bits drawn[DIMS_MAX];
		const struct wl_bits *dims[DIMS_MAX];

		draw_dims(drawn, count);
		for (int d = 0; d < count; d++)
			dims[d] = &drawn[d];
		assert_int_equal(match_first(dims, count, words),
				 search(dims, count, words));
	}
}

/* Not one word is read behind the last, however many are said to be. */
static void test_too_many_words(void **state)
{
	struct wl_bits none = { .word = { 0 } }, last = none;
	const struct wl_bits *dims[] = { &none, &last };

	(void)state; /* unused */
	assert_int_equal(match_first(dims, 2, 1000), MATCH_NONE);
	none.word[WL_BITS_WORDS - 1] = last.word[WL_BITS_WORDS - 1] = (__u64)1
								      << 63;
	assert_int_equal(match_first(dims, 2, 1000), WL_SELECTIONS_MAX - 1);
	assert_int_equal(match_first(dims, 2, WL_BITS_WORDS - 1), MATCH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_random_words),
		cmocka_unit_test(test_random_dimensions),
		cmocka_unit_test(test_too_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
