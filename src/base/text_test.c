/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_test.c - str, arena and err: text and where it lives.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include "base/random_test.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 3000, PIECE_MAX = 300, BLOCKS = 2000 };

/* --- str ----------------------------------------------------------------- */

static void test_str_empty(void **state)
{
	struct str s = { 0 };

	(void)state; /* unused */
	assert_string_equal(str_get(&s), "");
	assert_true(str_ok(&s));
	str_reset(&s);
	str_addn(&s, NULL, 0);
	assert_string_equal(str_get(&s), "");
	str_done(&s);
	str_done(&s);
}

/* Added in pieces by three ways, it is what a plain array holds. */
static void test_str_pieces(void **state)
{
	char *naive = calloc(PIECES, PIECE_MAX);
	struct str s = { 0 };
	size_t len = 0;
	struct rnd r;

	(void)state; /* unused */
	assert_non_null(naive);
	rnd_begin(&r);
	for (unsigned i = 0; i < PIECES; i++) {
		char piece[PIECE_MAX] = "";
		unsigned bytes = rnd_draw(&r, PIECE_MAX - 1);

		memset(piece, 'a' + (int)(i % 26), bytes);
		if (i % 3 == 0)
			str_add(&s, piece);
		else if (i % 3 == 1)
			str_addn(&s, piece, bytes);
		else
			str_addf(&s, "%.*s", (int)bytes, piece);
		memcpy(naive + len, piece, bytes);
		len += bytes;
		assert_int_equal(s.len, len);
		assert_int_equal(s.text ? s.text[len] : 0, '\0');
	}
	assert_true(str_ok(&s));
	assert_string_equal(str_get(&s), naive);
	str_reset(&s);
	assert_string_equal(str_get(&s), "");
	str_addf(&s, "%d%%", 7);
	assert_string_equal(str_get(&s), "7%");
	str_done(&s);
	free(naive);
}

static void test_str_failed(void **state)
{
	struct str s = { 0 };

	(void)state; /* unused */
	str_add(&s, "kept");
	str_addn(&s, NULL, (size_t)-1 / 2); /* no memory is that large */
	assert_false(str_ok(&s));
	str_add(&s, "ignored");
	str_addf(&s, "%s", "ignored");
	assert_string_equal(str_get(&s), "kept");
	str_reset(&s);
	assert_true(str_ok(&s));
	str_done(&s);
}

/* --- arena --------------------------------------------------------------- */

/* Blocks are aligned, zero, and nobody else's. */
static void test_arena_blocks(void **state)
{
	static struct {
		uint8_t *at;
		size_t len;
	} blocks[BLOCKS];
	struct arena *a = arena_new();
	struct rnd r;

	(void)state; /* unused */
	assert_non_null(a);
	rnd_begin(&r);
	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t len = rnd_draw(&r, 1u << rnd_draw(&r, 17));
		uint8_t *p = arena_alloc(a, len);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t at = 0; at < len; at++)
			assert_int_equal(p[at], 0);
		memset(p, (int)(i % 255 + 1), len);
		blocks[i].at = p;
		blocks[i].len = len;
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		for (size_t at = 0; at < blocks[i].len; at++)
			assert_int_equal(blocks[i].at[at], i % 255 + 1);
	arena_free(a);
}

static void test_arena_edges(void **state)
{
	struct arena *a = arena_new();
	const char bytes[] = { 'a', '\0', 'b', 'c' };

	(void)state; /* unused */
	assert_memory_equal(arena_strn(a, bytes, 3), "a\0b", 4);
	assert_string_equal(arena_strn(a, bytes, 0), "");
	assert_null(arena_alloc(a, (size_t)-1));
	assert_null(arena_alloc(a, (size_t)-1 - 4));
	assert_null(arena_array(a, (size_t)-1 / 8, 16));
	assert_null(arena_array(a, 16, (size_t)-1 / 8));
	assert_non_null(arena_array(a, 0, 16));
	assert_non_null(arena_array(a, 16, 0));
	arena_free(a);
	arena_free(NULL);
}

/* --- err ----------------------------------------------------------------- */

static void test_err_words(void **state)
{
	struct err e = { 0 };

	(void)state; /* unused */
	assert_int_equal(err_set(&e, EINVAL, "cannot read %s", "x"), -EINVAL);
	assert_int_equal(e.code, EINVAL);
	assert_string_equal(e.text, "cannot read x");
	assert_int_equal(err_prefix(&e, "file %d", 7), -EINVAL);
	assert_string_equal(e.text, "file 7: cannot read x");
	assert_int_equal(err_errno(&e, ENOENT, "cannot open %s", "y"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text, "cannot open y: No such file or directory");
	assert_int_equal(err_set(NULL, EPERM, "nobody reads this"), -EPERM);
	assert_int_equal(err_errno(NULL, EPERM, "nobody reads this"), -EPERM);
	(void)err_prefix(NULL, "nobody reads this"); /* must not crash */
}

/* What is too long is cut at its end, never at its beginning. */
static void test_err_cut(void **state)
{
	struct err e = { 0 };
	char words[ERR_TEXT_MAX * 2];

	(void)state; /* unused */
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	err_set(&e, EINVAL, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_prefix(&e, "first");
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "first: www", 10);
	err_prefix(&e, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_errno(&e, ENOENT, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_int_equal(e.code, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_empty),
		cmocka_unit_test(test_str_pieces),
		cmocka_unit_test(test_str_failed),
		cmocka_unit_test(test_arena_blocks),
		cmocka_unit_test(test_arena_edges),
		cmocka_unit_test(test_err_words),
		cmocka_unit_test(test_err_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
