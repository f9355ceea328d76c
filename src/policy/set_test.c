/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set_test.c - sets against lists that are searched from end to end.
 *
 * The addresses and ports are drawn from few values, so that hits, touching
 * ranges and covered prefixes are common.  A failure prints its seed; set
 * WAYLAY_SEED to repeat it.
 */
#include "policy/set.h"
#include "policy/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Networks: more than set.c merges, if all of them are out of order. */
enum { ROUNDS = 3000, ELEMENTS_MAX = 12, NETS_MAX = 60 };

static unsigned short seed_of(unsigned short state[3])
{
	const char *given = getenv("WAYLAY_SEED");
	unsigned short seed =
		(unsigned short)(given ? atoi(given) : time(NULL));

	state[0] = seed;
	state[1] = state[2] = 0;
	return seed;
}

static unsigned draw(unsigned short state[3], unsigned below)
{
	return (unsigned)nrand48(state) % below;
}

static struct prefix draw_prefix(unsigned short state[3])
{
	struct prefix p = { .net.family = AF_INET };
	unsigned bytes, bits;

	if (draw(state, 2))
		p.net.family = AF_INET6;
	bytes = (unsigned)addr_ip_len(&p.net);
	p.net.ip[0] = (uint8_t)draw(state, 4);
	p.net.ip[bytes - 1] = (uint8_t)draw(state, 256);
	bits = draw(state, 3) ? bytes * 8 - draw(state, 6) : draw(state, 9);
	p.len = (uint8_t)bits;
	for (unsigned i = bits; i < bytes * 8; i++)
		p.net.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return p;
}

static bool naive_contains(const struct prefix *p, const struct addr *a)
{
	if (p->net.family != a->family)
		return false;
	for (unsigned i = 0; i < p->len; i++) {
		if ((p->net.ip[i / 8] ^ a->ip[i / 8]) & 0x80 >> i % 8)
			return false;
	}
	return true;
}

static bool naive_has(const struct prefix *list, size_t count,
		      const struct addr *a)
{
	for (size_t i = 0; i < count; i++) {
		if (naive_contains(&list[i], a))
			return true;
	}
	return false;
}

static void test_nets(void **state)
{
	unsigned short rnd[3], seed = seed_of(rnd);
	struct prefix list[NETS_MAX], sorted[NETS_MAX];

	(void)state; /* unused */
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct net_set s = { sorted, draw(rnd, NETS_MAX + 1) };
		size_t count = s.count;

		for (size_t i = 0; i < count; i++)
			list[i] = sorted[i] = draw_prefix(rnd);
		net_set_normalise(&s);
		assert_ptr_equal(s.prefixes, sorted);
		for (size_t i = 1; i < s.count; i++) {
			assert_true(prefix_compare(&sorted[i - 1], &sorted[i]) <
				    0);
			assert_false(
				naive_contains(&sorted[i - 1], &sorted[i].net));
		}
		for (unsigned i = 0; i < 50; i++) {
			struct addr a = draw_prefix(rnd).net;

			if (net_set_has(&s, &a) != naive_has(list, count, &a))
				fail_msg("differs with WAYLAY_SEED=%u", seed);
		}
	}
}

static void mark_ports(const struct port_set *s, bool *has)
{
	memset(has, 0, 65536);
	for (size_t i = 0; i < s->count; i++) {
		for (unsigned port = s->ranges[i].first;
		     port <= s->ranges[i].last; port++)
			has[port] = true;
	}
}

static void draw_ports(unsigned short state[3], struct port_set *s)
{
	s->count = draw(state, ELEMENTS_MAX + 1);
	for (size_t i = 0; i < s->count; i++) {
		unsigned first = 1 + draw(state, 40);
		unsigned last = first + draw(state, 4);

		if (!draw(state, 10)) /* at the upper end */
			last = 65535, first = last - draw(state, 3);
		s->ranges[i].first = (uint16_t)first;
		s->ranges[i].last = (uint16_t)last;
	}
}

/* What two sets have in common, by looking at each port. */
static void expect_relations(const struct port_set *a, const struct port_set *b,
			     const struct port_set *without, unsigned seed)
{
	bool in_a[65536], in_b[65536], out[65536], is_covered = true;
	unsigned meets = 0;

	mark_ports(a, in_a);
	mark_ports(b, in_b);
	mark_ports(without, out);
	for (unsigned port = 65535; port; port--) {
		if (in_a[port] && in_b[port] && !out[port])
			meets = port;
		is_covered &= in_a[port] || !in_b[port];
	}
	if (port_set_covers(a, b) != is_covered ||
	    port_set_meets(a, b, without) != meets)
		fail_msg("differs with WAYLAY_SEED=%u", seed);
}

static void test_ports(void **state)
{
	struct port_range ranges[3][ELEMENTS_MAX];
	unsigned short rnd[3], seed = seed_of(rnd);
	struct port_set sets[3];
	bool before[65536], after[65536];

	(void)state; /* unused */
	for (unsigned round = 0; round < ROUNDS / 10; round++) {
		for (unsigned i = 0; i < 3; i++) {
			sets[i].ranges = ranges[i];
			draw_ports(rnd, &sets[i]);
			mark_ports(&sets[i], before);
			port_set_normalise(&sets[i]);
			mark_ports(&sets[i], after);
			assert_memory_equal(before, after, sizeof(after));
		}
		for (unsigned port = 1; port < 65536; port++) {
			if (port_set_has(&sets[2], (uint16_t)port) !=
			    after[port])
				fail_msg("differs with WAYLAY_SEED=%u", seed);
		}
		for (size_t i = 1; i < sets[0].count; i++)
			assert_true(ranges[0][i].first >
				    ranges[0][i - 1].last + 1);
		expect_relations(&sets[0], &sets[1], &sets[2], seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
