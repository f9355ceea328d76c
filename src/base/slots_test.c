/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots_test.c - pool and imap: objects named by number.
 */
#include "base/imap.h"
#include "base/pool.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SLOTS = 37, STEPS = 20000, HASHES = 9 };

/* A slot is given to one owner at a time, and never twice by one name. */
static void test_pool_random(void **state)
{
	uint32_t generations[SLOTS] = { 0 };
	bool is_used[SLOTS] = { false };
	uint32_t used = 0, slot;
	struct pool p;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	assert_int_equal(pool_init(&p, SLOTS), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		if (rnd_draw(&r, 2)) {
			slot = pool_take(&p);
			assert_int_equal(slot == POOL_NONE, used == SLOTS);
			if (slot == POOL_NONE)
				continue;
			assert_true(slot < SLOTS && !is_used[slot]);
			assert_true(pool_name(&p, slot) ==
				    ((uint64_t)generations[slot] << 32 | slot));
			is_used[slot] = true;
			used++;
		} else if (slot = rnd_draw(&r, SLOTS), is_used[slot]) {
			pool_give(&p, slot);
			generations[slot]++;
			is_used[slot] = false;
			used--;
		}
		assert_int_equal(p.used, used);
	}
	pool_done(&p);
	pool_done(&p);
}

static void test_pool_order(void **state)
{
	struct pool p;

	(void)state; /* unused */
	assert_int_equal(pool_init(&p, 3), 0);
	assert_int_equal(pool_take(&p), 0);
	assert_int_equal(pool_take(&p), 1);
	pool_give(&p, 0);
	pool_give(&p, 1);
	assert_int_equal(pool_take(&p), 1); /* freed last, still warm */
	assert_int_equal(pool_take(&p), 0);
	assert_int_equal(pool_take(&p), 2); /* never used before */
	assert_int_equal(pool_take(&p), POOL_NONE);
	pool_done(&p);
}

static void test_pool_of_nothing(void **state)
{
	struct pool p;

	(void)state; /* unused */
	assert_int_equal(pool_init(&p, 0), 0);
	assert_int_equal(pool_take(&p), POOL_NONE);
	pool_done(&p);
}

/* Every slot in the map is found by its hash, once, and no other is. */
static void expect_chain(const struct imap *m, const int *hash_of,
			 uint64_t hash)
{
	unsigned seen[SLOTS] = { 0 };

	for (uint32_t i = imap_first(m, hash); i != IMAP_NONE;
	     i = imap_next(m, i)) {
		assert_true(i < SLOTS);
		assert_int_equal(seen[i]++, 0);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (hash_of[i] == (int)hash)
			assert_int_equal(seen[i], 1);
		else if (hash_of[i] < 0)
			assert_int_equal(seen[i], 0);
}

static void test_imap_random(void **state)
{
	int hash_of[SLOTS]; /* -1: not in the map */
	struct imap m;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	memset(hash_of, -1, sizeof(hash_of));
	assert_int_equal(imap_init(&m, SLOTS), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned slot = rnd_draw(&r, SLOTS);

		if (hash_of[slot] < 0) {
			/* few values, and some that share a bucket */
			hash_of[slot] = (int)(rnd_draw(&r, HASHES) * 32);
			imap_insert(&m, (uint64_t)hash_of[slot], slot);
		} else {
			imap_remove(&m, (uint64_t)hash_of[slot], slot);
			hash_of[slot] = -1;
		}
		for (unsigned i = 0; i < HASHES; i++)
			expect_chain(&m, hash_of, i * 32);
	}
	imap_done(&m);
	imap_done(&m);
}

static void test_imap_large_hashes(void **state)
{
	struct imap m;

	(void)state; /* unused */
	assert_int_equal(imap_init(&m, 0), 0);
	imap_done(&m);
	assert_int_equal(imap_init(&m, 2), 0);
	assert_int_equal(imap_first(&m, UINT64_MAX), IMAP_NONE);
	imap_insert(&m, UINT64_MAX, 1);
	assert_int_equal(imap_first(&m, UINT64_MAX), 1);
	assert_int_equal(imap_next(&m, 1), IMAP_NONE);
	imap_remove(&m, UINT64_MAX, 1);
	assert_int_equal(imap_first(&m, UINT64_MAX), IMAP_NONE);
	imap_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_random),
		cmocka_unit_test(test_pool_order),
		cmocka_unit_test(test_pool_of_nothing),
		cmocka_unit_test(test_imap_random),
		cmocka_unit_test(test_imap_large_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
