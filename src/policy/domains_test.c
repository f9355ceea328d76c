/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domains_test.c - sets of names against a plain list.
 *
 * Random names have few letters and labels, so that suffixes, hits and near
 * misses are common.  WAYLAY_BENCH=1 also measures a million names and prints
 * what it found; nothing is judged by time.
 */
#include "policy/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random_test.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define L10  "abcdefghij"
#define L63  L10 L10 L10 L10 L10 L10 "abc"
#define N252 L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10

/* --- sets ---------------------------------------------------------------- */

static struct domain_set *set_of(const char *const *patterns, size_t count)
{
	struct domain_builder *b = domain_builder_new();
	struct domain_set *s;

	assert_non_null(b);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(domain_builder_add(b, patterns[i]), 0);
	assert_int_equal(domain_builder_finish(b, &s), 0);
	return s;
}

static const char *const some[] = {
	"alone.example", "*.below.example", ".both.example",
	"twice.example", "*.twice.example", "top",
	"a.b.c.d.e.f",	 "twice.example",   "sevenseven.seven",
	"*." L63 ".x",
};

static const struct {
	const char *name, *text;
	bool is_in;
} look_ups[] = {
	{ "a name alone", "alone.example", true },
	{ "nothing is below a name alone", "www.alone.example", false },
	{ "a star is not the name itself", "below.example", false },
	{ "a star is what is below", "www.below.example", true },
	{ "a star is what is far below", "a.b.c.d.below.example", true },
	{ "a star ends at a dot", "notbelow.example", false },
	{ "a longer name of both forms", "www.both.example", true },
	{ "the name of both forms", "both.example", true },
	{ "a dot ends at a dot", "aboth.example", false },
	{ "a name that is given in two forms", "twice.example", true },
	{ "what is below it", "www.twice.example", true },
	{ "one label", "top", true },
	{ "below one label", "www.top", false },
	{ "the name above", "example", false },
	{ "many labels", "a.b.c.d.e.f", true },
	{ "one label more", "x.a.b.c.d.e.f", false },
	{ "one label less", "b.c.d.e.f", false },
	{ "the same letters, another dot", "seven.sevenseven", false },
	{ "a long label", "www." L63 ".x", true },
	{ "a label that is one letter shorter", "www." L10 ".x", false },
	{ "no name", "", false },
	{ "longer than a name", N252 ".below.example", false },
};

static void test_look_ups(void **state)
{
	struct domain_set *s = set_of(some, COUNT(some));

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(look_ups); i++) {
		if (domain_set_has(s, look_ups[i].text) != look_ups[i].is_in)
			fail_msg("%s: %s", look_ups[i].name, look_ups[i].text);
		assert_false(domain_set_has(NULL, look_ups[i].text));
	}
	assert_int_equal(domain_set_count(s), 8);
	domain_set_free(s);
}

static void test_empty(void **state)
{
	struct domain_set *s = set_of(NULL, 0);

	(void)state; /* unused */
	assert_null(s);
	assert_int_equal(domain_set_count(s), 0);
	assert_int_equal(domain_set_bytes(s), 0);
	assert_true(domain_set_equal(s, NULL));
	domain_set_free(s);
	domain_builder_free(domain_builder_new());
	domain_builder_free(NULL);
}

static void test_equal(void **state)
{
	static const struct {
		const char *name, *a[3], *b[3];
		bool is_equal;
	} rows[] = {
		{ "the order says nothing",
		  { "a.x", "b.x", "c" },
		  { "c", "b.x", "a.x" },
		  true },
		{ "twice is once",
		  { "a.x", "a.x", "b" },
		  { "b", "a.x", "b" },
		  true },
		{ "two forms are both",
		  { "a.x", "*.a.x", "b" },
		  { ".a.x", "b", "b" },
		  true },
		{ "another form",
		  { "a.x", "b", "b" },
		  { "*.a.x", "b", "b" },
		  false },
		{ "one form less",
		  { ".a.x", "b", "b" },
		  { "a.x", "b", "b" },
		  false },
		{ "another name",
		  { "a.x", "b", "c" },
		  { "a.x", "b", "d" },
		  false },
		{ "fewer names", { "a", "b", "c" }, { "a", "b", "b" }, false },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct domain_set *a = set_of(rows[i].a, 3);
		struct domain_set *b = set_of(rows[i].b, 3);

		if (domain_set_equal(a, b) != rows[i].is_equal ||
		    domain_set_equal(b, a) != rows[i].is_equal)
			fail_msg("%s", rows[i].name);
		assert_false(domain_set_equal(a, NULL));
		assert_false(domain_set_equal(NULL, b));
		domain_set_free(a);
		domain_set_free(b);
	}
}

/* --- random names -------------------------------------------------------- */

enum { ROUNDS = 500, PATTERNS_MAX = 60, NAMES = 100, DRAWN_MAX = 80 };

/* 1 to 5 labels of 1 to 3 letters, sometimes of 7, 8 or 15. */
static void draw_name(struct rnd *r, char *out)
{
	static const unsigned lengths[] = { 1, 1, 1, 2, 3, 7, 8, 15 };
	size_t len = 0;

	for (unsigned labels = 1 + rnd_draw(r, 5); labels; labels--) {
		for (unsigned n = lengths[rnd_draw(r, 8)]; n; n--)
			out[len++] = (char)('a' + rnd_draw(r, 2));
		out[len++] = '.';
	}
	out[len - 1] = '\0';
}

static void draw_pattern(struct rnd *r, char *out)
{
	static const char *const fronts[] = { "", "*.", "." };
	const char *front = fronts[rnd_draw(r, 3)];

	memcpy(out, front, strlen(front));
	draw_name(r, out + strlen(front));
}

static bool naive_matches(const char *pattern, const char *name)
{
	size_t len = strlen(name);

	if (pattern[0] == '.' && strcmp(pattern + 1, name) == 0)
		return true;
	if (pattern[0] == '*')
		pattern++;
	if (pattern[0] != '.')
		return strcmp(pattern, name) == 0;
	return len > strlen(pattern) &&
	       strcmp(name + len - strlen(pattern), pattern) == 0;
}

static void expect_as_naive(struct rnd *r, const struct domain_set *s,
			    char (*patterns)[DRAWN_MAX], unsigned count)
{
	char name[DRAWN_MAX];

	for (unsigned n = 0; n < NAMES; n++) {
		bool wanted = false;

		draw_name(r, name);
		for (unsigned i = 0; i < count; i++)
			wanted = wanted || naive_matches(patterns[i], name);
		if (domain_set_has(s, name) != wanted)
			fail_msg("%s is%s in it", name, wanted ? "" : " not");
	}
}

static void test_random(void **state)
{
	static char patterns[PATTERNS_MAX][DRAWN_MAX];
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int round = 0; round < ROUNDS; round++) {
		unsigned count = 1 + rnd_draw(&r, PATTERNS_MAX);
		struct domain_builder *b = domain_builder_new();
		struct domain_set *s;

		assert_non_null(b);
		for (unsigned i = 0; i < count; i++) {
			draw_pattern(&r, patterns[i]);
			assert_int_equal(domain_builder_add(b, patterns[i]), 0);
		}
		assert_int_equal(domain_builder_finish(b, &s), 0);
		expect_as_naive(&r, s, patterns, count);
		domain_set_free(s);
	}
}

/* --- a million ----------------------------------------------------------- */

enum { MILLION = 1000 * 1000, SPREAD = 611953, LOOK_UPS = 1000 * 1000 };

/* About 20 bytes; every tenth one is `*.` */
static void million_pattern(unsigned i, char *out)
{
	static const char *const tops[] = { "com", "net", "example", "org" };
	unsigned long long id = (unsigned long long)i * SPREAD % MILLION;

	(void)snprintf(out, HOST_TEXT_MAX, "%sads-%06llu.track.%s",
		       i % 10 ? "" : "*.", id, tops[i % 4]);
}

static struct domain_set *million(void)
{
	struct domain_builder *b = domain_builder_new();
	char pattern[HOST_TEXT_MAX];
	struct domain_set *s;

	assert_non_null(b);
	for (unsigned i = 0; i < MILLION; i++) {
		million_pattern(i, pattern);
		assert_int_equal(domain_builder_add(b, pattern), 0);
	}
	assert_int_equal(domain_builder_finish(b, &s), 0);
	return s;
}

/* What is in it is found, what is one letter off is not. */
static void test_million(void **state)
{
	struct domain_set *s = million();
	char name[HOST_TEXT_MAX];

	(void)state; /* unused */
	assert_int_equal(domain_set_count(s), MILLION);
	assert_true(domain_set_bytes(s) < 64u << 20);
	for (unsigned i = 0; i < MILLION; i++) {
		million_pattern(i, name);
		if (name[0] == '*')
			name[0] = 'w';
		assert_true(domain_set_has(s, name));
		name[strlen(name) - 1]++;
		assert_false(domain_set_has(s, name));
	}
	domain_set_free(s);
}

/* --- how long it takes --------------------------------------------------- */

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* `stride` 0: the same name again. */
static void time_look_ups(const struct domain_set *s, const char *what,
			  unsigned stride, bool is_hit)
{
	static char names[LOOK_UPS][40];
	unsigned found = 0;
	double begin;

	for (unsigned i = 0; i < LOOK_UPS; i++) {
		char name[HOST_TEXT_MAX];

		million_pattern(i % MILLION * stride, name);
		name[0] = name[0] == '*' ? 'w' : name[0];
		if (!is_hit)
			name[strlen(name) - 1]++;
		memcpy(names[i], name, sizeof(names[i]));
	}
	begin = seconds();
	for (unsigned i = 0; i < LOOK_UPS; i++)
		found += domain_set_has(s, names[i]);
	print_message("%s: %.0f ns a look-up (%u found)\n", what,
		      (seconds() - begin) * 1e9 / LOOK_UPS, found);
}

/* Nothing but the name at hand is in the cache. */
static void time_cold(const struct domain_set *s, const char *what, bool is_hit)
{
	enum { TRIES = 200, TRASH = 256 << 20 };
	volatile char *trash = malloc(TRASH);
	double sum = 0;

	assert_non_null((void *)(uintptr_t)trash);
	for (unsigned i = 0; i < TRIES; i++) {
		char name[HOST_TEXT_MAX];
		double begin;

		for (size_t n = 0; n < TRASH; n += 64)
			trash[n]++;
		million_pattern(i * 4999 % MILLION, name);
		name[0] = name[0] == '*' ? 'w' : name[0];
		if (!is_hit)
			name[strlen(name) - 1]++;
		begin = seconds();
		(void)domain_set_has(s, name);
		sum += seconds() - begin;
	}
	print_message("%s: %.0f ns a look-up\n", what, sum * 1e9 / TRIES);
	free((void *)(uintptr_t)trash);
}

static void bench(void **state)
{
	double begin = seconds();
	struct domain_set *s, *one;

	(void)state; /* unused */
	if (!getenv("WAYLAY_BENCH"))
		skip();
	s = million();
	one = set_of(some, 1);
	print_message("a million names: built in %.2f s, %.1f MB\n",
		      seconds() - begin, (double)domain_set_bytes(s) / 1e6);
	time_look_ups(s, "the same name, a hit", 0, true);
	time_look_ups(s, "the same name, a miss", 0, false);
	time_look_ups(s, "another name each time, hits", 1, true);
	time_look_ups(s, "another name each time, misses", 1, false);
	time_cold(s, "caches emptied, a hit", true);
	time_cold(s, "caches emptied, a miss", false);
	time_cold(one, "caches emptied, a miss in a set of one", false);
	domain_set_free(s);
	domain_set_free(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_ups), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_equal),	 cmocka_unit_test(test_random),
		cmocka_unit_test(test_million),	 cmocka_unit_test(bench),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
