/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_take_cause_test.c - when a flow may be cut, and when not.
 */
#include "daemon/cut_take_scene_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- causes -------------------------------------------------------------- */

static void fin_socket(struct world *w, int leg)
{
	w->facts[leg].is_established = false;
}

static void fin_seen(struct world *w, int leg)
{
	w->learnt[leg].marks |= WL_CUT_FIN;
}

static void reset_seen(struct world *w, int leg)
{
	w->learnt[leg].marks |= WL_CUT_RESET;
}

static void fast_open(struct world *w, int leg)
{
	w->facts[leg].has_fast_open = true;
}

static void no_timestamps(struct world *w, int leg)
{
	w->facts[leg].has_timestamps = false;
}

static void urgent(struct world *w, int leg)
{
	w->learnt[leg].marks |= WL_CUT_URGENT;
}

static void fragment(struct world *w, int leg)
{
	w->learnt[leg].marks |= WL_CUT_ODD;
}

static void unsent(struct world *w, int leg)
{
	/* as repair_look() tells it: no other number is there */
	w->facts[leg].unsent = w->facts[leg].unacked = 1;
	w->facts[leg].written = w->facts[leg].read = 0;
	w->facts[leg].own_edge = w->facts[leg].peer_edge = 0;
}

static void much_unread(struct world *w, int leg)
{
	w->is_bulk[leg] = false;
	w->facts[leg].unread = CUT_UNREAD_MAX + 1;
	w->facts[!leg].peer_edge += 1 << 20;
}

static void gap(struct world *w, int leg)
{
	w->facts[leg].has_gap = true;
}

static void small_mss(struct world *w, int leg)
{
	w->facts[leg].peer_mss = 535;
}

static void no_packet(struct world *w, int leg)
{
	w->learnt[leg] = (struct wl_cut_way){ 0 };
}

static void no_clock(struct world *w, int leg)
{
	w->learnt[leg].marks &= (uint8_t)~WL_CUT_HAS_TSVAL;
}

static void other_numbers(struct world *w, int leg)
{
	w->learnt[leg].ack = w->facts[leg].written + 1;
}

static void old_numbers(struct world *w, int leg)
{
	w->learnt[leg].ack = w->facts[leg].written - (2 << 20);
}

static void no_route(struct world *w, int leg)
{
	w->learnt[leg].marks &= (uint8_t)~WL_CUT_ROUTED;
}

static void offered_more(struct world *w, int leg)
{
	w->facts[leg].own_edge =
		w->facts[leg].read + 1 +
		(w->facts[!leg].peer_edge - w->facts[!leg].written);
}

/* By so many bytes each, of ways in which little goes. */
static void overrun_both(struct world *w, uint32_t bytes)
{
	for (int leg = 0; leg < 2; leg++) {
		w->is_bulk[leg] = false;
		w->facts[leg].own_edge =
			w->facts[leg].read + bytes +
			(w->facts[!leg].peer_edge - w->facts[!leg].written);
	}
}

static void both_offered_more(struct world *w, int leg)
{
	(void)leg;
	overrun_both(w, 4097);
}

static void no_room_for_unread(struct world *w, int leg)
{
	w->is_bulk[leg] = w->is_bulk[!leg] = false;
	w->facts[leg].unread = 20000;
	w->facts[!leg].peer_edge = w->facts[!leg].written + 19999;
}

static void offered_little(struct world *w, int leg)
{
	w->facts[leg].own_edge = w->facts[leg].read + WL_CUT_AHEAD_MAX - 1;
}

static void tiny_window(struct world *w, int leg)
{
	w->is_bulk[0] = w->is_bulk[1] = false;
	w->facts[leg].unacked = 50;
	w->facts[leg].peer_edge =
		w->facts[leg].written - 50 +
		(uint32_t)((1 << w->facts[!leg].own_shift) - 1);
}

static void test_ways_that_may_be_overrun_a_little(void **state)
{
	struct wl_cut_way out[2];
	struct world w = good;

	(void)state;
	overrun_both(&w, 4096);
	assert_int_equal(cut_take(w.facts, w.learnt, w.is_bulk, V4, out),
			 CUT_CAUSE_NONE);
}

static const struct {
	const char *sentence;
	void (*spoil)(struct world *w, int leg);
	enum cut_cause cause;
	bool is_passing;
} causes[] = {
	{ "a FIN has come to the socket", fin_socket, CUT_CAUSE_ENDING, false },
	{ "a FIN has come by", fin_seen, CUT_CAUSE_ENDING, false },
	{ "a RST has come by", reset_seen, CUT_CAUSE_ENDING, false },
	{ "data came with the SYN", fast_open, CUT_CAUSE_FAST_OPEN, false },
	{ "one leg has no timestamps", no_timestamps, CUT_CAUSE_TIMESTAMPS,
	  false },
	{ "an end takes less than any end may be sent", small_mss,
	  CUT_CAUSE_SMALL_MSS, false },
	{ "urgent data", urgent, CUT_CAUSE_URGENT, false },
	{ "a fragment", fragment, CUT_CAUSE_FRAGMENTS, false },
	{ "a byte is unsent", unsent, CUT_CAUSE_BUSY, true },
	{ "too much is unread", much_unread, CUT_CAUSE_BUSY, true },
	{ "bytes wait behind a gap", gap, CUT_CAUSE_BUSY, true },
	{ "no packet has come by", no_packet, CUT_CAUSE_UNSEEN, true },
	{ "no clock is known", no_clock, CUT_CAUSE_UNSEEN, true },
	{ "what was not written is acknowledged", other_numbers,
	  CUT_CAUSE_UNSEEN, true },
	{ "acknowledgements are far behind", old_numbers, CUT_CAUSE_UNSEEN,
	  true },
	{ "no way out", no_route, CUT_CAUSE_NO_ROUTE, true },
	{ "an end may send a byte more than the other takes", offered_more,
	  CUT_CAUSE_WINDOW, true },
	{ "both ends may send much more than the other takes",
	  both_offered_more, CUT_CAUSE_WINDOW, true },
	{ "what is unread finds no room", no_room_for_unread, CUT_CAUSE_WINDOW,
	  true },
	{ "an end was offered too little to hear our socket later",
	  offered_little, CUT_CAUSE_WINDOW, true },
	{ "a window becomes none by its scale", tiny_window, CUT_CAUSE_WINDOW,
	  true },
};

static void a_flow_is_not_cut_when(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		for (int leg = 0; leg < 2; leg++) {
			struct wl_cut_way out[2], untouched[2];
			struct world w = good;

			memset(out, 0x5a, sizeof(out));
			memcpy(untouched, out, sizeof(out));
			causes[i].spoil(&w, leg);
			if (take(&w, out) != causes[i].cause)
				fail_msg("%s", causes[i].sentence);
			assert_memory_equal(out, untouched, sizeof(out));
			assert_int_equal(cut_cause_is_passing(causes[i].cause),
					 causes[i].is_passing);
		}
}

/* --- edges --------------------------------------------------------------- */

static void most_unread(struct world *w, int leg)
{
	w->is_bulk[leg] = false;
	w->facts[leg].unread = CUT_UNREAD_MAX;
	w->facts[!leg].peer_edge = w->facts[!leg].written + CUT_UNREAD_MAX;
}

static void offered_as_much(struct world *w, int leg)
{
	offered_more(w, leg);
	w->facts[leg].own_edge--;
}

static void offered_more_of_little(struct world *w, int leg)
{
	offered_more(w, leg);
	w->is_bulk[leg] = false;
}

static void unacked(struct world *w, int leg)
{
	w->facts[leg].unacked = 100;
	w->learnt[leg].ack -= 100;
}

static void offered_just_enough(struct world *w, int leg)
{
	offered_little(w, leg);
	w->facts[leg].own_edge++;
}

static void least_window(struct world *w, int leg)
{
	tiny_window(w, leg);
	w->facts[leg].peer_edge++;
}

static const struct {
	const char *sentence;
	void (*change)(struct world *w, int leg);
} allowed[] = {
	{ "as much is unread as may be", most_unread },
	{ "exactly what the far end takes was offered", offered_as_much },
	{ "more was offered on a way of few bytes", offered_more_of_little },
	{ "bytes of ours are not acknowledged", unacked },
	{ "no leg has timestamps", no_timestamps_at_all },
	{ "an end was offered just enough", offered_just_enough },
	{ "a window of one of the coarser scale", least_window },
};

static void a_flow_is_cut_when(void **state)
{
	struct wl_cut_way out[2];

	(void)state;
	assert_int_equal(take(&good, out), CUT_CAUSE_NONE);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		for (int leg = 0; leg < 2; leg++) {
			struct world w = good;

			allowed[i].change(&w, leg);
			if (take(&w, out) != CUT_CAUSE_NONE)
				fail_msg("%s", allowed[i].sentence);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_that_may_be_overrun_a_little),
		cmocka_unit_test(a_flow_is_not_cut_when),
		cmocka_unit_test(a_flow_is_cut_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
