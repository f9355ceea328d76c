/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_take.c - the numbers of a cut; see cut_take.h.
 *
 *	client ---> client leg   server leg ---> server		way[CUT_CLIENT]
 *	client <--- client leg   server leg <--- server		way[CUT_SERVER]
 *
 * Of each way: the leg where it comes, `near`, and the one whose far end gets
 * it, `far`.  What is written to one and what is read from the other are the
 * same byte, when nothing is held between them.
 */
#include "daemon/cut_take.h"

#include <stddef.h>
#include <stdint.h>

enum {
	HEADERS_V4 = 40, /* of IP and TCP without options: RFC 6691 */
	HEADERS_V6 = 60,
	/* What any end may be sent: RFC 9293, 3.7.1. */
	MSS_MIN_V4 = 536,
	MSS_MIN_V6 = 1220,
	/* No acknowledgement that is true is so far behind. */
	BEHIND_MAX = 1 << 20,
	/* A few segments, and what is lost by the scale of windows. */
	OVERRUN_MAX = 4096,
};

struct case_of { /* what a condition may look at */
	const struct repair_facts *near, *far;
	const struct wl_cut_way *learnt; /* of the way that comes on near */
	bool is_bulk;
	uint8_t family; /* as in the key */
};

/* --- conditions ---------------------------------------------------------- */

static bool is_ending(const struct case_of *c)
{
	return !c->near->is_established ||
	       (c->learnt->marks & (WL_CUT_FIN | WL_CUT_RESET));
}

static bool is_fast_open(const struct case_of *c)
{
	return c->near->has_fast_open;
}

static bool is_one_without_timestamps(const struct case_of *c)
{
	return c->near->has_timestamps != c->far->has_timestamps;
}

/*
 * What comes from the other end may be larger than this one takes, and that is
 * told by ICMP.  Nobody needs to believe an error that asks for less than what
 * any end takes: IPv6 not below 1280 bytes (RFC 8200), Linux not below 552.
 */
static bool is_of_small_mss(const struct case_of *c)
{
	return c->near->peer_mss < (c->family ? MSS_MIN_V6 : MSS_MIN_V4);
}

static bool is_urgent(const struct case_of *c)
{
	return c->learnt->marks & WL_CUT_URGENT;
}

static bool is_odd(const struct case_of *c)
{
	return c->learnt->marks & WL_CUT_ODD;
}

/*
 * The program and the socket must mean the same connection by the same
 * numbers.  An acknowledgement that the program has learnt lies at most as far
 * ahead as what we have written; if it does not, somebody between the two
 * counts otherwise, or has sent a forged one.
 */
static bool is_unseen(const struct case_of *c)
{
	if (!(c->learnt->marks & WL_CUT_SEEN))
		return true;
	if (c->near->has_timestamps && !(c->learnt->marks & WL_CUT_HAS_TSVAL))
		return true;
	return c->near->written - c->learnt->ack >
	       c->near->unacked + BEHIND_MAX;
}

static bool is_without_route(const struct case_of *c)
{
	return !(c->learnt->marks & WL_CUT_ROUTED);
}

/* Bytes behind a gap have been told to their sender (SACK), which would send
 * them again only after a time-out. */
static bool is_busy(const struct case_of *c)
{
	return c->near->unsent || c->near->unread > CUT_UNREAD_MAX ||
	       c->near->has_gap;
}

/* By how much the near end, as far as we have offered, may send more than the
 * far end offers. */
static int32_t overrun(const struct case_of *c)
{
	uint32_t room = c->far->peer_edge - c->far->written;
	uint32_t offered = c->near->own_edge - c->near->read;

	return (int32_t)(offered - room);
}

/* Where little goes one way may be overrun, and the far end acknowledges what
 * it refuses.  Both at once would refuse each other's acknowledgements, too. */
static bool may_both_overrun(const struct case_of cases[2])
{
	return overrun(&cases[CUT_CLIENT]) > OVERRUN_MAX &&
	       overrun(&cases[CUT_SERVER]) > OVERRUN_MAX;
}

/*
 * What we have read must find room at the far end: it is sent at once.  Where
 * much goes, so must all that the near end may have on its way: its right edge,
 * as we offered it, is not beyond the one that the far end offers.
 */
static bool is_overrunning(const struct case_of *c)
{
	uint32_t room = c->far->peer_edge - c->far->written;

	if ((int32_t)(room - c->near->unread) < 0)
		return true;
	return c->is_bulk && overrun(c) > 0;
}

/* Acknowledgements run ahead of our socket by WL_CUT_AHEAD_MAX, so the near end
 * must have been offered that much at some time: as much as now is unread or
 * still offered. */
static bool is_offered_too_little(const struct case_of *c)
{
	return c->near->own_edge - c->near->read < WL_CUT_AHEAD_MAX;
}

/* A window that is less than one of the coarser scale becomes none.  An end
 * that can offer no more would never be sent anything again. */
static bool is_too_small(const struct case_of *c)
{
	uint32_t acknowledged = c->near->written - c->near->unacked;

	return (int32_t)(c->near->peer_edge - acknowledged) <
	       1 << c->far->own_shift;
}

/* What is so for good comes first: a worker need not ask again. */
static const struct condition {
	bool (*is_met)(const struct case_of *c);
	enum cut_cause cause;
} conditions[] = {
	{ is_ending, CUT_CAUSE_ENDING },
	{ is_fast_open, CUT_CAUSE_FAST_OPEN },
	{ is_one_without_timestamps, CUT_CAUSE_TIMESTAMPS },
	{ is_of_small_mss, CUT_CAUSE_SMALL_MSS },
	{ is_urgent, CUT_CAUSE_URGENT },
	{ is_odd, CUT_CAUSE_FRAGMENTS },
	/* The numbers below are told only where nothing is unsent. */
	{ is_busy, CUT_CAUSE_BUSY },
	{ is_unseen, CUT_CAUSE_UNSEEN },
	{ is_without_route, CUT_CAUSE_NO_ROUTE },
	{ is_overrunning, CUT_CAUSE_WINDOW },
	{ is_offered_too_little, CUT_CAUSE_WINDOW },
	{ is_too_small, CUT_CAUSE_WINDOW },
};

static enum cut_cause find_cause(const struct case_of cases[2])
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (conditions[i].is_met(&cases[CUT_CLIENT]) ||
		    conditions[i].is_met(&cases[CUT_SERVER]))
			return conditions[i].cause;
	return may_both_overrun(cases) ? CUT_CAUSE_WINDOW : CUT_CAUSE_NONE;
}

bool cut_cause_is_passing(enum cut_cause cause)
{
	switch (cause) {
	case CUT_CAUSE_UNSEEN:
	case CUT_CAUSE_NO_ROUTE:
	case CUT_CAUSE_BUSY:
	case CUT_CAUSE_WINDOW:
		return true;
	case CUT_CAUSE_NONE:
	case CUT_CAUSE_ENDING:
	case CUT_CAUSE_TIMESTAMPS:
	case CUT_CAUSE_URGENT:
	case CUT_CAUSE_FAST_OPEN:
	case CUT_CAUSE_SMALL_MSS:
	case CUT_CAUSE_FRAGMENTS:
	case CUT_CAUSE_FULL:
	case CUT_CAUSE_TAKEN:
	case CUT_CAUSE_ERROR:
	case CUT_CAUSE_COUNT:
		break;
	}
	return false;
}

/* --- numbers ------------------------------------------------------------- */

static uint16_t size_max(uint16_t mss, uint8_t family)
{
	uint32_t size = mss + (uint32_t)(family ? HEADERS_V6 : HEADERS_V4);

	return size < UINT16_MAX ? (uint16_t)size : UINT16_MAX;
}

/*
 * The clock of the near end goes on behind that of our far leg, which may have
 * spoken last: a TSval that went back would be thrown away (RFC 7323, PAWS).
 * TCP_TIMESTAMP leaves the lowest bit to another meaning, hence one more.
 *
 * While our far leg still sends again what is not acknowledged, two clocks
 * speak to the far end.  It takes note of the later one only from segments that
 * begin where it has acknowledged, so what comes behind a gap that our leg has
 * to fill does not make the filling look old.  If a near end sends again what
 * is there already, and its clock is ahead since it was silent before the cut,
 * our leg is not heard for as long as it was silent, and then it is.
 */
static uint32_t ts_add(const struct case_of *c)
{
	return c->far->own_ts + 1 - c->learnt->tsval;
}

static struct wl_cut_way take_way(const struct case_of *c, uint8_t family)
{
	struct wl_cut_way w = {
		.seq_add = c->far->written - c->near->read,
		/* minus the other's seq_add */
		.ack_add = c->far->read - c->near->written,
		.edge = c->near->written,
		.size_max = size_max(c->far->peer_mss, family),
		.is_draining = 1,
		/* as the near end scales it, and the far end reads it */
		.shift = (int8_t)(c->near->peer_shift - c->far->own_shift),
	};

	w.how = (uint8_t)(c->near->peer_shift << WL_CUT_SCALE_SHIFT);
	if (c->near->has_timestamps)
		w.how |= WL_CUT_TIMESTAMPS;
	if (!c->far->has_sack)
		w.how |= WL_CUT_NO_SACK;
	if (!c->far->has_ecn)
		w.how |= WL_CUT_NO_ECN;
	return w;
}

static void take_clocks(const struct case_of cases[2], struct wl_cut_way out[2])
{
	if (!cases[CUT_CLIENT].near->has_timestamps)
		return;
	for (int i = 0; i < 2; i++)
		out[i].ts_add = ts_add(&cases[i]);
	for (int i = 0; i < 2; i++)
		out[i].echo_add = -out[!i].ts_add;
}

enum cut_cause cut_take(const struct repair_facts facts[2],
			const struct wl_cut_way learnt[2],
			const bool is_bulk[2], uint8_t family,
			struct wl_cut_way out[2])
{
	const struct case_of cases[2] = {
		{ &facts[0], &facts[1], &learnt[0], is_bulk[0], family },
		{ &facts[1], &facts[0], &learnt[1], is_bulk[1], family },
	};
	enum cut_cause cause = find_cause(cases);

	if (cause != CUT_CAUSE_NONE)
		return cause;
	for (int i = 0; i < 2; i++)
		out[i] = take_way(&cases[i], family);
	take_clocks(cases, out);
	return CUT_CAUSE_NONE;
}
