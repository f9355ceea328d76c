/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_intervals_test.c - intervals say what the longest prefix says.
 *
 * Intervals are read naively, one by one through a bucket; that the programs
 * find the same ones is for the tests that run them.
 */
#include "engine/bpf_intervals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/random_config_test.h"

#include <stdlib.h>

enum {
	ROUNDS = 300,
	SET_MAX = 40,
	ADDRESSES = 200, /* drawn a round */
	MANY = 200000,
	MANY_ADDRESSES = 100,
};

/* --- sets of prefixes ---------------------------------------------------- */

static uint32_t ip_of(const struct addr *a)
{
	uint32_t ip;

	memcpy(&ip, a->ip, sizeof(ip));
	return ntohl(ip);
}

static struct addr addr_of(uint32_t ip)
{
	struct addr a = { .family = AF_INET };
	uint32_t be = htonl(ip);

	memcpy(a.ip, &be, sizeof(be));
	return a;
}

/* The last address. */
static uint32_t end_of(const struct prefix *p)
{
	return ip_of(&p->net) | (uint32_t)((uint64_t)UINT32_MAX >> p->len);
}

static int compare(const void *a, const void *b)
{
	const struct bpf_prefix *left = a, *right = b;

	return prefix_compare(&left->net, &right->net);
}

/* In their order, each once. */
static void sort(struct bpf_prefixes *set)
{
	size_t kept = 0;

	qsort(set->of, set->count, sizeof(*set->of), compare);
	for (size_t i = 0; i < set->count; i++)
		if (!kept || compare(&set->of[kept - 1], &set->of[i]) != 0)
			set->of[kept++] = set->of[i];
	set->count = kept;
}

static void draw_set(struct rnd *r, struct bpf_prefixes *set)
{
	set->count = rnd_draw(r, SET_MAX);
	set->outside = rnd_draw(r, 3);
	for (size_t i = 0; i < set->count; i++) {
		rnd_prefix(r, AF_INET, &set->of[i].net);
		/* few, so that neighbours are often equal */
		set->of[i].class = rnd_draw(r, 4);
	}
	sort(set);
}

/* --- what both say ------------------------------------------------------- */

static uint32_t longest(const struct bpf_prefixes *set, uint32_t ip)
{
	struct addr a = addr_of(ip);
	uint32_t class = set->outside;
	int length = -1;

	for (size_t i = 0; i < set->count; i++) {
		if (set->of[i].net.len <= length ||
		    !prefix_contains(&set->of[i].net, &a))
			continue;
		length = set->of[i].net.len;
		class = set->of[i].class;
	}
	return class;
}

static uint32_t look_up(const struct bpf_intervals *in, uint32_t ip)
{
	const struct wl_bucket *b = &in->buckets[ip >> 16];
	const struct wl_interval *i = &in->of[b->first + b->count - 1];

	while (i->start > (ip & 0xffff))
		i--;
	return i->class;
}

static void expect_same(const struct bpf_prefixes *set,
			const struct bpf_intervals *in, uint32_t ip)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = addr_of(ip);

	if (look_up(in, ip) != longest(set, ip))
		fail_msg("%s: %u by intervals, %u by the longest of %zu",
			 addr_format(&a, text), look_up(in, ip),
			 longest(set, ip), set->count);
}

/* At both sides of both ends; past the end of all it begins again. */
static void expect_same_at(const struct bpf_prefixes *set,
			   const struct bpf_intervals *in,
			   const struct prefix *p)
{
	expect_same(set, in, ip_of(&p->net));
	expect_same(set, in, ip_of(&p->net) - 1);
	expect_same(set, in, end_of(p));
	expect_same(set, in, end_of(p) + 1);
}

/* Buckets follow each other without a gap; each begins at its own start, goes
 * upwards, and does not say the same thing twice. */
static void expect_good_form(const struct bpf_intervals *in)
{
	size_t at = 0;

	for (size_t b = 0; b < WL_BUCKETS; b++) {
		assert_int_equal(in->buckets[b].first, at);
		assert_int_not_equal(in->buckets[b].count, 0);
		assert_int_equal(in->of[at].start, 0);
		for (uint32_t i = 1; i < in->buckets[b].count; i++) {
			assert_true(in->of[at + i].start >
				    in->of[at + i - 1].start);
			assert_int_not_equal(in->of[at + i].class,
					     in->of[at + i - 1].class);
		}
		at += in->buckets[b].count;
	}
	assert_int_equal(in->count, at);
}

static void make(const struct bpf_prefixes *set, struct bpf_intervals *in)
{
	assert_int_equal(bpf_intervals_make(set, in), 0);
	expect_good_form(in);
}

/* --- the tests ----------------------------------------------------------- */

static void test_random(void **state)
{
	struct bpf_prefix of[SET_MAX];
	struct bpf_prefixes set = { .of = of };
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int round = 0; round < ROUNDS; round++) {
		struct bpf_intervals in;

		draw_set(&r, &set);
		make(&set, &in);
		for (size_t i = 0; i < set.count; i++)
			expect_same_at(&set, &in, &of[i].net);
		for (int i = 0; i < ADDRESSES; i++) {
			struct addr a;

			rnd_addr(&r, AF_INET, &a);
			expect_same(&set, &in, ip_of(&a));
			rnd_fill(&r, a.ip, 4);
			expect_same(&set, &in, ip_of(&a));
		}
		bpf_intervals_done(&in);
	}
}

static void test_edges(void **state)
{
	static const struct {
		const char *name, *nets[4];
		size_t count; /* intervals */
	} rows[] = {
		{ "no prefix at all", { NULL }, WL_BUCKETS },
		{ "all addresses", { "0.0.0.0/0" }, WL_BUCKETS },
		{ "the last address",
		  { "255.255.255.255/32" },
		  WL_BUCKETS + 1 },
		{ "the first address", { "0.0.0.0/32" }, WL_BUCKETS + 1 },
		{ "the whole, a half and the last address",
		  { "0.0.0.0/0", "128.0.0.0/1", "255.255.255.255/32" },
		  WL_BUCKETS + 1 },
		{ "a bucket", { "10.1.0.0/16" }, WL_BUCKETS },
		{ "one address in the middle",
		  { "10.1.7.9/32" },
		  WL_BUCKETS + 2 },
		{ "neighbours",
		  { "10.1.7.8/32", "10.1.7.9/32" },
		  WL_BUCKETS + 3 },
		{ "begin together",
		  { "10.0.0.0/8", "10.0.0.0/24" },
		  WL_BUCKETS + 1 },
		{ "end together",
		  { "10.0.0.0/8", "10.255.255.0/24", "10.255.255.255/32" },
		  WL_BUCKETS + 2 },
	};
	struct bpf_prefix of[4];
	struct bpf_intervals in;

	(void)state; /* unused */
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct bpf_prefixes set = { .of = of, .outside = 7 };

		for (; rows[row].nets[set.count]; set.count++) {
			of[set.count].class = (uint32_t)set.count + 1;
			assert_int_equal(prefix_parse(rows[row].nets[set.count],
						      &of[set.count].net),
					 0);
		}
		make(&set, &in);
		if (in.count != rows[row].count)
			fail_msg("%s: %zu intervals", rows[row].name, in.count);
		expect_same(&set, &in, 0);
		expect_same(&set, &in, UINT32_MAX);
		for (size_t i = 0; i < set.count; i++)
			expect_same_at(&set, &in, &of[i].net);
		bpf_intervals_done(&in);
	}
}

/* Each length from 0 to 32 around the last address. */
static void test_deepest(void **state)
{
	struct bpf_prefix of[33];
	struct bpf_prefixes set = { .of = of, .count = 33, .outside = 40 };
	struct bpf_intervals in;

	(void)state; /* unused */
	for (unsigned len = 0; len <= 32; len++) {
		uint32_t host = (uint32_t)((uint64_t)UINT32_MAX >> len);

		of[len].net = (struct prefix){ .net = addr_of(~host),
					       .len = (uint8_t)len };
		of[len].class = len;
	}
	make(&set, &in);
	for (size_t i = 0; i < set.count; i++)
		expect_same_at(&set, &in, &of[i].net);
	bpf_intervals_done(&in);
}

/* Every other address of one bucket, and /16 to /32 anywhere. */
static void test_many(void **state)
{
	struct bpf_prefixes set = { .count = MANY };
	struct bpf_intervals in;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	set.of = calloc(MANY, sizeof(*set.of));
	assert_non_null(set.of);
	for (uint32_t i = 0; i < MANY; i++) {
		struct prefix *p = &set.of[i].net;
		uint32_t ip = 0x0a070000 + 2 * i;

		p->len = 32;
		if (i >= WL_BUCKETS / 2) {
			rnd_fill(&r, (uint8_t *)&ip, sizeof(ip));
			p->len = (uint8_t)(16 + rnd_draw(&r, 17));
			ip &= ~(uint32_t)((uint64_t)UINT32_MAX >> p->len);
		}
		p->net = addr_of(ip);
		set.of[i].class = rnd_draw(&r, 1000);
	}
	sort(&set);
	make(&set, &in);
	assert_true(in.buckets[0x0a07].count > WL_BUCKETS / 2);
	for (int i = 0; i < MANY_ADDRESSES; i++) {
		size_t at = rnd_draw(&r, (unsigned)set.count);

		expect_same_at(&set, &in, &set.of[at].net);
	}
	bpf_intervals_done(&in);
	free(set.of);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_deepest),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
