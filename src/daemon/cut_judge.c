/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_judge.c - has a cut flow ended, and how?  See cut_judge.h.
 */
#include "daemon/cut_judge.h"

#include "daemon/cut_ledger.h"

static bool is_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

uint32_t cut_last_s(const struct cut_sight *s)
{
	uint32_t last = s->begun_s;

	for (int leg = 0; leg < 2; leg++)
		if (s->way[leg].marks & WL_CUT_SEEN &&
		    is_later(s->way[leg].seen_s, last))
			last = s->way[leg].seen_s;
	return last;
}

/* The other end's acknowledgements, as they leave on this way's leg, have
 * reached the number behind its FIN. */
static bool is_fin_acked(const struct wl_cut_way *way,
			 const struct wl_cut_way *other)
{
	return way->marks & WL_CUT_FIN &&
	       !is_later(way->fin, other->ack + other->ack_add);
}

enum flow_end cut_end_by_marks(const uint8_t marks[2])
{
	if (marks[0] & WL_CUT_RESET)
		return END_CLIENT_RESET;
	if (marks[1] & WL_CUT_RESET)
		return END_SERVER_RESET;
	return (marks[0] | marks[1]) & WL_CUT_FIN ? END_FINISHED : END_ERROR;
}

enum cut_fate cut_judge(const struct cut_sight *s, const struct cut_limits *l,
			uint32_t now_s, enum flow_end *why)
{
	const uint8_t marks[2] = { s->way[0].marks, s->way[1].marks };
	bool is_finished = is_fin_acked(&s->way[0], &s->way[1]) &&
			   is_fin_acked(&s->way[1], &s->way[0]);
	uint32_t silence_s = now_s - cut_last_s(s), limit_s = l->idle_s;

	if ((int32_t)silence_s < 0) /* a packet has come since now_s was read */
		silence_s = 0;
	if ((marks[0] | marks[1]) & WL_CUT_FIN)
		limit_s = l->half_closed_s;
	*why = END_IDLE_TIMEOUT;
	if ((marks[0] | marks[1]) & WL_CUT_RESET) {
		limit_s = CUT_RESET_LINGER_S;
		*why = cut_end_by_marks(marks);
	}
	if (is_finished) {
		limit_s = CUT_LINGER_S;
		*why = END_FINISHED;
	}
	if (silence_s >= limit_s)
		return CUT_OVER;
	return is_finished ? CUT_FINISHED : CUT_LIVES;
}
