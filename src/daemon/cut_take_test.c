/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_take_test.c - what the numbers of a cut mean.
 */
#include "daemon/cut_take_scene_test.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- numbers ------------------------------------------------------------- */

static void numbers_of_an_example(void **state)
{
	struct wl_cut_way out[2];

	(void)state;
	assert_int_equal(take(&good, out), CUT_CAUSE_NONE);
	assert_int_equal(out[CUT_CLIENT].seq_add, 4000);
	assert_int_equal(out[CUT_SERVER].ack_add, (uint32_t)-4000);
	assert_int_equal(out[CUT_SERVER].seq_add, 0x7ffffff0);
	assert_int_equal(out[CUT_CLIENT].ack_add, 0x80000010);
	assert_int_equal(out[CUT_CLIENT].edge, 0xfffffff0);
	assert_int_equal(out[CUT_SERVER].edge, 5000);
	assert_int_equal(out[CUT_CLIENT].is_draining, 1);
	assert_int_equal(out[CUT_SERVER].is_draining, 1);
	assert_int_equal(out[CUT_CLIENT].shift, -1);
	assert_int_equal(out[CUT_SERVER].shift, -4);
	assert_int_equal(out[CUT_CLIENT].size_max, 1260);
	assert_int_equal(out[CUT_SERVER].size_max, 1500);
	assert_int_equal(out[CUT_CLIENT].ts_add, (uint32_t)-123);
	assert_int_equal(out[CUT_SERVER].echo_add, 123);
	assert_int_equal(out[CUT_SERVER].ts_add, 70001 - 456);
	assert_int_equal(out[CUT_CLIENT].echo_add, (uint32_t)(456 - 70001));
}

static void options_that_one_leg_lacks(void **state)
{
	(void)state;
	for (int leg = 0; leg < 2; leg++) {
		struct wl_cut_way out[2];
		struct world w = good;
		uint8_t scales[2];

		for (int i = 0; i < 2; i++)
			scales[i] = (uint8_t)(w.facts[i].peer_shift
					      << WL_CUT_SCALE_SHIFT);
		assert_int_equal(take(&w, out), CUT_CAUSE_NONE);
		assert_int_equal(out[!leg].how,
				 scales[!leg] | WL_CUT_TIMESTAMPS);
		w.facts[leg].has_sack = false;
		assert_int_equal(take(&w, out), CUT_CAUSE_NONE);
		assert_int_equal(out[!leg].how, scales[!leg] |
							WL_CUT_TIMESTAMPS |
							WL_CUT_NO_SACK);
		assert_int_equal(out[leg].how, scales[leg] | WL_CUT_TIMESTAMPS);
		w.facts[leg].has_ecn = false;
		no_timestamps_at_all(&w, 0);
		assert_int_equal(take(&w, out), CUT_CAUSE_NONE);
		assert_int_equal(out[!leg].how,
				 scales[!leg] | WL_CUT_NO_SACK | WL_CUT_NO_ECN);
		assert_int_equal(out[leg].how, scales[leg]);
		assert_int_equal(out[leg].ts_add, 0);
		assert_int_equal(out[leg].echo_add, 0);
	}
}

static void the_largest_packet_is_the_mss_and_headers(void **state)
{
	static const struct {
		uint16_t mss;
		uint8_t family;
		uint16_t size;
	} sizes[] = {
		{ 1460, V4, 1500 },   { 1440, V6, 1500 },
		{ 536, V4, 576 },     { 65495, V4, 65535 },
		{ 65475, V6, 65535 }, { 65496, V4, 65535 },
		{ 65535, V6, 65535 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct wl_cut_way out[2];
		struct world w = good;

		w.facts[CUT_SERVER].peer_mss = sizes[i].mss;
		assert_int_equal(cut_take(w.facts, w.learnt, w.is_bulk,
					  sizes[i].family, out),
				 CUT_CAUSE_NONE);
		assert_int_equal(out[CUT_CLIENT].size_max, sizes[i].size);
	}
}

/* Of either end; an MTU below would not be believed. */
static void no_mss_is_below_what_may_be_sent(void **state)
{
	static const struct {
		uint16_t mss;
		uint8_t family;
		enum cut_cause cause;
	} sizes[] = {
		{ 536, V4, CUT_CAUSE_NONE },
		{ 535, V4, CUT_CAUSE_SMALL_MSS },
		{ 1220, V6, CUT_CAUSE_NONE },
		{ 1219, V6, CUT_CAUSE_SMALL_MSS },
		{ 1219, V4, CUT_CAUSE_NONE },
		{ 536, V6, CUT_CAUSE_SMALL_MSS },
		{ 0, V4, CUT_CAUSE_SMALL_MSS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (int leg = 0; leg < 2; leg++) {
			struct wl_cut_way out[2];
			struct world w = good;

			w.facts[leg].peer_mss = sizes[i].mss;
			assert_int_equal(cut_take(w.facts, w.learnt, w.is_bulk,
						  sizes[i].family, out),
					 sizes[i].cause);
		}
}

static uint32_t draw(struct rnd *r)
{
	uint32_t n;

	rnd_fill(r, (uint8_t *)&n, sizeof(n));
	return n;
}

/*
 * Two streams, each with a start of its own on either leg.  The relay has
 * carried some bytes of each; whatever bytes an end then speaks of, rewritten
 * they are the same bytes on the other leg.
 */
static void bytes_keep_their_places(void **state)
{
	struct rnd r;

	(void)state;
	rnd_begin(&r);
	for (int i = 0; i < 20000; i++) {
		struct world w = good;
		struct wl_cut_way out[2];
		uint32_t start[2][2], moved[2]; /* [stream][leg] */

		for (int s = 0; s < 2; s++) {
			start[s][0] = draw(&r);
			start[s][1] = draw(&r);
			moved[s] = draw(&r);
		}
		for (int leg = 0; leg < 2; leg++) {
			w.facts[leg].read = start[leg][leg] + moved[leg];
			w.facts[leg].written = start[!leg][leg] + moved[!leg];
			w.facts[leg].peer_edge = w.facts[leg].written + 0x20000;
			w.facts[leg].own_edge = w.facts[leg].read + 0x20000;
			w.learnt[leg].ack = w.facts[leg].written;
		}
		assert_int_equal(take(&w, out), CUT_CAUSE_NONE);
		for (int way = 0; way < 2; way++) {
			uint32_t n = draw(&r);

			assert_int_equal(start[way][way] + n + out[way].seq_add,
					 start[way][!way] + n);
			assert_int_equal(start[!way][way] + n +
						 out[way].ack_add,
					 start[!way][!way] + n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_an_example),
		cmocka_unit_test(options_that_one_leg_lacks),
		cmocka_unit_test(the_largest_packet_is_the_mss_and_headers),
		cmocka_unit_test(no_mss_is_below_what_may_be_sent),
		cmocka_unit_test(bytes_keep_their_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
