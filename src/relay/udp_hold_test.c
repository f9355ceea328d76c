/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_hold_test.c - what is held comes out as it went in, and is bounded.
 */
#include "relay/udp_hold.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS = 40, FLOWS = 6, STEPS = 20000 };

struct scene {
	struct udp_hold_memory memory;
	struct dgram_batch in, out; /* in: one datagram to hold */
};

static void begin(struct scene *s, uint32_t blocks)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(udp_hold_init(&s->memory, blocks), 0);
	assert_int_equal(dgram_init(&s->in), 0);
	assert_int_equal(dgram_init(&s->out), 0);
}

static void end(struct scene *s)
{
	assert_int_equal(s->memory.pool.used, 0);
	udp_hold_done(&s->memory);
	dgram_done(&s->in);
	dgram_done(&s->out);
}

/* Byte i of it is a number that depends on all three. */
static uint8_t byte_of(unsigned seed, size_t i)
{
	return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static bool add(struct scene *s, struct udp_hold *h, size_t len, unsigned seed)
{
	struct dgram *d = &s->in.dgrams[0];

	d->len = len;
	d->is_fragmented = seed & 1;
	for (size_t i = 0; i < len; i++)
		d->bytes[i] = byte_of(seed, i);
	return udp_hold_add(&s->memory, h, d);
}

static void expect(const struct dgram *d, size_t len, unsigned seed)
{
	assert_int_equal(d->len, len);
	assert_int_equal(d->is_fragmented, seed & 1);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(d->bytes[i], byte_of(seed, i));
}

/* --- one flow ------------------------------------------------------------ */

static const struct {
	const char *name;
	size_t len;	/* of each */
	unsigned count; /* that are held */
} bounds[] = {
	{ "empty datagrams: as many as a flow may hold", 0, 16 },
	{ "one byte each", 1, 16 },
	{ "of an Ethernet link: as many as a flow may hold", 1472, 16 },
	{ "exactly a block, exactly the bytes of a flow", 2048, 12 },
	{ "a byte more than a block", 2049, 11 },
	{ "of a large link", 8972, 2 },
	{ "all the bytes in one", 24576, 1 },
	{ "one byte too many for any flow", 24577, 0 },
	{ "the longest that there is", 65535, 0 },
};

static void test_bounds(void **state)
{
	static struct scene s;

	(void)state; /* unused */
	begin(&s, UDP_HOLD_BLOCKS);
	for (size_t c = 0; c < sizeof(bounds) / sizeof(*bounds); c++) {
		struct udp_hold h = { 0 };
		unsigned held = 0;

		print_message("%s\n", bounds[c].name);
		while (held < 20 && add(&s, &h, bounds[c].len, held))
			held++;
		assert_int_equal(held, bounds[c].count);
		assert_int_equal(h.count, held);
		udp_hold_take(&s.memory, &h, &s.out);
		assert_int_equal(s.out.count, held);
		for (unsigned i = 0; i < held; i++)
			expect(&s.out.dgrams[i], bounds[c].len, i);
		assert_int_equal(h.count, 0);
		assert_int_equal(s.memory.pool.used, 0);
	}
	end(&s);
}

/* What is refused leaves what was held as it is. */
static void test_refused(void **state)
{
	static struct scene s;
	struct udp_hold h = { 0 };

	(void)state; /* unused */
	begin(&s, 3);
	assert_true(add(&s, &h, 3000, 1)); /* two blocks */
	assert_false(add(&s, &h, 2049, 2));
	assert_true(add(&s, &h, 5, 3));
	assert_false(add(&s, &h, 0, 4));
	udp_hold_take(&s.memory, &h, &s.out);
	assert_int_equal(s.out.count, 2);
	expect(&s.out.dgrams[0], 3000, 1);
	expect(&s.out.dgrams[1], 5, 3);
	end(&s);
}

/* --- several flows against a model --------------------------------------- */

struct naive {
	unsigned count;
	size_t bytes;
	struct {
		size_t len;
		unsigned seed;
	} dgrams[UDP_HOLD_DGRAMS];
};

static size_t naive_blocks(const struct naive *n)
{
	size_t blocks = 0;

	for (unsigned i = 0; i < n->count; i++)
		blocks +=
			n->dgrams[i].len ? (n->dgrams[i].len + 2047) / 2048 : 1;
	return blocks;
}

static void naive_add(struct scene *s, struct udp_hold *h, struct naive *n,
		      size_t len, unsigned seed)
{
	size_t need = len ? (len + 2047) / 2048 : 1;
	bool fits = n->count < UDP_HOLD_DGRAMS &&
		    n->bytes + len <= UDP_HOLD_BYTES &&
		    BLOCKS - s->memory.pool.used >= need;

	assert_int_equal(add(s, h, len, seed), fits);
	if (!fits)
		return;
	n->dgrams[n->count].len = len;
	n->dgrams[n->count++].seed = seed;
	n->bytes += len;
}

static void naive_take(struct scene *s, struct udp_hold *h, struct naive *n)
{
	udp_hold_take(&s->memory, h, &s->out);
	assert_int_equal(s->out.count, n->count);
	for (unsigned i = 0; i < n->count; i++)
		expect(&s->out.dgrams[i], n->dgrams[i].len, n->dgrams[i].seed);
	*n = (struct naive){ 0 };
}

static void test_random(void **state)
{
	static struct scene s;
	struct udp_hold holds[FLOWS] = { 0 };
	struct naive naives[FLOWS] = { 0 };
	struct rnd rnd;

	(void)state; /* unused */
	rnd_begin(&rnd);
	begin(&s, BLOCKS);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = rnd_draw(&rnd, FLOWS), what = rnd_draw(&rnd, 16);
		size_t blocks = 0;

		if (what == 0) {
			udp_hold_drop(&s.memory, &holds[i]);
			naives[i] = (struct naive){ 0 };
		} else if (what == 1) {
			naive_take(&s, &holds[i], &naives[i]);
		} else {
			naive_add(&s, &holds[i], &naives[i],
				  rnd_draw(&rnd, 3) * 2040 + rnd_draw(&rnd, 20),
				  step);
		}
		for (unsigned k = 0; k < FLOWS; k++)
			blocks += naive_blocks(&naives[k]);
		assert_int_equal(s.memory.pool.used, blocks);
	}
	for (unsigned i = 0; i < FLOWS; i++)
		naive_take(&s, &holds[i], &naives[i]);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
